import { describe, expect, test } from "bun:test";
import { createBalancer } from "../../src/net/balance.ts";
import type { Endpoint } from "../../src/net/conn.ts";

const a: Endpoint = { ip: "10.0.0.1", port: 1 };
const b: Endpoint = { ip: "10.0.0.2", port: 1 };
const c: Endpoint = { ip: "10.0.0.3", port: 1 };

describe("the order of endpoints", () => {
  test("is theirs where the first one shall be taken", () => {
    expect(createBalancer({ policy: "first" }).order([b, a, c])).toEqual([b, a, c]);
  });

  test("begins with the one that has the fewest sessions", () => {
    const balancer = createBalancer({ policy: "least" });
    const leaveA = balancer.occupy(a);
    balancer.occupy(a);
    balancer.occupy(b);
    expect(balancer.order([a, b, c])).toEqual([c, b, a]);
    leaveA();
    expect(balancer.order([a, b, c])).toEqual([c, a, b]);
  });

  test("is one by chance, of all of them", () => {
    const chances = [0.99, 0, 0];
    const balancer = createBalancer({ policy: "random", random: () => chances.shift() ?? 0 });
    expect(balancer.order([a, b, c])).toEqual([c, a, b]);
  });

  for (const policy of ["first", "least", "random"] as const) {
    test(`ends with those that failed until they have answered (${policy})`, () => {
      const balancer = createBalancer({ policy });
      balancer.failed(a);
      expect(balancer.order([a, b]).at(-1)).toEqual(a);
      expect(balancer.down()).toEqual([a]);
      balancer.answered(a);
      expect(balancer.down()).toEqual([]);
    });
  }
});

test("one that is down is given out to be probed 10 s after it failed, and again 10 s after that", () => {
  let time = 0;
  const balancer = createBalancer({ policy: "first", now: () => time });
  balancer.failed(a);
  const asked = [9_999, 10_000, 10_001, 19_999, 20_000].map((at) => {
    time = at;
    return balancer.due([a, b]).length;
  });
  expect(asked).toEqual([0, 1, 0, 0, 1]);
  expect(balancer.order([a, b])).toEqual([b, a]);
});
