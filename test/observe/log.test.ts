import { describe, expect, test } from "bun:test";
import type { RouterEvent } from "../../src/observe/events.ts";
import type { Level } from "../../src/observe/line.ts";
import { createLog, type LogDeps } from "../../src/observe/log.ts";
import type { Claim } from "../../src/routing/table.ts";
import type { SessionFacts } from "../../src/session/event.ts";
import { answered, dropped, type Outcome } from "../../src/session/outcome.ts";
import {
  frame,
  handshake,
  intents,
  legacyPing,
  login,
  statusRequest,
  varint,
} from "../support/minecraft/wire.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { route, startSessions } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

/** A log and the lines that it has written. */
function logTo(deps: Partial<LogDeps> = {}) {
  const lines: string[] = [];
  const log = createLog({
    level: () => "trace",
    format: "json",
    recordLogins: false,
    journald: false,
    now: () => "2026-01-02T03:04:05.678Z",
    write: (line) => lines.push(line),
    ...deps,
  });
  return { log, lines };
}

/** The event's lines as data, each checked to be one line of JSON. */
function entriesOf(event: RouterEvent): Record<string, unknown>[] {
  const { log, lines } = logTo();
  log(event);
  return lines.map((line) => {
    expect(line).toMatch(/^[^\n]+\n$/);
    const { time, ...entry } = JSON.parse(line);
    expect(time).toBe("2026-01-02T03:04:05.678Z");
    expect(entry.event).toBe(event.kind);
    return entry;
  });
}

const facts: SessionFacts = {
  id: 7,
  client: { ip: "2001:db8::1", port: 50_000 },
  intent: "login",
  protocol: 774,
  rawHost: "A.Example.com",
  hostname: "a.example.com",
  route: "*.example.com",
  row: "survival",
  backend: "10.0.0.5:25566",
  player: { name: "Steve", uuid: "5627dd98-e6be-3c21-b8a8-e92344183641" },
  waitedMs: null,
};

const ended = (
  outcome: Outcome,
  change: Partial<SessionFacts> = {},
  durationMs = 61_234.5,
): RouterEvent => ({
  kind: "session-ended",
  session: { ...facts, ...change },
  outcome,
  durationMs,
});

const relayed: Outcome = {
  kind: "relayed",
  end: { toBackend: 12, toClient: 3_456, endedBy: "backend", ending: "reset" },
};

const claim = (pattern: string): Claim => {
  const claimed = route(pattern, "10.0.0.5:25566", pattern);
  return { pattern: claimed.patterns[0] ?? { kind: "default" }, route: claimed };
};
const noChanges = { added: [], removed: [], changed: [], conflicts: [] };

