import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressFault, parseAddress, placeRemark } from "../../src/routing/address.ts";
import { parsePatterns, patternFault } from "../../src/routing/pattern.ts";

describe("a hostname that clients can send is in order", () => {
  test.each([
    "play.example.org",
    "*.example.org",
    "Play.Example.ORG.",
    "localhost",
    "my_server.lan",
    "_minecraft._tcp.example.org",
    "süd.example.org",
    "xn--sd-xka.example.org",
    "203.0.113.7",
    "2001:db8::7",
    "3-d.example",
  ])("%s", (text) => {
    expect(patternFault(text)).toBeNull();
  });
});

describe("a hostname that no client can send is told, with what was meant", () => {
  test.each([
    ["https://a.org", "is a URL, expected only its hostname; did you mean a.org?"],
    ["https://a.org:443/x?y", "is a URL, expected only its hostname; did you mean a.org?"],
    ["a.org:25565", "has a port, which no client sends with it; did you mean a.org?"],
    ["a.org;b.org", 'has a ";" inside; entries are separated by commas or newlines'],
    ['"a.org"', "has quotation marks, which count as part of it; did you mean a.org?"],
    ["“a.org”", "has quotation marks, which count as part of it; did you mean a.org?"],
    [".a.org", "starts with a dot; did you mean *.a.org or a.org?"],
    ["a..org", "has an empty label (a dot at an end, or two in a row); did you mean a.org?"],
    ["a.org..", "has an empty label (a dot at an end, or two in a row); did you mean a.org?"],
    ["*..a.org", "starts with a dot; did you mean *.a.org or a.org?"],
    ["${DOMAIN}", "has a placeholder that was not filled in (${DOMAIN})"],
    ["mc.$DOMAIN", "has a placeholder that was not filled in ($DOMAIN)"],
    ["{{ host }}", "has whitespace or a control character inside"],
    ["{{host}}", "has a placeholder that was not filled in ({{host}})"],
    ["a\u200b.org", "has an invisible character (U+200B); did you mean a.org?"],
    ["\u2060a.org", "has an invisible character (U+2060); did you mean a.org?"],
    ["mc.org#comment", 'has a "#" inside; a comment cannot follow; did you mean mc.org?'],
    ["a.org/b", 'has the character "/", which no hostname has; did you mean a.org?'],
    ["user@a.org", 'has the character "@", which no hostname has'],
    ["[::1]", 'has the character "[", which no hostname has'],
    ["xn--a.ü", 'has the character "ü", which no hostname has'],
    ["", "is empty, expected a name or *.suffix"],
  ])("%j", (text, fault) => {
    expect(patternFault(text)).toBe(fault);
  });

  test("in a list, beside those that are in order", () => {
    expect(parsePatterns("a.org:25565, b.org")).toMatchObject({
      patterns: [{ kind: "exact", hostname: "b.org" }],
      problems: [{ text: "a.org:25565", reason: expect.stringContaining("did you mean a.org?") }],
    });
  });
});

describe("an address that can be dialled is in order", () => {
  test.each([
    "10.0.0.5:25565",
    "backend",
    "mc_1.internal.:65535",
    "bücher.example:80",
    "[fe80::1%Eth0]:5",
    "::1",
    "0.0.0.0:25566",
    "mc-1.games.svc.cluster.local:25565",
  ])("%s", (text) => {
    expect(addressFault(text)).toBeNull();
  });
});

describe("an address that can never be dialled is told", () => {
  test.each([
    ["10.0.0.256:25565", "is no IPv4 address, which has four numbers from 0 to 255"],
    ["10.0.0:25565", "is no IPv4 address, which has four numbers from 0 to 255"],
    ["10.0.0.05:25565", "is no IPv4 address, which has four numbers from 0 to 255"],
    ["backend..lan:1", "has an empty label (a dot at an end, or two in a row)"],
    [".lan:1", "has an empty label (a dot at an end, or two in a row)"],
    ['10.0.0.5:25565"', "has quotation marks, which count as part of it"],
    ["10.0.0.5:25565#lobby", 'has a "#" inside; a comment cannot follow'],
    ["10.0.0.5:25565 # lobby", 'has a "#" inside; a comment cannot follow'],
    ["10.0.0.5:25565;b=10.0.0.6", 'has a ";" inside; entries are separated by commas or newlines'],
    ["${BACKEND}:25565", "has a placeholder that was not filled in (${BACKEND})"],
    ["back\u200bend:25565", "has an invisible character (U+200B)"],
    ["me@backend:25565", 'has the character "@", which no hostname has'],
    ["backend:0", "has no valid port, expected a number from 1 to 65535"],
  ])("%j", (text, fault) => {
    expect(addressFault(text)).toBe(fault);
  });
});

test("an address where programs listen is dialled as this machine, and told so", () => {
  const remarkOf = (text: string): string | null => {
    const address = parseAddress(text);
    return address.ok ? placeRemark(address.value) : address.error;
  };
  expect(remarkOf("0.0.0.0:25566")).toBe(
    "means every address of this machine; it is dialled as 127.0.0.1",
  );
  expect(remarkOf("[::]:25566")).toBe("means every address of this machine; it is dialled as ::1");
  expect(remarkOf("127.0.0.1:25566")).toBeNull();
  expect(remarkOf("[::1]:25566")).toBeNull();
});

test("no text makes the look at it throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(patternFault(text)).not.toBe("");
      expect(addressFault(text)).not.toBe("");
    }),
  );
});
