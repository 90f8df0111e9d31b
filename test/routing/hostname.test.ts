import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { toHostname } from "../../src/routing/hostname.ts";

/** `srv`: "both" when simplification makes no difference. */
interface Row {
  readonly name: string;
  readonly raw: string;
  readonly srv: boolean | "both";
  readonly hostname: string;
}

const rows: readonly Row[] = [
  { name: "plain", raw: "typical.my.domain", srv: "both", hostname: "typical.my.domain" },
  { name: "Forge", raw: "forge.my.domain\0FML2\0", srv: "both", hostname: "forge.my.domain" },
  { name: "root dot", raw: "my.domain.", srv: "both", hostname: "my.domain" },
  {
    name: "root dot, Forge",
    raw: "forge.my.domain.\0FML2\0",
    srv: "both",
    hostname: "forge.my.domain",
  },
  { name: "capitals", raw: "MC.Example.COM", srv: "both", hostname: "mc.example.com" },
  { name: "two root dots lose one", raw: "my.domain..", srv: "both", hostname: "my.domain." },
  { name: "only a dot", raw: ".", srv: "both", hostname: "" },
  { name: "nothing", raw: "", srv: "both", hostname: "" },
  { name: "only Forge", raw: "\0FML3\0", srv: "both", hostname: "" },
  {
    name: "Infinity Filter",
    raw: "host.example.com\\guid\\1.2.3.4",
    srv: "both",
    hostname: "host.example.com",
  },
  {
    name: "root dot, Infinity Filter",
    raw: "host.example.com.\\guid\\1.2.3.4",
    srv: "both",
    hostname: "host.example.com",
  },
  { name: "only Infinity Filter", raw: "\\guid", srv: "both", hostname: "" },
  {
    name: "SRV name, simplification off",
    raw: "_minecraft._tcp.mc.example.com",
    srv: false,
    hostname: "_minecraft._tcp.mc.example.com",
  },
  {
    name: "SRV name",
    raw: "_minecraft._tcp.mc.example.com",
    srv: true,
    hostname: "mc.example.com",
  },
  {
    name: "SRV name, root dot",
    raw: "_minecraft._tcp.mc.example.com.",
    srv: true,
    hostname: "mc.example.com",
  },
  {
    name: "SRV name, capitals",
    raw: "_MINECRAFT._TCP.MC.Example.com",
    srv: true,
    hostname: "mc.example.com",
  },
  {
    name: "no SRV name, simplification on",
    raw: "mc.example.com",
    srv: true,
    hostname: "mc.example.com",
  },
  { name: "SRV name of nothing", raw: "_minecraft._tcp", srv: true, hostname: "" },
  { name: "first _tcp label counts", raw: "a._tcp.b._tcp.c", srv: true, hostname: "b._tcp.c" },
  {
    name: "_tcp inside a label",
    raw: "x_tcp.example.com",
    srv: true,
    hostname: "x_tcp.example.com",
  },
  {
    name: "TCPShield",
    raw: "mc.example.com///203.0.113.7:55555///1700000000",
    srv: "both",
    hostname: "mc.example.com",
  },
  {
    name: "root dot, TCPShield",
    raw: "mc.example.com.///203.0.113.7:55555///17",
    srv: "both",
    hostname: "mc.example.com",
  },
  { name: "two slashes", raw: "mc.example.com//x", srv: "both", hostname: "mc.example.com//x" },
  { name: "four slashes", raw: "mc.example.com////x", srv: "both", hostname: "mc.example.com" },
  { name: "only TCPShield", raw: "///x", srv: "both", hostname: "" },
  {
    name: "TCPShield ending in a dot",
    raw: "mc.example.com///203.0.113.7.",
    srv: "both",
    hostname: "mc.example.com",
  },
  {
    name: "TCPShield ends with its line",
    raw: "a///b\nc",
    srv: "both",
    hostname: "a\nc",
  },
  {
    name: "SRV name, TCPShield",
    raw: "_minecraft._tcp.mc.example.com///1.2.3.4:5///6",
    srv: true,
    hostname: "mc.example.com",
  },
  {
    name: "_tcp inside the TCPShield part",
    raw: "mc.example.com///1._tcp.2",
    srv: true,
    hostname: "mc.example.com",
  },
  {
    name: "TCPShield, Infinity Filter",
    raw: "mc.example.com///a\\b",
    srv: "both",
    hostname: "mc.example.com",
  },
  {
    name: "port stays",
    raw: "mc.example.com:25565",
    srv: "both",
    hostname: "mc.example.com:25565",
  },
  {
    name: "outer spaces stay",
    raw: " mc.example.com ",
    srv: "both",
    hostname: " mc.example.com ",
  },

  {
    name: "root dot alone after a clean name",
    raw: "a.b.c-d_9.",
    srv: "both",
    hostname: "a.b.c-d_9",
  },
  {
    name: "TCPShield passes carriage return and U+2028",
    raw: "a///b\r\u2028c",
    srv: "both",
    hostname: "a",
  },
  {
    name: "TCPShield on two lines",
    raw: "a///b\nc///d\ne",
    srv: "both",
    hostname: "a\nc\ne",
  },
  { name: "Infinity Filter before Forge", raw: "a\\b\0c", srv: "both", hostname: "a" },
  { name: "Forge before Infinity Filter", raw: "a\0b\\c", srv: "both", hostname: "a" },
  { name: "_tcp label first", raw: "_tcp.example.com", srv: true, hostname: "example.com" },
  {
    name: "_tcp begins a label",
    raw: "_tcpx.example.com",
    srv: true,
    hostname: "_tcpx.example.com",
  },
  { name: "umlaut", raw: "SPIEL.BÜCHER.DE", srv: "both", hostname: "spiel.xn--bcher-kva.de" },
  { name: "dotted capital I", raw: "İZMİR.example", srv: "both", hostname: "izmir.example" },
  { name: "capital sigma at a word's end", raw: "ΟΔΟΣ", srv: "both", hostname: "xn--pxavbq" },
  { name: "final sigma, as Java encodes it", raw: "οδος", srv: "both", hostname: "xn--pxavbq" },
  { name: "IDNA", raw: "süd.example.org", srv: "both", hostname: "xn--sd-xka.example.org" },
  {
    name: "IDNA, as clients send it",
    raw: "XN--SD-XKA.example.org.",
    srv: "both",
    hostname: "xn--sd-xka.example.org",
  },
  { name: "decomposed letters", raw: "su\u0308d.org", srv: "both", hostname: "xn--sd-xka.org" },
  { name: "sharp s, as Java encodes it", raw: "Straße.de", srv: "both", hostname: "strasse.de" },
  {
    name: "an SRV name with IDNA",
    raw: "_minecraft._tcp.süd.org",
    srv: true,
    hostname: "xn--sd-xka.org",
  },
  { name: "IDNA with a port stays junk", raw: "süd.org:1", srv: "both", hostname: "süd.org:1" },
  { name: "IDNA with an escape stays junk", raw: "süd%2eorg", srv: "both", hostname: "süd%2eorg" },
  { name: "no name of IDNA", raw: "xn--a.ü", srv: "both", hostname: "xn--a.ü" },
  { name: "Kelvin sign", raw: "\u212a.example", srv: "both", hostname: "k.example" },
];

