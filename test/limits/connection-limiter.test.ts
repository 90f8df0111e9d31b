import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createClientLimits } from "../../src/limits/client-limits.ts";
import {
  type ConnectionLimiterDeps,
  createConnectionLimiter,
  type Place,
} from "../../src/limits/connection-limiter.ts";
import { addressSetOf } from "../support/net/addresses.ts";

/** A limiter with 5 places, 3 of them for clients that have said nothing yet, and 2 for each address. */
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
    /** Lets a client in that has said what it wants; null when there was no place. */
    seat(ip: string): Place | null {
      if (!limiter.admits(ip)) return null;
      const place = limiter.enter(ip);
      limiter.opened(place);
      return place;
    },
    /** Lets a client in through a proxy that tells this address; null when it may not have another. */
    seatBehindProxy(ip: string, proxy = "192.0.2.1"): Place | null {
      const place = limiter.enter(proxy);
      limiter.opened(place);
      if (limiter.countFor(place, ip)) return place;
      limiter.leave(place);
      return null;
    },
  };
}

const seated = (places: readonly (Place | null)[]): boolean[] =>
  places.map((place) => place !== null);

function given(place: Place | null | undefined): Place {
  if (!place) throw new Error("there was no place");
  return place;
}

describe("a place", () => {
  test("is there for so many, not for one more, and again as soon as one has gone", () => {
    const { limiter, refused, seat } = bench();
    const ips = [1, 2, 3, 4, 5, 6].map((host) => `203.0.${host}.1`);
    const places = ips.map(seat);
    expect(seated(places)).toEqual([true, true, true, true, true, false]);
    expect(refused).toEqual(["total 203.0.6.1"]);
    limiter.leave(given(places[0]));
    expect(seated([seat("203.0.6.1"), seat("203.0.7.1")])).toEqual([true, false]);
  });

  test("is there for so many who have said nothing, and one more when one has", () => {
    const { limiter, refused } = bench();
    const places = [1, 2, 3].map((host) => {
      expect(limiter.admits(`203.0.${host}.1`)).toBe(true);
      return limiter.enter(`203.0.${host}.1`);
    });
    expect(limiter.admits("203.0.4.1")).toBe(false);
    expect(refused).toEqual(["opening 203.0.4.1"]);
    limiter.opened(given(places[0]));
    expect(limiter.admits("203.0.4.1")).toBe(true);
  });

  test("is there for so many of one address, and others do not feel it", () => {
    const { limiter, refused, seat } = bench();
    const places = [1, 2, 3].map(() => seat("203.0.113.1"));
    expect(seated(places)).toEqual([true, true, false]);
    expect(refused).toEqual(["client 203.0.113.1"]);
    expect(seated([seat("198.51.100.1")])).toEqual([true]);
    limiter.leave(given(places[0]));
    expect(seated([seat("203.0.113.1")])).toEqual([true]);
  });
});

describe("behind proxies", () => {
  const proxies = { trusted: addressSetOf("192.0.2.0/24") };

  test("a proxy has as many clients as it likes, each counted for its own address once that is told", () => {
    const { limiter, refused, seatBehindProxy } = bench({
      proxies,
      places: { total: 99, opening: 99 },
    });
    for (let count = 0; count < 10; count += 1) {
      expect(limiter.admits("192.0.2.1")).toBe(true);
      expect(limiter.enter("192.0.2.1").countedIp).toBeNull();
    }
    const places = [1, 2, 3].map(() => seatBehindProxy("203.0.113.1"));
    expect(seated(places)).toEqual([true, true, false]);
    expect(seated([seatBehindProxy("198.51.100.1")])).toEqual([true]);
    expect(refused).toEqual(["client 203.0.113.1"]);
    limiter.leave(given(places[0]));
    expect(seated([seatBehindProxy("203.0.113.1")])).toEqual([true]);
  });

  test("a proxy that speaks for itself is never limited", () => {
    const { limiter } = bench({ proxies, places: { total: 200, opening: 200 } });
    for (let count = 0; count < 100; count += 1) {
      expect(limiter.countFor(limiter.enter("192.0.2.1"), "192.0.2.1")).toBe(true);
      expect(limiter.allows("192.0.2.1", "login")).toBe(true);
    }
  });

  test("a peer that is no proxy is counted at once", () => {
    const { limiter } = bench({ proxies });
    expect(limiter.admits("203.0.113.1")).toBe(true);
    expect(limiter.enter("203.0.113.1").countedIp).toBe("203.0.113.1");
  });

  test("where every peer may be a proxy, each is counted for what is told", () => {
    const { limiter, seatBehindProxy } = bench({ proxies: { trusted: null } });
    expect(limiter.enter("203.0.113.1").countedIp).toBeNull();
    const places = [1, 2, 3].map(() => seatBehindProxy("203.0.113.1", "203.0.113.1"));
    expect(seated(places)).toEqual([true, true, false]);
  });

  test("a client that has left before its address is known is not counted for it", () => {
    const { limiter, seatBehindProxy } = bench({ proxies: { trusted: null } });
    for (let count = 0; count < 40; count += 1) {
      const place = limiter.enter("203.0.113.1");
      limiter.leave(place);
      expect(limiter.countFor(place, "203.0.113.1")).toBe(false);
    }
    expect(seated([seatBehindProxy("203.0.113.1", "203.0.113.1")])).toEqual([true]);
  });
});

test("whatever clients do, in any order, everything that they took is free again when they have left", () => {
  const ips = ["203.0.113.1", "203.0.113.2", "198.51.100.1", "192.0.2.1", "10.0.0.1"];
  const step = fc.record({
    what: fc.constantFrom("enter", "countFor", "opened", "leave"),
    who: fc.nat({ max: 7 }),
    ip: fc.constantFrom(...ips),
  });
  const proxies = fc.constantFrom(
    null,
    { trusted: null },
    { trusted: addressSetOf("192.0.2.0/24") },
  );
  fc.assert(
    fc.property(proxies, fc.array(step, { maxLength: 60 }), (believed, steps) => {
      const places = { total: 6, opening: 4 };
      const { limiter, seat, seatBehindProxy } = bench({ proxies: believed, places });
      const clients: Place[] = [];
      for (const { what, who, ip } of steps) {
        const client = clients[who];
        if (what === "enter" && limiter.admits(ip)) clients.push(limiter.enter(ip));
        else if (client === undefined) continue;
        else if (what === "countFor") limiter.countFor(client, ip);
        else if (what === "opened") limiter.opened(client);
        else if (what === "leave") limiter.leave(client);
      }
      for (const client of clients) limiter.leave(client);

      // As a limiter that has counted no client yet: two for each address, four that open, six in all.
      for (const ip of ips.slice(0, 3)) {
        const seatOne = () => (believed?.trusted === null ? seatBehindProxy(ip, ip) : seat(ip));
        const both = [seatOne(), seatOne(), seatOne()];
        expect(seated(both)).toEqual([true, true, false]);
        for (const place of both) if (place !== null) limiter.leave(place);
      }
      const opening = [1, 2, 3, 4, 5].map((host) => {
        const ip = `203.0.${host}.9`;
        return limiter.admits(ip) ? limiter.enter(ip) : null;
      });
      expect(seated(opening)).toEqual([true, true, true, true, false]);
      for (const place of opening) if (place !== null) limiter.opened(place);
      const more = [6, 7, 8].map((host) => seat(`203.0.${host}.9`));
      expect(seated(more)).toEqual([true, true, false]);
    }),
  );
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
