/**
 * Looks for bytes that the parsers of what a client says first get wrong: `bun run fuzz [MINUTES] [--seed
 * N] [--keep]`.
 *
 * Guided by coverage: an input that takes a turn, or two in a row, that none has taken before joins the
 * corpus, which all further inputs are made from. `--keep` writes the smallest inputs that together take
 * every turn found to corpus.txt. Ends with exit code 1 and the input in hex as soon as `oracle.ts` finds
 * something untrue.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createDice, freshSeed } from "../support/dice.ts";
import { corpusPath, corpusText, readCorpus } from "./corpus.ts";
import { parsers, watchParsers } from "./coverage.ts";
import { nextInput, seeds } from "./mutate.ts";
import { check, type Parsers } from "./oracle.ts";

const { values, positionals } = parseArgs({
  options: { seed: { type: "string" }, keep: { type: "boolean", default: false } },
  allowPositionals: true,
});
const minutes = Number(positionals[0] ?? 10);
const dice = createDice(values.seed === undefined ? freshSeed() : Number(values.seed));

const coverage = watchParsers();
const { parseOpening }: Pick<Parsers, "parseOpening"> = await import(join(parsers, "opening.ts"));
const { readProxyHeader }: Pick<Parsers, "readProxyHeader"> = await import(
  join(parsers, "proxy-header.ts")
);

const turns = new Set<number>();
const pairs = new Set<number>();

/** Parses the input and says whether it went where none has gone before. */
function isNews(input: Buffer): boolean {
  coverage.reset();
  parseOpening(input);
  readProxyHeader(input);
  const taken = coverage.taken();
  const news = [...taken.pairs].filter((pair) => !pairs.has(pair));
  for (const pair of news) pairs.add(pair);
  for (const turn of taken.turns) turns.add(turn);
  return news.length > 0;
}

/** Checks the input, and ends the process when it shows a mistake. */
function examine(input: Buffer): void {
  try {
    check(input, { parseOpening, readProxyHeader });
  } catch (error) {
    console.error(`${input.toString("hex")}\n${error}`);
    process.exit(1);
  }
}

/** The smallest ones that together go everywhere that all of them go. */
function smallest(corpus: readonly Buffer[]): readonly Buffer[] {
  pairs.clear();
  return corpus.toSorted((a, b) => a.length - b.length).filter(isNews);
}

console.log(`seed ${dice.seed}`);
const corpus = [...seeds, ...(await readCorpus())];
for (const input of corpus) {
  isNews(input);
  examine(input);
}
const before = corpus.length;
const endsAt = performance.now() + minutes * 60_000;
let inputs = corpus.length;
for (; performance.now() < endsAt; inputs++) {
  const input = nextInput(corpus, dice);
  examine(input);
  if (isNews(input)) corpus.push(input);
}

const found = corpus.length - before;
const summary = `${inputs.toLocaleString("en-US")} inputs in ${minutes} minutes, ${turns.size} turns and ${pairs.size} pairs of turns taken`;
console.log(`${summary}; ${found} inputs went where none had gone before`);
if (values.keep) await Bun.write(corpusPath, corpusText(smallest(corpus), summary));
