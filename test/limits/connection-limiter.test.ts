import { describe, expect, test } from "bun:test";
import { createClientLimits } from "../../src/limits/client-limits.ts";
import {
  type ConnectionLimiterDeps,
  createConnectionLimiter,
} from "../../src/limits/connection-limiter.ts";
import { addressSetOf } from "../support/net/addresses.ts";

/** A limiter with 5 places, 3 of them for those who have said nothing yet, and 2 for each address. */
function bench(options: Partial<Pick<ConnectionLimiterDeps, "proxies" | "places">> = {}) {
  const refused: string[] = [];
  const limiter = createConnectionLimiter({
    clients: createClientLimits({
      connections: 2,
      perSecond: 0,
      loginsPerSecond: 1,
      exempt: addressSetOf("10.0.0.0/8"),
    }),
    proxies: null,
    places: { total: 5, opening: 3 },
    refused: (why, ip) => refused.push(`${why} ${ip}`),
    ...options,
  });
  return {
    limiter,
    refused,
    /** Lets a client in that has said what it wants; true when there was a place. */
    seat(ip: string): boolean {
      if (!limiter.admits(ip)) return false;
      limiter.enter(ip);
      limiter.opened();
      return true;
    },
  };
}

describe("a place", () => {
  test("is there for so many, not for one more, and again as soon as one has gone", () => {
    const { limiter, refused, seat } = bench();
    const ips = [1, 2, 3, 4, 5, 6].map((host) => `203.0.${host}.1`);
    expect(ips.map(seat)).toEqual([true, true, true, true, true, false]);
    expect(refused).toEqual(["total 203.0.6.1"]);
    limiter.leave("203.0.1.1");
    expect(seat("203.0.6.1")).toBe(true);
    expect(seat("203.0.7.1")).toBe(false);
  });

  test("is there for so many who have said nothing, and one more when one has", () => {
    const { limiter, refused } = bench();
    for (const host of [1, 2, 3]) {
      expect(limiter.admits(`203.0.${host}.1`)).toBe(true);
      limiter.enter(`203.0.${host}.1`);
    }
    expect(limiter.admits("203.0.4.1")).toBe(false);
    expect(refused).toEqual(["opening 203.0.4.1"]);
    limiter.opened();
    expect(limiter.admits("203.0.4.1")).toBe(true);
  });

  test("is there for so many of one address, and others do not feel it", () => {
    const { limiter, refused, seat } = bench();
    expect([1, 2, 3].map(() => seat("203.0.113.1"))).toEqual([true, true, false]);
    expect(refused).toEqual(["client 203.0.113.1"]);
    expect(seat("198.51.100.1")).toBe(true);
    limiter.leave("203.0.113.1");
    expect(seat("203.0.113.1")).toBe(true);
  });
});

describe("behind proxies", () => {
  const proxies = { trusted: addressSetOf("192.0.2.0/24") };

  test("a proxy has as many clients as it likes, each counted for its own address once that is told", () => {
    const { limiter, refused } = bench({ proxies, places: { total: 99, opening: 99 } });
    for (let count = 0; count < 10; count += 1) {
      expect(limiter.admits("192.0.2.1")).toBe(true);
      expect(limiter.enter("192.0.2.1")).toBeNull();
    }
    expect([1, 2, 3].map(() => limiter.countFor("203.0.113.1"))).toEqual([true, true, false]);
    expect(limiter.countFor("198.51.100.1")).toBe(true);
    expect(refused).toEqual(["client 203.0.113.1"]);
    limiter.leave("203.0.113.1");
    expect(limiter.countFor("203.0.113.1")).toBe(true);
  });

  test("a proxy that speaks for itself is never limited", () => {
    const { limiter } = bench({ proxies });
    for (let count = 0; count < 100; count += 1) {
      expect(limiter.countFor("192.0.2.1")).toBe(true);
      expect(limiter.allows("192.0.2.1", "login")).toBe(true);
      limiter.leave("192.0.2.1");
    }
  });

  test("whoever is no proxy is counted at once", () => {
    const { limiter } = bench({ proxies });
    expect(limiter.admits("203.0.113.1")).toBe(true);
    expect(limiter.enter("203.0.113.1")).toBe("203.0.113.1");
  });

  test("where everybody may be one, everybody is counted for what is told", () => {
    const { limiter } = bench({ proxies: { trusted: null } });
    expect(limiter.enter("203.0.113.1")).toBeNull();
    expect([1, 2, 3].map(() => limiter.countFor("203.0.113.1"))).toEqual([true, true, false]);
  });
});

test("logins have a rate for each address", () => {
  const { limiter } = bench();
  const allowed = Array.from({ length: 50 }, () => limiter.allows("203.0.113.1", "login"));
  expect(allowed.filter(Boolean)).toHaveLength(10);
  expect(limiter.allows("203.0.113.2", "login")).toBe(true);
  expect(Array.from({ length: 50 }, () => limiter.allows("10.0.0.1", "login"))).not.toContain(
    false,
  );
});
