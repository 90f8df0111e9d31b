import { describe, expect, test } from "bun:test";
import { isIPv6 } from "node:net";
import fc from "fast-check";
import { err, ok } from "../../src/base/result.ts";
import { addressFault, makeAddress, parseAddress, sameAddress } from "../../src/routing/address.ts";

describe("an address is read", () => {
  const rows: readonly { text: string; host: string; port: number; printed: string }[] = [
    { text: "10.0.0.5:25566", host: "10.0.0.5", port: 25566, printed: "10.0.0.5:25566" },
    { text: "10.0.0.5", host: "10.0.0.5", port: 25565, printed: "10.0.0.5:25565" },
    { text: "backend", host: "backend", port: 25565, printed: "backend:25565" },
    {
      text: "Lobby.Example.COM:1",
      host: "lobby.example.com",
      port: 1,
      printed: "Lobby.Example.COM:1",
    },
    {
      text: "mc_1.internal.:65535",
      host: "mc_1.internal.",
      port: 65535,
      printed: "mc_1.internal.:65535",
    },
    {
      text: "bücher.example:80",
      host: "xn--bcher-kva.example",
      port: 80,
      printed: "bücher.example:80",
    },
    { text: " \t10.0.0.5:25566\r\n", host: "10.0.0.5", port: 25566, printed: "10.0.0.5:25566" },
    { text: "backend:00080", host: "backend", port: 80, printed: "backend:80" },
    { text: "[::1]:25566", host: "::1", port: 25566, printed: "[::1]:25566" },
    { text: "[FD00::0:5]", host: "fd00::5", port: 25565, printed: "[fd00::5]:25565" },
    { text: "::1", host: "::1", port: 25565, printed: "[::1]:25565" },
    { text: "::", host: "::1", port: 25565, printed: "[::]:25565" },
    { text: "[::0]:5", host: "::1", port: 5, printed: "[::]:5" },
    { text: "0.0.0.0:25566", host: "127.0.0.1", port: 25566, printed: "0.0.0.0:25566" },
    {
      text: "2001:DB8:0:0:0:0:0:1",
      host: "2001:db8::1",
      port: 25565,
      printed: "[2001:db8::1]:25565",
    },
    { text: "fe80::1%eth0", host: "fe80::1%eth0", port: 25565, printed: "[fe80::1%eth0]:25565" },
    { text: "[FE80::1%Eth0]:5", host: "fe80::1%Eth0", port: 5, printed: "[fe80::1%Eth0]:5" },
    { text: "[::ffff:10.0.0.5]:5", host: "::ffff:a00:5", port: 5, printed: "[::ffff:a00:5]:5" },
    { text: "[1::5:6:7:0.0.0.5]:5", host: "1::5:6:7:0:5", port: 5, printed: "[1::5:6:7:0:5]:5" },
    {
      text: "a".repeat(253),
      host: "a".repeat(253),
      port: 25565,
      printed: `${"a".repeat(253)}:25565`,
    },
  ];

  for (const { text, host, port, printed } of rows) {
    test(`from ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(parseAddress(text)).toEqual(ok({ host, port, text: printed }));
    });
  }
});

describe("an address of several places", () => {
  test("has them in order, each once, and one printed form for all", () => {
    expect(parseAddress(" 10.0.0.5:25566 | Lobby:1|[::1]|lobby:1 ")).toEqual(
      ok({
        host: "10.0.0.5",
        port: 25566,
        text: "10.0.0.5:25566|lobby:1|[::1]:25565",
        others: [
          { host: "lobby", port: 1, text: "lobby:1" },
          { host: "::1", port: 25565, text: "[::1]:25565" },
        ],
      }),
    );
  });

  test("of which only one is left is an address of one place", () => {
    expect(parseAddress("a:1|A:1")).toEqual(ok({ host: "a", port: 1, text: "A:1" }));
  });

  for (const { text, reason } of [
    { text: "a:1|", reason: "is empty, expected host:port (part 2 of 2)" },
    {
      text: "a:1|b:0|c",
      reason: "has no valid port, expected a number from 1 to 65535 (part 2 of 3)",
    },
    {
      text: Array.from({ length: 17 }, (_, i) => `a:${i + 1}`).join("|"),
      reason: "has more than 16 places",
    },
  ]) {
    test(`is refused for "${text.slice(0, 20)}"`, () =>
      expect(parseAddress(text)).toEqual(err(reason)));
  }

  test("can be dialled only if each of them can", () => {
    expect(addressFault("10.0.0.5|lobby.example.org")).toBeNull();
    expect(addressFault("10.0.0.5|10.0.0.256")).toContain("is no IPv4 address");
  });

  test("is the same as one with the same places in the same order", () => {
    const [a, b, c] = ["a:1|b:1", "A:1|b:1", "b:1|a:1"].map((text) => parseAddress(text));
    if (!a?.ok || !b?.ok || !c?.ok) throw new Error("no address");
    expect([sameAddress(a.value, b.value), sameAddress(a.value, c.value)]).toEqual([true, false]);
  });
});

describe("an address is refused", () => {
  const shape = "expected host:port";
  const badPort = "has no valid port, expected a number from 1 to 65535";
  const notV6 = "has no IPv6 address between its brackets";
  const colons = "has more than one colon, expected host:port or [IPv6 address]:port";
  const inside = "has whitespace or a control character inside";
  const rows: readonly { name: string; text: string; reason: string }[] = [
    { name: "empty", text: "", reason: `is empty, ${shape}` },
    { name: "only spaces", text: " \t\n", reason: `is empty, ${shape}` },
    { name: "no host", text: ":25565", reason: `has no host, ${shape}` },
    { name: "no port behind the colon", text: "backend:", reason: badPort },
    { name: "port 0", text: "backend:0", reason: badPort },
    { name: "port 65536", text: "backend:65536", reason: badPort },
    { name: "port with a sign", text: "backend:+80", reason: badPort },
    { name: "negative port", text: "backend:-1", reason: badPort },
    { name: "hexadecimal port", text: "backend:0x50", reason: badPort },
    { name: "fractional port", text: "backend:80.0", reason: badPort },
    { name: "exponent port", text: "backend:1e3", reason: badPort },
    { name: "six digits", text: "backend:025565", reason: badPort },
    { name: "Arabic digits", text: "backend:٨٠", reason: badPort },
    { name: "a service's name for a port", text: "backend:minecraft", reason: badPort },
    { name: "space inside", text: "back end:80", reason: inside },
    { name: "space before the port", text: "backend: 80", reason: inside },
    { name: "NUL inside", text: "backend\0:80", reason: inside },
    { name: "line break inside", text: "backend\n:80", reason: inside },
    { name: "C1 control inside", text: "back\u0085end:80", reason: inside },
    {
      name: "no closing bracket",
      text: "[::1:25565",
      reason: "has no closing bracket, expected [IPv6 address]:port",
    },
    { name: "no opening bracket", text: "::1]:25565", reason: colons },
    {
      name: "bracket behind a name",
      text: "backend]:80",
      reason: `has a bracket or slash in its host, ${shape}`,
    },
    { name: "text behind the bracket", text: "[::1]80", reason: badPort },
    { name: "no port behind bracket and colon", text: "[::1]:", reason: badPort },
    { name: "empty brackets", text: "[]:80", reason: notV6 },
    { name: "name in brackets", text: "[backend]:80", reason: notV6 },
    { name: "IPv4 in brackets", text: "[10.0.0.5]:80", reason: notV6 },
    { name: "zone without address", text: "[%eth0]:80", reason: notV6 },
    { name: "empty zone", text: "[fe80::1%]:80", reason: notV6 },
    { name: "double bracket", text: "[[::1]]:80", reason: notV6 },
    { name: "two gaps", text: "[1::2::3]:80", reason: notV6 },
    { name: "colon at the end", text: "[::1:]:80", reason: notV6 },
    { name: "gap for no group", text: "[1::2:3:4:5:6:7:8]:80", reason: notV6 },
    { name: "seven groups", text: "[1:2:3:4:5:6:7]:80", reason: notV6 },
    { name: "octet above 255", text: "[::ffff:10.0.0.256]:80", reason: notV6 },
    { name: "first octet above 255", text: "[::ffff:256.0.0.5]:80", reason: notV6 },
    { name: "octet with a leading zero", text: "[::ffff:10.0.0.05]:80", reason: notV6 },
    { name: "octet of four digits", text: "[::ffff:1000.0.0.5]:80", reason: notV6 },
    { name: "dotted tail after seven groups", text: "[1:2:3:4:5:6:7:10.0.0.5]:80", reason: notV6 },
    { name: "a URL in disguise", text: "[::1]:80/@[::2]:80", reason: badPort },
    { name: "group too long", text: "12345::", reason: colons },
    { name: "nine groups", text: "1:2:3:4:5:6:7:8:9", reason: colons },
    { name: "two ports", text: "backend:80:81", reason: colons },
    { name: "a list", text: "a:80,b:81", reason: colons },
    { name: "a URL with a port", text: "tcp://backend:80", reason: colons },
    { name: "a URL", text: "tcp://backend", reason: badPort },
    {
      name: "a path",
      text: "backend/x:80",
      reason: `has a bracket or slash in its host, ${shape}`,
    },
    {
      name: "host too long",
      text: "a".repeat(254),
      reason: "has a host longer than 253 characters",
    },
    { name: "32 KB", text: ":".repeat(32_767), reason: colons },
  ];

  for (const { name, text, reason } of rows) {
    test(`because of: ${name}`, () => {
      expect(parseAddress(text)).toEqual(err(reason));
    });
  }
});

test("what an address prints reads as the same address", () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65535 }), (name, port) => {
      const first = parseAddress(name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`);
      if (!first.ok) throw new Error(`refused ${name}: ${first.error}`);
      expect(first.value.port).toBe(port);
      expect(parseAddress(first.value.text)).toEqual(first);
    }),
  );
});

