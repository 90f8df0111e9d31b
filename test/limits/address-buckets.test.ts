import { describe, expect, test } from "bun:test";
import { type AddressBucketsDeps, createAddressBuckets } from "../../src/limits/address-buckets.ts";

/** Buckets on a clock that the test moves: 2 tokens a second and 10 at most for each address, and as many of a second kind. */
function bench(options: Partial<AddressBucketsDeps> = {}) {
  const clock = { ms: 1_000_000 };
  const rate = { perSecond: 2, burst: 10 };
  const buckets = createAddressBuckets({
    rates: [rate, rate],
    liveLimit: 3,
    entries: 1_024,
    now: () => clock.ms,
    ...options,
  });
  /** How many of so many tries get a token. */
  const taken = (ip: string, tries: number, kind = 0): number =>
    Array.from({ length: tries }, () => buckets.take(ip, kind)).filter(Boolean).length;
  const entered = (ip: string, tries: number): number =>
    Array.from({ length: tries }, () => {
      const hasRoom = buckets.hasRoom(ip);
      if (hasRoom) buckets.enter(ip);
      return hasRoom;
    }).filter(Boolean).length;
  return { buckets, clock, taken, entered };
}

describe("tokens", () => {
  test("are as many as the burst, and come back one by one up to it", () => {
    const { clock, taken } = bench();
    expect(taken("198.51.100.1", 100)).toBe(10);
    clock.ms += 499;
    expect(taken("198.51.100.1", 100)).toBe(0);
    clock.ms += 1;
    expect(taken("198.51.100.1", 100)).toBe(1);
    clock.ms += 1_000;
    expect(taken("198.51.100.1", 100)).toBe(2);
    clock.ms += 3_600_000;
    expect(taken("198.51.100.1", 100)).toBe(10);
  });

  test("of one kind are not those of another", () => {
    const { taken } = bench();
    expect(taken("198.51.100.1", 100, 0)).toBe(10);
    expect(taken("198.51.100.1", 100, 1)).toBe(10);
  });

  test("that are given back can be taken again, and never make more than the burst", () => {
    const { buckets, taken } = bench();
    expect(taken("198.51.100.1", 100)).toBe(10);
    buckets.giveBack("198.51.100.1", 0);
    expect(taken("198.51.100.1", 100)).toBe(1);
    for (let count = 0; count < 100; count += 1) buckets.giveBack("198.51.100.1", 0);
    expect(taken("198.51.100.1", 100)).toBe(10);
    buckets.giveBack("203.0.113.9", 0);
  });

  test("have no limit where the rate is 0, and for what is no address", () => {
    const { taken } = bench({
      rates: [
        { perSecond: 0, burst: 0 },
        { perSecond: 1, burst: 1 },
      ],
    });
    expect(taken("198.51.100.1", 1_000, 0)).toBe(1_000);
    expect(taken("somewhere", 1_000, 1)).toBe(1_000);
  });

  const neighbours: readonly {
    readonly name: string;
    readonly one: string;
    readonly other: string;
    readonly left: number;
  }[] = [
    { name: "another IPv4 address", one: "198.51.100.1", other: "198.51.100.2", left: 10 },
    {
      name: "the same IPv4 address, mapped",
      one: "198.51.100.1",
      other: "::ffff:198.51.100.1",
      left: 0,
    },
    {
      name: "another address of the same /64",
      one: "2001:db8:1:1::1",
      other: "2001:db8:1:1:ffff::9",
      left: 0,
    },
    { name: "another /64", one: "2001:db8:1:1::1", other: "2001:db8:1:2::1", left: 10 },
    {
      name: "an IPv4 address whose number an IPv6 one has",
      one: "32.1.13.184",
      other: "2001:db8::",
      left: 10,
    },
  ];
  test.each(neighbours)("taken by one address leave to $name $left", ({ one, other, left }) => {
    const { taken } = bench();
    expect(taken(one, 100)).toBe(10);
    expect(taken(other, 100)).toBe(left);
  });

  const networks: readonly {
    readonly name: string;
    readonly address: (host: number) => string;
    readonly beside: string;
  }[] = [
    { name: "an IPv4 /24", address: (host) => `198.51.100.${host}`, beside: "198.51.101.1" },
    {
      name: "an IPv6 /48",
      address: (host) => `2001:db8:1:${host}::1`,
      beside: "2001:db8:2::1",
    },
  ];
  test.each(networks)("of $name are four times those of an address", ({ address, beside }) => {
    const { clock, taken } = bench();
    const all = (): number =>
      Array.from({ length: 200 }, (_, host) => taken(address(host), 10)).reduce((a, b) => a + b);
    expect(all()).toBe(40);
    expect(taken(beside, 100)).toBe(10);
    clock.ms += 1_000;
    expect(all()).toBe(8);
  });
});

describe("the number that is there at a time", () => {
  test("has a limit for each address and one for each network, and goes down again", () => {
    const { buckets, entered } = bench();
    expect(entered("198.51.100.1", 10)).toBe(3);
    buckets.leave("198.51.100.1");
    expect(entered("198.51.100.1", 10)).toBe(1);
    expect([2, 3, 4, 5].map((host) => entered(`198.51.100.${host}`, 10))).toEqual([3, 3, 3, 0]);
    buckets.leave("198.51.100.2");
    expect(entered("198.51.100.5", 10)).toBe(1);
    expect(entered("203.0.113.1", 10)).toBe(3);
  });

  test("never falls below none", () => {
    const { buckets, entered } = bench();
    for (let count = 0; count < 10; count += 1) buckets.leave("198.51.100.1");
    expect(entered("198.51.100.1", 10)).toBe(3);
    for (let count = 0; count < 10; count += 1) buckets.leave("198.51.100.1");
    expect(entered("198.51.100.1", 10)).toBe(3);
  });

  test("has no limit where that is 0", () => {
    const { buckets, entered } = bench({ liveLimit: 0 });
    expect(entered("198.51.100.1", 1_000)).toBe(1_000);
    buckets.leave("198.51.100.1");
  });
});

describe("a full table", () => {
  test("lets a million strangers in as if there were none before them", () => {
    const { buckets } = bench({ entries: 65_536 });
    let refused = 0;
    for (let count = 0; count < 1_000_000; count += 1) {
      // Every address is in a network of its own, spread over all of IPv6 by a multiplication.
      const high = (count * 2_654_435_761) % 4_294_967_296;
      const groups = [high >>> 16, high & 0xffff, count & 0xffff].map((group) =>
        group.toString(16),
      );
      if (!buckets.take(`${groups.join(":")}::1`, 0)) refused += 1;
    }
    expect(refused).toBe(0);
  });

  test("forgets those who have all their tokens before those who have used them up, and those who are there last", () => {
    const { buckets, clock, taken, entered } = bench({ entries: 16 });
    expect(taken("198.51.100.1", 10)).toBe(10);
    expect(entered("203.0.113.1", 4)).toBe(3);
    for (let host = 0; host < 500; host += 1) {
      clock.ms += 1;
      buckets.take(`10.${host >> 8}.${host & 255}.1`, 1);
    }
    // A token has come back in that half second, and no more.
    expect(taken("198.51.100.1", 10)).toBe(1);
    expect(buckets.hasRoom("203.0.113.1")).toBe(false);
  });
});
