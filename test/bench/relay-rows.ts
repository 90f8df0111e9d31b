import { hostnameOf } from "./jobs.ts";
import type { Load } from "./load.ts";
import { compare, cpuOf, type Row } from "./row.ts";
import type { Target } from "./targets.ts";

/** How much is measured. */
export interface Size {
  readonly rounds: number;
  /** Sessions before anything is measured. */
  readonly warmUpPings: number;
  readonly bulkBytes: number;
  readonly packetSeconds: number;
  readonly pings: number;
}

const players = 1_000;
const packetsPerSecond = 20;
const packetBytes = 200;

/**
 * What a relay costs once it runs, and what it costs to set one up: processor time of each target, ours
 * first.
 */
export async function relayRows(
  targets: readonly Target[],
  load: Load,
  size: Size,
): Promise<readonly Row[]> {
  for (const target of targets) await warmUp(target, load, size.warmUpPings);
  return [
    await bulk(targets, load, size, 1),
    await bulk(targets, load, size, 20),
    await packets(targets, load, size),
    await connections(targets, load, size),
  ];
}

/**
 * A runtime compiles as it goes, for some ten thousand sessions; it is measured as users have it, that is,
 * after that.
 */
async function warmUp(target: Target, load: Load, count: number): Promise<void> {
  const hostname = hostnameOf("status");
  await load.run("pings", { port: target.port("status"), hostname, count, parallel: 32 });
  await load.run("bulk", { port: target.port("bulk"), sessions: 4, bytesEach: 50_000_000 });
}

async function bulk(
  targets: readonly Target[],
  load: Load,
  size: Size,
  sessions: 1 | 20,
): Promise<Row> {
  const bytesEach = Math.floor(size.bulkBytes / sessions);
  const compared = await compare(targets, size.rounds, async (target) => {
    let arrived = 0;
    const cpu = await cpuOf(target, async () => {
      arrived = await load.run("bulk", { port: target.port("bulk"), sessions, bytesEach });
    });
    if (arrived !== bytesEach * sessions) throw new Error(`${target.name} lost bytes`);
    return (cpu * 1e9) / arrived;
  });
  return {
    id: sessions === 1 ? "bulk-1" : "bulk-20",
    scenario: `bulk, ${sessions} ${sessions === 1 ? "session" : "sessions"}`,
    unit: "CPU s per GB",
    ...compared,
    goal: { kind: "ratio", of: ["Go relay"], atMost: 1 },
  };
}

async function packets(targets: readonly Target[], load: Load, size: Size): Promise<Row> {
  const hostname = hostnameOf("echo");
  const compared = await compare(targets, size.rounds, async (target) => {
    const port = target.port("echo");
    await load.run("open", { port, hostname, count: players, held: false });
    let echoed = 0;
    const cpu = await cpuOf(target, async () => {
      echoed = await load.run("exchange", {
        perSecond: packetsPerSecond,
        bytes: packetBytes,
        seconds: size.packetSeconds,
      });
    });
    await load.run("close", {});
    // There and back: each echoed packet was relayed twice.
    return (cpu * 1e6) / (2 * echoed);
  });
  return {
    id: "packets",
    scenario: `packets, ${players.toLocaleString("en-US")} players × ${packetsPerSecond}/s × ${packetBytes} bytes`,
    unit: "CPU µs per packet",
    ...compared,
    goal: { kind: "ratio", of: ["HAProxy"], atMost: 0.9 },
  };
}

async function connections(targets: readonly Target[], load: Load, size: Size): Promise<Row> {
  const hostname = hostnameOf("status");
  const compared = await compare(targets, size.rounds, async (target) => {
    const port = target.port("status");
    const cpu = await cpuOf(target, () =>
      load.run("pings", { port, hostname, count: size.pings, parallel: 32 }),
    );
    return (cpu * 1e6) / size.pings;
  });
  return {
    id: "pings-relayed",
    scenario: "connections, pings relayed",
    unit: "CPU µs per session",
    ...compared,
    goal: { kind: "ratio", of: ["HAProxy"], atMost: 1.15 },
  };
}
