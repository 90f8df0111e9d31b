import { describe, expect, test } from "bun:test";
import { createWakeBudget, type WakeBudgetDeps } from "../../src/limits/wake-budget.ts";
import { addressSetOf } from "../support/net/addresses.ts";

const minuteMs = 60_000;

/** A budget of 10 starts within ten minutes, 3 of them for one address, on a clock that the test moves. */
function bench(options: Partial<WakeBudgetDeps> = {}) {
  const clock = { ms: 5_000 };
  const budget = createWakeBudget({
    total: 10,
    perClient: 3,
    exempt: addressSetOf("10.0.0.0/8"),
    coolDownMs: minuteMs,
    now: () => clock.ms,
    ...options,
  });
  let servers = 0;
  /** What comes of so many starts of so many servers; "ok" for those that are taken. */
  const taken = (ip: string, times: number): string[] =>
    Array.from({ length: times }, () => {
      servers += 1;
      return budget.take(`server ${servers}`, ip)?.why ?? "ok";
    });
  return { budget, clock, taken };
}

describe("starts for one address", () => {
  test("are few, and come back over ten minutes", () => {
    const { clock, taken } = bench();
    expect(taken("203.0.113.1", 4)).toEqual(["ok", "ok", "ok", "client"]);
    clock.ms += 3 * minuteMs;
    expect(taken("203.0.113.1", 1)).toEqual(["client"]);
    clock.ms += 20_000;
    expect(taken("203.0.113.1", 2)).toEqual(["ok", "client"]);
    clock.ms += 60 * minuteMs;
    expect(taken("203.0.113.1", 4)).toEqual(["ok", "ok", "ok", "client"]);
  });

  test("are no others' business", () => {
    const { taken } = bench();
    expect(taken("203.0.113.1", 4)).toEqual(["ok", "ok", "ok", "client"]);
    expect(taken("203.0.113.2", 1)).toEqual(["ok"]);
  });

  test("are not counted for an exempt one, but in total", () => {
    const { taken } = bench();
    expect(taken("10.1.2.3", 12)).toEqual([...Array<string>(10).fill("ok"), "total", "total"]);
  });

  test("that were none are given back", () => {
    const { budget, taken } = bench();
    for (let count = 0; count < 100; count += 1) {
      expect(budget.take("a", "203.0.113.1")).toBeNull();
      budget.giveBack("203.0.113.1");
    }
    expect(taken("203.0.113.1", 4)).toEqual(["ok", "ok", "ok", "client"]);
  });
});

describe("starts in total", () => {
  test("are limited wherever they come from, and come back over ten minutes", () => {
    const { clock, taken } = bench();
    const everybody = (): string[] =>
      Array.from({ length: 12 }, (_, index) => taken(`203.0.${index}.1`, 1)).flat();
    expect(everybody()).toEqual([...Array<string>(10).fill("ok"), "total", "total"]);
    clock.ms += minuteMs;
    expect(everybody()).toEqual(["ok", ...Array<string>(11).fill("total")]);
  });

  test("that are refused for want of others' cost the address nothing", () => {
    const { clock, taken } = bench({ total: 1, perClient: 1 });
    expect(taken("203.0.113.1", 1)).toEqual(["ok"]);
    expect(taken("198.51.100.1", 1)).toEqual(["total"]);
    clock.ms += 10 * minuteMs;
    expect(taken("198.51.100.1", 1)).toEqual(["ok"]);
  });

  test("have no limits where these are 0", () => {
    const { taken } = bench({ total: 0, perClient: 0 });
    expect(new Set(taken("203.0.113.1", 1_000))).toEqual(new Set(["ok"]));
  });
});

describe("a server that does not come up", () => {
  test("is started again after one failure, but left alone for a while after the second and each further one", () => {
    const { budget, clock } = bench({ total: 0, perClient: 0 });
    const why = (): string => budget.take("slow", "203.0.113.1")?.why ?? "ok";
    budget.failed("slow");
    expect(why()).toBe("ok");
    budget.failed("slow");
    expect(why()).toBe("server");
    expect(budget.take("other", "203.0.113.1")).toBeNull();
    clock.ms += minuteMs - 1;
    expect(why()).toBe("server");
    clock.ms += 1;
    expect(why()).toBe("ok");
    budget.failed("slow");
    expect(budget.take("slow", "203.0.113.1")).toEqual({
      kind: "refused",
      why: "server",
      reason: "it did not come up 3 times in a row",
    });
  });

  test("is as good as new once it does", () => {
    const { budget } = bench();
    budget.failed("slow");
    budget.succeeded("slow");
    budget.failed("slow");
    expect(budget.take("slow", "203.0.113.1")).toBeNull();
  });

  test("costs nobody anything while it is left alone", () => {
    const { budget, taken } = bench();
    budget.failed("slow");
    budget.failed("slow");
    for (let count = 0; count < 100; count += 1) budget.take("slow", "203.0.113.1");
    expect(taken("203.0.113.1", 4)).toEqual(["ok", "ok", "ok", "client"]);
  });
});

test("a network of 100 servers never meets the limits that are set by default", () => {
  const { budget } = bench({ total: 300, perClient: 30 });
  // After a restart 500 players, some behind a carrier's NAT, join 100 servers that all sleep.
  const refused = Array.from({ length: 500 }, (_, player) => {
    const ip = `100.${64 + (player % 25)}.7.9`;
    // Of those who want one server the first starts it.
    return player < 100 ? budget.take(`server ${player}`, ip) : null;
  }).filter((refusal) => refusal !== null);
  expect(refused).toEqual([]);
});
