import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createResolver, literal } from "../../src/net/resolve.ts";
import { type DnsRecord, startDnsServer } from "../support/net/dns.ts";

const forever = new AbortController().signal;

/** A resolver of its own on a nameserver of its own, with a clock that only the test moves. */
async function start(
  zone: Record<string, DnsRecord>,
  files: { hosts?: string; resolvConf?: string } = {},
) {
  const dns = await startDnsServer(zone);
  const directory = mkdtempSync(join(tmpdir(), "resolve-"));
  const hostsPath = join(directory, "hosts");
  const resolvConfPath = join(directory, "resolv.conf");
  if (files.hosts !== undefined) writeFileSync(hostsPath, files.hosts);
  if (files.resolvConf !== undefined) writeFileSync(resolvConfPath, files.resolvConf);
  const clock = { ms: 0 };
  const resolver = createResolver({
    now: () => clock.ms,
    servers: [dns.address],
    hostsPath,
    resolvConfPath,
  });
  /** The addresses in one line, or the kind of failure. */
  const resolve = async (host: string, signal = forever): Promise<string> => {
    const answer = await resolver.resolve(host, signal);
    return answer.ok ? answer.value.join(" ") : answer.error.kind;
  };
  let fences = 0;
  /** Resolves once the answers to everything asked before are in: the nameserver answers in turn. */
  const answersToBeIn = async (): Promise<void> => {
    // Two, as c-ares asks a second time after an error.
    for (const last = fences + 2; fences < last; fences += 1)
      await resolve(`fence-${fences}.fence`);
  };
  const questionsFor = (name: string): string[] =>
    dns.questions.filter((question) => question.split(" ")[1] === name);
  return {
    dns,
    clock,
    directory,
    hostsPath,
    resolver,
    resolve,
    answersToBeIn,
    questionsFor,
    [Symbol.dispose]: () => {
      dns[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

/** Tries again until the answer is the one expected; the test's own time-out ends it otherwise. */
async function eventually<T>(expected: T, attempt: () => T | Promise<T>): Promise<void> {
  while ((await attempt()) !== expected) await Bun.sleep(5);
}

describe("an IP literal", () => {
  const rows = [
    { name: "IPv4", host: "192.0.2.7", ip: true },
    { name: "IPv6", host: "2001:db8::7", ip: true },
    { name: "IPv4 in IPv6", host: "::ffff:192.0.2.7", ip: true },
    { name: "IPv6 with a zone", host: "fe80::1%eth0", ip: true },
    { name: "IPv6 in brackets", host: "[::1]", ip: false },
    { name: "IPv4 with three parts", host: "127.0.1", ip: false },
    { name: "IPv4 with a leading zero", host: "192.0.02.7", ip: false },
    { name: "a name", host: "mc.example.com", ip: false },
    { name: "nothing", host: "", ip: false },
  ];
  test.each(rows)("$name: $host", ({ host, ip }) => {
    expect(literal(host)).toBe(ip ? host : null);
  });

  test("answers itself without a question", async () => {
    using it = await start({});
    expect(await it.resolve("192.0.2.7")).toBe("192.0.2.7");
    expect(await it.resolve("2001:db8::7")).toBe("2001:db8::7");
    expect(it.dns.questions).toEqual([]);
  });
});

describe("a name in DNS", () => {
  const rows: { name: string; record: DnsRecord; expected: string }[] = [
    { name: "IPv4 only", record: { a: ["192.0.2.1"] }, expected: "192.0.2.1" },
    { name: "IPv6 only", record: { aaaa: ["2001:db8::1"] }, expected: "2001:db8::1" },
    {
      name: "IPv4 before IPv6, in the nameserver's order",
      record: { a: ["192.0.2.9", "192.0.2.1"], aaaa: ["2001:db8::9", "2001:db8::1"] },
      expected: "192.0.2.9 192.0.2.1 2001:db8::9 2001:db8::1",
    },
    { name: "no address at all", record: {}, expected: "not-found" },
    {
      name: "IPv4, while questions for IPv6 are dropped",
      record: { a: ["192.0.2.1"], failing: { family: 6, how: "silent" } },
      expected: "192.0.2.1",
    },
    {
      name: "IPv4, while IPv6 fails",
      record: { a: ["192.0.2.1"], failing: { family: 6, how: "SERVFAIL" } },
      expected: "192.0.2.1",
    },
    {
      name: "IPv6, while IPv4 fails",
      record: { aaaa: ["2001:db8::1"], failing: { family: 4, how: "SERVFAIL" } },
      expected: "2001:db8::1",
    },
    {
      name: "a failure of IPv4 only, without IPv6 addresses",
      record: { failing: { family: 4, how: "SERVFAIL" } },
      expected: "nameserver-error",
    },
    {
      name: "a failure of IPv6 only, without IPv4 addresses",
      record: { failing: { family: 6, how: "SERVFAIL" } },
      expected: "nameserver-error",
    },
    { name: "SERVFAIL", record: { failing: { how: "SERVFAIL" } }, expected: "nameserver-error" },
    { name: "REFUSED", record: { failing: { how: "REFUSED" } }, expected: "nameserver-error" },
    { name: "NOTIMP", record: { failing: { how: "NOTIMP" } }, expected: "nameserver-error" },
    { name: "NXDOMAIN", record: { failing: { how: "NXDOMAIN" } }, expected: "not-found" },
  ];
  test.each(rows)("$name", async ({ record, expected }) => {
    using it = await start({ "mc.test": record });
    expect(await it.resolve("mc.test")).toBe(expected);
    expect(it.dns.questions.toSorted()).toEqual(["A mc.test", "AAAA mc.test"]);
  });

  test("is the same name in capitals", async () => {
    using it = await start({ "mc.test": { a: ["192.0.2.1"] } });
    expect(await it.resolve("MC.Test")).toBe("192.0.2.1");
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    expect(it.dns.questions.length).toBe(2);
  });

  test("comes from the second nameserver when the first is dead", async () => {
    using dead = await startDnsServer({ "*": { failing: { how: "silent" } } });
    using alive = await startDnsServer({ "mc.test": { a: ["192.0.2.1"] } });
    const resolver = createResolver({
      servers: [dead.address, alive.address],
      hostsPath: "/nonexistent",
      resolvConfPath: "/nonexistent",
    });
    const answer = await resolver.resolve("mc.test", forever);
    expect(answer).toEqual({ ok: true, value: ["192.0.2.1"] });
    expect(dead.questions.length).toBeGreaterThan(0);
  });

  const impossible = ["", ".", "..", "a..b", "a b", "a\0b", "bücher.test", "x".repeat(300)];
  test.each(impossible.map((host) => ({ host })))("%j does not exist", async ({ host }) => {
    using it = await start({});
    expect(await it.resolve(host)).toBe("not-found");
  });
});

describe("the cache", () => {
  const seconds = 1_000;
  const rows = [
    { name: "no time to live is kept for 5 s", record: { ttlSeconds: 0 }, keptMs: 5 * seconds },
    { name: "1 s is kept for 5 s", record: { ttlSeconds: 1 }, keptMs: 5 * seconds },
    { name: "30 s are kept for 30 s", record: { ttlSeconds: 30 }, keptMs: 30 * seconds },
    { name: "a day is kept for 60 s", record: { ttlSeconds: 86_400 }, keptMs: 60 * seconds },
    {
      name: "the shorter one counts if it is that of IPv6",
      record: { ttlSeconds: 50, aaaaTtlSeconds: 20 },
      keptMs: 20 * seconds,
    },
    {
      name: "the shorter one counts if it is that of IPv4",
      record: { ttlSeconds: 20, aaaaTtlSeconds: 50 },
      keptMs: 20 * seconds,
    },
  ];
  test.each(rows)("$name", async ({ record, keptMs }) => {
    using it = await start({ "mc.test": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"], ...record } });
    expect(await it.resolve("mc.test")).toBe("192.0.2.1 2001:db8::1");
    it.dns.zone.set("mc.test", { a: ["192.0.2.2"], ...record });
    it.clock.ms += keptMs - 1;
    expect(await it.resolve("mc.test")).toBe("192.0.2.1 2001:db8::1");
    expect(it.dns.questions.length).toBe(2);
    it.clock.ms += 1;
    await eventually("192.0.2.2", () => it.resolve("mc.test"));
    expect(it.dns.questions.length).toBe(4);
  });

  test("remembers for 2 s that a name does not exist", async () => {
    using it = await start({});
    expect(await it.resolve("new.test")).toBe("not-found");
    it.dns.zone.set("new.test", { a: ["192.0.2.1"] });
    it.clock.ms += 1_999;
    expect(await it.resolve("new.test")).toBe("not-found");
    expect(it.dns.questions.length).toBe(2);
    it.clock.ms += 1;
    expect(await it.resolve("new.test")).toBe("192.0.2.1");
  });

  test("forgets the one that was asked for longest ago of more than 4096 names", async () => {
    using it = await start({
      "*": { a: ["192.0.2.1"], ttlSeconds: 60 },
      "0.test": { a: ["192.0.2.2"], ttlSeconds: 5 },
    });
    for (let number = 0; number < 4_096; number += 1) await it.resolve(`${number}.test`);
    it.clock.ms += 5_000;
    await it.resolve("0.test");
    await it.answersToBeIn();
    // The fence has added two names, so 1.test and 2.test had to go.
    it.clock.ms += 2_000;
    for (const number of [0, 3, 4_095, 1]) await it.resolve(`${number}.test`);
    const asked = [0, 3, 4_095, 1].map((number) => it.questionsFor(`${number}.test`).length);
    expect(asked).toEqual([4, 2, 2, 4]);
  });
});

describe("stale addresses", () => {
  const good: DnsRecord = { a: ["192.0.2.1"], ttlSeconds: 10 };
  const failures: { name: string; record: DnsRecord }[] = [
    { name: "fails", record: { failing: { how: "SERVFAIL" } } },
    { name: "refuses", record: { failing: { how: "REFUSED" } } },
    { name: "is silent", record: { failing: { how: "silent" } } },
  ];
  test.each(failures)("are used while the nameserver $name", async ({ record }) => {
    using it = await start({ "mc.test": good });
    await it.resolve("mc.test");
    it.dns.zone.set("mc.test", record);
    it.clock.ms += 10_000;
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    await it.answersToBeIn();
    expect(it.questionsFor("mc.test").length).toBeGreaterThan(2);
  });

  test("last for an hour, and DNS is asked every 2 s meanwhile", async () => {
    using it = await start({ "mc.test": good });
    await it.resolve("mc.test");
    it.dns.zone.set("mc.test", { failing: { how: "SERVFAIL" } });
    it.clock.ms += 10_000;
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    await it.answersToBeIn();
    const asked = it.questionsFor("mc.test").length;
    it.clock.ms += 1_999;
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    await it.answersToBeIn();
    expect(it.questionsFor("mc.test").length).toBe(asked);
    it.clock.ms = 10_000 + 3_600_000 - 1;
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    await it.answersToBeIn();
    expect(it.questionsFor("mc.test").length).toBeGreaterThan(asked);
    it.clock.ms += 2_000;
    expect(await it.resolve("mc.test")).toBe("nameserver-error");
  });

  test("end when the nameserver says that the name is gone", async () => {
    using it = await start({ "mc.test": good });
    await it.resolve("mc.test");
    it.dns.zone.delete("mc.test");
    it.clock.ms += 10_000;
    await eventually("not-found", () => it.resolve("mc.test"));
  });

  test("bridge the time until a slow nameserver answers", async () => {
    using it = await start({ "mc.test": good });
    await it.resolve("mc.test");
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    it.dns.zone.set("mc.test", { a: ["192.0.2.2"], held });
    it.clock.ms += 10_000;
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    release();
    await eventually("192.0.2.2", () => it.resolve("mc.test"));
  });
});

describe("look-ups", () => {
  test("a hundred for one name at once ask once", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    using it = await start({ "mc.test": { a: ["192.0.2.1"], held } });
    const answers = Array.from({ length: 100 }, () => it.resolve("mc.test"));
    release();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["192.0.2.1"]));
    expect(it.dns.questions.toSorted()).toEqual(["A mc.test", "AAAA mc.test"]);
  });

  test("beyond 256 names at once fail immediately, and names that are known do not", async () => {
    using it = await start(
      { "known.test": { a: ["192.0.2.5"], ttlSeconds: 10 } },
      { hosts: "192.0.2.4 listed.test" },
    );
    await it.resolve("known.test");
    it.clock.ms += 10_000;
    // In portions, as neither end's receive buffer holds the datagrams of all 256.
    const portions: { release: () => void; answers: Promise<string>[] }[] = [];
    for (let portion = 0; portion < 8; portion += 1) {
      const { promise: held, resolve: release } = Promise.withResolvers<void>();
      it.dns.zone.set("*", { a: ["192.0.2.1"], held });
      const names = Array.from({ length: 32 }, (_, number) => `${number}.${portion}.test`);
      portions.push({ release, answers: names.map((name) => it.resolve(name)) });
      await eventually(2, () => it.questionsFor(`31.${portion}.test`).length);
    }
    expect(await it.resolve("one-more.test")).toBe("busy");
    expect(await it.resolve("known.test")).toBe("192.0.2.5");
    expect(await it.resolve("listed.test")).toBe("192.0.2.4");
    const shared = it.resolve("0.7.test");
    for (const { release, answers } of portions) {
      release();
      expect(new Set(await Promise.all(answers))).toEqual(new Set(["192.0.2.1"]));
    }
    expect(await shared).toBe("192.0.2.1");
    expect(await it.resolve("one-more.test")).toBe("192.0.2.1");
  });

  test("that nobody answers time out together and hold up nothing else", async () => {
    using it = await start(
      { "*": { failing: { how: "silent" } }, "known.test": { a: ["192.0.2.5"] } },
      { hosts: "192.0.2.4 listed.test" },
    );
    await it.resolve("known.test");
    let settled = 0;
    const dead = Array.from({ length: 50 }, async (_, number) => {
      const answer = await it.resolve(`dead-${number}.test`);
      settled += 1;
      return answer;
    });
    await Bun.write(join(it.directory, "file"), "written");
    expect(await it.resolve("known.test")).toBe("192.0.2.5");
    expect(await it.resolve("listed.test")).toBe("192.0.2.4");
    expect(await it.resolve("localhost")).toBe("127.0.0.1 ::1");
    it.dns.zone.set("alive.test", { a: ["192.0.2.6"] });
    expect(await it.resolve("alive.test")).toBe("192.0.2.6");
    expect(settled).toBe(0);
    expect(new Set(await Promise.all(dead))).toEqual(new Set(["timeout"]));
  });

  test("may be given up by one while the others wait on", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    using it = await start({ "mc.test": { a: ["192.0.2.1"], held } });
    const leaving = new AbortController();
    const first = it.resolve("mc.test", leaving.signal);
    const second = it.resolve("mc.test");
    leaving.abort();
    expect(await first).toBe("aborted");
    release();
    expect(await second).toBe("192.0.2.1");
    expect(it.dns.questions.length).toBe(2);
  });

  test("are not begun for somebody who has left already", async () => {
    using it = await start({ "mc.test": { a: ["192.0.2.1"] } });
    expect(await it.resolve("mc.test", AbortSignal.abort())).toBe("aborted");
    expect(it.dns.questions).toEqual([]);
  });

  test("that fail say why in one phrase", async () => {
    using it = await start({ "broken.test": { failing: { how: "SERVFAIL" } } });
    const messages = await Promise.all(
      ["broken.test", "absent.test"].map((host) => it.resolver.resolve(host, forever)),
    );
    expect(messages.map((answer) => (answer.ok ? "" : answer.error.message))).toEqual([
      "the nameserver answered with ESERVFAIL",
      "the name does not exist",
    ]);
  });
});

describe("the hosts file", () => {
  const text = [
    "# 192.0.2.99 commented.test",
    "2001:db8::1\tdual.test",
    "192.0.2.1  dual.test Alias.Test # the rest is not a name",
    "192.0.2.1  dual.test",
    "  192.0.2.2\tindented.test\r",
    "not-an-address broken.test",
    "192.0.2.3",
  ].join("\n");
  const rows = [
    {
      name: "both families of a name, IPv4 first",
      host: "dual.test",
      expected: "192.0.2.1 2001:db8::1",
    },
    { name: "an alias", host: "alias.test", expected: "192.0.2.1" },
    { name: "a name in capitals", host: "DUAL.TEST", expected: "192.0.2.1 2001:db8::1" },
    { name: "a name with the root's dot", host: "alias.test.", expected: "192.0.2.1" },
    { name: "a line with CRLF and indentation", host: "indented.test", expected: "192.0.2.2" },
    { name: "a comment", host: "commented.test", expected: "not-found" },
    { name: "words in a comment", host: "rest", expected: "not-found" },
    { name: "a line without an address", host: "broken.test", expected: "not-found" },
  ];
  test.each(rows)("$name: $host", async ({ host, expected }) => {
    using it = await start({}, { hosts: text });
    expect(await it.resolve(host)).toBe(expected);
  });

  test("wins over DNS, and a change is seen within a second", async () => {
    using it = await start({ "mc.test": { a: ["192.0.2.1"] } });
    expect(await it.resolve("mc.test")).toBe("192.0.2.1");
    const changes = [
      { text: "192.0.2.2 mc.test", expected: "192.0.2.2" },
      { text: "192.0.2.2 mc.test\n192.0.2.3 mc.test", expected: "192.0.2.2 192.0.2.3" },
      { text: "", expected: "192.0.2.1" },
    ];
    for (const { text: content, expected } of changes) {
      writeFileSync(it.hostsPath, content);
      it.clock.ms += 1_000;
      await eventually(expected, () => it.resolve("mc.test"));
    }
    writeFileSync(it.hostsPath, "192.0.2.2 mc.test");
    it.clock.ms += 1_000;
    await eventually("192.0.2.2", () => it.resolve("mc.test"));
    rmSync(it.hostsPath);
    it.clock.ms += 1_000;
    await eventually("192.0.2.1", () => it.resolve("mc.test"));
  });

  const loopbacks = [
    { name: "is loopback without a file", host: "localhost", expected: "127.0.0.1 ::1" },
    { name: "is loopback in capitals", host: "LocalHost.", expected: "127.0.0.1 ::1" },
    { name: "is loopback below localhost", host: "a.localhost", expected: "127.0.0.1 ::1" },
    {
      name: "is what the file says",
      hosts: "127.0.0.2 localhost",
      host: "localhost",
      expected: "127.0.0.2",
    },
  ];
  test.each(loopbacks)("localhost $name: $host", async ({ host, expected, ...files }) => {
    using it = await start({ "*": { a: ["192.0.2.1"] } }, files);
    expect(await it.resolve(host)).toBe(expected);
    expect(it.dns.questions).toEqual([]);
  });
});

describe("the search list", () => {
  const rows = [
    {
      name: "nothing without a list",
      resolvConf: "nameserver 192.0.2.53",
      host: "mc",
      asked: ["mc"],
    },
    {
      name: "a short name below each domain, then alone",
      resolvConf: "search one.test two.test",
      host: "mc",
      asked: ["mc.one.test", "mc.two.test", "mc"],
    },
    {
      name: "a name with a dot alone first",
      resolvConf: "search one.test",
      host: "mc.sub",
      asked: ["mc.sub", "mc.sub.one.test"],
    },
    {
      name: "a name with fewer dots than ndots below each domain first",
      resolvConf: "search ns.svc.test svc.test\noptions timeout:1 ndots:5",
      host: "mc.other",
      asked: ["mc.other.ns.svc.test", "mc.other.svc.test", "mc.other"],
    },
    { name: "a rooted name only alone", resolvConf: "search one.test", host: "mc.", asked: ["mc"] },
    {
      name: "the last of search and domain, without dots at its ends",
      resolvConf: "search one.test\ndomain .Two.Test. ignored.test",
      host: "mc",
      asked: ["mc.two.test", "mc"],
    },
    {
      name: "six domains at most, and not the root",
      resolvConf: "search . a.t b.t c.t d.t e.t f.t g.t",
      host: "mc",
      asked: ["mc.a.t", "mc.b.t", "mc.c.t", "mc.d.t", "mc.e.t", "mc.f.t", "mc"],
    },
    {
      name: "no domain of a comment",
      resolvConf: "# search one.test\n; search two.test",
      host: "mc",
      asked: ["mc"],
    },
  ];
  test.each(rows)("asks for $name", async ({ resolvConf, host, asked }) => {
    using it = await start({}, { resolvConf });
    expect(await it.resolve(host)).toBe("not-found");
    expect(it.dns.questions.filter((question) => question.startsWith("A "))).toEqual(
      asked.map((name) => `A ${name}`),
    );
  });

  const outcomes: { name: string; zone: Record<string, DnsRecord>; expected: string }[] = [
    {
      name: "the first that exists wins",
      zone: { "mc.one.test": { a: ["192.0.2.1"] }, "mc.two.test": { a: ["192.0.2.2"] } },
      expected: "192.0.2.1",
    },
    {
      name: "a domain that fails is passed over",
      zone: { "mc.one.test": { failing: { how: "SERVFAIL" } }, mc: { a: ["192.0.2.3"] } },
      expected: "192.0.2.3",
    },
    {
      name: "a failure on the way is not taken for absence",
      zone: { "mc.one.test": { failing: { how: "SERVFAIL" } } },
      expected: "nameserver-error",
    },
    {
      name: "silence ends the search",
      zone: { "mc.one.test": { failing: { how: "silent" } }, mc: { a: ["192.0.2.3"] } },
      expected: "timeout",
    },
  ];
  test.each(outcomes)("$name", async ({ zone, expected }) => {
    using it = await start(zone, { resolvConf: "search one.test two.test" });
    expect(await it.resolve("mc")).toBe(expected);
  });
});
