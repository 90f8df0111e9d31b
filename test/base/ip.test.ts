import { expect, test } from "bun:test";
import { isIP } from "node:net";
import fc from "fast-check";
import { ipBytes, ipv6Text, withoutZone } from "../../src/base/ip.ts";

const literals: readonly { text: string; hex: string; shortest: string }[] = [
  { text: "::", hex: "00000000000000000000000000000000", shortest: "::" },
  { text: "0:0:0:0:0:0:0:1", hex: "00000000000000000000000000000001", shortest: "::1" },
  { text: "10.0.0.5", hex: "00000000000000000000ffff0a000005", shortest: "::ffff:a00:5" },
  { text: "::FFFF:10.0.0.5", hex: "00000000000000000000ffff0a000005", shortest: "::ffff:a00:5" },
  { text: "1::5:6:7:0.0.0.5", hex: "00010000000000050006000700000005", shortest: "1::5:6:7:0:5" },
  { text: "2001:db8:0:1::", hex: "20010db8000000010000000000000000", shortest: "2001:db8:0:1::" },
];
test.each(literals)("$text is read and shortened", ({ text, hex, shortest }) => {
  const bytes = ipBytes(text);
  expect(bytes?.toHex()).toBe(hex);
  expect(ipv6Text(Uint8Array.fromHex(hex))).toBe(shortest);
});

const others = ["", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.0.0.1", "1.2.3.4%a"];
const others6 = ["::1:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::", "1::2::3", "::g", "::1%", "[::1]"];
test.each([...others, ...others6, "::1.2.3", "1.2.3.4::"])("%p is no IP literal", (text) => {
  expect(ipBytes(text)).toBeNull();
});

test("only an IPv6 literal has a zone", () => {
  expect(withoutZone("fe80::1%eth0.7")).toBe("fe80::1");
  expect(withoutZone("10.0.0.5%eth0")).toBe("10.0.0.5%eth0");
});

test("the runtime takes the same text for literals", () => {
  const piece = fc.constantFrom(
    ":",
    "::",
    ".",
    "0",
    "00",
    "1",
    "9",
    "255",
    "256",
    "f",
    "ffff",
    "fffff",
  );
  const text = fc.array(piece, { maxLength: 18 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.oneof(text, fc.ipV4(), fc.ipV6()), (each) => {
      expect([each, ipBytes(each) !== null]).toEqual([each, isIP(each) !== 0]);
    }),
    { numRuns: 5_000 },
  );
});
