import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import fc from "fast-check";
import { type AcceptQueue, createAcceptQueue } from "../../src/limits/accept-queue.ts";

// Bun's fake timers move `performance.now` along with `setTimeout`.
beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** Bun's fake timers take a step of 0 for 1 ms. */
function advance(ms: number): void {
  if (ms > 0) jest.advanceTimersByTime(ms);
}

/** A queue whose starts are noted down as `number@ms`. */
function observe(perSecond: number, waitingLimit?: number) {
  const queue = createAcceptQueue(
    waitingLimit === undefined ? { perSecond } : { perSecond, waitingLimit },
  );
  const origin = performance.now();
  const started: string[] = [];
  let entered = 0;
  const enter = (): ReturnType<AcceptQueue["enter"]> => {
    const number = entered;
    entered += 1;
    return queue.enter(() => started.push(`${number}@${performance.now() - origin}`));
  };
  const enterMany = (count: number): void => {
    for (let each = 0; each < count; each += 1) enter();
  };
  return { queue, started, enter, enterMany };
}

const numbersOf = (started: readonly string[]): number[] =>
  started.map((each) => Number(each.split("@")[0]));

describe("the burst", () => {
  const rows = [
    { name: "one a second, right after start", perSecond: 1, idleMs: 0, burst: 2 },
    { name: "one a second, before the first tick", perSecond: 1, idleMs: 999, burst: 2 },
    { name: "one a second, after the first tick", perSecond: 1, idleMs: 1_000, burst: 3 },
    { name: "one a second, idle for a day", perSecond: 1, idleMs: 86_400_000, burst: 3 },
    { name: "ten a second, right after start", perSecond: 10, idleMs: 0, burst: 20 },
    { name: "ten a second, idle for a minute", perSecond: 10, idleMs: 60_000, burst: 21 },
    { name: "a thousand a second, right after start", perSecond: 1_000, idleMs: 0, burst: 2_000 },
    { name: "a thousand a second, idle", perSecond: 1_000, idleMs: 5, burst: 2_001 },
  ];
  test.each(rows)("is $burst for $name", ({ perSecond, idleMs, burst }) => {
    const { started, enterMany } = observe(perSecond);
    advance(idleMs);
    enterMany(burst + 5);
    expect(started.length).toBe(burst);
  });

  test("comes back whole after the tokens have been used up", () => {
    const { started, enterMany } = observe(1);
    enterMany(2);
    advance(3_000);
    enterMany(5);
    expect(started.length).toBe(2 + 3);
  });
});

describe("after the burst", () => {
  const rows = [
    {
      name: "one a second",
      perSecond: 1,
      enterAtMs: 0,
      expected: ["0@0", "1@0", "2@1000", "3@2000", "4@3000"],
    },
    {
      name: "one a second, at ticks counted from the start and not from the arrival",
      perSecond: 1,
      enterAtMs: 10_250,
      expected: ["0@10250", "1@10250", "2@10250", "3@11000", "4@12000"],
    },
    {
      name: "two a second",
      perSecond: 2,
      enterAtMs: 0,
      expected: ["0@0", "1@0", "2@0", "3@0", "4@500", "5@1000", "6@1500"],
    },
    {
      // A tick is 333,333,333 ns, and a timer's unit 1 ms.
      name: "three a second",
      perSecond: 3,
      enterAtMs: 0,
      expected: ["0@0", "1@0", "2@0", "3@0", "4@0", "5@0", "6@334", "7@667", "8@1000", "9@1334"],
    },
  ];
  test.each(rows)("they start in order at $name", ({ perSecond, enterAtMs, expected }) => {
    const { started, enterMany } = observe(perSecond);
    advance(enterAtMs);
    enterMany(expected.length);
    advance(60_000);
    expect(started).toEqual(expected);
  });

  test("a thousand a second start in each second of a long queue", () => {
    const { started, enterMany } = observe(1_000);
    enterMany(7_000);
    for (let second = 0; second <= 5; second += 1) {
      expect(started.length).toBe(2_000 + second * 1_000);
      advance(1_000);
    }
    expect(numbersOf(started)).toEqual(Array.from({ length: 7_000 }, (_, number) => number));
  });

  test("whoever comes while others wait starts after them, even if the tick has passed", () => {
    const clock = { ms: 0 };
    const queue = createAcceptQueue({ perSecond: 1, now: () => clock.ms });
    const started: string[] = [];
    for (const name of ["a", "b", "waits"]) queue.enter(() => started.push(name));
    // The clock has moved on, but the loop was too busy to run the timer.
    clock.ms = 1_500;
    queue.enter(() => started.push("late"));
    expect(started).toEqual(["a", "b"]);
    advance(1_000);
    expect(started).toEqual(["a", "b", "waits"]);
    clock.ms = 2_000;
    advance(1_000);
    expect(started).toEqual(["a", "b", "waits", "late"]);
  });
});

