import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import schema from "../../../src/providers/postgres/schema.sql" with { type: "text" };
import { loadSnapshot } from "../../../src/providers/postgres/snapshot.ts";
import { openTcpGate, type TcpGate } from "../../support/net/tcp-gate.ts";
import { startPostgres, type TestPostgres, type TestSql } from "../../support/postgres/postgres.ts";
import { until } from "../../support/until.ts";
import {
  dsnOf,
  patientTimings,
  type RunningSource,
  runSource,
  type SourceOptions,
  settled,
} from "../run-source.ts";
import { seedSchema } from "./seed-schema.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

let server: TestPostgres;
const folder = mkdtempSync(join(tmpdir(), "automc-source-"));
const running: RunningSource[] = [];
const gates: TcpGate[] = [];
beforeAll(async () => {
  server = await startPostgres();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((source) => source.stop()));
  for (const gate of gates.splice(0)) gate.stop();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const timings = patientTimings(10);
const reads = "FROM servers WHERE";

/** A source on a fresh database, behind a gate that sees its queries. */
async function follow(
  script: string,
  rows: readonly string[] = [],
  deps: Partial<SourceOptions> = {},
) {
  const database = await server.createDatabase();
  await database.sql.unsafe(script);
  if (rows.length > 0) await insert(database, rows);
  const gate = await openTcpGate(server.port);
  gates.push(gate);
  const source = runSource({ dsn: dsnOf(database.dsn({ port: gate.port })), timings, ...deps });
  running.push(source);
  await source.live();
  return { database, source, gate, sql: database.sql };
}

/** Rows written as `name domain address`. */
async function insert({ sql }: { readonly sql: TestSql }, rows: readonly string[]) {
  for (const row of rows) {
    const [name = "", domain = "", address = ""] = row.split(" ");
    await sql`INSERT INTO servers VALUES (${name}, ${domain}, ${address})`;
  }
}

const abc = ["a a.x h:1", "b b.x h:2", "c c.x h:3"];

const changes: readonly {
  name: string;
  sql: string;
  upsert: readonly string[];
  remove: readonly string[];
}[] = [
  {
    name: "an insert",
    sql: "INSERT INTO servers VALUES ('d','d.x','h:4')",
    upsert: ["d"],
    remove: [],
  },
  {
    name: "an update",
    sql: "UPDATE servers SET address = 'h:9' WHERE name = 'b'",
    upsert: ["b"],
    remove: [],
  },
  { name: "a delete", sql: "DELETE FROM servers WHERE name = 'b'", upsert: [], remove: ["b"] },
  {
    name: "an emptied address",
    sql: "UPDATE servers SET address = '' WHERE name = 'a'",
    upsert: [],
    remove: ["a"],
  },
  {
    name: "an emptied domain",
    sql: "UPDATE servers SET domain = '' WHERE name = 'a'",
    upsert: [],
    remove: ["a"],
  },
  {
    name: "a rename with its row",
    sql: "UPDATE servers SET name = 'z', address = 'h:7' WHERE name = 'a'",
    upsert: ["z"],
    remove: ["a"],
  },
  {
    name: "a swap of two domains in one transaction",
    sql: `BEGIN; UPDATE servers SET domain = 'tmp' WHERE name = 'a'; UPDATE servers SET domain = 'a.x' WHERE name = 'b';
          UPDATE servers SET domain = 'b.x' WHERE name = 'a'; COMMIT`,
    upsert: ["a", "b"],
    remove: [],
  },
  {
    name: "a new state, which routes nobody elsewhere",
    sql: "UPDATE servers SET state = 'running'; INSERT INTO servers VALUES ('d','d.x','h:4')",
    upsert: ["d"],
    remove: [],
  },
  {
    name: "a transaction with everything",
    sql: `BEGIN; DELETE FROM servers WHERE name = 'a'; UPDATE servers SET address = 'h:8' WHERE name = 'b';
          INSERT INTO servers VALUES ('d', 'a.x', 'h:4'); COMMIT`,
    upsert: ["b", "d"],
    remove: ["a"],
  },
];
const triggers = [
  { by: "the seed's trigger", script: seedSchema },
  { by: "our trigger", script: schema },
];

describe.each(triggers)("with $by", ({ script }) => {
  test.each([...changes])("$name is one patch of exactly the changed rows", async (change) => {
    const { database, source, sql } = await follow(script, abc);
    source.patches.length = 0;
    await sql.unsafe(change.sql);
    await settled(source, database);
    expect(source.patches).toHaveLength(1);
    expect(source.patches[0]?.upsert.map(({ id }) => id).sort()).toEqual([...change.upsert]);
    expect(source.patches[0]?.remove).toEqual([...change.remove]);
  });

  test("truncate and refill in one transaction changes only what differs", async () => {
    const many = Array.from({ length: 30 }, (_, i) => `n${i} n${i}.x h:1`);
    const { database, source, sql } = await follow(script, many);
    source.patches.length = 0;
    await sql.begin(async (transaction) => {
      await transaction`TRUNCATE servers`;
      await insert({ sql: transaction }, [...many.slice(1), "new new.x h:1"]);
    });
    await settled(source, database);
    expect(
      source.patches.map(({ upsert, remove }) => [upsert.map(({ id }) => id), remove]),
    ).toEqual([[["new"], ["n0"]]]);
  });

  test("truncate and refill in two transactions never loses a route that comes back", async () => {
    const many = Array.from({ length: 30 }, (_, i) => `n${i} n${i}.x h:1`);
    const { database, source, sql, gate } = await follow(script, many, {
      // The seed has no trigger on TRUNCATE: there, only a full read finds it.
      resyncMs: 100,
      timings: { ...timings, confirmMs: 10_000 },
    });
    source.patches.length = 0;
    const before = gate.sent(reads);
    await sql`TRUNCATE servers`;
    await until("the empty table is seen", () => source.count("source-warning") > 0);
    expect(gate.sent(reads)).toBeGreaterThan(before);
    await sql.begin((transaction) => insert({ sql: transaction }, many));
    await settled(source, database);
    expect(source.patches).toEqual([]);
    expect(source.last("source-warning")?.message).toContain("30 of 30 routes are gone");
  });

  test("a burst of 10,000 notifications costs a few reads", async () => {
    const { database, source, gate, sql } = await follow(script, ["hub hub.x h:1"]);
    const before = gate.sent(reads);
    const startedAt = performance.now();
    await sql.unsafe(`DO $$ BEGIN FOR i IN 1..5000 LOOP
      INSERT INTO servers VALUES ('s' || i, 's' || i || '.x', 'h:1'); COMMIT; END LOOP; END $$`);
    await sql.unsafe(`DO $$ BEGIN FOR i IN 1..5000 LOOP
      UPDATE servers SET address = 'h:2' WHERE name = 's' || i; COMMIT; END LOOP; END $$`);
    await settled(source, database, 20_000);
    const mostReads = 3 + (performance.now() - startedAt) / timings.readGapMs;
    expect(gate.sent(reads) - before).toBeLessThanOrEqual(mostReads);
    expect(source.table.size().claims).toBe(5_001);
    expect(source.count("source-lost")).toBe(0);
  });
});

describe("the source", () => {
  test("handles each notification once, also after it has linked again", async () => {
    const { database, source, gate, sql } = await follow(schema, abc);
    for (let cycle = 2; cycle <= 4; cycle += 1) {
      for (const pid of await database.routerPids()) await sql`SELECT pg_terminate_backend(${pid})`;
      await source.live(cycle);
    }
    await sql`UPDATE servers SET address = 'h:1' WHERE name = 'a'`; // no change, but a notification
    const before = gate.sent(reads);
    source.patches.length = 0;
    await sql`UPDATE servers SET address = 'h:77' WHERE name = 'a'`;
    await settled(source, database);
    // A read for each of the two notifications, and none for an older link.
    await Bun.sleep(3 * timings.readGapMs);
    expect(gate.sent(reads) - before).toBeLessThanOrEqual(2);
    expect(source.patches).toHaveLength(1);
  });

  test("reads only the rows that a payload names", async () => {
    const { database, source, gate, sql } = await follow(schema, abc);
    const named = "AND name = ANY($1)";
    const [allBefore, namedBefore] = [gate.sent(reads), gate.sent(named)];
    await insert(database, ["plain plain.x h:1"]);
    await sql`INSERT INTO servers VALUES (${'odd\\ "n{a}me,'}, 'odder.x', 'h:2')`;
    await settled(source, database);
    expect(gate.sent(named) - namedBefore).toBeGreaterThan(0);
    expect(gate.sent(reads) - allBefore).toBe(gate.sent(named) - namedBefore);
  });

  test("finds by its own reading what no notification told", async () => {
    const { database, source, sql } = await follow(schema, abc, { resyncMs: 100 });
    await sql.unsafe("ALTER TABLE servers DISABLE TRIGGER ALL");
    await sql`UPDATE servers SET address = 'h:55' WHERE name = 'c'`;
    await settled(source, database);
    expect(source.count("source-lost")).toBe(0);
  });

  test("finds with a full read what a payload that is no name stands for", async () => {
    const { database, source, sql } = await follow(
      "CREATE TABLE servers(name INT PRIMARY KEY, domain TEXT, address TEXT, state TEXT)",
      ["1 one.x h:1"],
    );
    await sql`INSERT INTO servers VALUES (2, 'two.x', 'h:2')`;
    await sql`SELECT pg_notify('automc_routes_changed', '{"op":"INSERT"}')`;
    await settled(source, database);
    await sql`DELETE FROM servers WHERE name = 1`;
    await sql`SELECT pg_notify('automc_routes_changed', '1')`;
    await settled(source, database);
    expect(source.claims()).toEqual(["two.x h:2"]);
  });

  test("skips bad rows by name and keeps the last good version of a row that turned bad", async () => {
    const { source, sql } = await follow(schema, [
      ...abc,
      "bad bad.x h:0",
      "half ok.x,*,*.w.x h:5",
    ]);
    const skipped = () =>
      source.events.flatMap((event) => (event.kind === "row-skipped" ? [event.row] : [])).sort();
    expect(skipped()).toEqual(["bad", "half"]);
    expect(source.claims()).toEqual(["*.w.x h:5", "a.x h:1", "b.x h:2", "c.x h:3", "ok.x h:5"]);
    await sql`UPDATE servers SET address = 'h:70000' WHERE name = 'a'`;
    await until("the complaint", () => skipped().includes("a"));
    expect(source.last("row-skipped")?.reason).toContain("its last usable version stays");
    expect(source.claims()).toContain("a.x h:1");
  });

  test.each(triggers)("believes a lost table after a second look, with $by", async ({ script }) => {
    const many = Array.from({ length: 30 }, (_, i) => `n${i} n${i}.x h:1`);
    const { source, sql } = await follow(script, many);
    await sql`DELETE FROM servers WHERE name != 'n0'`;
    await until("the warning", () => source.count("source-warning") === 1);
    expect(source.claims()).toHaveLength(30);
    await until("the second look", () => source.claims().length === 1);
    expect(source.count("source-warning")).toBe(1);
  });

  test("removes a few rows at once, however few there are", async () => {
    const { database, source, sql } = await follow(seedSchema, abc);
    await sql`DELETE FROM servers`;
    await settled(source, database);
    expect(source.claims()).toEqual([]);
    expect(source.count("source-warning")).toBe(0);
  });

  test("leaves the PROXY protocol to the setting where the table says nothing of it", async () => {
    const { source } = await follow(schema, abc);
    expect(source.table.entries().map(({ route }) => route.proxyProtocol)).toEqual(
      Array(3).fill(undefined),
    );
  });

  for (const { by, script } of triggers) {
    test(`follows the optional column through its whole life, with ${by}`, async () => {
      const { database, source, sql } = await follow(script, abc);
      const said = () => source.table.entries().map(({ route }) => route.proxyProtocol ?? null);
      const says = (expected: readonly (boolean | null)[]) =>
        until(`it says ${expected}`, () => Bun.deepEquals(said(), [...expected]));

      await sql.unsafe("ALTER TABLE servers ADD COLUMN proxy_protocol BOOLEAN");
      await sql`UPDATE servers SET proxy_protocol = (name = 'a') WHERE name != 'c'`;
      if (script === schema) await sql.unsafe(schema);
      else await sql`SELECT pg_notify('automc_routes_changed', '')`;
      await says([true, false, null]);

      source.patches.length = 0;
      await sql`UPDATE servers SET proxy_protocol = NULL, address = 'h:9' WHERE name = 'b'`;
      await says([true, null, null]);
      expect(source.patches.map(({ upsert }) => upsert.map(({ id }) => id))).toEqual([["b"]]);
      await settled(source, database);
      expect(source.count("source-lost")).toBe(0);

      await sql.unsafe("ALTER TABLE servers DROP COLUMN proxy_protocol CASCADE");
      await sql`UPDATE servers SET address = 'h:8' WHERE name = 'c'`;
      await says([null, null, null]);
      await settled(source, database);
    });
  }

  test("tells changes of the column alone by our trigger", async () => {
    const { source, sql } = await follow(
      [schema, "ALTER TABLE servers ADD COLUMN proxy_protocol BOOLEAN", schema].join(";"),
      abc,
    );
    await sql`UPDATE servers SET proxy_protocol = true WHERE name = 'b'`;
    await until("it is routed", () =>
      source.table.entries().some(({ route }) => route.id === "b" && route.proxyProtocol === true),
    );
  });

  test("follows the column that names a fallback", async () => {
    const { source, sql } = await follow(
      [schema, "ALTER TABLE servers ADD COLUMN fallback TEXT", schema].join(";"),
      abc,
    );
    await sql`UPDATE servers SET fallback = 'lobby.example.com' WHERE name = 'b'`;
    await until("it is routed", () =>
      source.table
        .entries()
        .some(({ route }) => route.id === "b" && route.fallback === "lobby.example.com"),
    );
  });

  test("does not take a column of another type for the optional one", async () => {
    const { source, sql } = await follow(
      `${schema}; ALTER TABLE servers ADD COLUMN proxy_protocol TEXT DEFAULT 'maybe'`,
      [],
    );
    await sql`INSERT INTO servers (name, domain, address) VALUES ('a', 'a.x', 'h:1')`;
    await until("it is routed", () => source.claims().length === 1);
    expect(source.table.entries()[0]?.route.proxyProtocol).toBeUndefined();
  });

  test("leaves no connection behind when it is stopped", async () => {
    const { database, source, gate } = await follow(schema, abc);
    expect(await database.routerPids()).toHaveLength(2);
    await source.stop();
    await until("the connections are gone", async () => {
      return (await database.routerPids()).length === 0 && gate.open() === 0;
    });
  });
});

describe("a snapshot", () => {
  test("serves a start without Postgres, and the first read finds the differences", async () => {
    const snapshotPath = join(folder, "routes.json");
    const { database, source, sql } = await follow(schema, abc, { snapshotPath });
    await source.stop();
    const saved = await loadSnapshot(snapshotPath);
    expect(saved.ok && saved.value?.rows.map(({ name }) => name).sort()).toEqual(["a", "b", "c"]);

    await sql`UPDATE servers SET address = 'h:44' WHERE name = 'b'`;
    const gate = await openTcpGate(server.port);
    gates.push(gate);
    gate.mode = "close";
    const again = runSource({
      dsn: dsnOf(database.dsn({ port: gate.port })),
      timings,
      snapshotPath,
    });
    running.push(again);
    await until("the snapshot", () => again.count("snapshot-loaded") === 1);
    await until("the outage", () => again.count("source-lost") === 1);
    expect(again.claims()).toEqual(["a.x h:1", "b.x h:2", "c.x h:3"]);
    expect(again.last("source-lost")?.routes).toBe(3);
    again.patches.length = 0;
    gate.mode = "forward";
    await again.live();
    expect(again.patches.map(({ upsert, remove }) => [upsert.map(({ id }) => id), remove])).toEqual(
      [[["b"], []]],
    );
  });

  test("that is damaged is a warning, and so is one that cannot be written", async () => {
    const snapshotPath = join(folder, "damaged.json");
    writeFileSync(snapshotPath, "{");
    const first = await follow(schema, abc, { snapshotPath });
    expect(first.source.last("source-warning")?.message).toContain("it is no JSON");
    const second = await follow(schema, abc, { snapshotPath: join(folder, "none", "routes.json") });
    await until("the warning", () => second.source.count("source-warning") === 1);
    expect(second.source.last("source-warning")?.message).toContain("cannot be written: ENOENT");
    expect(second.source.claims()).toHaveLength(3);
  });
});

test("100,000 rows are read and read again without holding the loop up", async () => {
  const database = await server.createDatabase();
  await database.sql.unsafe(schema);
  await database.sql.unsafe(`INSERT INTO servers SELECT 's' || i, 's' || i || '.example.com', '10.0.0.1:' || (i % 60000 + 1)
    FROM generate_series(1, 100000) i`);
  const gate = await openTcpGate(server.port);
  gates.push(gate);
  let longestMs = 0;
  let lastAt = performance.now();
  const ticker = setInterval(() => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - lastAt);
    lastAt = now;
  }, 5);
  const gap = () => {
    const gapMs = longestMs;
    longestMs = 0;
    return Math.round(gapMs);
  };
  const snapshotPath = join(folder, "large.json");
  // Not through a gate: its work would be measured too.
  const source = runSource({ dsn: dsnOf(database.dsn()), timings, snapshotPath });
  running.push(source);
  gap();
  let startedAt = performance.now();
  await source.live(1, 30_000);
  const first = { ms: Math.round(performance.now() - startedAt), gapMs: gap() };
  await until("the snapshot", async () => await Bun.file(snapshotPath).exists(), 30_000);
  const snapshot = { gapMs: gap() };
  startedAt = performance.now();
  source.patches.length = 0;
  await database.sql`UPDATE servers SET address = '10.9.9.9:9' WHERE name = 's500'`;
  await database.sql`NOTIFY automc_routes_changed`;
  await until("the change", () => source.patches.length > 0, 30_000);
  const again = { ms: Math.round(performance.now() - startedAt), gapMs: gap() };
  clearInterval(ticker);
  console.log(`100,000 rows: ${JSON.stringify({ first, snapshot, again })}`);
  expect(source.patches.map(({ upsert }) => upsert.map(({ id }) => id))).toEqual([["s500"]]);
  expect(source.table.size().claims).toBe(100_000);
  expect(Math.max(first.gapMs, snapshot.gapMs, again.gapMs)).toBeLessThan(1_000);
});