interface Row {
  readonly name: string;
  readonly event: RouterEvent;
  readonly level: Level;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A row for each kind of event at least: a new kind does not compile without one. */
const rows: Readonly<Record<RouterEvent["kind"], readonly Row[]>> = {
  started: [
    {
      name: "start",
      event: { kind: "started", version: "1.2.3", commit: "abc" },
      level: "info",
      fields: { version: "1.2.3", commit: "abc" },
    },
  ],
  "setting-warning": [
    {
      name: "setting",
      event: { kind: "setting-warning", message: "a setting" },
      level: "warn",
      fields: { msg: "a setting" },
    },
  ],
  listening: [
    {
      name: "IPv6 address",
      event: { kind: "listening", address: "::", port: 25565, sessionLimit: 900 },
      level: "info",
      fields: { listenAddress: "[::]:25565", port: 25565, sessionLimit: 900 },
    },
  ],
  failed: [
    {
      name: "failed start",
      event: { kind: "failed", reason: "port 25565 is in use" },
      level: "error",
      fields: { msg: "port 25565 is in use" },
    },
  ],
  reloading: [{ name: "reload", event: { kind: "reloading" }, level: "info", fields: {} }],
  reloaded: [{ name: "reloaded", event: { kind: "reloaded" }, level: "debug", fields: {} }],
  draining: [
    {
      name: "drain",
      event: { kind: "draining", signal: "SIGTERM", sessions: 3, drainMs: 30_000 },
      level: "info",
      fields: { signal: "SIGTERM", sessions: 3, limit: "30.0s" },
    },
  ],
  stopped: [
    { name: "stop", event: { kind: "stopped", cut: 2 }, level: "info", fields: { cut: 2 } },
  ],
  "log-level-changed": [
    {
      name: "another level",
      event: { kind: "log-level-changed", level: "debug" },
      level: "info",
      fields: { logLevel: "debug" },
    },
  ],
  "hostnames-unknown": [
    {
      name: "unknown hostnames",
      event: { kind: "hostnames-unknown", count: 2, hostname: "surviwal.x", near: "survival.x" },
      level: "warn",
      fields: { count: 2, lastServer: "surviwal.x", nearest: "survival.x" },
    },
  ],
  "backends-unreachable": [
    {
      name: "dead backends",
      event: {
        kind: "backends-unreachable",
        count: 2,
        route: "a.x",
        backend: "10.0.0.5:25565",
        reason: "connection refused",
      },
      level: "warn",
      fields: {
        count: 2,
        lastRoute: "a.x",
        lastBackend: "10.0.0.5:25565",
        reason: "connection refused",
      },
    },
  ],
  "accept-queue-long": [
    {
      name: "a long queue",
      event: { kind: "accept-queue-long", waitMs: 3_000, perSecond: 1 },
      level: "warn",
      fields: { wait: "3.0s", connectionsPerSecond: 1 },
    },
  ],
  "api-changed": [
    {
      name: "a change by the API",
      event: {
        kind: "api-changed",
        method: "POST",
        path: "/routes",
        client: "10.0.0.1",
        status: 201,
      },
      level: "info",
      fields: { client: "10.0.0.1", method: "POST", path: "/routes", status: 201 },
    },
  ],
  "api-refused": [
    {
      name: "a wrong token",
      event: {
        kind: "api-refused",
        method: "GET",
        path: `/${"x".repeat(100)}`,
        client: "10.0.0.1",
        status: 401,
        count: 3,
      },
      level: "warn",
      fields: {
        client: "10.0.0.1",
        method: "GET",
        path: `/${"x".repeat(62)}…`,
        status: 401,
        count: 3,
      },
    },
  ],
  "routes-changed": [
    {
      name: "a route that is new",
      event: {
        kind: "routes-changed",
        source: "postgres",
        changes: { ...noChanges, added: [claim("a.example.com")] },
      },
      level: "info",
      fields: {
        msg: "route added",
        serverAddress: "a.example.com",
        backend: "10.0.0.5:25566",
        row: "a.example.com",
      },
    },
    {
      name: "a route that is gone",
      event: {
        kind: "routes-changed",
        source: "postgres",
        changes: { ...noChanges, removed: [claim("*.example.com")] },
      },
      level: "info",
      fields: { msg: "route removed", serverAddress: "*.example.com" },
    },
    {
      name: "a route that leads elsewhere",
      event: {
        kind: "routes-changed",
        source: "postgres",
        changes: {
          ...noChanges,
          changed: [{ before: claim("a.example.com"), after: claim("a.example.com") }],
        },
      },
      level: "info",
      fields: { msg: "route changed", serverAddress: "a.example.com" },
    },
    {
      name: "a hostname that is claimed twice",
      event: {
        kind: "routes-changed",
        source: "postgres",
        changes: {
          ...noChanges,
          conflicts: [
            {
              pattern: claim("a.example.com").pattern,
              winner: route("a.example.com", "10.0.0.5:1", "first"),
              loser: route("a.example.com", "10.0.0.5:2", "second"),
            },
          ],
        },
      },
      level: "warn",
      fields: { server: "a.example.com", winner: "postgres first", loser: "postgres second" },
    },
    {
      name: "many routes at once",
      event: {
        kind: "routes-changed",
        source: "postgres",
        changes: {
          ...noChanges,
          added: Array.from({ length: 21 }, (_, index) => claim(`${index}.example.com`)),
        },
      },
      level: "info",
      fields: { source: "postgres", added: 21, removed: 0, changed: 0 },
    },
  ],
  "source-live": [
    {
      name: "source for the first time",
      event: { kind: "source-live", source: "postgres", routes: 5, mode: "notify", awayMs: 0 },
      level: "info",
      fields: { source: "postgres", routes: 5, changes: "heard at once", away: undefined },
    },
    {
      name: "source that is back",
      event: { kind: "source-live", source: "postgres", routes: 5, mode: "poll", awayMs: 12_340 },
      level: "info",
      fields: { changes: "polled", away: "12.3s" },
    },
  ],
  "source-lost": [
    {
      name: "lost source",
      event: { kind: "source-lost", source: "postgres", reason: "ECONNREFUSED", routes: 5 },
      level: "warn",
      fields: { source: "postgres", reason: "ECONNREFUSED", routes: 5 },
    },
  ],
  "source-retry": [
    {
      name: "further attempt",
      event: { kind: "source-retry", source: "postgres", reason: "ECONNREFUSED", nextMs: 500 },
      level: "debug",
      fields: { next: "0.5s" },
    },
  ],
  "service-state": [
    {
      name: "starts",
      event: {
        kind: "service-state",
        source: "swarm",
        service: "lobby",
        before: "sleeping",
        state: "waking",
      },
      level: "info",
      fields: { source: "swarm", service: "lobby", before: "sleeping", state: "waking" },
    },
    {
      name: "stays down",
      event: {
        kind: "service-state",
        source: "swarm",
        service: "lobby",
        before: "running",
        state: "failed",
      },
      level: "warn",
      fields: { source: "swarm", service: "lobby", before: "running", state: "failed" },
    },
  ],
  "row-skipped": [
    {
      name: "bad row",
      event: { kind: "row-skipped", source: "postgres", row: "x", reason: "has no port" },
      level: "warn",
      fields: { source: "postgres", row: "x", reason: "has no port" },
    },
  ],
  "source-warning": [
    {
      name: "warning of a source",
      event: { kind: "source-warning", source: "postgres", message: "do this" },
      level: "warn",
      fields: { msg: "do this", source: "postgres" },
    },
  ],
  "snapshot-loaded": [
    {
      name: "snapshot",
      event: { kind: "snapshot-loaded", source: "postgres", routes: 5, path: "/a/b", ageMs: 1_000 },
      level: "info",
      fields: { routes: 5, path: "/a/b", age: "1.0s" },
    },
  ],
  "wake-started": [
    {
      name: "wake",
      event: { kind: "wake-started", server: "survival" },
      level: "info",
      fields: { row: "survival" },
    },
  ],
  "wake-done": [
    ...(["control-plane", "webhook", "row"] as const).map((by) => ({
      name: `wake that is done, by the ${by}`,
      event: {
        kind: "wake-done",
        server: "survival",
        address: "10.0.0.5:25566",
        by,
        waiters: 3,
        tookMs: 45_678,
      } as const,
      level: "info" as const,
      fields: { row: "survival", backendHostPort: "10.0.0.5:25566", waiters: 3, took: "45.7s" },
    })),
  ],
  "wake-failed": [
    {
      name: "wake that failed",
      event: { kind: "wake-failed", server: "a", reason: "status 500", waiters: 1, tookMs: 90_000 },
      level: "warn",
      fields: { row: "a", reason: "status 500", waiters: 1, took: "90.0s" },
    },
  ],
  "wake-abandoned": [
    {
      name: "wake that nobody waits for",
      event: { kind: "wake-abandoned", server: "a", tookMs: 1_000 },
      level: "info",
      fields: { row: "a", took: "1.0s" },
    },
  ],
  "wake-refused": [
    {
      name: "wake that there is no budget for",
      event: { kind: "wake-refused", server: "a", why: "client", reason: "too many" },
      level: "debug",
      fields: { row: "a", why: "client", reason: "too many" },
    },
  ],
  "listening-for": [
    {
      name: "a further port",
      event: {
        kind: "listening-for",
        address: "::",
        port: 25_601,
        hostname: "survival.example.org",
      },
      level: "info",
      fields: {
        listenAddress: "[::]:25601",
        port: 25_601,
        server: "survival.example.org",
      },
    },
  ],
  "api-listening": [
    {
      name: "api-listening",
      event: { kind: "api-listening", binding: "127.0.0.1:8080" },
      level: "info",
      fields: { binding: "127.0.0.1:8080" },
    },
  ],
  "influx-lost": [
    {
      name: "influx-lost",
      event: { kind: "influx-lost", reason: "status 500" },
      level: "warn",
      fields: { reason: "status 500" },
    },
  ],
  "influx-back": [
    {
      name: "influx-back",
      event: { kind: "influx-back", dropped: 3 },
      level: "info",
      fields: { dropped: 3 },
    },
  ],
  "control-plane-lost": [
    {
      name: "control plane that is lost",
      event: {
        kind: "control-plane-lost",
        server: "survival",
        call: "start",
        reason: "status 500",
      },
      level: "warn",
      fields: { reason: "status 500" },
    },
  ],
  "control-plane-back": [
    {
      name: "control plane that is back",
      event: { kind: "control-plane-back", server: "survival", call: "start" },
      level: "info",
      fields: {},
    },
  ],
  "webhook-lost": [
    {
      name: "webhook that does not start a server",
      event: { kind: "webhook-lost", server: "10.0.0.5:25565", reason: "status 500" },
      level: "warn",
      fields: { row: "10.0.0.5:25565", reason: "status 500" },
    },
  ],
  "webhook-back": [
    {
      name: "webhook that does again",
      event: { kind: "webhook-back", server: "10.0.0.5:25565" },
      level: "info",
      fields: { row: "10.0.0.5:25565" },
    },
  ],
  "idle-armed": [
    {
      name: "server that nobody is on",
      event: { kind: "idle-armed", server: "10.0.0.5:25565", afterMs: 600_000 },
      level: "debug",
      fields: { row: "10.0.0.5:25565", sleepsIn: "600.0s" },
    },
  ],
  "sleep-started": [
    {
      name: "server that is put to sleep",
      event: { kind: "sleep-started", server: "10.0.0.5:25565" },
      level: "info",
      fields: { row: "10.0.0.5:25565" },
    },
  ],
  "sleep-done": [
    {
      name: "server that sleeps",
      event: { kind: "sleep-done", server: "10.0.0.5:25565", tookMs: 1_500 },
      level: "info",
      fields: { row: "10.0.0.5:25565", took: "1.5s" },
    },
  ],
  "sleep-failed": [
    {
      name: "server that could not be put to sleep",
      event: {
        kind: "sleep-failed",
        server: "10.0.0.5:25565",
        reason: "status 500",
        retryMs: 600_000,
      },
      level: "warn",
      fields: { row: "10.0.0.5:25565", reason: "status 500", next: "600.0s" },
    },
  ],
  "notifier-lost": [
    {
      name: "notices that are lost",
      event: { kind: "notifier-lost", reason: "status 500" },
      level: "warn",
      fields: { reason: "status 500" },
    },
  ],
  "notifier-back": [
    {
      name: "notices that arrive again",
      event: { kind: "notifier-back", missed: 4 },
      level: "info",
      fields: { missed: 4 },
    },
  ],
  "session-accepted": [
    {
      name: "client that connects",
      event: { kind: "session-accepted", client: { ip: "192.0.2.1", port: 50_000 } },
      level: "trace",
      fields: { client: "192.0.2.1:50000" },
    },
  ],
  "clients-refused": [
    {
      name: "clients that are too many of one address",
      event: { kind: "clients-refused", why: "rate", count: 3, lastIp: "203.0.113.7" },
      level: "info",
      fields: {
        why: "too many connections a second from their address",
        count: 3,
        lastClient: "203.0.113.7",
      },
    },
    {
      name: "clients that are too many for the router",
      event: { kind: "clients-refused", why: "total", count: 1, lastIp: "203.0.113.7" },
      level: "warn",
      fields: { why: "the router is full", count: 1, lastClient: "203.0.113.7" },
    },
  ],
  "session-holding": [
    {
      name: "player who waits",
      event: { kind: "session-holding", session: facts },
      level: "info",
      fields: { session: 7, server: "a.example.com", row: "survival" },
    },
  ],
  "session-relaying": [
    {
      name: "player who is in",
      event: { kind: "session-relaying", session: facts },
      level: "info",
      fields: { backendHostPort: "10.0.0.5:25566" },
    },
    {
      name: "ping that is relayed",
      event: { kind: "session-relaying", session: { ...facts, intent: "status" } },
      level: "debug",
      fields: { intent: "status" },
    },
  ],
  "session-ended": [
    {
      name: "session that was relayed, told in one line",
      event: ended(relayed, { waitedMs: 45_678 }),
      level: "info",
      fields: {
        session: 7,
        client: "[2001:db8::1]:50000",
        intent: "login",
        protocol: 774,
        server: "a.example.com",
        route: "*.example.com",
        row: "survival",
        backendHostPort: "10.0.0.5:25566",
        player: "Steve/5627dd98-e6be-3c21-b8a8-e92344183641",
        waited: "45.7s",
        endedBy: "backend",
        how: "reset",
        bytesToBackend: 12,
        bytesToClient: 3_456,
        seconds: 61.234,
      },
    },
    {
      name: "relayed transfer",
      event: ended(relayed, { intent: "transfer" }),
      level: "info",
      fields: {},
    },
    {
      name: "relayed ping",
      event: ended(relayed, { intent: "status" }),
      level: "debug",
      fields: {},
    },
    {
      name: "player before 1.19",
      event: ended(relayed, { player: { name: "Steve", uuid: null } }),
      level: "info",
      fields: { player: "Steve" },
    },
    {
      name: "unreachable server",
      event: ended(answered("unreachable", "no answer in time")),
      level: "warn",
      fields: { reason: "no answer in time" },
    },
    {
      name: "failed wake",
      event: ended(answered("wake-failed")),
      level: "warn",
      fields: { reason: undefined },
    },
    { name: "full router", event: ended(answered("full")), level: "warn", fields: {} },
    { name: "mute client", event: ended(answered("mute")), level: "info", fields: {} },
    { name: "stopping router", event: ended(answered("stopping")), level: "info", fields: {} },
    {
      name: "ping of a sleeping server",
      event: ended(answered("asleep"), { intent: "status" }),
      level: "debug",
      fields: {},
    },
    {
      name: "ping of a starting server",
      event: ended(answered("waking"), { intent: "legacy-ping" }),
      level: "debug",
      fields: {},
    },
    {
      name: "player before 1.7",
      event: ended(answered("too-old"), { intent: "legacy-login" }),
      level: "debug",
      fields: {},
    },
    {
      name: "player who waited and left",
      event: ended(dropped("left"), { waitedMs: 3_000 }),
      level: "info",
      fields: { waited: "3.0s" },
    },
    ...(
      ["silent", "not-minecraft", "too-slow", "left", "unknown-host", "no-answer"] as const
    ).flatMap((why) =>
      ([null, "status", "login", "legacy-ping"] as const).map((intent) => ({
        name: `${why} of intent ${intent}`,
        event: ended(dropped(why, "a reason"), { intent }),
        level: "debug" as const,
        fields: { reason: "a reason" },
      })),
    ),
  ],
  fault: [
    {
      name: "defect, stack and all",
      event: { kind: "fault", error: new Error("broken\nin two lines") },
      level: "error",
      fields: { error: "broken\nin two lines", stack: expect.stringContaining("log.test.ts") },
    },
  ],
};

describe("one line per event, at the level of who must act", () => {
  for (const { name, event, level, fields } of Object.values(rows).flat()) {
    test(`${event.kind}: ${name} is ${level}`, () => {
      const entries = entriesOf(event);
      expect(entries.length).toBe(1);
      const [entry = {}] = entries;
      expect(entry["level"]).toBe(level);
      expect(entry["msg"]).toMatch(/./);
      for (const [field, value] of Object.entries(fields)) expect(entry[field]).toEqual(value);
    });
  }
});

test("a change of twenty routes is twenty lines", () => {
  const added = Array.from({ length: 20 }, (_, index) => claim(`${index}.example.com`));
  const event = {
    kind: "routes-changed",
    source: "postgres",
    changes: { ...noChanges, added },
  } as const;
  expect(entriesOf(event).length).toBe(20);
});

describe("the level that is asked for", () => {
  const all: readonly Level[] = ["error", "warn", "info", "debug", "trace"];
  for (const [index, level] of all.entries()) {
    test(`${level} lets through exactly ${all.slice(0, index + 1).join(", ")}`, () => {
      const { log, lines } = logTo({ level: () => level });
      for (const row of Object.values(rows).flat()) log(row.event);
      const seen = new Set(lines.map((line) => JSON.parse(line).level));
      expect(seen).toEqual(new Set(all.slice(0, index + 1)));
    });
  }
});

describe("text that a client chose", () => {
  const nasty = 'x"\n\u001b[31m<0>\u202e\u2028§c\\';
  const event = ended(relayed, {
    hostname: `${nasty}${"h".repeat(40_000)}`,
    player: { name: nasty, uuid: null },
  });

  for (const format of ["logfmt", "json"] as const) {
    for (const journald of [false, true]) {
      test(`is escaped and cut, and stays on its line: ${format}${journald ? " under journald" : ""}`, () => {
        const { log, lines } = logTo({ format, journald });
        log(event);
        expect(lines.length).toBe(1);
        const [line = ""] = lines;
        expect(line.length).toBeLessThan(900);
        expect(line.endsWith("\n")).toBe(true);
        expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}§]/u);
        expect(line.startsWith("<6>")).toBe(journald);
        expect(line.includes("2026-01-02")).toBe(!journald);
      });
    }
  }

  test("can be read back from JSON, but for what was cut", () => {
    const [entry = {}] = entriesOf(event);
    expect(entry["player"]).toBe(nasty);
    expect(entry["server"]).toMatch(/^.{40,63}…$/su);
  });
});

