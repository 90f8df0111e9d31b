import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { measured } from "../support/docs/reliability.ts";
import {
  atPace,
  converge,
  type OpenRouter,
  startLiveTable,
  startOpenRouter,
} from "../support/postgres/live-table.ts";
import { complaints } from "../support/process/e2e-network.ts";
import { worstLag } from "../support/process/router-api.ts";
import { expectUnharmed } from "../support/process/unharmed.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const loggedServer = { settings: { log_statement: "all", log_line_prefix: "'%a|'" } };

/** SQL that adds so many servers; their hostnames are s1.x, s2.x and so on. */
const fill = (count: number): string =>
  `INSERT INTO servers SELECT 's' || i, 's' || i || '.x', '10.0.0.1:' || 1000 + i
   FROM generate_series(1, ${count}) i`;

/**
 * Watches how many routes there are, as often as the API can tell, until `act` has settled and `forMs` more.
 */
async function fewestRoutes(
  { api }: OpenRouter,
  forMs: number,
  act: () => Promise<unknown>,
): Promise<number> {
  const enough = new AbortController();
  let fewest = Infinity;
  const watching = atPace(20, enough.signal, async () => {
    fewest = Math.min(fewest, (await api.routes()).length);
  });
  await act();
  await Bun.sleep(forMs);
  enough.abort();
  await watching;
  return fewest;
}

test("10,000 notifications a second for 30 s cost a few reads, and the last state is right", async () => {
  await using table = await startLiveTable(loggedServer);
  const { server, database } = table;
  await database.sql.unsafe(fill(1_000));
  await using one = await startOpenRouter({ AUTOMC_DSN: database.dsn() });
  const { router, api } = one;
  await converge(one, database);

  const log = join(server.folder, "log");
  const reads = () =>
    readFileSync(log, "utf8").match(/^automc-router\|LOG: {2}execute <.*FROM servers/gm)?.length ??
    0;
  const seconds = 30;
  const before = { reads: reads(), cpu: router.cpuMs(), metrics: await api.metrics() };
  const enough = new AbortController();
  const startedAt = performance.now();
  let changes = 0;
  // Names that there are and names that there are not, all different within a transaction: equal ones would
  // arrive once.
  const noise = atPace(100, enough.signal, async () => {
    changes += 1;
    await database.sql.unsafe(`
      SELECT pg_notify('automc_routes_changed', 's' || i) FROM generate_series(1, 1000) i;
      UPDATE servers SET address = '10.0.0.2:${changes}' WHERE name = 's${1 + (changes % 1000)}'`);
  });
  await Bun.sleep(seconds * 1000);
  enough.abort();
  const sent = (await noise) * 1000;
  const elapsed = (performance.now() - startedAt) / 1000;
  const converged = await converge(one, database);
  const perSecond = (reads() - before.reads) / elapsed;
  const cpu = (router.cpuMs() - before.cpu) / elapsed / 10;
  const lag = worstLag(before.metrics, await api.metrics());
  measured({
    scenario: "T25",
    promise: "P5",
    what: `${Math.round(sent / elapsed).toLocaleString("en-US")} notifications/s with ${Math.round(changes / elapsed)} real changes/s among them, for ${seconds} s, in a table of 1,000 rows`,
    result: `${perSecond.toFixed(1)} reads of the table/s (limit 10); the last state routed ${converged.toFixed(1)} s after the last of them; ${cpu.toFixed(0)} % of a core; the event loop was late by ${lag}`,
  });
  expect(sent / elapsed).toBeGreaterThan(2_000);
  expect(perSecond).toBeLessThanOrEqual(10.5);
  expect(converged).toBeLessThan(5);
  expectUnharmed(router);
});