describe("a server address takes its one form", () => {
  for (const { name, raw, srv, hostname } of rows) {
    for (const simplifySrv of srv === "both" ? [false, true] : [srv]) {
      test(`${name}, SRV simplification ${simplifySrv ? "on" : "off"}`, () => {
        expect<string>(toHostname(raw, simplifySrv)).toBe(hostname);
      });
    }
  }

  test("SRV simplification is off unless asked for", () => {
    expect<string>(toHostname("_minecraft._tcp.a.b")).toBe("_minecraft._tcp.a.b");
  });
});

describe("junk of 32 KB", () => {
  const junk: readonly { name: string; raw: string; hostname: string }[] = [
    { name: "dots", raw: ".".repeat(32_767), hostname: ".".repeat(32_766) },
    { name: "slashes", raw: "/".repeat(32_767), hostname: "" },
    { name: "slash pairs", raw: "//a".repeat(10_922), hostname: "//a".repeat(10_922) },
    {
      name: "many short TCPShield lines",
      raw: "///a\n".repeat(6_553),
      hostname: "\n".repeat(6_553),
    },
    { name: "NULs", raw: "\0".repeat(32_767), hostname: "" },
    { name: "_tcp without dots", raw: "_tcp".repeat(8_191), hostname: "_tcp".repeat(8_191) },
    {
      name: "_tcp labels",
      raw: "_tcp.".repeat(6_553),
      hostname: "_tcp.".repeat(6_551).concat("_tcp"),
    },
    { name: "lone surrogates", raw: "\ud800".repeat(32_767), hostname: "\ud800".repeat(32_767) },
    { name: "capitals", raw: "Aİ".repeat(16_383), hostname: "ai".repeat(16_383) },
  ];

  for (const { name, raw, hostname } of junk) {
    test(`comes out right: ${name}`, () => {
      expect(toHostname(raw, name.startsWith("_tcp")) === hostname).toBe(true);
    });
  }
});

describe("for every server address", () => {
  const pieces = [
    "a",
    "Z",
    "9",
    "-",
    "_",
    ".",
    "/",
    "//",
    "///",
    "\\",
    "\0",
    "\n",
    "\r",
    "_tcp",
    "_TCP",
    "Σ",
    "İ",
    "ß",
    " ",
    ":",
  ];
  const address = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.constantFrom(...pieces), { maxLength: 16 }).map((parts) => parts.join("")),
    fc.domain(),
  );

  test("what Forge appends changes nothing", () => {
    fc.assert(
      fc.property(address, fc.boolean(), (raw, simplifySrv) => {
        expect(toHostname(`${raw}\0FML3\0`, simplifySrv)).toBe(toHostname(raw, simplifySrv));
      }),
    );
  });

  test("the form has no capitals and none of the marks, and is its own form", () => {
    fc.assert(
      fc.property(address, fc.boolean(), (raw, simplifySrv) => {
        const hostname = toHostname(raw, simplifySrv);
        expect(hostname).not.toMatch(/[\0\\A-Z]/);
        if (!hostname.endsWith(".") && !hostname.includes("/")) {
          expect(toHostname(hostname)).toBe(hostname);
        }
      }),
    );
  });

  test("a name that is clean already is its own form, whatever its case", () => {
    fc.assert(
      fc.property(fc.domain(), (domain) => {
        expect<string>(toHostname(domain.toUpperCase())).toBe(domain.toLowerCase());
        expect<string>(toHostname(domain.toLowerCase())).toBe(domain.toLowerCase());
      }),
    );
  });
});
