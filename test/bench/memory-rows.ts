import { hostnameOf } from "./jobs.ts";
import type { Load } from "./load.ts";
import { rssBytes } from "./measure.ts";
import { compare, type Row } from "./row.ts";
import type { Contender, Target } from "./targets.ts";

const idleSessions = 4_000;
const settleMs = 3_000;

/** What a program costs before anybody comes: memory, and the time until it lets the first one in. Each measurement starts it anew. */
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

/** What a session costs that is open and still, over the memory of the program without one. */
export async function idleRow(
  contenders: readonly Contender[],
  load: Load,
  rounds: number,
): Promise<Row> {
  const compared = await compare(contenders, rounds, (contender) =>
    whileRunning(contender, load, async (target) => {
      const hostname = hostnameOf("echo");
      const base = rssBytes(target.pid);
      await load.run("open", {
        port: target.port("echo"),
        hostname,
        count: idleSessions,
        held: false,
      });
      await Bun.sleep(settleMs);
      const used = rssBytes(target.pid) - base;
      const lost = await load.run("close", {});
      if (lost > 0) throw new Error(`${target.name} lost ${lost} idle sessions`);
      return used / idleSessions;
    }),
  );
  return {
    id: "idle",
    scenario: `idle, ${idleSessions.toLocaleString("en-US")} open sessions`,
    unit: "bytes RSS per session",
    ...compared,
    goal: { kind: "value", atMost: 3_000 },
  };
}

async function whileRunning(
  contender: Contender,
  load: Load,
  measure: (target: Target) => Promise<number>,
): Promise<number> {
  await using target = await contender.start(load.backends);
  return await measure(target);
}
