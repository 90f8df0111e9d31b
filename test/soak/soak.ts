/**
 * Runs the built router for hours under load, with one mishap after the other, and prints whether it grows, loses routes or cuts
 * games: `bun run soak [HOURS] [--seed NUMBER] [--doc]`. Fails when it has done what it must not. `--doc` puts the result into
 * docs/reliability.md.
 */

import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { cpuSeconds, rssBytes } from "../bench/measure.ts";
import { createDice, type Dice, freshSeed } from "../support/dice.ts";
import { writeSoak } from "../support/docs/reliability.ts";
import { countSocketsTo } from "../support/net/proc.ts";
import { tableRoutes } from "../support/postgres/live-table.ts";
import { until } from "../support/until.ts";
import { mishaps } from "./chaos.ts";
import { startLoading, type Tally } from "./load.ts";
import { floorOf, type Sample, slopeOf } from "./slope.ts";
import { type SoakWorld, startWorld } from "./world.ts";

const { values, positionals } = parseArgs({
  options: { seed: { type: "string" }, doc: { type: "boolean", default: false } },
  allowPositionals: true,
});
const hours = Number(positionals[0] ?? 1);
const seed = Number(values.seed ?? freshSeed());
if (!(hours > 0) || !Number.isInteger(seed)) {
  console.error("bun run soak [HOURS] [--seed NUMBER] [--doc]: hours above 0, such as 0.25");
  process.exit(2);
}

const sampleMs = 5_000;
const seconds = hours * 3600;
/** What the runtime needs for the first of everything, and its heap until it has found its size, is no growth: a fifth of the run, at most two hours. */
const warmUpSeconds = Math.min(7_200, seconds / 5);
/** From this length on the slope of the memory means something, and has a limit. */
const judgedSeconds = 3 * 3600;
const limitPerHour = 1e6;

/** The first logins of a process let its heap grow to what it works with from then on, which is about twice the base; so they come before the watch. */
async function runIn({ load, router: { port }, changes }: SoakWorld): Promise<void> {
  for (let round = 0; round < 200; round++) {
    await load.run("logins", { port, hostnames: changes.lasting });
  }
}

/** What was seen of the process while it ran. */
interface Watch {
  readonly rss: Sample[];
  readonly fds: Sample[];
}

/** File descriptors of the router but for its connections to the control plane, some of which are kept for the next request. */
const descriptors = ({ router: { pid }, plane }: SoakWorld): number =>
  readdirSync(`/proc/${pid}/fd`).length - countSocketsTo(plane.port, "established");

async function watch(world: SoakWorld, signal: AbortSignal): Promise<Watch> {
  const { pid, ended } = world.router;
  const seen: Watch = { rss: [], fds: [] };
  const startedAt = performance.now();
  while (!signal.aborted && ended() === null) {
    const at = (performance.now() - startedAt) / 1000;
    seen.rss.push({ seconds: at, value: rssBytes(pid) });
    seen.fds.push({ seconds: at, value: descriptors(world) });
    await Bun.sleep(sampleMs);
  }
  return seen;
}

