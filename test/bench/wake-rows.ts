import { laterPort } from "../support/ports.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { hostnameOf, runningPrefix } from "./jobs.ts";
import type { Load } from "./load.ts";
import { cpuSeconds, median, rssBytes } from "./measure.ts";
import { compare, cpuOf, type Row } from "./row.ts";
import { openServers } from "./servers.ts";
import { minecraftRouter } from "./targets.ts";

/** How much is measured. */
export interface WakeSize {
  readonly rounds: number;
  readonly pings: number;
  /** How long the held players are watched: whole periods of 8 s, in which each is asked something once. */
  readonly holdSeconds: number;
}

const heldLogins = 4_000;
const wokenLogins = 200;

/** What sleeping servers cost: pings that the router answers itself, players who wait, and logins that go by the control plane. */
export async function wakeRows(
  binary: string,
  postgres: TestPostgres,
  load: Load,
  size: WakeSize,
): Promise<readonly Row[]> {
  await using database = await openServers(postgres, "own");
  const nowhere = `127.0.0.1:${laterPort()}`;
  const asleep = "asleep.bench.example.org";
  const woken = Array.from({ length: wokenLogins }, (_, i) => `woken${i}.bench.example.org`);
  await database.sql`
    INSERT INTO servers ${database.sql([
      { name: "asleep", domain: asleep, address: nowhere },
      ...woken.map((domain, i) => ({ name: `${runningPrefix}${i}`, domain, address: nowhere })),
    ])}`;

  const env = {
    AUTOMC_DSN: database.dsn,
    AUTOMC_WAKER_URL: `http://127.0.0.1:${load.backends.controlPlane}`,
    AUTO_SCALE_ASLEEP_MOTD: "This server sleeps. Join to start it.",
  };
  await using router = await minecraftRouter("automc-router", binary, env).start(load.backends);
  const port = router.port("status");

  const ping = async ({ hostname }: { readonly hostname: string }): Promise<number> => {
    const cpu = await cpuOf(router, () =>
      load.run("pings", { port, hostname, count: size.pings, parallel: 32 }),
    );
    return (cpu * 1e6) / size.pings;
  };
  const relayed = { name: "own relay", hostname: hostnameOf("status") };
  await ping(relayed);
  const pings = await compare([{ name: "asleep", hostname: asleep }, relayed], size.rounds, ping);

  const direct = Array.from({ length: wokenLogins }, () => hostnameOf("echo"));
  const directMs = median(await load.run("logins", { port, hostnames: direct }));
  const wokenMs = median(await load.run("logins", { port, hostnames: woken }));

  const base = rssBytes(router.pid);
  await load.run("open", { port, hostname: asleep, count: heldLogins, held: true });
  await Bun.sleep(2_000);
  const before = cpuSeconds(router.pid);
  await Bun.sleep(size.holdSeconds * 1000);
  const cpu = cpuSeconds(router.pid) - before;
  const memory = rssBytes(router.pid) - base;
  const lost = await load.run("close", {});
  if (lost > 0) throw new Error(`${lost} waiting players were dropped`);

  const waiting = `held logins, ${heldLogins.toLocaleString("en-US")} waiting`;
  return [
    {
      scenario: "asleep pings, answered by the router",
      unit: "CPU µs per ping",
      ...pings,
      goal: { kind: "ratio", of: ["own relay"], atMost: 0.5 },
    },
    {
      scenario: waiting,
      unit: "bytes RSS per hold",
      ours: memory / heldLogins,
      others: {},
      goal: { kind: "value", atMost: 8_000 },
    },
    {
      scenario: waiting,
      unit: "CPU ms per hold and minute",
      ours: (cpu * 1000) / heldLogins / (size.holdSeconds / 60),
      others: {},
      goal: { kind: "value", atMost: 1 },
    },
    {
      scenario: "login by the waker, added to first byte, p50",
      unit: "ms",
      ours: wokenMs - directMs,
      others: {},
      goal: { kind: "value", atMost: 5 },
    },
  ];
}
