import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { seedSchema } from "../providers/postgres/seed-schema.ts";
import { join, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { handshake, intents, login } from "../support/minecraft/wire.ts";
import { type Backend, echo, startBackend } from "../support/net/backend.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import {
  complaints,
  insertRows,
  linesOf,
  noQueue,
  printedSchema,
  sessionEnd,
  startNetwork,
} from "../support/process/e2e-network.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

let postgres: TestPostgres;
/** Three servers that say their own name to everybody who comes. */
const backends: Backend[] = [];
const folder = mkdtempSync(joinPath(tmpdir(), "automc-routes-"));
beforeAll(async () => {
  for (const name of ["A", "B", "C"]) {
    backends.push(
      startBackend({
        data: (connection) => connection.send(Buffer.from(name)),
        end: (connection) => connection.finish(),
      }),
    );
  }
  postgres = await startPostgres();
});
afterAll(async () => {
  for (const backend of backends) backend.stop();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

const addressOf = (name: string): string =>
  backends["ABC".indexOf(name)]?.address ?? `no backend ${name}`;

/** The name of the backend that a ping for this hostname reaches; "" for none. */
async function reached(router: Router, host: string): Promise<string> {
  using player = await connectPlayer({ port: router.port });
  await player.send(handshake({ protocol: 774, host, port: 25565, intent: intents.status }));
  player.finish();
  await player.waitForEnd();
  return player.received().toString().slice(0, 1);
}

/** The lines about routes from Postgres behind the first `seen` ones, in the operator's words, sorted. */
const routeNews = (router: Router, seen = 0): string[] =>
  linesOf(router, "routes-changed")
    .slice(seen)
    .map((line) =>
      [line["msg"], line["serverAddress"], line["backend"], line["row"]]
        .filter((part) => part !== undefined)
        .join(" "),
    )
    .sort();

/** The same line as a test expects it: `added a.x A a`. */
function news(text: string): string {
  const [verb, hostname, backend = "", row] = text.split(" ");
  return `route ${verb} ${hostname} ${addressOf(backend)} ${row}`;
}

const row = (text: string) => {
  const [name = "", domain = "", backend = ""] = text.split(" ");
  return { name, domain, address: addressOf(backend) };
};

/** What is done to the rows `a a.x A` and `b b.x B`, where players get afterwards, and which lines the log gains. */
const steps: readonly {
  readonly name: string;
  readonly sql: string;
  readonly reached: Readonly<Record<string, string>>;
  readonly news: readonly string[];
}[] = [
  {
    name: "an insert",
    sql: "INSERT INTO servers VALUES ('c', 'c.x', '{C}')",
    reached: { "a.x": "A", "c.x": "C" },
    news: ["added c.x C c"],
  },
  {
    name: "an update of the address",
    sql: "UPDATE servers SET address = '{C}' WHERE name = 'a'",
    reached: { "a.x": "C", "b.x": "B" },
    news: ["changed a.x C a"],
  },
  {
    name: "an update of the hostname",
    sql: "UPDATE servers SET domain = 'new.x' WHERE name = 'a'",
    reached: { "a.x": "", "new.x": "A" },
    news: ["added new.x A a", "removed a.x A a"],
  },
  {
    name: "a delete",
    sql: "DELETE FROM servers WHERE name = 'a'",
    reached: { "a.x": "", "b.x": "B" },
    news: ["removed a.x A a"],
  },
  {
    name: "an address taken away",
    sql: "UPDATE servers SET address = '' WHERE name = 'b'",
    reached: { "a.x": "A", "b.x": "" },
    news: ["removed b.x B b"],
  },
  {
    name: "a swap of two hostnames in one transaction",
    sql: `BEGIN; UPDATE servers SET domain = 'swap' WHERE name = 'a';
      UPDATE servers SET domain = 'a.x' WHERE name = 'b';
      UPDATE servers SET domain = 'b.x' WHERE name = 'a'; COMMIT`,
    reached: { "a.x": "B", "b.x": "A", swap: "" },
    news: ["changed a.x B b", "changed b.x A a"],
  },
  {
    name: "an emptying and a refill in one transaction",
    sql: `BEGIN; TRUNCATE servers; INSERT INTO servers VALUES
      ('b', 'b.x', '{B}'), ('c', 'a.x', '{C}'); COMMIT`,
    reached: { "a.x": "C", "b.x": "B" },
    news: ["changed a.x C c"],
  },
  {
    name: "a list of hostnames and a wildcard",
    sql: "UPDATE servers SET domain = ' A.x , *.Wild.x,also.x. ' WHERE name = 'a'",
    reached: { "a.x": "A", "also.x": "A", "1.2.wild.x": "A", "wild.x": "" },
    news: ["added *.wild.x A a", "added also.x A a"],
  },
];

for (const { schemaName, schema } of [
  { schemaName: "the seed's trigger", schema: () => Promise.resolve(seedSchema) },
  { schemaName: "the printed schema", schema: printedSchema },
]) {
  describe(`with ${schemaName}`, () => {
    for (const step of steps) {
      test(`${step.name} is routed at once, and the log has its lines and no others`, async () => {
        await using network = await startNetwork({
          postgres,
          schema: await schema(),
          rows: [row("a a.x A"), row("b b.x B")],
        });
        const { router, database } = network;
        expect(routeNews(router)).toEqual([news("added a.x A a"), news("added b.x B b")].sort());

        using staying = await connectPlayer({ port: router.port });
        await staying.send(login({ host: "a.x", name: "Staying" }));
        expect((await staying.read(1)).toString()).toBe("A");

        await database.sql.unsafe(step.sql.replace(/\{(.)\}/g, (_, name) => addressOf(name)));
        const expected = step.news.map(news).sort();
        await until("the lines are there", () => routeNews(router, 2).length >= expected.length);
        for (const [host, backend] of Object.entries(step.reached)) {
          expect({ host, backend: await reached(router, host) }).toEqual({ host, backend });
          const explained = await network.explain(host);
          const route = backend === "" ? /^route {5}none/m : `backend   ${addressOf(backend)}\n`;
          expect(explained).toMatch(route);
        }
        expect(routeNews(router, 2)).toEqual(expected);
        expect(complaints(router)).toEqual([]);

        await staying.send(Buffer.from("still here"));
        expect((await staying.read(1)).toString()).toBe("A");
      });
    }
  });
}

describe("rows that cannot be used", () => {
  test("are named with their reason; the others apply, and a good row keeps its last good version", async () => {
    await using network = await startNetwork({
      postgres,
      rows: [
        row("good good.x A"),
        row("spoilt spoilt.x B"),
        { name: "bad port", domain: "p.x", address: "10.0.0.1:99999" },
        { name: "no host", domain: "h.x", address: ":25565" },
        { name: "odd name", domain: "ok.x,bad name.x", address: addressOf("C") },
        row("z-thief good.x,mine.x C"),
      ],
    });
    const { router, database } = network;
    const reasons = linesOf(router, "row-skipped").map(
      (line) => `${line["row"]}: ${line["reason"]}`,
    );
    expect(reasons.sort()).toEqual([
      expect.stringMatching(/^bad port: the address "10.0.0.1:99999" /),
      expect.stringMatching(/^no host: the address ":25565" /),
      expect.stringMatching(/^odd name: the hostname "bad name.x" /),
    ]);
    const conflict = router.lines.find(({ msg }) => String(msg).startsWith("two routes claim"));
    expect(conflict).toMatchObject({
      level: "warn",
      server: "good.x",
      winner: "postgres good",
      loser: "postgres z-thief",
    });
    for (const [host, backend] of [
      ["good.x", "A"],
      ["mine.x", "C"],
      ["ok.x", "C"],
      ["p.x", ""],
    ] as const) {
      expect({ host, backend: await reached(router, host) }).toEqual({ host, backend });
    }

    await database.sql`UPDATE servers SET address = 'nonsense:port' WHERE name = 'spoilt'`;
    const line = await router
      .waitForLine(({ row: name }) => name === "spoilt", 10_000)
      .then(() =>
        router.waitForLine(({ event, row: name }) => event === "row-skipped" && name === "spoilt"),
      );
    expect(line).toMatchObject({
      level: "warn",
      reason: expect.stringContaining("its last usable version stays"),
    });
    expect(await reached(router, "spoilt.x")).toBe("B");
  });

  test("a hostname of MAPPING is not taken over by a row", async () => {
    await using network = await startNetwork({
      postgres,
      rows: [row("a play.x B")],
      env: { MAPPING: `play.x=${addressOf("A")}` },
    });
    expect(await reached(network.router, "play.x")).toBe("A");
    expect(complaints(network.router)).toEqual([
      expect.objectContaining({ server: "play.x", winner: "env play.x", loser: "postgres a" }),
    ]);
    const explained = await network.explain("play.x");
    expect(explained).toContain("its source comes later in the order of precedence");
  });
});

describe.concurrent("Postgres is away", () => {
  test("a player in the game outlives its row, the database and the control plane", async () => {
    const own = await startPostgres();
    await using server = await startMinecraftServer({ version: "1.20.4" });
    const plane = startControlPlane({
      servers: [{ name: "a", state: "running", address: server.address }],
    });
    await using network = await startNetwork({
      postgres: own,
      plane,
      rows: [{ name: "a", domain: "a.x", address: server.address }, row("b b.x B")],
    });
    const { router, database } = network;
    const joined = await join({
      port: router.port,
      host: "a.x",
      version: "1.20.4",
      username: "Steve",
    });
    if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
    using session = joined.session;

    await database.sql`DELETE FROM servers WHERE name = 'a'`;
    await router.waitForLine(({ msg }) => msg === "route removed");
    expect(await reached(router, "a.x")).toBe("");
    await own.kill();
    await router.waitForLine(({ event }) => event === "source-lost");
    await plane[Symbol.asyncDispose]();
    // What was read last goes on to be served.
    expect(await reached(router, "b.x")).toBe("B");

    expect(session.isConnected).toBe(true);
    server.kick("Steve", "See you");
    expect(await session.ended).toBe("See you");
    expect(await sessionEnd(router, "Steve")).toMatchObject({ endedBy: "backend", row: "a" });

    await own.start();
    await router.waitForLine(
      ({ event, away }) => event === "source-live" && away !== undefined,
      30_000,
    );
    await database.sql`INSERT INTO servers VALUES ('c', 'c.x', ${addressOf("C")})`;
    await until("the new row is routed", async () => (await reached(router, "c.x")) === "C");
    expect(linesOf(router, "source-lost").length).toBe(1);
    await own.stop();
  }, 60_000);

  test("from the start, without a snapshot: fixed routes work, the rows come with it, and the log says each once", async () => {
    const own = await startPostgres();
    const database = await own.createDatabase();
    await database.sql.unsafe(seedSchema);
    await insertRows(database, [row("a a.x A")]);
    await own.kill();

    await using router = await startRouter({
      env: { ...noQueue, AUTOMC_DSN: database.dsn(), MAPPING: `fixed.x=${addressOf("B")}` },
      timeoutMs: 20_000,
    });
    expect(await reached(router, "fixed.x")).toBe("B");
    expect(await reached(router, "a.x")).toBe("");
    expect(linesOf(router, "source-lost")).toEqual([
      expect.objectContaining({ level: "warn", source: "postgres", routes: 0 }),
    ]);

    await own.start();
    await router.waitForLine(({ event }) => event === "source-live", 30_000);
    expect(await reached(router, "a.x")).toBe("A");
    expect(linesOf(router, "source-lost").length).toBe(1);
    await own.stop();
  }, 60_000);

  test("from the start, with a snapshot: its routes work from the start, and only what differs is news afterwards", async () => {
    const own = await startPostgres();
    const database = await own.createDatabase();
    await database.sql.unsafe(seedSchema);
    await insertRows(database, [row("a a.x A"), row("b b.x B")]);
    // Where systemd says that the state is kept, unless told otherwise.
    const env = { ...noQueue, AUTOMC_DSN: database.dsn(), STATE_DIRECTORY: folder };
    const path = joinPath(folder, "routes.json");

    {
      await using first = await startRouter({ env });
      expect(await first.stop()).toBe(0);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, "utf8"))["servers"].length).toBe(2);
    await database.sql`DELETE FROM servers WHERE name = 'a'`;
    await insertRows(database, [row("c c.x C")]);
    await own.kill();

    await using router = await startRouter({ env });
    expect(await reached(router, "a.x")).toBe("A");
    expect(linesOf(router, "snapshot-loaded")).toEqual([
      expect.objectContaining({ level: "info", routes: 2, path }),
    ]);
    const seen = routeNews(router).length;
    await own.start();
    await router.waitForLine(({ event }) => event === "source-live", 30_000);
    await until("the news are there", () => routeNews(router, seen).length >= 2);
    expect(routeNews(router, seen)).toEqual([news("added c.x C c"), news("removed a.x A a")]);
    expect(await reached(router, "a.x")).toBe("");
    await own.stop();
  }, 60_000);
});

test("a relay is untouched by a thousand changes", async () => {
  using backend = startBackend(echo);
  await using network = await startNetwork({
    postgres,
    rows: [{ name: "a", domain: "a.x", address: backend.address }],
  });
  const { router, database } = network;
  using player = await connectPlayer({ port: router.port });
  const hello = login({ host: "a.x", name: "Steve" });
  await player.send(hello);
  await player.read(hello.length);
  await database.sql`INSERT INTO servers SELECT 'n' || i, 'n' || i || '.x', ${addressOf("B")}
    FROM generate_series(1, 1000) i`;
  await router.waitForLine(({ msg, added }) => msg === "routes changed" && Number(added) > 0);
  await until("the last one is routed", async () => (await reached(router, "n1000.x")) === "B");
  const sent = Buffer.alloc(1_000_000, "relay ");
  void player.send(sent).catch(() => {});
  expect((await player.read(sent.length)).equals(sent)).toBe(true);
});
