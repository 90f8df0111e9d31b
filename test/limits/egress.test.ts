import { describe, expect, test } from "bun:test";
import { createEgress, type EgressDeps, parseEgressRange } from "../../src/limits/egress.ts";

function ranges(...entries: readonly string[]) {
  return entries.map((entry) => {
    const range = parseEgressRange(entry);
    if (!range.ok) throw new Error(`${entry} ${range.error}`);
    return range.value;
  });
}

const egress = (options: Partial<EgressDeps> = {}) =>
  createEgress({ allow: [], deny: [], ownAddresses: () => [], ...options });

describe("without any rule", () => {
  const rows: readonly (readonly [ip: string, reason: string | null])[] = [
    ["127.0.0.1", null],
    ["::1", null],
    ["10.0.0.5", null],
    ["203.0.113.5", null],
    ["2001:db8::5", null],
    ["fd00::5", null],
    ["169.254.169.254", "is a link-local address"],
    ["::ffff:169.254.169.254", "is a link-local address"],
    ["::ffff:a9fe:a9fe", "is a link-local address"],
    ["169.253.255.255", null],
    ["fe80::1", "is a link-local address"],
    ["febf:ffff::1", "is a link-local address"],
    ["fec0::1", null],
    ["fd00:ec2::254", "is a cloud's metadata service"],
    ["fd00:0ec2:0:0:0:0:0:0254", "is a cloud's metadata service"],
    ["0.0.0.0", "is no address of a machine"],
    ["0.1.2.3", "is no address of a machine"],
    ["::", "is no address of a machine"],
    ["::ffff:0.0.0.0", "is no address of a machine"],
    ["224.0.0.1", "is an address of many machines"],
    ["239.255.255.255", "is an address of many machines"],
    ["255.255.255.255", "is an address of many machines"],
    ["240.0.0.1", null],
    ["ff02::1", "is an address of many machines"],
  ];
  test.each(rows)("%p: %p", (ip, reason) => {
    expect(egress().refusal(ip, 25_565)).toBe(reason);
  });

  test("what is refused always is refused also where it is allowed by name", () => {
    const rules = egress({ allow: ranges("169.254.0.0/16", "0.0.0.0/0") });
    expect(rules.refusal("169.254.169.254", 80)).toBe("is a link-local address");
  });
});

describe("rules of the operator's", () => {
  const denied = (entry: string) => `is in AUTOMC_BACKEND_DENY (${entry})`;
  const notAllowed = "is not in AUTOMC_BACKEND_ALLOW";
  const rows: readonly {
    readonly name: string;
    readonly allow?: readonly string[];
    readonly deny?: readonly string[];
    readonly to: readonly [ip: string, port: number];
    readonly reason: string | null;
  }[] = [
    { name: "an allowed network", allow: ["10.0.0.0/8"], to: ["10.9.9.9", 1], reason: null },
    { name: "outside it", allow: ["10.0.0.0/8"], to: ["11.0.0.1", 1], reason: notAllowed },
    { name: "one address", allow: ["10.0.0.5"], to: ["10.0.0.5", 22], reason: null },
    { name: "its neighbour", allow: ["10.0.0.5"], to: ["10.0.0.6", 22], reason: notAllowed },
    { name: "its port", allow: ["10.0.0.5:25565"], to: ["10.0.0.5", 25_565], reason: null },
    {
      name: "another port of it",
      allow: ["10.0.0.5:25565"],
      to: ["10.0.0.5", 25_566],
      reason: notAllowed,
    },
    {
      name: "the first port of a range",
      allow: ["10.0.0.0/8:25565-25600"],
      to: ["10.0.0.5", 25_565],
      reason: null,
    },
    {
      name: "the last port of a range",
      allow: ["10.0.0.0/8:25565-25600"],
      to: ["10.0.0.5", 25_600],
      reason: null,
    },
    {
      name: "a port behind a range",
      allow: ["10.0.0.0/8:25565-25600"],
      to: ["10.0.0.5", 25_601],
      reason: notAllowed,
    },
    {
      name: "the second of two entries",
      allow: ["10.0.0.0/8", "[fd00::/8]:25565"],
      to: ["fd12::1", 25_565],
      reason: null,
    },
    {
      name: "an IPv6 network at another port",
      allow: ["10.0.0.0/8", "[fd00::/8]:25565"],
      to: ["fd12::1", 22],
      reason: notAllowed,
    },
    { name: "an IPv6 network", allow: ["fd00::/8"], to: ["fd12::1", 22], reason: null },
    {
      name: "a denied network",
      deny: ["192.168.0.0/16"],
      to: ["192.168.1.1", 80],
      reason: denied("192.168.0.0/16"),
    },
    { name: "beside it", deny: ["192.168.0.0/16"], to: ["192.169.1.1", 80], reason: null },
    {
      name: "denied and allowed",
      allow: ["10.0.0.0/8"],
      deny: ["10.0.0.1:5432"],
      to: ["10.0.0.1", 5432],
      reason: denied("10.0.0.1:5432"),
    },
    {
      name: "a mapped form of what is denied",
      deny: ["192.168.0.0/16"],
      to: ["::ffff:192.168.1.1", 80],
      reason: denied("192.168.0.0/16"),
    },
  ];
  test.each(rows)("$name: $reason", ({ allow = [], deny = [], to, reason }) => {
    const rules = egress({ allow: ranges(...allow), deny: ranges(...deny) });
    expect(rules.refusal(...to)).toBe(reason);
    expect(rules.refused()).toBe(reason === null ? 0 : 1);
  });
});

