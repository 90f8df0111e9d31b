import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concat } from "../../src/protocol/cursor.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import {
  type ProxyEndpoint,
  proxyHeaderV2,
  readProxyHeader,
} from "../../src/protocol/proxy-header.ts";
import { hex, openings, proxyHeaders, toHex } from "../fixtures/vectors.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const signature = "0d0a0d0a000d0a515549540a";
const ipv4Block = "cb007107 0a000001 d903 63dd";
const none = { kind: "ok", value: { kind: "none" }, end: 0 } as const;

describe("a PROXY header", () => {
  test.each([...proxyHeaders])("is read: $name", ({ hex: digits, header }) => {
    const bytes = hex(digits);
    expect(readProxyHeader(bytes)).toEqual({ kind: "ok", value: header, end: bytes.length });
  });

  test.each([...proxyHeaders])("is waited for, cut at every byte: $name", ({ hex: digits }) => {
    const bytes = hex(digits);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      expect(readProxyHeader(bytes.subarray(0, cut))).toEqual(needMore);
    }
  });

  test.each([...proxyHeaders])(
    "is the same with bytes behind it: $name",
    ({ hex: digits, header }) => {
      const bytes = hex(digits);
      for (const behind of ["00", "0a", "0d0a", digits, "1500f605", "ff".repeat(5000)]) {
        expect(readProxyHeader(concat([bytes, hex(behind)]))).toEqual({
          kind: "ok",
          value: header,
          end: bytes.length,
        });
      }
    },
  );
});

describe("the absence of a PROXY header", () => {
  test.each([
    ...openings.map(({ name, hex: digits }) => ({ name, bytes: hex(digits), provedBy: 1 })),
    { name: "handshake of 80 bytes", bytes: hex("5000f605"), provedBy: 2 },
    { name: "handshake of 13 bytes", bytes: hex("0d00f605"), provedBy: 2 },
    { name: "TLS", bytes: hex("16030102"), provedBy: 1 },
    { name: "HTTP POST", bytes: ascii("POST / HTTP/1.1"), provedBy: 2 },
    { name: "HTTP PROPFIND", bytes: ascii("PROPFIND /"), provedBy: 4 },
    { name: "lower case", bytes: ascii("proxy TCP4"), provedBy: 1 },
    { name: "the last letter of version 1", bytes: ascii("PROXZ TCP4"), provedBy: 5 },
    { name: "empty lines", bytes: ascii("\r\n\r\n\r\n"), provedBy: 5 },
    {
      name: "the last byte of version 2",
      bytes: hex(`${signature.slice(0, -2)} 0b 2111`),
      provedBy: 12,
    },
  ])("is told by the byte that proves it: $name", ({ bytes, provedBy }) => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(readProxyHeader(bytes.subarray(0, cut))).toEqual(cut < provedBy ? needMore : none);
    }
  });
});

/** Every beginning is waited for; the byte behind it makes it bad. */
function expectBadBehind(beginning: Uint8Array, wrong: Uint8Array): void {
  for (let cut = 0; cut <= beginning.length; cut += 1) {
    expect(readProxyHeader(beginning.subarray(0, cut))).toEqual(needMore);
  }
  expect(readProxyHeader(concat([beginning, wrong])).kind).toBe("bad");
  expect(
    readProxyHeader(concat([beginning, wrong, hex("0d0a"), hex("00".repeat(5000))])).kind,
  ).toBe("bad");
}

