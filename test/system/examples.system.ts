import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { join as joinServer } from "../support/minecraft/minecraft.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { makeNetns } from "../support/net/netns.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { linesOf, noQueue, startNetwork } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";
import { bootMachine } from "../support/process/systemd.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const examples = join(import.meta.dir, "../../docs/examples");
const example = (name: string): Promise<string> => Bun.file(join(examples, name)).text();

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test("server-manager.py starts a unit for the player who waits, says how it is, and stops it", async () => {
  const code = await example("server-manager.py");
  expect(code.trimEnd().split("\n").length).toBeLessThanOrEqual(60);

  await using scene = new AsyncDisposableStack();
  const netns = scene.use(makeNetns());
  const machine = scene.use(await bootMachine(netns));
  const [version, address] = ["1.20.4", `${netns.inside}:25566`];
  const server = join(import.meta.dir, "../support/minecraft/server-process.ts");
  machine.write("/usr/local/bin/server-manager.py", code);
  machine.write("/etc/systemd/system/minecraft@.service", await example("minecraft@.service"));
  machine.write(
    "/etc/systemd/system/minecraft@.service.d/test.conf",
    `[Service]\nUser=root\nWorkingDirectory=/\nExecStart=\nExecStart=${process.execPath} ${server} ${netns.inside} 25566 ${version}\n`,
  );
  machine.write(
    "/etc/systemd/system/server-manager.service",
    await example("server-manager.service"),
  );
  machine.write(
    "/etc/server-manager.env",
    `SERVERS=survival=${address}\nTOKEN=s3cret\nLISTEN=${netns.inside}:8090\n`,
  );
  await machine.runBeside("systemctl", "start", "server-manager");

  const url = `http://${netns.inside}:8090`;
  const ask = async (path: string, method = "GET", token = "s3cret") => {
    const asked = await fetch(url + path, { method, headers: { "X-API-Key": token } });
    return { status: asked.status, body: (await asked.json()) as Record<string, unknown> };
  };
  await until(
    "it answers",
    async () => (await ask("/servers/x").catch(() => null)) !== null,
    20_000,
  );
  expect((await ask("/servers/survival", "GET", "wrong")).status).toBe(401);
  expect((await ask("/servers/elsewhere")).status).toBe(404);
  expect((await ask("/servers/survival/destroy", "POST")).status).toBe(404);
  expect(await ask("/servers/survival")).toMatchObject({
    status: 200,
    body: { state: "stopped", address },
  });

  await using network = await startNetwork({
    postgres,
    rows: [{ name: "survival", domain: "survival.example.org", address }],
    env: { AUTOMC_WAKER_URL: url, AUTOMC_WAKER_TOKEN: "s3cret" },
  });
  const host = "survival.example.org";
  const who = { port: network.router.port, host, version, username: "Steve", timeoutMs: 60_000 };
  const joined = await joinServer(who);
  if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
  expect((await ask("/servers/survival")).body).toMatchObject({ state: "running" });
  joined.session[Symbol.dispose]();

  expect((await ask("/servers/survival/stop", "POST")).status).toBe(202);
  await until("it has stopped", async () => {
    return (await ask("/servers/survival")).body["state"] === "stopped";
  });
});

test("trigger.sql routes a change of one's own table at once, for a role that may only read", async () => {
  using backend = startBackend(echo);
  const database = await postgres.createDatabase();
  const text = await example("trigger.sql");
  // It may be run again.
  for (let time = 0; time < 2; time++) await database.sql.unsafe(text).simple();
  await using router = await startRouter({
    env: { ...noQueue, AUTOMC_DSN: database.dsn().replace("postgres@", "router@") },
  });
  await router.waitForLine(({ event }) => event === "source-live");
  expect(linesOf(router, "source-live")).toMatchObject([{ changes: "heard at once" }]);

  await database.sql`INSERT INTO servers VALUES ('a', 'a.example.org', ${backend.address})`;
  await router.waitForLine(({ serverAddress }) => serverAddress === "a.example.org", 2_000);
  const hello = login({ host: "a.example.org", name: "Steve" });
  using player = await connectPlayer({ port: router.port });
  await player.send(hello);
  expect(await player.read(hello.length)).toEqual(hello);

  await database.sql`UPDATE servers SET name = 'b', domain = 'b.example.org'`;
  await router.waitForLine(({ serverAddress }) => serverAddress === "b.example.org", 2_000);
  await database.sql`DELETE FROM servers`;
  await until("neither is routed", () => {
    return router.lines.filter(({ msg }) => msg === "route removed").length === 2;
  });
});
