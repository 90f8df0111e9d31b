import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ipBytes, withoutZone } from "../../src/base/ip.ts";
import { type IpPrefix, readIpPrefix } from "../../src/limits/ip-prefix.ts";

/** The prefix as text; null for text that is no address. */
function prefixOf(text: string): string | null {
  const prefix: IpPrefix = { family: 4, high: 1, low: 1 };
  if (!readIpPrefix(text, prefix)) return null;
  const hex = [prefix.high, prefix.low].map((part) => part.toString(16).padStart(8, "0"));
  return prefix.family === 4 ? `IPv4 ${hex[0]}` : `IPv6 ${hex.join("")}`;
}

/** The same by way of all sixteen bytes. */
function prefixByBytes(text: string): string | null {
  const hex = ipBytes(withoutZone(text))?.toHex();
  if (hex === undefined) return null;
  const isIpv4 = hex.startsWith(`${"0".repeat(20)}ffff`);
  return isIpv4 ? `IPv4 ${hex.slice(24)}` : `IPv6 ${hex.slice(0, 16)}`;
}

describe("a prefix", () => {
  const rows: readonly (readonly [text: string, prefix: string | null])[] = [
    ["192.0.2.1", "IPv4 c0000201"],
    ["255.255.255.255", "IPv4 ffffffff"],
    ["0.0.0.0", "IPv4 00000000"],
    ["::ffff:192.0.2.1", "IPv4 c0000201"],
    ["::ffff:c000:201", "IPv4 c0000201"],
    ["0:0:0:0:0:ffff:192.0.2.1", "IPv4 c0000201"],
    ["2001:db8:1:2:3:4:5:6", "IPv6 20010db800010002"],
    ["2001:db8::1", "IPv6 20010db800000000"],
    ["2001::1:2:3:4:5", "IPv6 2001000000000001"],
    ["::2:3:4:5:6:7:8", "IPv6 0000000200030004"],
    ["::1", "IPv6 0000000000000000"],
    ["fe80::1%eth0", "IPv6 fe80000000000000"],
    ["64:ff9b::192.0.2.1", "IPv6 0064ff9b00000000"],
    ["192.0.2", null],
    ["192.0.2.1.5", null],
    ["192.0.2.256", null],
    ["192.0.2.01", null],
    ["192.0.2.", null],
    ["1:2:3:4:5:6:7", null],
    ["1:2:3:4:5:6:7:8:9", null],
    ["1::2::3", null],
    [":1::2", null],
    ["1:", null],
    ["1:2:3:4:5:6:7:", null],
    ["12345::", null],
    ["::g", null],
    ["1:2:3:4:5:6:7:192.0.2.1", null],
    ["", null],
    ["localhost", null],
  ];
  test.each(rows)("of %p is %p", (text, prefix) => {
    expect(prefixOf(text)).toBe(prefix);
  });

  test("is that of all sixteen bytes, whatever is written", () => {
    const written = fc.oneof(
      fc.ipV6(),
      fc.ipV4(),
      fc.string({ unit: fc.constantFrom(..."01fF:.:"), maxLength: 24 }),
    );
    fc.assert(
      fc.property(written, (text) => {
        expect(prefixOf(text)).toBe(prefixByBytes(text));
      }),
      { numRuns: 5_000 },
    );
  });
});