describe("the router's own listener", () => {
  const itself = "is this router itself";
  const rows: readonly {
    readonly bind: string;
    readonly to: readonly [ip: string, port: number];
    readonly reason: string | null;
  }[] = [
    { bind: "::", to: ["127.0.0.1", 25_565], reason: itself },
    { bind: "::", to: ["127.8.8.8", 25_565], reason: itself },
    { bind: "::", to: ["::1", 25_565], reason: itself },
    { bind: "::", to: ["::ffff:127.0.0.1", 25_565], reason: itself },
    { bind: "::", to: ["198.51.100.7", 25_565], reason: itself },
    { bind: "::", to: ["2001:db8::7", 25_565], reason: itself },
    { bind: "::", to: ["198.51.100.8", 25_565], reason: null },
    { bind: "::", to: ["127.0.0.1", 25_566], reason: null },
    { bind: "0.0.0.0", to: ["127.0.0.1", 25_565], reason: itself },
    { bind: "0.0.0.0", to: ["198.51.100.7", 25_565], reason: itself },
    { bind: "0.0.0.0", to: ["2001:db8::7", 25_565], reason: null },
    { bind: "198.51.100.7", to: ["198.51.100.7", 25_565], reason: itself },
    { bind: "198.51.100.7", to: ["127.0.0.1", 25_565], reason: null },
  ];
  test.each(rows)("$bind: $to is refused as $reason", ({ bind, to, reason }) => {
    const rules = egress({ ownAddresses: () => ["198.51.100.7", "2001:db8::7"] });
    expect(rules.refusal(...to)).toBeNull();
    rules.listens(bind, 25_565);
    expect(rules.refusal(...to)).toBe(reason);
  });

  test("an address that the machine gets later is noticed", () => {
    const clock = { ms: 0 };
    const own: string[] = [];
    const rules = egress({ ownAddresses: () => own, now: () => clock.ms });
    rules.listens("::", 25_565);
    expect(rules.refusal("198.51.100.7", 25_565)).toBeNull();
    own.push("198.51.100.7");
    clock.ms = 5_000;
    expect(rules.refusal("198.51.100.7", 25_565)).toBe(itself);
  });

  test("the system's own addresses are known", () => {
    const rules = createEgress({ allow: [], deny: [] });
    rules.listens("::", 25_565);
    expect(rules.refusal("127.0.0.1", 25_565)).toBe(itself);
  });
});

describe("an entry that is none", () => {
  const noPort = "has no port from 1 to 65535, or range of them, behind its colon";
  const rows: readonly (readonly [entry: string, reason: string])[] = [
    ["10.0.0.0/8:0", noPort],
    ["10.0.0.0/8:65536", noPort],
    ["10.0.0.0/8:25600-25565", noPort],
    ["10.0.0.0/8:a", noPort],
    ["10.0.0.0/8:", noPort],
    ["[fd00::/8]:", noPort],
    ["10.0.0.0/33", "has no prefix length from 0 to 32 behind its slash"],
    ["example.com:25565", "is neither an IP address nor a range such as 10.0.0.0/8"],
  ];
  test.each(rows)("%p %p", (entry, reason) => {
    const range = parseEgressRange(entry);
    expect(range).toEqual({ ok: false, error: reason });
  });
});
