import { describe, expect, test } from "bun:test";
import type { WaitingChanges } from "../../../src/providers/postgres/pending.ts";
import { createReadClock } from "../../../src/providers/postgres/read-clock.ts";
import { defaultTimings } from "../../../src/providers/postgres/timings.ts";

const timings = { ...defaultTimings, gatherMs: 2, coalesceMs: 50, readGapMs: 100 };

/**
 * A clock after a read that has taken that long, when the read ended (at the earliest), and how long it took
 * (at the most).
 */
function clockAfter(kind: "all" | "names", tookMs: number) {
  const clock = createReadClock(60_000, timings);
  const endedAt = performance.now();
  const startedAt = endedAt - tookMs;
  clock.noteRead(kind === "all" ? { kind } : { kind, names: ["a"] }, startedAt, null);
  return { clock, startedAt, endedAt, mostMs: performance.now() - startedAt };
}

describe("hints are read", () => {
  test("never, when there are none", () => {
    expect(createReadClock(60_000, timings).changesAt(null)).toBe(Infinity);
  });

  test.each<WaitingChanges["kind"]>(["names", "all"])("at once after a quiet time: %s", (kind) => {
    const { clock, endedAt } = clockAfter("names", 0);
    const since = endedAt + 1_000;
    expect(clock.changesAt({ kind, since })).toBe(since + timings.gatherMs);
  });

  test.each<WaitingChanges["kind"]>(["names", "all"])(
    "together when they come shortly after a read began: %s",
    (kind) => {
      const { clock, startedAt } = clockAfter("names", 10);
      const since = startedAt + 11;
      expect(clock.changesAt({ kind, since })).toBe(startedAt + timings.coalesceMs);
    },
  );

  test("ten times a second when they do not end", () => {
    const clock = createReadClock(60_000, timings);
    const starts: number[] = [];
    for (let startedAt = 0; startedAt < 2_000; ) {
      starts.push(startedAt);
      clock.noteRead({ kind: "names", names: ["a"] }, startedAt, null);
      startedAt = clock.changesAt({ kind: "names", since: startedAt });
    }
    expect(starts.slice(0, 4)).toEqual([0, 50, 200, 250]);
    expect(starts).toHaveLength(20);
  });

  test("by name at once after a long read of everything", () => {
    const { clock, endedAt } = clockAfter("all", 400);
    const since = endedAt - 100;
    expect(clock.changesAt({ kind: "names", since })).toBe(since + timings.gatherMs);
  });

  test("all together not before a pause as long as the last read of everything", () => {
    const { clock, endedAt, mostMs } = clockAfter("all", 400);
    const dueAt = clock.changesAt({ kind: "all", since: endedAt - 100 });
    expect(dueAt).toBeGreaterThanOrEqual(endedAt + 400);
    expect(dueAt).toBeLessThanOrEqual(endedAt + 2 * mostMs);
  });

  test("all together after waiting for more, where a read takes longer than the wait", () => {
    const { clock, endedAt } = clockAfter("all", 400);
    const since = endedAt + 10_000;
    expect(clock.changesAt({ kind: "all", since })).toBe(since + timings.coalesceMs);
  });
});

describe("everything is read", () => {
  test("again after the resync interval, give or take a fifth", () => {
    const { clock, endedAt } = clockAfter("all", 5);
    expect(clock.fullReadAt() - endedAt).toBeGreaterThanOrEqual(48_000);
    expect(clock.fullReadAt() - endedAt).toBeLessThan(72_500);
  });

  test("sooner when the read says so", () => {
    const { clock, endedAt } = clockAfter("all", 5);
    clock.noteRead({ kind: "all" }, endedAt, 100);
    expect(clock.fullReadAt()).toBeLessThan(endedAt + 10_000);
  });

  test("much more often while changes are not heard", () => {
    const { clock } = clockAfter("all", 5);
    clock.polling();
    expect(clock.fullReadAt()).toBeLessThanOrEqual(performance.now() + timings.pollMs);
  });
});
