import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDice, freshSeed } from "../support/dice.ts";
import { measured } from "../support/docs/reliability.ts";
import { firstWord } from "../support/minecraft/player.ts";
import { type Backend, sending, startBackend } from "../support/net/backend.ts";
import { openTcpGate } from "../support/net/tcp-gate.ts";
import {
  atPace,
  converge,
  countOf,
  startLiveTable,
  startOpenRouter,
} from "../support/postgres/live-table.ts";
import type { TestDatabase, TestPostgres } from "../support/postgres/postgres.ts";
import { planTableChanges } from "../support/postgres/table-changes.ts";
import { linesOf } from "../support/process/e2e-network.ts";
import { startHaproxy } from "../support/process/haproxy.ts";
import { expectUnharmed } from "../support/process/unharmed.ts";
import { until } from "../support/until.ts";

// Waits of the router are those of life here, and they run side by side: nearly all of it is waiting.
setDefaultTimeout(300_000);

const folder = mkdtempSync(join(tmpdir(), "automc-outages-"));
let north: Backend;
let south: Backend;
beforeAll(() => {
  north = startBackend(sending(Buffer.from("north")));
  south = startBackend(sending(Buffer.from("south")));
});
afterAll(() => {
  north.stop();
  south.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The ways in which a server goes away. */
const endings: readonly ((server: TestPostgres, database: TestDatabase) => Promise<void>)[] = [
  (server) => server.crash(),
  (server) => server.kill(),
  // One killed session makes the server throw out all others and recover.
  async (_server, database) => {
    for (const pid of (await database.routerPids()).slice(0, 1)) process.kill(pid, "SIGKILL");
  },
];

describe.concurrent("while Postgres", () => {
  test("is killed and started again and again under 100 changes a second, no route is ever absent", async () => {
    await using scene = await startLiveTable();
    const { server, database } = scene;
    const dice = createDice(freshSeed());
    const plan = planTableChanges(dice, [north.address, south.address]);
    await database.sql.unsafe(plan.fill);
    await using one = await startOpenRouter({ AUTOMC_DSN: database.dsn() });
    const { router } = one;
    await converge(one, database);

    const seconds = 120;
    const enough = new AbortController();
    let changes = 0;
    const changing = atPace(10, enough.signal, async () => {
      try {
        await database.ask(plan.next());
        changes += 1;
      } catch {
        // The server is away, which is what this is about.
        await Bun.sleep(50);
      }
    });
    const absent: string[] = [];
    const looking = atPace(50, enough.signal, async () => {
      const host = dice.pick(plan.lasting);
      const word = await firstWord(router, host);
      if (word !== "north" && word !== "south") absent.push(`${host} heard "${word}"`);
    });

    const chaos = createDice(dice.seed + 1);
    const startedAt = performance.now();
    let outages = 0;
    const over = () => performance.now() - startedAt > seconds * 1000;
    while (!over()) {
      await Bun.sleep(chaos.between(3_000, 10_000));
      const how = chaos.pick(endings);
      await how(server, database).catch((error: unknown) => {
        // The server may be recovering from the last time, when it cannot be asked who is connected.
        if (how !== endings[2]) throw error;
      });
      outages += 1;
      if (how === endings[2]) continue;
      await Bun.sleep(chaos.between(0, 4_000));
      await server.start();
    }
    const lastStartAt = performance.now();
    enough.abort();
    const [, looks] = await Promise.all([changing, looking]);
    await converge(one, database);
    const converged = (performance.now() - lastStartAt) / 1000;
    measured({
      scenario: "T21",
      promise: "P5",
      what: `Postgres killed ${outages} times in ${seconds} s (SIGKILL of the server or of a session, immediate shutdown) under ${Math.round(changes / seconds)} committed changes/s, seed ${dice.seed}`,
      result: `${absent.length} of ${looks} logins found a lasting route absent; the routes were the table ${converged.toFixed(1)} s after the last start (limit 20 s)`,
    });
    expect(absent).toEqual([]);
    expect(looks).toBeGreaterThan(seconds * 10);
    expect(changes).toBeGreaterThan(seconds * 20);
    expect(countOf(router, "source-lost")).toBeGreaterThan(2);
    expect(converged).toBeLessThan(20);
    expectUnharmed(router);
  });

  test("is down at a cold start: the port opens without routes or with those of the snapshot, and each change is read once when it is back", async () => {
    await using scene = await startLiveTable({
      settings: { log_statement: "all", log_line_prefix: "'%a|'" },
    });
    const { server, database } = scene;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${north.address})`;
    const snapshot = join(folder, "routes.json");
    const dsn = database.dsn();
    const known = { AUTOMC_DSN: dsn, AUTOMC_SNAPSHOT: snapshot };
    {
      await using before = await startOpenRouter(known);
      await converge(before, database);
      expect(await before.router.stop()).toBe(0);
    }
    await server.kill();

    const startedAt = performance.now();
    const seconds = () => (performance.now() - startedAt) / 1000;
    await using second = await startOpenRouter(known);
    const openWith = seconds();
    expect(await firstWord(second.router, "a.x")).toBe("north");
    await using first = await startOpenRouter({ AUTOMC_DSN: dsn, AUTOMC_SNAPSHOT: "off" });
    const openWithout = seconds() - openWith;
    expect(await firstWord(first.router, "a.x")).toBe("");
    // Long enough for the pauses between attempts to have grown to their longest.
    await Bun.sleep(20_000);
    await server.start();
    const startedAgainAt = performance.now();
    await database.sql`UPDATE servers SET address = ${south.address}`;
    await Promise.all([first, second].map((one) => converge(one, database)));
    const back = (performance.now() - startedAgainAt) / 1000;

    const log = join(server.folder, "log");
    const readsByName = () =>
      readFileSync(log, "utf8").match(/^automc-router\|.*FROM servers WHERE.*ANY/gm)?.length ?? 0;
    const readBefore = readsByName();
    const changes = 20;
    for (let change = 0; change < changes; change++) {
      const address = change % 2 === 0 ? north.address : south.address;
      await database.sql`UPDATE servers SET address = ${address}`;
      await Promise.all([first, second].map((one) => converge(one, database)));
    }
    const reads = readsByName() - readBefore;
    measured({
      scenario: "T22",
      promise: "P5",
      what: "a cold start without Postgres, which comes back after 20 s; then 20 changes, two routers",
      result: `the port was open after ${openWith.toFixed(1)} s with the snapshot's routes, after ${openWithout.toFixed(1)} s without any; both had the table ${back.toFixed(1)} s after its start; ${reads} reads for ${2 * changes} notifications heard`,
    });
    expect(openWith).toBeLessThan(5);
    expect(openWithout).toBeLessThan(10);
    expect(back).toBeLessThan(20);
    expect(reads).toBe(2 * changes);
    expectUnharmed(first.router, second.router);
  });

  /**
   * ErrorResponse of a server that refuses the session (PostgreSQL protocol, "Error and Notice Message
   * Fields").
   */
  function fatal(code: string, message: string): Buffer {
    const fields = `SFATAL\0VFATAL\0C${code}\0M${message}\0\0`;
    const head = Buffer.from([0x45, 0, 0, 0, 0]);
    head.writeUInt32BE(4 + fields.length, 1);
    return Buffer.concat([head, Buffer.from(fields)]);
  }

  const refusals: readonly { name: string; mode?: "close" | "mute"; answer?: Buffer }[] = [
    { name: "accepts and closes", mode: "close" },
    { name: "accepts and is mute", mode: "mute" },
    { name: "answers 53300", answer: fatal("53300", "sorry, too many clients already") },
    { name: "answers 3D000", answer: fatal("3D000", 'database "x" does not exist') },
    { name: "answers 28P01", answer: fatal("28P01", "password authentication failed") },
    { name: "answers 57P03", answer: fatal("57P03", "the database system is starting up") },
  ];
  test("turns every client away for 30 s, it is dialled at most 15 times, and players of other routes play", async () => {
    const found = await Promise.all(
      refusals.map(async ({ name, mode, answer }) => {
        // Nothing is behind it: no refusal comes from anywhere else.
        const gate = await openTcpGate(1);
        gate.mode = mode ?? "forward";
        gate.answer = answer ?? null;
        const startedAt = performance.now();
        await using one = await startOpenRouter({
          MAPPING: `other.x=${north.address}`,
          AUTOMC_DSN: `postgres://router@127.0.0.1:${gate.port}/x?sslmode=disable`,
        });
        const { router } = one;
        await Bun.sleep(30_000 - (performance.now() - startedAt));
        const cpu = router.cpuMs() / 300;
        expect(await firstWord(router, "other.x")).toBe("north");
        expectUnharmed(router);
        const dials = gate.dials();
        gate.stop();
        return { name, dials, cpu };
      }),
    );
    measured({
      scenario: "T23",
      promise: "P5",
      what: `a server that ${found.map(({ name }) => name).join(", ")}, for 30 s each`,
      result: `${found.map(({ dials }) => dials).join(", ")} dials (limit 15); at most ${Math.max(...found.map(({ cpu }) => cpu)).toFixed(1)} % of a core, the start included (limit 5 %)`,
    });
    for (const { name, dials, cpu } of found) {
      expect({ name, isFew: dials >= 2 && dials <= 15, isIdle: cpu < 5 }).toEqual({
        name,
        isFew: true,
        isIdle: true,
      });
    }
  });

  test("is behind a path that freezes again and again, it is noticed and left behind without a trace", async () => {
    await using scene = await startLiveTable();
    const { server, database } = scene;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${north.address})`;
    await using proxy = await startHaproxy({ target: `127.0.0.1:${server.port}` });
    await using stack = new AsyncDisposableStack();
    const count = 4;
    const cycles = 5;
    const all = await Promise.all(
      Array.from({ length: count }, async () =>
        stack.use(await startOpenRouter({ AUTOMC_DSN: database.dsn({ port: proxy.port }) })),
      ),
    );
    await Promise.all(all.map((one) => converge(one, database)));
    // Players join through the first one, whose relay has descriptors of its own.
    const fds = () => all.slice(1).map(({ router }) => router.fds());
    const before = fds();
    const noticed: number[] = [];
    const recovered: number[] = [];
    for (let cycle = 1; cycle <= cycles; cycle++) {
      const frozenAt = performance.now();
      proxy.freeze();
      await database.sql`UPDATE servers SET address = ${cycle % 2 ? south.address : north.address}`;
      await Promise.all(
        all.map(async ({ router }) => {
          await until("it is noticed", () => countOf(router, "source-lost") === cycle, 25_000);
          noticed.push((performance.now() - frozenAt) / 1000);
        }),
      );
      expect(await firstWord(all[0]!.router, "a.x")).toBe(cycle % 2 ? "north" : "south");
      const thawedAt = performance.now();
      proxy.thaw();
      await Promise.all(
        all.map(async (one) => {
          const { router } = one;
          await until("it is live", () => countOf(router, "source-live") === cycle + 1, 25_000);
          await converge(one, database);
          recovered.push((performance.now() - thawedAt) / 1000);
        }),
      );
    }
    await until("descriptors are as before", () => Bun.deepEquals(fds(), before), 20_000);
    measured({
      scenario: "T24",
      promise: "P5",
      what: `a HAProxy before Postgres is stopped (SIGSTOP) and continued, ${cycles} times for ${count} routers`,
      result: `noticed after ${Math.max(...noticed).toFixed(1)} s at most (a heartbeat each 10 s may take 5 s; limit 17 s); right again ${Math.max(...recovered).toFixed(1)} s after it went on (limit 20 s); file descriptors ${before.join(", ")} before, ${fds().join(", ")} after`,
    });
    expect(Math.max(...noticed)).toBeLessThan(17);
    expect(Math.max(...recovered)).toBeLessThan(20);
    expectUnharmed(...all.map(({ router }) => router));
  });

  test("ends sessions 50 times, nothing is missed", async () => {
    await using scene = await startLiveTable();
    const { database } = scene;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${north.address})`;
    await using stack = new AsyncDisposableStack();
    const all = await Promise.all(
      Array.from({ length: 5 }, async () =>
        stack.use(await startOpenRouter({ AUTOMC_DSN: database.dsn() })),
      ),
    );
    await Promise.all(all.map((one) => converge(one, database)));
    const before = all.map(({ router }) => router.fds());
    let ended = 0;
    const startedAt = performance.now();
    while (ended < 50) {
      const [row] = await database.sql<{ ended: boolean }[]>`
        SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
        WHERE datname = ${database.name} AND application_name = 'automc-router' LIMIT 1`;
      if (row?.ended === true) ended += 1;
      await database.sql`UPDATE servers SET address = ${ended % 2 ? south.address : north.address}`;
      await Bun.sleep(row?.ended === true ? 20 : 200);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    const back = await Promise.all(all.map((one) => converge(one, database, 30_000)));
    const fds = () => all.map(({ router }) => router.fds());
    await until("descriptors are as before", () => Bun.deepEquals(fds(), before), 20_000);
    measured({
      scenario: "T26",
      promise: "P5",
      what: `pg_terminate_backend 50 times within ${seconds.toFixed(0)} s on the sessions of 5 routers, with a change after each`,
      result: `all had the table ${Math.max(...back).toFixed(1)} s after the last one (limit 20 s); file descriptors as before`,
    });
    expect(Math.max(...back)).toBeLessThan(20);
    expectUnharmed(...all.map(({ router }) => router));
  });

  test("does not listen for the router any more, a heartbeat finds it", async () => {
    await using scene = await startLiveTable();
    const { server, database } = scene;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${north.address})`;
    const gate = await openTcpGate(server.port);
    const dsn = database.dsn({ port: gate.port });
    await using one = await startOpenRouter({ AUTOMC_DSN: dsn, AUTOMC_RESYNC_INTERVAL: "10m" });
    const { router } = one;
    await converge(one, database);
    // Between two heartbeats both sessions are idle; the answers to what the router never asked are kept from
    // it.
    const unlisten = Buffer.from("Q\0\0\0\x0fUNLISTEN *\0");
    const answer = Buffer.from("C\0\0\0\x0dUNLISTEN\0Z\0\0\0\x05I");
    let answers = 0;
    gate.toClient = (chunk) => {
      if (!chunk.equals(answer)) return chunk;
      answers += 1;
      return null;
    };
    gate.inject(unlisten);
    await until("both sessions have obeyed", () => answers === 2);
    const deafAt = performance.now();
    await database.sql`UPDATE servers SET address = ${south.address}`;
    await converge(one, database, 30_000);
    const seconds = (performance.now() - deafAt) / 1000;
    measured({
      scenario: "T26",
      promise: "P5",
      what: "UNLISTEN * slipped into the router's sessions, then a change",
      result: `found by the heartbeat and routed after ${seconds.toFixed(1)} s (limit 25 s)`,
    });
    expect(String(linesOf(router, "source-lost")[0]?.["reason"])).toContain("heartbeat");
    expect(seconds).toBeLessThan(25);
    expectUnharmed(router);
    gate.stop();
  });
});