/** One mishap after the other until the signal aborts; gives how often each has happened. */
async function disturb(
  world: SoakWorld,
  dice: Dice,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>();
  const startedAt = performance.now();
  while (!signal.aborted && world.router.ended() === null) {
    await Bun.sleep(dice.between(2_000, 8_000));
    const { name, happen } = dice.pick(mishaps);
    console.error(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${name}`);
    // Postgres may be recovering from the last one and take no questions.
    await happen(world, dice).catch((error: unknown) => console.error(`  ${String(error)}`));
    happened.set(name, (happened.get(name) ?? 0) + 1);
  }
  return happened;
}

/** Waits until nobody is there any more and the routes are the table's; gives what is wrong. */
async function settle(world: SoakWorld): Promise<readonly string[]> {
  const problems: string[] = [];
  const note = (error: unknown): void => void problems.push(String(error));
  const isRouted = async (): Promise<boolean> => {
    const routes = await world.api.routes();
    const own = routes.filter((route) => !/^(?:game|status)\.x /.test(route));
    return Bun.deepEquals(own, await tableRoutes(world.table.database));
  };
  // Our own connection to a server that was killed may have to be made again first.
  const isRight = (): Promise<boolean> => isRouted().catch(() => false);
  await until("the routes are the table", isRight, 60_000).catch(note);
  const isEmpty = async (): Promise<boolean> => {
    const metrics = await world.api.metrics();
    return [...metrics].every(
      ([series, value]) => !series.startsWith("automc_sessions{") || value === 0,
    );
  };
  await until("every session has ended", isEmpty, 60_000).catch(note);
  const faults = await world.api.metric("automc_faults_total");
  if (faults > 0) note(`${faults} unexpected errors in the router`);
  return problems;
}

/** What is left of the samples of a whole run: from after warming up, the least of each minute, or of less in a short run. */
const settled = (samples: readonly Sample[]): readonly Sample[] =>
  floorOf(
    samples.filter(({ seconds: at }) => at >= warmUpSeconds),
    Math.min(60, seconds / 20),
  );

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const listed = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([what, times]) => `${times.toLocaleString("en-US")} ${what}`).join(", ");

function report(run: {
  readonly seen: Watch;
  readonly restFds: readonly [number, number];
  readonly cpu: number;
  readonly tally: Tally;
  readonly happened: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}): readonly string[] {
  const rss = settled(run.seen.rss);
  const [memory, files] = [slopeOf(rss), slopeOf(settled(run.seen.fds))];
  const perHour = (value: number): string => `${value < 0 ? "" : "+"}${value.toFixed(2)}`;
  return [
    `${(seconds / 60).toFixed(0)} minutes, seed ${seed}, the first ${(warmUpSeconds / 60).toFixed(1)} of them for warming up.`,
    `Load: ${listed(run.tally.counts)}.`,
    `Mishaps: ${listed(run.happened)}.`,
    `Memory: ${megabytes(rss[0]?.value ?? 0)} after warming up, ${megabytes(rss.at(-1)?.value ?? 0)} at the end (the least of each minute), at most ${megabytes(Math.max(...run.seen.rss.map(({ value }) => value)))}; slope ${perHour(memory.perHour / 1e6)} ± ${(memory.margin / 1e6).toFixed(2)} MB/h${seconds < judgedSeconds ? " (too short a run to judge by it)" : ""}.`,
    `File descriptors: slope ${perHour(files.perHour)} ± ${files.margin.toFixed(2)} an hour under load; at rest ${run.restFds[0]} before, ${run.restFds[1]} after.`,
    `Processor: ${((100 * run.cpu) / seconds).toFixed(1)} % of a core.`,
    `Restarts: ${run.problems.some((problem) => problem.startsWith("the router ended")) ? 1 : 0}. Problems: ${run.problems.length === 0 ? "none" : run.problems.join("; ")}.`,
  ];
}

const dice = createDice(seed);
await using world = await startWorld(dice);
const { router } = world;
console.error(`soaking for ${hours} h, seed ${seed}, router ${router.pid}`);
await runIn(world);
const restBefore = descriptors(world);
const enough = new AbortController();
const load = startLoading(world, createDice(seed + 1), enough.signal);
const watching = watch(world, enough.signal);
const disturbing = disturb(world, createDice(seed + 2), enough.signal);
const startedAt = performance.now();
while (performance.now() - startedAt < seconds * 1000 && router.ended() === null) {
  await Bun.sleep(500);
}
enough.abort();
const problems: string[] = [];
const how = router.ended();
if (how !== null) problems.push(`the router ended with ${how}`);
const cpu = how === null ? cpuSeconds(router.pid) : 0;
const [happened, seen] = await Promise.all([disturbing, watching]);
if (how === null) {
  await load.ended;
  problems.push(...(await settle(world)));
}
const isAtRest = (): boolean => descriptors(world) <= restBefore;
if (how === null) {
  await until("file descriptors are as before", isAtRest, 60_000).catch((error: unknown) =>
    problems.push(String(error)),
  );
}
problems.push(...load.tally.failures);
const restFds = [restBefore, how === null ? descriptors(world) : 0] as const;
if (seconds >= judgedSeconds) {
  const memory = slopeOf(settled(seen.rss));
  if (memory.perHour - memory.margin > limitPerHour) problems.push("memory grows");
}
const text = report({ seen, restFds, cpu, tally: load.tally, happened, problems });
console.log(text.join("\n"));
if (problems.length > 0) console.error(`the end of the log:\n${router.tail()}`);
if (values.doc && problems.length === 0) await writeSoak(text);
process.exitCode = problems.length === 0 ? 0 : 1;
