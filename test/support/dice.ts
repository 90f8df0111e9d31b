/** Random decisions that a seed repeats. */
export interface Dice {
  readonly seed: number;
  /** From 0 up to 1, 1 excluded. */
  next(): number;
  /** From `low` up to `high`, `high` excluded. */
  between(low: number, high: number): number;
  /** A whole number from 0 up to `count`, `count` excluded. */
  below(count: number): number;
  /** One of them. Throws when there is none. */
  pick<T>(list: readonly T[]): T;
}

/** Dice of a 32-bit seed (mulberry32, public domain). */
export function createDice(seed: number): Dice {
  let state = seed | 0;

  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  const between = (low: number, high: number): number => low + next() * (high - low);
  const below = (count: number): number => Math.floor(next() * count);
  return {
    seed,
    next,
    between,
    below,
    pick(list) {
      if (list.length === 0) throw new Error("nothing to pick from");
      return list[below(list.length)] as (typeof list)[number];
    },
  };
}

/** A seed that was not used before, for a run that prints it. */
export const freshSeed = (): number => crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
