import type { TestPostgres } from "../support/postgres/postgres.ts";
import { greetings, hostnameOf } from "./jobs.ts";
import type { Load } from "./load.ts";
import { percentile, rssBytes } from "./measure.ts";
import type { Row, RowId } from "./row.ts";
import { openServers, type Servers } from "./servers.ts";
import { type Contender, minecraftRouter, type Target } from "./targets.ts";

/** How much is measured. */
export interface RoutesSize {
  readonly changes: number;
  /** With the seed's trigger each change makes the router read everything. */
  readonly seedChanges: number;
  readonly stallSeconds: number;
}

const rowCount = 100_000;
const notificationsPerSecond = 10_000;
const pauseMs = 200;
/**
 * After a read of everything the router rests for as long, and does not read everything again; a change
 * just then is no measure of the others.
 */
const settleMs = 2_000;

const nameOf = (index: number): string => `s${String(index).padStart(6, "0")}`;
const domainOf = (index: number): string => `${nameOf(index)}.bench.example.org`;

/**
 * What a table of 100,000 rows costs: time until it is routed, until a change is, and what players feel of
 * it meanwhile.
 */
export async function routesRows(
  binary: string,
  postgres: TestPostgres,
  load: Load,
  control: Contender,
  size: RoutesSize,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  {
    await using servers = await openFilled(postgres, load, "own");
    const startedAt = wallClock();
    await using router = await startOn(servers, binary, load);
    const loadedAt = await seenAt(router, load, rowCount, "echo");
    rows.push({
      id: "rows-load",
      scenario: "100,000 rows, start to the last one routed",
      unit: "s",
      ours: (loadedAt - startedAt) / 1000,
      others: {},
      goal: { kind: "value", atMost: 3 },
    });
    rows.push(await changeRow(ownChange, servers, router, load, size.changes));
    await using quiet = await control.start(load.backends);
    rows.push(...(await stallRows(servers, router, quiet, load, size)));
    rows.push({
      id: "rows-memory",
      scenario: "100,000 rows, after all this",
      unit: "MB RSS",
      ours: rssBytes(router.pid) / 1e6,
      others: {},
      goal: { kind: "none" },
    });
  }
  await using servers = await openFilled(postgres, load, "seed");
  await using router = await startOn(servers, binary, load);
  await seenAt(router, load, rowCount, "echo");
  await Bun.sleep(settleMs);
  rows.push(await changeRow(seedChange, servers, router, load, size.seedChanges));
  return rows;
}

async function openFilled(
  postgres: TestPostgres,
  load: Load,
  kind: "own" | "seed",
): Promise<Servers> {
  const servers = await openServers(postgres, kind);
  await servers.sql`
    INSERT INTO servers (name, domain, address)
    SELECT name, name || '.bench.example.org', ${addressOf(load, "echo")}
    FROM (SELECT 's' || lpad(i::text, 6, '0') AS name FROM generate_series(1, ${rowCount}::int) i) names`;
  await servers.sql`ANALYZE servers`;
  return servers;
}

const startOn = (servers: Servers, binary: string, load: Load): Promise<Target> =>
  minecraftRouter("automc-router", binary, { AUTOMC_DSN: servers.dsn }).start(load.backends);

const addressOf = (load: Load, role: "echo" | "echo2"): string =>
  `127.0.0.1:${load.backends.roles[role]}`;

/** When a login to that row's hostname first reached that backend. */
const seenAt = (
  router: Target,
  load: Load,
  index: number,
  role: "echo" | "echo2",
): Promise<number> =>
  load.run("visible", {
    port: router.port("echo"),
    hostname: domainOf(index),
    greeting: greetings[role],
  });

const ownChange = { id: "rows-change", trigger: "own trigger", goalMs: 50 } as const;
const seedChange = { id: "rows-change-seed", trigger: "seed's trigger", goalMs: 700 } as const;

/**
 * Time from sending one UPDATE to the first login that goes by it. The pauses make each a change of its
 * own: bursts are read together.
 */
async function changeRow(
  {
    id,
    trigger,
    goalMs,
  }: { readonly id: RowId; readonly trigger: string; readonly goalMs: number },
  { sql }: Servers,
  router: Target,
  load: Load,
  changes: number,
): Promise<Row> {
  const times: number[] = [];
  for (let index = 1; index <= changes; index++) {
    await Bun.sleep(pauseMs);
    const sentAt = wallClock();
    await sql`UPDATE servers SET address = ${addressOf(load, "echo2")} WHERE name = ${nameOf(index)}`;
    times.push((await seenAt(router, load, index, "echo2")) - sentAt);
  }
  return {
    id,
    scenario: `100,000 rows, one change, ${trigger}, p99 of ${changes}`,
    unit: "ms",
    ours: percentile(times, 0.99),
    others: {},
    goal: { kind: "value", atMost: goalMs },
  };
}

/**
 * The longest that a byte took through the router and back while it was busy with its routes. The same
 * bytes go through a program without routes at the same time: what those wait is the machine's doing and
 * the bench's own.
 */
async function stallRows(
  { sql }: Servers,
  router: Target,
  quiet: Target,
  load: Load,
  size: RoutesSize,
): Promise<readonly Row[]> {
  const { stallSeconds: seconds } = size;
  const hostname = hostnameOf("echo");
  const longest = async (
    id: RowId,
    scenario: string,
    disturb: (until: number) => Promise<void>,
  ): Promise<{ readonly row: Row; readonly times: readonly number[] }> => {
    const [ours, theirs] = await Promise.all([
      load.run("probe", { port: router.port("echo"), hostname, seconds }),
      load.run("probe", { port: quiet.port("echo"), hostname, seconds }),
      disturb(performance.now() + seconds * 1000),
    ]);
    const value = percentile(theirs, 1);
    const longest = percentile(ours, 1);
    const row: Row = {
      id,
      scenario,
      unit: "ms, longest stall",
      ours: longest,
      others: { [quiet.name]: { value, ratio: longest / value } },
      goal: { kind: "value", atMost: 15 },
    };
    return { row, times: ours };
  };

  const reread = await longest(
    "rows-reread",
    "100,000 rows read again all the time",
    async (endsAt) => {
      while (performance.now() < endsAt) {
        await sql`SELECT pg_notify('automc_routes_changed', '')`;
        await Bun.sleep(500);
      }
    },
  );
  const notified = await longest("rows-notify", "10,000 notifications a second", async (endsAt) => {
    const startedAt = performance.now();
    for (let sent = 0; performance.now() < endsAt; ) {
      const elapsed = (performance.now() - startedAt) / 1000;
      const due = Math.floor(elapsed * notificationsPerSecond) - sent;
      await sql`
          SELECT pg_notify('automc_routes_changed', 's' || lpad((1 + i % ${rowCount}::int)::text, 6, '0'))
          FROM generate_series(${sent}::int, ${sent + due - 1}::int) i`;
      sent += due;
      await Bun.sleep(5);
    }
  });
  const p99: Row = {
    id: "latency-rows",
    scenario: "packets while 100,000 rows are read",
    unit: "ms, p99",
    ours: percentile(reread.times, 0.99),
    others: {},
    goal: { kind: "value", atMost: 1 },
  };
  return [reread.row, p99, notified.row];
}

const wallClock = (): number => performance.timeOrigin + performance.now();