test("brackets take what the runtime takes for IPv6, and give what it takes", () => {
  const unit = fc.constantFrom(..."1a0::::.25F");
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), fc.string({ unit })), (text) => {
      const address = parseAddress(`[${text}]:1`);
      expect(address.ok).toBe(isIPv6(text));
      if (address.ok) expect(isIPv6(address.value.host)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("no text makes the parser throw, or gives a port out of range", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."[]:%.1af /\\@?#é") }), (text) => {
      const address = parseAddress(text);
      if (address.ok)
        expect(
          sameAddress(makeAddress(address.value.host, address.value.port), address.value),
        ).toBe(true);
      else expect(address.error).not.toBe("");
    }),
    { numRuns: 1000 },
  );
});

test("addresses are the same when host and port are", () => {
  expect(sameAddress(makeAddress("a", 1), makeAddress("a", 1))).toBe(true);
  expect(sameAddress(makeAddress("a", 1), makeAddress("a", 2))).toBe(false);
  expect(sameAddress(makeAddress("a", 1), makeAddress("b", 1))).toBe(false);
  expect(sameAddress(makeAddress("A", 1), makeAddress("a", 1))).toBe(true);
  expect(sameAddress(makeAddress("0.0.0.0", 1), makeAddress("127.0.0.1", 1))).toBe(true);
});