describe("a tick", () => {
  const rows = [
    { name: "is 333,333,333 ns at three a second", perSecond: 3, tickNs: 333_333_333 },
    { name: "is 142,857,142 ns at seven a second", perSecond: 7, tickNs: 142_857_142 },
    { name: "is 1,001,001 ns at 999 a second", perSecond: 999, tickNs: 1_001_001 },
    { name: "is 1 ms at a thousand a second", perSecond: 1_000, tickNs: 1_000_000 },
    { name: "is a second at one a second", perSecond: 1, tickNs: 1_000_000_000 },
  ];
  test.each(rows)("$name", ({ perSecond, tickNs }) => {
    const clock = { ms: 0 };
    const queue = createAcceptQueue({ perSecond, now: () => clock.ms });
    const start = jest.fn();
    for (let each = 0; each < 2 * perSecond; each += 1) queue.enter(start);
    for (const tick of [1, 2, 2 * perSecond + 1]) {
      clock.ms = (tick * tickNs - 1) / 1e6;
      const before = queue.available();
      clock.ms = (tick * tickNs) / 1e6;
      expect(queue.available() - before).toBe(1);
    }
    queue.stop();
  });
});

test("the gauge counts the tokens behind the one in hand", () => {
  const { queue, enterMany } = observe(2);
  expect(queue.available()).toBe(3);
  advance(500);
  expect(queue.available()).toBe(4);
  advance(60_000);
  expect(queue.available()).toBe(4);
  enterMany(4);
  expect(queue.available()).toBe(0);
  enterMany(1);
  expect(queue.available()).toBe(-1);
  enterMany(3);
  expect(queue.available()).toBe(-1);
  advance(1_500);
  expect(queue.available()).toBe(-1);
  advance(500);
  expect(queue.available()).toBe(0);
});

describe("leaving", () => {
  test("gives the turn to the next without using a token", () => {
    const { started, enter, enterMany } = observe(1);
    enterMany(2);
    const leaveFirst = enter();
    enterMany(1);
    const leaveThird = enter();
    enterMany(1);
    leaveFirst?.();
    leaveThird?.();
    advance(10_000);
    expect(started).toEqual(["0@0", "1@0", "3@1000", "5@2000"]);
  });

  test("twice, or after the start, changes nothing", () => {
    const { started, enter, enterMany } = observe(1);
    const leaveStarted = enter();
    enterMany(1);
    const leaveWaiting = enter();
    enterMany(1);
    leaveStarted?.();
    leaveWaiting?.();
    leaveWaiting?.();
    advance(10_000);
    expect(started).toEqual(["0@0", "1@0", "3@1000"]);
  });
});

describe("the timer", () => {
  test("runs only while somebody waits", () => {
    const { enter, enterMany } = observe(1);
    enterMany(2);
    expect(jest.getTimerCount()).toBe(0);
    const leave = enter();
    expect(jest.getTimerCount()).toBe(1);
    leave?.();
    expect(jest.getTimerCount()).toBe(0);
    enterMany(2);
    expect(jest.getTimerCount()).toBe(1);
    advance(2_000);
    expect(jest.getTimerCount()).toBe(0);
  });

  test("that fires too early starts nobody", () => {
    const clock = { ms: 0 };
    const queue = createAcceptQueue({ perSecond: 1, now: () => clock.ms });
    const start = jest.fn();
    for (let each = 0; each < 3; each += 1) queue.enter(start);
    clock.ms = 999.5;
    advance(1_000);
    expect(start).toHaveBeenCalledTimes(2);
    clock.ms = 1_000;
    advance(1);
    expect(start).toHaveBeenCalledTimes(3);
  });
});

