import { expect, setDefaultTimeout, test } from "bun:test";
import { startPostgres } from "../support/postgres/postgres.ts";
import { requireProgram } from "../support/process/debian.ts";
import { runRouter } from "../support/process/router.ts";

setDefaultTimeout(60_000);

test("schema may go through psql twice, and again when there are rows", async () => {
  const server = await startPostgres();
  await using _stopped = { [Symbol.asyncDispose]: () => server.stop() };
  const database = await server.createDatabase();
  const { stdout } = await runRouter(["schema"]);
  for (let time = 0; time < 3; time++) {
    const psql = Bun.spawn(
      [requireProgram("psql", "postgresql-client"), "-v", "ON_ERROR_STOP=1", "-q", database.dsn()],
      {
        stdin: Buffer.from(stdout),
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [said, exitCode] = await Promise.all([psql.stderr.text(), psql.exited]);
    expect({ exitCode, said }).toEqual({
      exitCode: 0,
      said: time === 0 ? expect.any(String) : expect.not.stringContaining("ERROR"),
    });
    await database.sql`INSERT INTO servers VALUES (${`s${time}`}, ${`s${time}.x`}, 'h:1')`;
  }
  const [counted] = await database.sql<{ count: number }[]>`
    SELECT count(*)::int AS count FROM servers`;
  expect(counted).toEqual({ count: 3 });
});
