import { afterEach, describe, expect, test } from "bun:test";
import { startWatchdog, type Watchdog, watchdogTimeout } from "../../src/system/watchdog.ts";
import { until } from "../support/until.ts";

describe("the timeout", () => {
  const rows = [
    { name: "set", variables: { WATCHDOG_USEC: "20000000", WATCHDOG_PID: "4711" }, ms: 20_000 },
    { name: "for whoever it may be", variables: { WATCHDOG_USEC: "500" }, ms: 0.5 },
    { name: "unset", variables: {}, ms: null },
    { name: "another process's", variables: { WATCHDOG_USEC: "1", WATCHDOG_PID: "1" }, ms: null },
    { name: "0", variables: { WATCHDOG_USEC: "0" }, ms: null },
    { name: "no number", variables: { WATCHDOG_USEC: "20s" }, ms: null },
    { name: "empty", variables: { WATCHDOG_USEC: "" }, ms: null },
  ];
  test.each(rows)("$name", ({ variables, ms }) => {
    expect(watchdogTimeout(variables, 4_711)).toBe(ms);
  });
});

describe("the watchdog", () => {
  const started: Watchdog[] = [];
  afterEach(() => {
    for (const watchdog of started.splice(0)) watchdog.stop();
  });

  /** A watchdog that is to be fed within that time, and when it was. */
  function start(timeoutMs: number, isWell: () => boolean = () => true) {
    const fed: number[] = [];
    started.push(startWatchdog({ timeoutMs, isWell, feed: () => fed.push(performance.now()) }));
    return fed;
  }

  test("is fed again and again", async () => {
    const fed = start(40);
    await until("it was fed three times", () => fed.length >= 3);
  });

  test("is not fed while the process is not well, and is again afterwards", async () => {
    let looks = 0;
    let isWell = false;
    const fed = start(40, () => {
      looks += 1;
      return isWell;
    });
    await until("it was looked at three times", () => looks >= 3);
    expect(fed).toEqual([]);
    isWell = true;
    await until("it was fed", () => fed.length > 0);
  });

  test("is not fed by the beat that comes far too late, but by the next one", async () => {
    const looks: number[] = [];
    const fed = start(400, () => looks.push(performance.now()) > 0);
    // A loop that stands still for longer than a beat may be late.
    Bun.sleepSync(5_300);
    await until("the beat that was late", () => looks.length === 1);
    expect(fed).toEqual([]);
    await until("the next one", () => looks.length === 2);
    expect(fed.length).toBe(1);
  }, 10_000);

  test("is not fed once it is stopped", async () => {
    const fed = start(40);
    await until("it was fed", () => fed.length > 0);
    started[0]?.stop();
    const before = fed.length;
    await Bun.sleep(100);
    expect(fed.length).toBe(before);
  });
});
