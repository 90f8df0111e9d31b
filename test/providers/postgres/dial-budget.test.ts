import { expect, test } from "bun:test";
import { createDialBudget } from "../../../src/providers/postgres/dial-budget.ts";

test("any span holds at most the burst and what the span has earned", async () => {
  const budget = createDialBudget({ burst: 7, everyMs: 20 });
  const { signal } = new AbortController();
  const takenAt: number[] = [];
  for (let i = 0; i < 15; i += 1) {
    await budget.take(signal);
    takenAt.push(performance.now());
  }
  for (const [first, from] of takenAt.entries()) {
    for (const [last, to] of takenAt.entries()) {
      // One millisecond of grace: timers may fire that much early.
      if (last > first) expect(last - first + 1).toBeLessThanOrEqual(7 + 1 + (to - from + 1) / 20);
    }
  }
});

test("waiting for a dial ends when the signal aborts", async () => {
  const budget = createDialBudget({ burst: 1, everyMs: 3_600_000 });
  const stopping = new AbortController();
  await budget.take(stopping.signal);
  const waiting = budget.take(stopping.signal);
  stopping.abort();
  await waiting;
  expect(stopping.signal.aborted).toBe(true);
});
