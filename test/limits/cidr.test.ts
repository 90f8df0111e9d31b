import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type AddressRange,
  createAddressSet,
  createClientFilter,
  parseAddressRange,
  parseCidr,
} from "../../src/limits/cidr.ts";

function range(text: string): AddressRange {
  const parsed = parseAddressRange(text);
  if (!parsed.ok) throw new Error(`${text} ${parsed.error}`);
  return parsed.value;
}

const ranges = (...texts: string[]): AddressRange[] => texts.map(range);

describe("a range", () => {
  test.each([
    { entry: "192.168.1.1", ip: "192.168.1.1", inside: true },
    { entry: "192.168.1.1", ip: "::ffff:192.168.1.1", inside: true },
    { entry: "192.168.1.1", ip: "::ffff:c0a8:101", inside: true },
    { entry: "192.168.1.1", ip: "192.168.1.2", inside: false },
    { entry: "192.168.1.1", ip: "::192.168.1.1", inside: false },
    { entry: "192.168.0.0/16", ip: "::ffff:192.168.1.1", inside: true },
    { entry: "192.168.0.0/16", ip: "192.168.1.1", inside: true },
    { entry: "192.168.0.0/16", ip: "192.169.0.0", inside: false },
    { entry: "192.168.0.0/16", ip: "192.167.255.255", inside: false },
    { entry: "192.168.1.0/8", ip: "192.0.0.0", inside: true },
    { entry: "192.168.1.0/8", ip: "192.255.255.255", inside: true },
    { entry: "192.168.1.0/8", ip: "193.0.0.0", inside: false },
    { entry: "10.0.0.5/32", ip: "10.0.0.5", inside: true },
    { entry: "10.0.0.5/32", ip: "10.0.0.4", inside: false },
    { entry: "0.0.0.0/0", ip: "255.255.255.255", inside: true },
    { entry: "0.0.0.0/0", ip: "0.0.0.0", inside: true },
    { entry: "0.0.0.0/0", ip: "::1", inside: false },
    { entry: "0.0.0.0/0", ip: "::ffff:1.2.3.4", inside: true },
    { entry: "::ffff:192.168.1.1", ip: "::ffff:192.168.1.1", inside: true },
    { entry: "::ffff:192.168.1.1", ip: "192.168.1.1", inside: true },
    { entry: "::FFFF:C0A8:0101", ip: "192.168.1.1", inside: true },
    { entry: "::ffff:192.168.0.0/112", ip: "::ffff:192.168.1.1", inside: true },
    { entry: "::ffff:192.168.0.0/112", ip: "192.168.1.1", inside: true },
    { entry: "::ffff:192.168.0.0/112", ip: "192.169.0.0", inside: false },
    { entry: "::ffff:1.2.3.4/96", ip: "255.0.0.1", inside: true },
    { entry: "::ffff:1.2.3.4/96", ip: "::1", inside: false },
    { entry: "::ffff:1.2.3.4/128", ip: "1.2.3.4", inside: true },
    { entry: "::ffff:1.2.3.4/128", ip: "1.2.3.5", inside: false },
    { entry: "::ffff:1.2.3.4/95", ip: "1.2.3.4", inside: false },
    { entry: "::ffff:1.2.3.4/95", ip: "::fffe:1.2.3.4", inside: true },
    { entry: "::fffe:1.2.3.4/96", ip: "1.2.3.4", inside: false },
    { entry: "1::ffff:1.2.3.4", ip: "1.2.3.4", inside: false },
    { entry: "2001:db8::/32", ip: "2001:db8::7", inside: true },
    { entry: "2001:db8::/32", ip: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", inside: true },
    { entry: "2001:db8::/32", ip: "2001:db9::", inside: false },
    { entry: "2001:db8::7/33", ip: "2001:db8:7fff::", inside: true },
    { entry: "2001:db8::7/33", ip: "2001:db8:8000::", inside: false },
    { entry: "2001:db8::7/128", ip: "2001:0DB8:0:0:0:0:0:7", inside: true },
    { entry: "2001:db8::7", ip: "2001:db8:0::0:7", inside: true },
    { entry: "2001:db8::7", ip: "2001:db8::8", inside: false },
    { entry: "1:2:3:4:5:6:7::", ip: "1:2:3:4:5:6:7:0", inside: true },
    { entry: "::2:3:4:5:6:7:8", ip: "0:2:3:4:5:6:7:8", inside: true },
    { entry: "1:2:3:4:5:6:7.8.9.10", ip: "1:2:3:4:5:6:708:90a", inside: true },
    { entry: "1::5:6:7:0.0.0.5", ip: "1:0:0:5:6:7:0:5", inside: true },
    { entry: "::", ip: "0:0:0:0:0:0:0:0", inside: true },
    { entry: "::", ip: "0.0.0.0", inside: false },
    { entry: "::/0", ip: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", inside: true },
    { entry: "::/0", ip: "::", inside: true },
    { entry: "::/0", ip: "0.0.0.0", inside: false },
    { entry: "fe80::1%eth0", ip: "fe80::1", inside: true },
    { entry: "fe80::1", ip: "fe80::1%eth0", inside: true },
    { entry: "fe80::/10", ip: "fe80::1%eth0", inside: true },
  ])("$entry holds $ip: $inside", ({ entry, ip, inside }) => {
    expect(createAddressSet([range(entry)]).has(ip)).toBe(inside);
  });

  test.each([{ ip: "" }, { ip: "localhost" }, { ip: "1.2.3" }, { ip: "1.2.3.4/32" }, { ip: "0" }])(
    "holds no text that is no address: '$ip'",
    ({ ip }) => {
      const everything = ranges("0.0.0.0/0", "::/0");
      expect(createAddressSet(everything).has(ip)).toBe(false);
    },
  );
});

const notAnAddress = "is neither an IP address nor a range such as 10.0.0.0/8";
const noAddress = "has no IP address before its slash";
const noLength4 = "has no prefix length from 0 to 32 behind its slash";
const noLength6 = "has no prefix length from 0 to 128 behind its slash";
const zoned = "has a zone, which only a single address may have";

describe("an entry is refused", () => {
  test.each([
    { entry: "", reason: notAnAddress },
    { entry: "7", reason: notAnAddress },
    { entry: "localhost", reason: notAnAddress },
    { entry: " 10.0.0.1", reason: notAnAddress },
    { entry: "10.0.0.1 ", reason: notAnAddress },
    { entry: "10.0.0.1\n", reason: notAnAddress },
    { entry: "10.0.0", reason: notAnAddress },
    { entry: "10.0.0.1.2", reason: notAnAddress },
    { entry: "10.0.0.256", reason: notAnAddress },
    { entry: "10.0.0.01", reason: notAnAddress },
    { entry: "0x0a.0.0.1", reason: notAnAddress },
    { entry: "10.0.0.1:25565", reason: notAnAddress },
    { entry: "10.0.0.1%eth0", reason: notAnAddress },
    { entry: "[::1]", reason: notAnAddress },
    { entry: "::ffff:10.0.0.01", reason: notAnAddress },
    { entry: "1:2:3:4:5:6:7", reason: notAnAddress },
    { entry: "1:2:3:4::5:6:7:8", reason: notAnAddress },
    { entry: "00001::", reason: notAnAddress },
    { entry: "fe80::1%", reason: notAnAddress },
    { entry: "/", reason: noAddress },
    { entry: "/8", reason: noAddress },
    { entry: "example.com/8", reason: noAddress },
    { entry: "10.0.0/8", reason: noAddress },
    { entry: "010.0.0.0/8", reason: noAddress },
    { entry: "10.0.0.0 /8", reason: noAddress },
    { entry: "10.0.0.0/", reason: noLength4 },
    { entry: "10.0.0.0/33", reason: noLength4 },
    { entry: "10.0.0.0/08", reason: noLength4 },
    { entry: "10.0.0.0/+8", reason: noLength4 },
    { entry: "10.0.0.0/-1", reason: noLength4 },
    { entry: "10.0.0.0/8 ", reason: noLength4 },
    { entry: "10.0.0.0/ 8", reason: noLength4 },
    { entry: "10.0.0.0/8\n", reason: noLength4 },
    { entry: "10.0.0.0/8/8", reason: noLength4 },
    { entry: "10.0.0.0/8.0", reason: noLength4 },
    { entry: "10.0.0.0/1e1", reason: noLength4 },
    { entry: "10.0.0.0/255.0.0.0", reason: noLength4 },
    { entry: "2001:db8::/129", reason: noLength6 },
    { entry: "2001:db8::/1000", reason: noLength6 },
    { entry: "2001:db8::/", reason: noLength6 },
    { entry: "::ffff:10.0.0.0/129", reason: noLength6 },
    { entry: "fe80::%eth0/10", reason: zoned },
  ])("$entry", ({ entry, reason }) => {
    expect(parseAddressRange(entry)).toEqual({ ok: false, error: reason });
  });
});

describe("a CIDR", () => {
  test.each([
    { text: "10.0.0.0/8" },
    { text: "10.1.2.3/0" },
    { text: "2001:db8::/32" },
    { text: "::ffff:10.0.0.0/104" },
  ])("is the same range wherever it stands: $text", ({ text }) => {
    expect(parseCidr(text)).toEqual({ ok: true, value: range(text) });
  });

  test.each([{ text: "" }, { text: "10.0.0.1" }, { text: "::1" }, { text: "localhost" }])(
    "needs its prefix length: '$text'",
    ({ text }) => {
      expect(parseCidr(text)).toEqual({
        ok: false,
        error: "has no prefix length, expected a range such as 10.0.0.0/8",
      });
    },
  );
});

describe("a set of addresses", () => {
  test("holds nothing when it is made of nothing", () => {
    expect(createAddressSet([]).has("10.0.0.1")).toBe(false);
  });

  test.each([
    { name: "one inside of the other", entries: ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"] },
    { name: "the same twice", entries: ["10.0.0.0/8", "10.0.0.0/8", "::ffff:10.0.0.0/104"] },
    { name: "the wide one last", entries: ["10.1.2.3", "10.255.0.0/16", "10.0.0.0/8"] },
  ])("may be made of ranges that overlap: $name", ({ entries }) => {
    const set = createAddressSet(ranges(...entries));
    for (const ip of ["10.0.0.0", "10.1.2.3", "10.200.0.0", "10.255.255.255"]) {
      expect(set.has(ip)).toBe(true);
    }
    for (const ip of ["9.255.255.255", "11.0.0.0", "::10.1.2.3"]) expect(set.has(ip)).toBe(false);
  });

  test("may be made of ranges that overlap in part, as no two prefixes do", () => {
    const span = (from: string, to: string): AddressRange => ({
      first: range(from).first,
      last: range(to).last,
    });
    const set = createAddressSet([
      span("10.0.0.5", "10.0.0.14"),
      span("10.0.0.2", "10.0.0.9"),
      span("10.0.0.14", "10.0.0.16"),
    ]);

    const found = Array.from({ length: 20 }, (_, index) => set.has(`10.0.0.${index}`));
    expect(found).toEqual(Array.from(found, (_, index) => index >= 2 && index <= 16));
  });

  test("keeps neighbours and gaps apart among thousands", () => {
    const third = Array.from({ length: 5_000 }, (_, index) => index * 3);
    const ipOf = (index: number): string => `10.${index >> 8}.${index & 255}.0`;
    const set = createAddressSet(third.map((index) => range(`${ipOf(index)}/24`)));

    const found = Array.from({ length: 15_000 }, (_, index) => set.has(ipOf(index)));
    expect(found.filter(Boolean)).toHaveLength(5_000);
    expect(third.every((index) => found[index])).toBe(true);
  });
});

describe("a client filter", () => {
  test.each([
    { name: "neither list", allow: [], deny: [], ip: "192.168.1.6", admitted: true },
    { name: "on the allow list", allow: ["192.168.1.6"], deny: [], ip: "192.168.1.6" },
    { name: "not on it", allow: ["192.168.1.6"], deny: [], ip: "192.168.1.7", admitted: false },
    { name: "on the deny list", allow: [], deny: ["10.0.0.0/8"], ip: "10.1.1.1", admitted: false },
    { name: "not on it either", allow: [], deny: ["10.0.0.0/8"], ip: "11.1.1.1" },
    {
      name: "on both: the deny list wins",
      allow: ["10.0.0.0/8"],
      deny: ["10.0.0.9"],
      ip: "10.0.0.9",
      admitted: false,
    },
    {
      name: "allowed beside one that is denied",
      allow: ["10.0.0.0/8"],
      deny: ["10.0.0.9"],
      ip: "10.0.0.8",
    },
    {
      name: "on neither of both",
      allow: ["192.168.1.6"],
      deny: ["10.0.0.0/8"],
      ip: "192.168.1.7",
      admitted: false,
    },
    {
      name: "allowed, as a dual-stack socket tells it",
      allow: ["192.168.0.0/16"],
      deny: [],
      ip: "::ffff:192.168.1.1",
    },
    {
      name: "denied, as a dual-stack socket tells it",
      allow: [],
      deny: ["192.168.0.0/16"],
      ip: "::ffff:192.168.1.1",
      admitted: false,
    },
    {
      name: "an IPv6 list and an IPv4 client",
      allow: ["::/0"],
      deny: [],
      ip: "10.0.0.1",
      admitted: false,
    },
    { name: "no address, allow list", allow: ["0.0.0.0/0"], deny: [], ip: "", admitted: false },
  ])("decides: $name", ({ allow, deny, ip, admitted = true }) => {
    const filter = createClientFilter({ allow: ranges(...allow), deny: ranges(...deny) });
    expect(filter.admits(ip)).toBe(admitted);
  });
});

/** Bits as text, IPv4 and IPv6 told apart by their number: what the code under test must agree with. */
type Bits = string;

const bitsOf = (bytes: readonly number[]): Bits =>
  bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");

const mappedBits = bitsOf([...Array<number>(10).fill(0), 0xff, 0xff]);

const unmapped = (bits: Bits): Bits =>
  bits.length === 128 && bits.startsWith(mappedBits) ? bits.slice(96) : bits;

interface Prefix {
  readonly bits: Bits;
  readonly length: number;
}

function modelContains({ bits, length }: Prefix, client: Bits): boolean {
  const isMapped = bits.length === 128 && bits.startsWith(mappedBits) && length >= 96;
  const prefix = isMapped ? bits.slice(96, length) : bits.slice(0, length);
  const width = isMapped ? 32 : bits.length;
  const address = unmapped(client);
  return address.length === width && address.startsWith(prefix);
}

function textOf(bits: Bits, short: boolean): string {
  const numbers = (size: number): number[] =>
    Array.from({ length: bits.length / size }, (_, at) =>
      Number.parseInt(bits.slice(at * size, (at + 1) * size), 2),
    );
  if (bits.length === 32) return numbers(8).join(".");
  const text = numbers(16)
    .map((group) => group.toString(16))
    .join(":");
  return short ? new URL(`http://[${text}]/`).hostname.slice(1, -1) : text.toUpperCase();
}

const bytesOf = (count: number) =>
  fc.array(fc.oneof(fc.constantFrom(0, 0xff), fc.nat(255)), { minLength: count, maxLength: count });

const address: fc.Arbitrary<Bits> = fc.oneof(
  bytesOf(4).map(bitsOf),
  bytesOf(16).map(bitsOf),
  bytesOf(4).map((bytes) => mappedBits + bitsOf(bytes)),
);

const prefix: fc.Arbitrary<Prefix> = address.chain((bits) =>
  fc.nat(bits.length).map((length) => ({ bits, length })),
);

/** An address that differs from a prefix in one bit, which may be in front of or behind its end, or in none. */
const near = ({ bits }: Prefix): fc.Arbitrary<Bits> =>
  fc.nat(bits.length).map((at) => {
    const flipped = bits[at] === "0" ? "1" : "0";
    return at === bits.length ? bits : bits.slice(0, at) + flipped + bits.slice(at + 1);
  });

describe("membership agrees with comparing bit by bit", () => {
  test("for one range", () => {
    const cases = prefix.chain((each) =>
      fc.record({
        each: fc.constant(each),
        client: fc.oneof(near(each), address),
        short: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(cases, ({ each, client, short }) => {
        const found = parseCidr(`${textOf(each.bits, short)}/${each.length}`);
        if (!found.ok) throw new Error(found.error);
        const expected = modelContains(each, client);
        expect(createAddressSet([found.value]).has(textOf(client, !short))).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  test("for many ranges and single addresses", () => {
    const cases = fc.array(prefix, { minLength: 1, maxLength: 40 }).chain((prefixes) =>
      fc.record({
        prefixes: fc.constant(prefixes),
        singles: fc.array(address, { maxLength: 10 }),
        clients: fc.array(fc.oneof(fc.constantFrom(...prefixes).chain(near), address), {
          maxLength: 20,
        }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ prefixes, singles, clients }) => {
        const set = createAddressSet([
          ...prefixes.map(({ bits, length }) => range(`${textOf(bits, true)}/${length}`)),
          ...singles.map((bits) => range(textOf(bits, false))),
        ]);
        for (const client of [...clients, ...singles]) {
          const expected =
            prefixes.some((each) => modelContains(each, client)) ||
            singles.some((single) => unmapped(single) === unmapped(client));
          expect(set.has(textOf(client, true))).toBe(expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("and any other text is refused or not found, without a throw", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(..."0123456789abcf:./%") }),
    );
    const everything = createAddressSet(ranges("0.0.0.0/0", "::/0"));
    fc.assert(
      fc.property(text, (entry) => {
        const isAddress = everything.has(entry);
        expect(parseAddressRange(entry).ok).toBe(isAddress || parseCidr(entry).ok);
        expect(isAddress && parseCidr(entry).ok).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });
});