test("the newest is refused when the queue is full, and there is room again after a start", () => {
  const { started, enter, enterMany } = observe(1, 3);
  enterMany(2);
  for (let each = 0; each < 3; each += 1) expect(enter()).not.toBeNull();
  expect(enter()).toBeNull();
  advance(1_000);
  expect(enter()).not.toBeNull();
  expect(enter()).toBeNull();
  advance(60_000);
  expect(numbersOf(started)).toEqual([0, 1, 2, 3, 4, 6]);
});

test("a stop starts all that wait, in order and at once, and takes no more", () => {
  const { queue, started, enter, enterMany } = observe(1);
  enterMany(2);
  const leave = enter();
  enterMany(3);
  leave?.();
  queue.stop();
  expect(numbersOf(started)).toEqual([0, 1, 3, 4, 5]);
  expect(jest.getTimerCount()).toBe(0);
  expect(enter()).toBeNull();
  queue.stop();
  advance(60_000);
  expect(started).toHaveLength(5);
});

test("a start may enter again, and waits its turn", () => {
  const queue = createAcceptQueue({ perSecond: 1 });
  const started: string[] = [];
  queue.enter(() => {
    started.push("first");
    queue.enter(() => {
      started.push("second");
      queue.enter(() => started.push("fourth"));
    });
  });
  queue.enter(() => started.push("third"));
  expect(started).toEqual(["first", "second"]);
  advance(1_000);
  expect(started).toEqual(["first", "second", "fourth"]);
  advance(1_000);
  expect(started).toEqual(["first", "second", "fourth", "third"]);
});

test("a start that throws from the queue does not hold up those behind it", () => {
  const queue = createAcceptQueue({ perSecond: 1 });
  const started: string[] = [];
  queue.enter(() => started.push("first"));
  queue.enter(() => started.push("second"));
  queue.enter(() => {
    throw new Error("a bug");
  });
  queue.enter(() => started.push("last"));
  expect(() => advance(1_000)).toThrow("a bug");
  advance(1_000);
  expect(started).toEqual(["first", "second", "last"]);
});

test("whatever the arrivals, the starts keep upstream's schedule", () => {
  const perSecond = fc.integer({ min: 1, max: 20 });
  const pauses = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 60 });
  fc.assert(
    fc.property(perSecond, pauses, (rate, pausesMs) => {
      const { started, enter } = observe(rate);
      const arrivals: number[] = [];
      let clock = 0;
      for (const pause of pausesMs) {
        advance(pause);
        clock += pause;
        arrivals.push(clock);
        enter();
      }
      advance(120_000);
      const exact = upstreamSchedule(rate, arrivals);
      const actual = started.map((each) => Number(each.split("@")[1]));
      expect(numbersOf(started)).toEqual(arrivals.map((_, number) => number));
      expect(actual).toEqual(exact);
    }),
    { numRuns: 60 },
  );
});

/**
 * The times at which upstream's loop hands each connection over: take a token (sleep if there is none), accept the next
 * connection (sleep if there is none), repeat. Rounded up to the timers' whole milliseconds.
 */
function upstreamSchedule(rate: number, arrivals: readonly number[]): number[] {
  const tickNs = BigInt(Math.trunc(1e9 / rate));
  const capacity = BigInt(2 * rate);
  let tokens = capacity;
  let filled = 0n;
  let timeNs = 0n;
  return arrivals.map((arrival) => {
    const tick = timeNs / tickNs;
    tokens = tokens + tick - filled < capacity ? tokens + tick - filled : capacity;
    filled = tick;
    tokens -= 1n;
    if (tokens < 0n) timeNs = (tick - tokens) * tickNs;
    const arrivalNs = BigInt(arrival) * 1_000_000n;
    if (arrivalNs > timeNs) timeNs = arrivalNs;
    return Math.ceil(Number(timeNs) / 1e6);
  });
}
