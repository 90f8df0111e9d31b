import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { createDeadlines, type Deadline } from "../../src/base/deadlines.ts";
import { never } from "../support/net/link-bench.ts";

const tickMs = 25;

describe("on a clock that the test moves", () => {
  // Bun's fake timers move `performance.now` along with `setInterval`.
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test.each([0, 1, 24, 25, 26, 999, 12_799, 12_800, 12_801, 30_000, 90_000])(
    "a deadline of %i ms expires once, neither early nor more than a tick late",
    (ms) => {
      const deadlines = createDeadlines();
      jest.advanceTimersByTime(7);
      const expired: number[] = [];
      const since = performance.now();
      deadlines.after(ms, () => expired.push(performance.now() - since));
      for (let elapsed = 0; elapsed <= ms + 10 * tickMs; elapsed += 1) jest.advanceTimersByTime(1);
      expect(expired).toHaveLength(1);
      expect(expired[0]).toBeGreaterThanOrEqual(ms);
      // The interval and the wheel may be off against each other by one tick each.
      expect(expired[0]).toBeLessThanOrEqual(ms + 2 * tickMs);
    },
  );

  test("deadlines expire in the order in which they are due, and of one tick in the order in which they were set", () => {
    const deadlines = createDeadlines();
    const expired: string[] = [];
    const set = (ms: number, name: string): Deadline =>
      deadlines.after(ms, () => expired.push(name));
    set(300, "300");
    set(100, "100 first");
    set(100, "100 second");
    set(20_000, "20000");
    set(200, "200");
    set(100, "100 third");
    for (let tick = 0; tick < 1_000; tick += 1) jest.advanceTimersByTime(tickMs);
    expect(expired).toEqual(["100 first", "100 second", "100 third", "200", "300", "20000"]);
  });

  test("a deadline that was taken back does not expire, not even by another one of the same tick", () => {
    const deadlines = createDeadlines();
    const expired: string[] = [];
    deadlines.after(100, () => {
      expired.push("first");
      second.cancel();
    });
    const second = deadlines.after(100, () => expired.push("second"));
    const third = deadlines.after(100, () => expired.push("third"));
    deadlines.after(50, () => third.cancel());
    jest.advanceTimersByTime(1_000);
    expect(expired).toEqual(["first"]);
  });

  test("taking a deadline back is harmless twice, and after it has expired", () => {
    const deadlines = createDeadlines();
    const expired: string[] = [];
    const first = deadlines.after(10, () => expired.push("first"));
    const second = deadlines.after(10, () => expired.push("second"));
    second.cancel();
    second.cancel();
    jest.advanceTimersByTime(500);
    first.cancel();
    deadlines.after(10, () => expired.push("third"));
    first.cancel();
    jest.advanceTimersByTime(500);
    expect(expired).toEqual(["first", "third"]);
  });

  test("a deadline that is set again while it expires goes on, however often", () => {
    const deadlines = createDeadlines();
    const since = performance.now();
    const expired: number[] = [];
    const again = (): void => {
      expired.push(performance.now() - since);
      if (expired.length < 20) deadlines.after(100, again);
    };
    deadlines.after(100, again);
    for (let step = 0; step < 4_000; step += 1) jest.advanceTimersByTime(1);
    expect(expired).toHaveLength(20);
    for (const [index, at] of expired.entries()) {
      expect(at - (expired[index - 1] ?? 0)).toBeGreaterThanOrEqual(100);
    }
  });

  test("a deadline that throws takes no other one with it", () => {
    const deadlines = createDeadlines();
    const expired: string[] = [];
    const fail = (): void => {
      throw new Error("a defect");
    };
    deadlines.after(50, fail);
    deadlines.after(50, () => expired.push("same tick"));
    deadlines.after(100, () => expired.push("later"));
    expect(() => jest.advanceTimersByTime(90)).toThrow("a defect");
    for (let step = 0; step < 8; step += 1) jest.advanceTimersByTime(tickMs);
    expect(expired).toEqual(["same tick", "later"]);
  });

  test("no timer runs while nothing waits", () => {
    const deadlines = createDeadlines();
    expect(jest.getTimerCount()).toBe(0);
    const first = deadlines.after(100, () => {});
    deadlines.after(200, () => {});
    expect(jest.getTimerCount()).toBe(1);
    first.cancel();
    expect(jest.getTimerCount()).toBe(1);
    for (let step = 0; step < 12; step += 1) jest.advanceTimersByTime(tickMs);
    expect(jest.getTimerCount()).toBe(0);
    deadlines.after(100, () => {}).cancel();
    expect(jest.getTimerCount()).toBe(0);
  });

  test("a sleep is over after its time, or at once when the signal aborts", async () => {
    const deadlines = createDeadlines();
    const control = new AbortController();
    const slept = deadlines.sleep(100, never);
    const aborted = deadlines.sleep(60_000, control.signal);
    for (let step = 0; step < 8; step += 1) jest.advanceTimersByTime(tickMs);
    expect(await slept).toBe(true);
    control.abort();
    expect(await aborted).toBe(false);
    expect(await deadlines.sleep(60_000, control.signal)).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe("on the real clock", () => {
  test("ten thousand deadlines, half of them taken back: none is early, none is missed, their order is that of their ticks", async () => {
    const deadlines = createDeadlines();
    const expired: number[] = [];
    let early = 0;
    const done = Promise.withResolvers<void>();
    const count = 10_000;
    for (let each = 0; each < count; each += 1) {
      const ms = Math.random() * 400;
      const since = performance.now();
      const deadline = deadlines.after(ms, () => {
        if (performance.now() - since < ms) early += 1;
        expired.push(since + ms);
        if (expired.length === count / 2) done.resolve();
      });
      if (each % 2 === 0) deadline.cancel();
    }
    await done.promise;
    await deadlines.sleep(500, never);
    expect(expired).toHaveLength(count / 2);
    expect(early).toBe(0);
    let latest = 0;
    for (const due of expired) {
      expect(due).toBeGreaterThan(latest - tickMs);
      latest = Math.max(latest, due);
    }
  });

  test("a loop that was blocked loses nothing and repeats nothing", async () => {
    const deadlines = createDeadlines();
    const expired: number[] = [];
    for (const ms of [10, 60, 110, 160, 210, 260]) deadlines.after(ms, () => expired.push(ms));
    deadlines.after(600, () => expired.push(600));
    const blockedUntil = performance.now() + 300;
    while (performance.now() < blockedUntil);
    await deadlines.sleep(700, never);
    expect(expired).toEqual([10, 60, 110, 160, 210, 260, 600]);
  });

  test("a process whose deadlines are over or taken back can end", async () => {
    const source = `${import.meta.dir}/../../src/base/deadlines.ts`;
    const program = `
      const { createDeadlines } = await import(${JSON.stringify(source)});
      const deadlines = createDeadlines();
      deadlines.after(3_600_000, () => {}).cancel();
      deadlines.after(30, () => console.log("over"));`;
    const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
    expect(await new Response(child.stdout).text()).toBe("over\n");
    expect(await child.exited).toBe(0);
  });
});