describe("a PROXY line that begins well is bad", () => {
  test.each([
    { name: "no space behind PROXY", beginning: "PROXY", wrong: "\t" },
    { name: "no protocol", beginning: "PROXY", wrong: "\r" },
    { name: "two spaces", beginning: "PROXY ", wrong: " " },
    { name: "lower case protocol", beginning: "PROXY ", wrong: "t" },
    { name: "UDP4", beginning: "PROXY U", wrong: "D" },
    { name: "TCP5", beginning: "PROXY TCP", wrong: "5" },
    { name: "TCP alone", beginning: "PROXY TCP", wrong: " " },
    { name: "TCP46", beginning: "PROXY TCP4", wrong: "6" },
    { name: "TCP4 alone", beginning: "PROXY TCP4", wrong: "\r" },
    { name: "UNKNOWN and a letter", beginning: "PROXY UNKNOWN", wrong: "S" },
    { name: "UNKNOWN with a bare line feed", beginning: "PROXY UNKNOWN", wrong: "\n" },
    { name: "UNKNOWN with a line feed inside", beginning: "PROXY UNKNOWN a", wrong: "\n" },
    { name: "UNKNOWN with a carriage return inside", beginning: "PROXY UNKNOWN a\r", wrong: "b" },
    { name: "UNKNOWN that does not end", beginning: `PROXY UNKNOWN ${"a".repeat(92)}`, wrong: "a" },
    { name: "UNKNOWN that ends late", beginning: `PROXY UNKNOWN ${"a".repeat(92)}`, wrong: "\r" },
    { name: "two spaces before an address", beginning: "PROXY TCP4 ", wrong: " " },
    { name: "a host name", beginning: "PROXY TCP4 ", wrong: "l" },
    { name: "IPv6 in TCP4", beginning: "PROXY TCP4 ::1", wrong: " " },
    { name: "an IPv4-mapped address in TCP4", beginning: "PROXY TCP4 ::ffff:1.2.3.4", wrong: " " },
    { name: "IPv4 in TCP6", beginning: "PROXY TCP6 1.2.3.4", wrong: " " },
    { name: "IPv4 as destination in TCP6", beginning: "PROXY TCP6 ::1 1.2.3.4", wrong: " " },
    { name: "three octets", beginning: "PROXY TCP4 1.2.3", wrong: " " },
    { name: "five octets", beginning: "PROXY TCP4 1.2.3.4.5", wrong: " " },
    { name: "no octet before a dot", beginning: "PROXY TCP4 .1.2.3", wrong: " " },
    { name: "an octet of 256", beginning: "PROXY TCP4 1.2.256.4", wrong: " " },
    { name: "an octet of four digits", beginning: "PROXY TCP4 1000.2.3.4", wrong: " " },
    { name: "an octet with a leading zero", beginning: "PROXY TCP4 1.2.3.04", wrong: " " },
    { name: "a hexadecimal octet", beginning: "PROXY TCP4 1.2.3.a", wrong: " " },
    { name: "a number for an address", beginning: "PROXY TCP4 0102", wrong: " " },
    { name: "a zone", beginning: "PROXY TCP6 fe80::1", wrong: "%" },
    { name: "brackets", beginning: "PROXY TCP6 ", wrong: "[" },
    { name: "seven groups", beginning: "PROXY TCP6 1:2:3:4:5:6:7", wrong: " " },
    { name: "nine groups", beginning: "PROXY TCP6 1:2:3:4:5:6:7:8:9", wrong: " " },
    { name: "a :: for nothing", beginning: "PROXY TCP6 1:2:3:4::5:6:7:8", wrong: " " },
    { name: "two ::", beginning: "PROXY TCP6 1::2::3", wrong: " " },
    { name: "three colons", beginning: "PROXY TCP6 1:::2", wrong: " " },
    { name: "a colon at the end", beginning: "PROXY TCP6 1::2:", wrong: " " },
    { name: "a group of five digits", beginning: "PROXY TCP6 00001::", wrong: " " },
    { name: "an octet above 255 in IPv6", beginning: "PROXY TCP6 ::ffff:1.256.3.4", wrong: " " },
    { name: "octets in the middle of IPv6", beginning: "PROXY TCP6 1.2.3.4::", wrong: " " },
    { name: "no destination", beginning: "PROXY TCP4 1.2.3.4", wrong: "\r" },
    { name: "an empty destination", beginning: "PROXY TCP4 1.2.3.4 ", wrong: " " },
    { name: "no ports", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8", wrong: "\r" },
    { name: "one port", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1", wrong: "\r" },
    { name: "an empty port", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 ", wrong: " " },
    { name: "an empty second port", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 ", wrong: "\r" },
    { name: "a port of 65536", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 65536", wrong: " " },
    { name: "a port of six digits", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 100000", wrong: "\r" },
    { name: "a port with a sign", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 ", wrong: "+" },
    { name: "a negative port", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 ", wrong: "-" },
    { name: "a port with a leading zero", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 01", wrong: " " },
    { name: "a port of 00", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 00", wrong: "\r" },
    { name: "a seventh field", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 2", wrong: " " },
    { name: "a bare line feed", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 2", wrong: "\n" },
    { name: "a bare carriage return", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r", wrong: "\r" },
    { name: "a NUL", beginning: "PROXY TCP4 1.2.3.4 5.6.7.8 1", wrong: "\u0000" },
    {
      name: "an address that fills the line",
      beginning: `PROXY TCP4 ${"1".repeat(95)}`,
      wrong: "1",
    },
  ])("with $name", ({ beginning, wrong }) => {
    expectBadBehind(ascii(beginning), ascii(wrong));
  });
});

describe("a PROXY header of version 2 that begins well is bad", () => {
  test.each([
    { name: "version 1", beginning: "", wrong: "11" },
    { name: "version 3", beginning: "", wrong: "31" },
    { name: "an unknown command", beginning: "", wrong: "22" },
    { name: "IPv4 without a transport", beginning: "21", wrong: "10" },
    { name: "UDP over IPv4", beginning: "21", wrong: "12" },
    { name: "IPv6 without a transport", beginning: "21", wrong: "20" },
    { name: "UDP over IPv6", beginning: "21", wrong: "22" },
    { name: "a Unix stream", beginning: "21", wrong: "31" },
    { name: "a Unix datagram", beginning: "21", wrong: "32" },
    { name: "an unknown family", beginning: "21", wrong: "41" },
    { name: "no block", beginning: "2111 00", wrong: "00" },
    { name: "a block one byte too short for IPv4", beginning: "2111 00", wrong: "0b" },
    { name: "a block one byte too short for IPv6", beginning: "2121 00", wrong: "23" },
    { name: "a length of 4097", beginning: "2111 10", wrong: "01" },
    { name: "LOCAL with a length of 4097", beginning: "2000 10", wrong: "01" },
    { name: "a length of 65535", beginning: "2111 ff", wrong: "ff" },
  ])("with $name", ({ beginning, wrong }) => {
    expectBadBehind(hex(signature + beginning), hex(wrong));
  });
});

describe("an IPv6 address in a PROXY header", () => {
  // RFC 5952 sections 4 and 5.
  test.each([
    { bytes: "00000000000000000000000000000000", text: "::" },
    { bytes: "00000000000000000000000000000001", text: "::1" },
    { bytes: "20010000000000000000000000000000", text: "2001::" },
    { bytes: "20010db8000000010001000100010001", text: "2001:db8:0:1:1:1:1:1" },
    { bytes: "20010000000000010000000000000001", text: "2001:0:0:1::1" },
    { bytes: "20010db8000000000001000000000001", text: "2001:db8::1:0:0:1" },
    { bytes: "20010DB8AAAABBBBCCCCDDDDEEEEAAAA", text: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa" },
    { bytes: "0000000000000000000000000a000001", text: "::a00:1" },
    { bytes: "00000000000000000000ffff0a000001", text: "10.0.0.1" },
    { bytes: "00000000000000000001ffff0a000001", text: "::1:ffff:a00:1" },
    { bytes: "0064ff9b00000000000000000a000001", text: "64:ff9b::a00:1" },
  ])("has one text: $text", ({ bytes, text }) => {
    const header = hex(`${signature} 21210024 ${bytes} ${"00".repeat(15)}01 0001 0002`);
    expect(readProxyHeader(header)).toMatchObject({
      value: { source: { ip: text, port: 1 }, destination: { ip: "::1", port: 2 } },
    });

    const line = `PROXY TCP6 ${bytes.replace(/.{4}(?!$)/g, "$&:")} ::1 1 2\r\n`;
    expect(readProxyHeader(ascii(line))).toMatchObject({ value: { source: { ip: text } } });
  });
});

describe("a PROXY header that is written", () => {
  test.each([
    {
      name: "IPv4",
      source: { ip: "203.0.113.7", port: 55555 },
      destination: { ip: "10.0.0.1", port: 25565 },
      bytes: `${signature}2111000ccb0071070a000001d90363dd`,
    },
    {
      name: "IPv6",
      source: { ip: "2001:db8::7", port: 55555 },
      destination: { ip: "2001:db8::1", port: 25565 },
      bytes: `${signature}2121002420010db800000000000000000000000720010db8000000000000000000000001d90363dd`,
    },
    {
      name: "IPv4-mapped, which is IPv4",
      source: { ip: "::ffff:203.0.113.7", port: 0 },
      destination: { ip: "::FFFF:a00:1", port: 65535 },
      bytes: `${signature}2111000ccb0071070a0000010000ffff`,
    },
    {
      name: "IPv6 to IPv4",
      source: { ip: "2001:db8::7", port: 55555 },
      destination: { ip: "10.0.0.1", port: 25565 },
      bytes: `${signature}2121002420010db800000000000000000000000700000000000000000000ffff0a000001d90363dd`,
    },
    {
      name: "IPv4 to IPv6",
      source: { ip: "203.0.113.7", port: 55555 },
      destination: { ip: "2001:db8::1", port: 25565 },
      bytes: `${signature}2121002400000000000000000000ffffcb00710720010db8000000000000000000000001d90363dd`,
    },
    {
      name: "a link-local address with its zone",
      source: { ip: "fe80::7%eth0", port: 55555 },
      destination: { ip: "fe80::1%eth0.10", port: 25565 },
      bytes: `${signature}21210024fe800000000000000000000000000007fe800000000000000000000000000001d90363dd`,
    },
  ])("is exact: $name", ({ source, destination, bytes }) => {
    expect(toHex(proxyHeaderV2(source, destination))).toBe(bytes);
  });

  test.each([{ ip: "" }, { ip: "localhost" }, { ip: "1.2.3" }, { ip: "[::1]" }, { ip: "ffff" }])(
    "needs IP literals, which '$ip' is not",
    ({ ip }) => {
      const good = { ip: "10.0.0.1", port: 1 };
      expect(() => proxyHeaderV2({ ip, port: 1 }, good)).toThrow();
      expect(() => proxyHeaderV2(good, { ip, port: 1 })).toThrow();
    },
  );
});

/** Addresses as their bytes: IPv4, any IPv6, and IPv6 with many zeros. */
const ipBytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc
    .array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })
    .map((bytes) => Uint8Array.from(bytes)),
);

const port = fc.nat(65_535);

/** The longest text of an address: no zero is left out. */
const plainText = (ip: Uint8Array): string =>
  ip.length === 4 ? ip.join(".") : ip.toHex().replace(/.{4}(?!$)/g, "$&:");

const endsOf = (header: Uint8Array): { source: ProxyEndpoint; destination: ProxyEndpoint } => {
  const result = readProxyHeader(header);
  if (result.kind !== "ok" || result.value.kind !== "proxied") throw new Error(result.kind);
  expect(result.end).toBe(header.length);
  return { source: result.value.source, destination: result.value.destination };
};

describe("any two ends", () => {
  test("come back from the header that is written of them", () => {
    fc.assert(
      fc.property(ipBytes, ipBytes, port, port, (from, to, sourcePort, destinationPort) => {
        const source = { ip: plainText(from), port: sourcePort };
        const destination = { ip: plainText(to), port: destinationPort };
        const written = proxyHeaderV2(source, destination);
        const read = endsOf(written);

        expect([read.source.port, read.destination.port]).toEqual([sourcePort, destinationPort]);
        expect(proxyHeaderV2(read.source, read.destination)).toEqual(written);
        if (from.length === 4) expect(read.source.ip).toBe(source.ip);
        if (to.length === 4) expect(read.destination.ip).toBe(destination.ip);
      }),
    );
  });

  test("are the same in both versions", () => {
    fc.assert(
      fc.property(ipBytes, ipBytes, port, port, (from, to, sourcePort, destinationPort) => {
        fc.pre(from.length === to.length);
        const [sourceIp, destinationIp] = [plainText(from), plainText(to)];
        const family = from.length === 4 ? "TCP4" : "TCP6";
        const line = `PROXY ${family} ${sourceIp} ${destinationIp} ${sourcePort} ${destinationPort}\r\n`;
        const written = proxyHeaderV2(
          { ip: sourceIp, port: sourcePort },
          { ip: destinationIp, port: destinationPort },
        );

        expect(endsOf(ascii(line))).toEqual(endsOf(written));
      }),
    );
  });
});

describe("any bytes", () => {
  const headers = [
    ...proxyHeaders.map((row) => hex(row.hex)),
    hex(`${signature}2111000c${ipv4Block}`),
  ]
    // One header of 4 KiB would take most of the time.
    .filter((bytes) => bytes.length < 200);

  const mutated = fc
    .tuple(
      fc.constantFrom(...headers),
      fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 3 }),
    )
    .map(([header, changes]) => {
      const bytes = Uint8Array.from(header);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });

  const beginning = fc.constantFrom("PROXY ", "PROXY TCP4 ", "PROXY TCP6 ::1 ", "PROXY UNKNOWN");
  const lines = fc
    .tuple(beginning, fc.string({ unit: "binary-ascii", maxLength: 120 }))
    .map(([start, rest]) => ascii(`${start}${rest}\r\n`));

  test("get one verdict, which no further byte changes, and none ends behind what was seen", () => {
    fc.assert(
      fc.property(
        fc.oneof(mutated, lines, fc.uint8Array({ maxLength: 64 })),
        fc.uint8Array({ maxLength: 8 }),
        (bytes, behind) => {
          const whole = readProxyHeader(concat([bytes, behind]));
          for (let cut = 0; cut <= bytes.length; cut += 1) {
            const verdict = readProxyHeader(bytes.subarray(0, cut));
            if (verdict.kind === "need-more") continue;

            expect(whole).toEqual(verdict);
            if (verdict.kind === "ok") expect(verdict.end).toBeLessThanOrEqual(cut);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("are decided within the greatest header", () => {
    fc.assert(
      fc.property(fc.oneof(mutated, lines), (bytes) => {
        const padded = concat([bytes, new Uint8Array(4_200)]);
        expect(readProxyHeader(padded).kind).not.toBe("need-more");
      }),
    );
  });
});
