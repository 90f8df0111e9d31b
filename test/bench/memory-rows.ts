import { hostnameOf } from "./jobs.ts";
import type { Load } from "./load.ts";
import { rssBytes } from "./measure.ts";
import { compare, type Row } from "./row.ts";
import type { Contender, Target } from "./targets.ts";

const idleSessions = 4_000;
const settleMs = 3_000;

/**
 * What a program costs before the first client: memory, and the time until it lets the first one in. Each
 * measurement starts it anew.
 */
export async function baseRows(
  contenders: readonly Contender[],
  load: Load,
  rounds: number,
): Promise<readonly Row[]> {
  const memory = await compare(contenders, rounds, (contender) =>
    whileRunning(contender, load, async (target) => {
      await Bun.sleep(500);
      return rssBytes(target.pid) / 1e6;
    }),
  );
  const start = await compare(contenders, rounds, (contender) =>
    whileRunning(contender, load, ({ startMs }) => Promise.resolve(startMs)),
  );
  return [
    {
      id: "base",
      scenario: "base, 1,000 routes and no client",
      unit: "MB RSS",
      ...memory,
      goal: { kind: "value", atMost: 60 },
    },
    {
      id: "start",
      scenario: "start to first connection, 1,000 routes",
      unit: "ms",
      ...start,
      goal: { kind: "value", atMost: 80 },
    },
  ];
}

/**
 * What a session costs that is open and still: the first ones over the memory of the program without one,
 * which brings in what a program sets up once, and as many again over those.
 */
export async function idleRows(
  contenders: readonly Contender[],
  load: Load,
  rounds: number,
): Promise<readonly Row[]> {
  const further = new Map<Contender, number[]>();
  const first = await compare(contenders, rounds, (contender) =>
    whileRunning(contender, load, async (target) => {
      const [some, more] = [await openIdle(target, load), await openIdle(target, load)];
      const lost = await load.run("close", {});
      if (lost > 0) throw new Error(`${target.name} lost ${lost} idle sessions`);
      further.set(contender, [...(further.get(contender) ?? []), more]);
      return some;
    }),
  );
  const next = await compare(contenders, rounds, (contender) =>
    Promise.resolve(further.get(contender)?.shift() ?? Number.NaN),
  );
  const count = idleSessions.toLocaleString("en-US");
  const unit = "bytes RSS per session";
  const goal = { kind: "value", atMost: 3_000 } as const;
  return [
    { id: "idle", scenario: `idle, ${count} open sessions`, unit, ...first, goal },
    { id: "idle-more", scenario: `idle, ${count} more open sessions`, unit, ...next, goal },
  ];
}

/** Opens sessions, lets them be, and gives the bytes by which memory has grown for each of them. */
async function openIdle(target: Target, load: Load): Promise<number> {
  const before = rssBytes(target.pid);
  const [port, hostname] = [target.port("echo"), hostnameOf("echo")];
  await load.run("open", { port, hostname, count: idleSessions, held: false });
  await Bun.sleep(settleMs);
  return (rssBytes(target.pid) - before) / idleSessions;
}

async function whileRunning(
  contender: Contender,
  load: Load,
  measure: (target: Target) => Promise<number>,
): Promise<number> {
  await using target = await contender.start(load.backends);
  return await measure(target);
}
