import { cpuSeconds, median } from "./measure.ts";
import type { Target } from "./targets.ts";

/** What a figure may be at most: itself, or as a share of another program's. */
export type Goal =
  | { readonly kind: "value"; readonly atMost: number }
  | { readonly kind: "ratio"; readonly of: readonly string[]; readonly atMost: number }
  /** None: the figure is worth knowing. */
  | { readonly kind: "none" };

/** What tells a row from the others, whatever its scenario is called. */
export type RowId =
  | "bulk-1"
  | "bulk-20"
  | "packets"
  | "pings-relayed"
  | "base"
  | "start"
  | "idle"
  | "idle-more"
  | "held-memory"
  | "held-more"
  | "held-cpu"
  | "pings-asleep"
  | "woken"
  | "latency-blocked"
  | "latency-connects"
  | "stalled"
  | "rows-load"
  | "rows-change"
  | "rows-reread"
  | "latency-rows"
  | "rows-notify"
  | "rows-memory"
  | "rows-change-seed";

/** One figure of the router, and what it is measured against. Smaller is better in every row. */
export interface Row {
  readonly id: RowId;
  readonly scenario: string;
  readonly unit: string;
  readonly ours: number;
  /** By name; `ratio` is ours divided by theirs, the median over pairs that ran one after the other. */
  readonly others: Readonly<Record<string, { readonly value: number; readonly ratio: number }>>;
  readonly goal: Goal;
}

/** Whether the router did as well as it should. */
export function isMet({ ours, others, goal }: Row): boolean {
  switch (goal.kind) {
    case "value":
      return ours <= goal.atMost;
    case "ratio":
      return goal.of.every((name) => (others[name]?.ratio ?? Infinity) <= goal.atMost);
    case "none":
      return true;
  }
}

/** Processor time, seconds, that the target uses while `work` is done. */
export async function cpuOf(target: Target, work: () => Promise<unknown>): Promise<number> {
  const before = cpuSeconds(target.pid);
  await work();
  return cpuSeconds(target.pid) - before;
}

/**
 * Measures every contender once in each round, in an order that moves on by one each time, so that what the
 * machine does meanwhile meets all of them alike. The first contender is ours.
 */
export async function compare<Contender extends { readonly name: string }>(
  contenders: readonly Contender[],
  rounds: number,
  measure: (contender: Contender) => Promise<number>,
): Promise<Pick<Row, "ours" | "others">> {
  const figures = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + turn) % contenders.length];
      if (contender !== undefined) figures.get(contender.name)?.push(await measure(contender));
    }
  }
  const [[, ours = []] = [], ...others] = figures;
  return {
    ours: median(ours),
    others: Object.fromEntries(
      others.map(([name, theirs]) => [
        name,
        {
          value: median(theirs),
          ratio: median(theirs.map((value, round) => (ours[round] ?? 0) / value)),
        },
      ]),
    ),
  };
}