describe("RECORD_LOGINS", () => {
  const rows: readonly { name: string; outcome: Outcome; intent: SessionFacts["intent"] }[] = [
    { name: "to an unknown host", outcome: dropped("unknown-host"), intent: "login" },
    { name: "by a transfer", outcome: dropped("unknown-host"), intent: "transfer" },
    { name: "given up before it was decided", outcome: dropped("left"), intent: "login" },
    { name: "that joined", outcome: relayed, intent: "login" },
  ];
  test.each([...rows])("shows an attempt at info: $name", ({ outcome, intent }) => {
    const { log, lines } = logTo({ recordLogins: true, level: () => "info" });
    log(ended(outcome, { intent }));
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: "info",
        client: "[2001:db8::1]:50000",
        player: "Steve/5627dd98-e6be-3c21-b8a8-e92344183641",
        serverAddress: "a.example.com",
      },
    ]);
  });

  test("leaves pings and what is no login where they were", () => {
    const { log, lines } = logTo({ recordLogins: true, level: () => "info" });
    log(ended(dropped("unknown-host"), { intent: "status", player: null }));
    log(ended(dropped("not-minecraft"), { intent: null, hostname: null, player: null }));
    expect(lines).toEqual([]);
  });
});

test("bad input of every kind, on real connections, leaves nothing above debug", async () => {
  const { log, lines } = logTo({ level: () => "info" });
  using backend = startBackend(silent);
  await using world = startSessions({
    routes: [route("a.example.com", backend.address)],
    onEvent: log,
  });
  const unknown = { host: "unknown.example.org", name: "Steve" };
  const inputs: readonly Buffer[] = [
    Buffer.alloc(0),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.from("16030100c8010000c40303", "hex"),
    Buffer.from("9f8e7d6c5b4a39281706f5e4d3c2b1a0", "hex"),
    Buffer.from("ffffffff0f00", "hex"),
    varint(0x1fffff),
    Buffer.of(0),
    login(unknown),
    login({ ...unknown, intent: intents.transfer }),
    login({ host: "a.example.com", name: "" }),
    login({ host: "a.example.com", name: "Steve" }).subarray(0, 20),
    handshake({ protocol: 774, host: "h".repeat(32_767), port: 1, intent: 2 }),
    handshake({ protocol: 774, host: "a.example.com", port: 1, intent: 9 }),
    Buffer.concat([
      handshake({ protocol: 774, host: unknown.host, port: 1, intent: 1 }),
      statusRequest,
    ]),
    legacyPing.withHost(unknown.host, 1),
    legacyPing.release,
    legacyPing.beta,
    Buffer.from("024e00050053007400650076006500000000000063dd", "hex"),
    frame(0x00, Buffer.from("02c328", "hex")),
  ];
  for (const [index, input] of inputs.entries()) {
    const player = await world.player(input);
    await Bun.sleep(1);
    if (index % 2 === 0) player.finish();
    else player.close();
  }
  await until("all have ended", () => world.count("session-ended") === inputs.length);
  expect(lines).toEqual([]);
  const player = await world.player(login({ host: "a.example.com", name: "Steve" }));
  await until("the next player is in", () => lines.length === 1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", event: "session-relaying" });
  player.reset();
});
