import { join } from "node:path";
import { startWorker } from "../support/process/worker.ts";
import { freezeMainThread } from "./freeze.ts";
import { hostnameOf, type Jobs } from "./jobs.ts";
import type { Load } from "./load.ts";
import { peakBytes, percentile } from "./measure.ts";
import { compare, type Row } from "./row.ts";
import type { Contender, Target } from "./targets.ts";

const connectsPerSecond = 10_000;
const frozenMs = 200;
const stalledSessions = 200;
/** The goal of all: a packet does not notice the main thread. */
const goal = { kind: "value", atMost: 1 } as const;

/**
 * What packets of players wait for while the router has other things to do, and what players cost who do
 * not read.
 */
export async function latencyRows(
  contenders: readonly Contender[],
  load: Load,
  seconds: number,
): Promise<readonly Row[]> {
  const [ours] = contenders;
  if (ours === undefined) throw new Error("nothing is measured");
  return [
    await blockedRow(ours, load, seconds),
    await connectsRow(contenders, load, seconds),
    await stalledRow(contenders, load),
  ];
}

async function blockedRow(ours: Contender, load: Load, seconds: number): Promise<Row> {
  await using target = await ours.start(load.backends);
  const times = await probe(target, load, seconds, async () => {
    for (let second = 0; second < seconds; second += 1) {
      await freezeMainThread(target.pid, frozenMs);
      await Bun.sleep(1_000 - frozenMs);
    }
  });
  return {
    id: "latency-blocked",
    scenario: `packets while the main thread stands still, ${frozenMs} ms each second`,
    unit: "ms, p99",
    ours: percentile(times, 0.99),
    others: {},
    goal,
  };
}

async function connectsRow(
  contenders: readonly Contender[],
  load: Load,
  seconds: number,
): Promise<Row> {
  await using flood = startWorker<Jobs>(join(import.meta.dir, "client-process.ts"));
  const compared = await compare(contenders, 1, async (contender) => {
    await using target = await contender.start(load.backends);
    const port = target.port("echo");
    const times = await probe(target, load, seconds, () =>
      flood.run("connects", { port, perSecond: connectsPerSecond, seconds }),
    );
    return percentile(times, 0.99);
  });
  return {
    id: "latency-connects",
    scenario: "packets while 10,000 connects a second arrive",
    unit: "ms, p99",
    ...compared,
    goal,
  };
}

async function stalledRow(contenders: readonly Contender[], load: Load): Promise<Row> {
  const compared = await compare(contenders, 1, async (contender) => {
    await using target = await contender.start(load.backends);
    await load.run("stall", { port: target.port("bulk"), sessions: stalledSessions });
    const bytes = peakBytes(target.pid);
    await load.run("close", {});
    return bytes / 1e6;
  });
  return {
    id: "stalled",
    scenario: `${stalledSessions} downloads that are not read`,
    unit: "MB RSS, peak",
    ...compared,
    goal: { kind: "none" },
  };
}

/**
 * How long each byte took through the target and back, ms, while it is disturbed; the relay is set up
 * before.
 */
async function probe(
  target: Target,
  load: Load,
  seconds: number,
  disturb: () => Promise<unknown>,
): Promise<readonly number[]> {
  const input = { port: target.port("echo"), hostname: hostnameOf("echo"), seconds: seconds + 1 };
  const probing = load.run("probe", input);
  await Bun.sleep(1_000);
  await disturb();
  // A byte each millisecond, at most: those of the first second are no more than this.
  return (await probing).slice(1_000);
}
