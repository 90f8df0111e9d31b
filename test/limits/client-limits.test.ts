import { describe, expect, test } from "bun:test";
import { type ClientLimitsDeps, createClientLimits } from "../../src/limits/client-limits.ts";
import { addressSetOf } from "../support/net/addresses.ts";

/** Limits on a clock that the test moves: 4 connections a second, 3 of them at a time, 1 login a second; 10.0.0.0/8 is exempt. */
function bench(options: Partial<ClientLimitsDeps> = {}) {
  const clock = { ms: 7_000 };
  const limits = createClientLimits({
    connections: 3,
    perSecond: 4,
    loginsPerSecond: 1,
    exempt: addressSetOf("10.0.0.0/8"),
    now: () => clock.ms,
    ...options,
  });
  const enters = (ip: string): boolean => {
    const isFree = limits.refusal(ip) === null;
    if (isFree) limits.entered(ip);
    return isFree;
  };
  const count = (times: number, attempt: () => boolean): number =>
    Array.from({ length: times }, attempt).filter(Boolean).length;
  return { limits, clock, count, enters };
}

describe("connections", () => {
  test("come ten seconds' worth at once, and then at the rate", () => {
    const { limits, clock, count, enters } = bench({ connections: 0 });
    const ip = "203.0.113.1";
    expect(count(100, () => enters(ip))).toBe(40);
    expect(limits.refusal(ip)).toBe("rate");
    clock.ms += 1_000;
    expect(count(100, () => enters(ip))).toBe(4);
  });

  test("have a limit at a time, and come again when others go", () => {
    const { limits, count, enters } = bench();
    const ip = "2001:db8::1";
    expect(count(10, () => enters(ip))).toBe(3);
    expect(limits.refusal(ip)).toBe("client");
    limits.left(ip);
    expect(limits.refusal(ip)).toBeNull();
    expect(limits.refusal("2001:db8:1::1")).toBeNull();
  });
});

describe("what is asked for", () => {
  test("is counted apart: pings do not use up what logins need", () => {
    const { limits, count } = bench();
    const ip = "203.0.113.1";
    expect(count(100, () => limits.allows(ip, "status"))).toBe(20);
    expect(count(100, () => limits.allows(ip, "login"))).toBe(10);
  });
});

test("nothing of it is for those who are exempt", () => {
  const { limits, count, enters } = bench();
  const ip = "10.9.8.7";
  expect(count(1_000, () => enters(ip))).toBe(1_000);
  expect(count(1_000, () => limits.allows(ip, "login"))).toBe(1_000);
  for (let left = 0; left < 1_000; left += 1) limits.left(ip);
  expect(count(1_000, () => enters(ip))).toBe(1_000);
});

test("0 is no limit", () => {
  const { limits, count, enters } = bench({ connections: 0, perSecond: 0, loginsPerSecond: 0 });
  const ip = "203.0.113.1";
  expect(count(1_000, () => enters(ip))).toBe(1_000);
  expect(count(1_000, () => limits.allows(ip, "login"))).toBe(1_000);
  expect(count(1_000, () => limits.allows(ip, "status"))).toBe(1_000);
});

test("500 players behind one carrier's NAT who refresh a list of 100 servers and join after a restart meet no default limit", () => {
  const { limits, clock, count, enters } = bench({
    connections: 256,
    perSecond: 200,
    loginsPerSecond: 20,
  });
  // A carrier shares an address among some dozens; here 50 of them refresh their lists and join within ten seconds.
  const addresses = Array.from({ length: 10 }, (_, index) => `100.64.${index}.1`);
  let refused = 0;
  for (let second = 0; second < 10; second += 1) {
    clock.ms += 1_000;
    for (const ip of addresses) {
      refused += 100 - count(100, () => enters(ip) && limits.allows(ip, "status"));
      for (let ping = 0; ping < 100; ping += 1) limits.left(ip);
      refused += 5 - count(5, () => enters(ip) && limits.allows(ip, "login"));
    }
  }
  expect(refused).toBe(0);
});
