/**
 * Looks for a byte that the relay loses, adds or changes: `bun run fuzz:relay [MINUTES] [--seed N] [--plane
 * callbacks]`. Sessions run through the relay threads with random chunks, stalls, ends and cuts; ends with
 * exit code 1 and the session's seed when something is untrue, when a defect is told, or when descriptors
 * are left behind.
 */
import { parseArgs } from "node:util";
import { freshSeed } from "../support/dice.ts";
import { startLinkBench } from "../support/net/link-bench.ts";
import { countDescriptors } from "../support/net/proc.ts";
import { fuzzRelay } from "../support/net/relay-fuzz.ts";
import { planes, startRelay } from "../support/net/relayed.ts";

const { values, positionals } = parseArgs({
  options: { seed: { type: "string" }, plane: { type: "string", default: "thread" } },
  allowPositionals: true,
});
const until = performance.now() + Number(positionals[0] ?? 10) * 60_000;
const plane = planes.find((name) => name === values.plane);
if (plane === undefined) throw new Error(`--plane ${values.plane}: there is ${planes}`);
const seed = values.seed === undefined ? freshSeed() : Number(values.seed);
console.log(`seed ${seed}`);

const perRound = 200;
/** Both ends of the pipes that are kept open, and some of the runtime's own. */
const slack = 110;

using bench = startLinkBench();
await using relay = startRelay(plane, {
  deadlines: bench.deadlines,
  fault: (error) => bench.faults.push(error),
  threads: 2,
});
await fuzzRelay(bench, relay, { seed, count: 20, parallel: 4 });
const before = countDescriptors();
let sessions = 20;
for (; performance.now() < until; sessions += perRound) {
  await fuzzRelay(bench, relay, { seed: seed + sessions, count: perRound, parallel: 12 });
  if (bench.faults.length > 0) throw bench.faults[0];
  const left = countDescriptors() - before;
  if (left > slack) throw new Error(`${left} descriptors are left after ${sessions} sessions`);
}
console.log(`${sessions} sessions`);