describe("a table that is", () => {
  const count = 1_000;

  test("emptied and filled again never loses a route, and one that stays empty does after a second look", async () => {
    await using table = await startLiveTable();
    const { database } = table;
    await database.sql.unsafe(fill(count));
    await using one = await startOpenRouter({ AUTOMC_DSN: database.dsn() });
    await converge(one, database);

    const inOne = await fewestRoutes(one, 1_000, () =>
      database.sql.begin(async (sql) => {
        await sql.unsafe("TRUNCATE servers");
        await sql.unsafe(fill(count));
      }),
    );
    const inTwo = await fewestRoutes(one, 1_000, async () => {
      await database.sql.unsafe("TRUNCATE servers");
      await Bun.sleep(2_000);
      await database.sql.unsafe(fill(count));
    });
    await converge(one, database);

    const removing = [
      { name: "TRUNCATE", sql: "TRUNCATE servers", left: 0 },
      { name: "DELETE of 90 %", sql: `DELETE FROM servers WHERE name NOT LIKE 's1%'`, left: 112 },
    ];
    const waits: number[] = [];
    for (const { sql, left } of removing) {
      await database.sql.unsafe(sql);
      const startedAt = performance.now();
      await until("they are gone", async () => (await one.api.routes()).length === left, 20_000);
      waits.push((performance.now() - startedAt) / 1000);
      await database.sql.unsafe(`TRUNCATE servers; ${fill(count)}`);
      await converge(one, database);
    }
    measured({
      scenario: "T27",
      promise: "P5",
      what: `TRUNCATE and refill of ${count} rows in one transaction; in two, 2 s apart; ${removing.map(({ name }) => name).join(" and ")} for good`,
      result: `never fewer than ${inOne} and ${inTwo} routes; gone for good after ${waits.map((wait) => wait.toFixed(1)).join(" s and ")} s (a second look after 5 s)`,
    });
    expect([inOne, inTwo]).toEqual([count, count]);
    for (const wait of waits) {
      expect(wait).toBeGreaterThan(4);
      expect(wait).toBeLessThan(10);
    }
    expectUnharmed(one.router);
  });

  test("full of nonsense routes what makes sense in it", async () => {
    await using table = await startLiveTable();
    const { database } = table;
    await database.sql.unsafe(
      `ALTER TABLE servers ALTER address DROP NOT NULL, ALTER domain DROP NOT NULL`,
    );
    await database.sql`INSERT INTO servers VALUES ('good', 'good.x', '10.0.0.1:1'), ('turns', 'turns.x', '10.0.0.1:2')`;
    await using one = await startOpenRouter({ AUTOMC_DSN: database.dsn() });
    await converge(one, database);

    const bad = [
      { name: "port-0", domain: "a.x", address: "10.0.0.1:0" },
      { name: "port-70000", domain: "b.x", address: "10.0.0.1:70000" },
      { name: "no-host", domain: "c.x", address: ":25565" },
      { name: "2-kb-host", domain: `${"h".repeat(2_000)}.x`, address: "10.0.0.1:3" },
      { name: "2-kb-address", domain: "d.x", address: `${"h".repeat(2_000)}:1` },
      { name: "control-character", domain: "e\u0001.x", address: "10.0.0.1:4" },
      { name: "lone-star", domain: "f.*.x", address: "10.0.0.1:5" },
    ];
    for (const { name, domain, address } of bad) {
      await database.sql`INSERT INTO servers VALUES (${name}, ${domain}, ${address})`;
    }
    // No route by definition, hence nothing to complain about.
    await database.sql`INSERT INTO servers VALUES ('null-address', 'g.x', NULL), ('null-domain', NULL, '10.0.0.1:6'), ('empty', 'i.x', '')`;
    await database.sql`INSERT INTO servers VALUES ('late', 'j.x, good.x', '10.0.0.1:7')`;
    await database.sql`UPDATE servers SET address = 'nonsense:port' WHERE name = 'turns'`;
    await database.sql`UPDATE servers SET address = '10.0.0.9:9' WHERE name = 'good'`;
    await until("what makes sense is routed", async () =>
      (await one.api.routes()).includes("good.x 10.0.0.9:9"),
    );
    await until("each row that cannot be used is named", () => {
      const named = new Set(complaints(one.router).map(({ row }) => row));
      return [...bad.map(({ name }) => name), "turns"].every((name) => named.has(name));
    });
    const routes = await one.api.routes();
    const said = complaints(one.router);
    measured({
      scenario: "T27",
      promise: "P5",
      what: `${bad.length} rows that cannot be used, one that turned bad, a hostname claimed twice, NULL and empty columns`,
      result: `${said.length} warnings that name them; ${routes.length} routes: the good ones, and the last good version of the one that turned bad`,
    });
    // The row with the smaller name has the hostname that two claim.
    expect(routes).toEqual(["good.x 10.0.0.9:9", "j.x 10.0.0.1:7", "turns.x 10.0.0.1:2"]);
    expect(said.some(({ msg }) => String(msg).startsWith("two routes claim one hostname"))).toBe(
      true,
    );
    expectUnharmed(one.router);
  });
});
