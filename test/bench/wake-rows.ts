import { laterPort } from "../support/net/ports.ts";
import type { TestPostgres } from "../support/postgres/postgres.ts";
import { hostnameOf, runningPrefix } from "./jobs.ts";
import type { Load } from "./load.ts";
import { median, rssBytes } from "./measure.ts";
import { compare, cpuOf, type Row } from "./row.ts";
import { openServers } from "./servers.ts";
import { minecraftRouter, type Target } from "./targets.ts";

/** How much is measured. */
export interface WakeSize {
  readonly rounds: number;
  readonly pings: number;
  /** How long the held players are watched: whole periods of 8 s, in which each is asked something once. */
  readonly holdSeconds: number;
}

const heldLogins = 4_000;
const settleMs = 3_000;
const wokenLogins = 200;

const asleep = "asleep.bench.example.org";
const starting = "starting.bench.example.org";
const woken = Array.from({ length: wokenLogins }, (_, i) => `woken${i}.bench.example.org`);

/**
 * What sleeping servers cost: players who wait, pings that the router answers itself, and logins that go by
 * the control plane.
 */
export async function wakeRows(
  binary: string,
  postgres: TestPostgres,
  load: Load,
  size: WakeSize,
): Promise<readonly Row[]> {
  await using servers = await openServers(postgres, "own");
  const address = `127.0.0.1:${laterPort()}`;
  await servers.sql`
    INSERT INTO servers ${servers.sql([
      { name: "asleep", domain: asleep, address },
      { name: "starting", domain: starting, address },
      ...woken.map((domain, i) => ({ name: `${runningPrefix}${i}`, domain, address })),
    ])}`;
  await using router = await minecraftRouter("automc-router", binary, {
    AUTOMC_DSN: servers.dsn,
    AUTOMC_WAKER_URL: `http://127.0.0.1:${load.backends.controlPlane}`,
    AUTOMC_MAX_HOLDING: String(2 * heldLogins),
    AUTO_SCALE_ASLEEP_MOTD: "This server sleeps. Join to start it.",
  }).start(load.backends);
  return [
    // First: memory that others have used and left would count for nothing.
    ...(await holdRows(router, load, size)),
    await pingRow(router, load, size),
    await wokenRow(router, load),
  ];
}

/** The first ones bring in what a program sets up once; as many again show what one costs. */
async function holdRows(router: Target, load: Load, size: WakeSize): Promise<readonly Row[]> {
  const open = async (): Promise<number> => {
    const before = rssBytes(router.pid);
    const port = router.port("echo");
    await load.run("open", { port, hostname: starting, count: heldLogins, held: true });
    await Bun.sleep(settleMs);
    return (rssBytes(router.pid) - before) / heldLogins;
  };
  const memory = await open();
  const cpu = await cpuOf(router, () => Bun.sleep(size.holdSeconds * 1000));
  const more = await open();
  const lost = await load.run("close", {});
  if (lost > 0) throw new Error(`${lost} waiting players were dropped`);

  const count = heldLogins.toLocaleString("en-US");
  const scenario = `held logins, ${count} waiting`;
  const unit = "bytes RSS per hold";
  const goal = { kind: "value", atMost: 8_000 } as const;
  return [
    { id: "held-memory", scenario, unit, ours: memory, others: {}, goal },
    {
      id: "held-more",
      scenario: `held logins, ${count} more waiting`,
      unit,
      ours: more,
      others: {},
      goal,
    },
    {
      id: "held-cpu",
      scenario,
      unit: "CPU ms per hold and minute",
      ours: (cpu * 1000) / heldLogins / (size.holdSeconds / 60),
      others: {},
      goal: { kind: "value", atMost: 1 },
    },
  ];
}

/** Compares the router with itself: a ping that it answers with one that it relays. */
async function pingRow(router: Target, load: Load, size: WakeSize): Promise<Row> {
  const port = router.port("status");
  const pings = [
    { name: "asleep", hostname: asleep },
    { name: "own relay", hostname: hostnameOf("status") },
  ];
  const measure = async ({ hostname }: { readonly hostname: string }): Promise<number> => {
    const cpu = await cpuOf(router, () =>
      load.run("pings", { port, hostname, count: size.pings, parallel: 32 }),
    );
    return (cpu * 1e6) / size.pings;
  };
  for (const ping of pings) await measure(ping);
  return {
    id: "pings-asleep",
    scenario: "asleep pings, answered by the router",
    unit: "CPU µs per ping",
    ...(await compare(pings, size.rounds, measure)),
    goal: { kind: "ratio", of: ["own relay"], atMost: 0.5 },
  };
}

/** Each login is to a server of its own, as the result of a wake is used again for some seconds. */
async function wokenRow(router: Target, load: Load): Promise<Row> {
  const port = router.port("echo");
  const direct = woken.map(() => hostnameOf("echo"));
  const directMs = median(await load.run("logins", { port, hostnames: direct }));
  const wokenMs = median(await load.run("logins", { port, hostnames: woken }));
  return {
    id: "woken",
    scenario: "login by the waker, added to first byte, p50",
    unit: "ms",
    ours: wokenMs - directMs,
    others: {},
    goal: { kind: "value", atMost: 5 },
  };
}
