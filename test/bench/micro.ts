import { createAddressSet } from "../../src/limits/cidr.ts";
import { createClientLimits } from "../../src/limits/client-limits.ts";
import { setUserTimeout } from "../../src/net/socket-options.ts";
import { createLog } from "../../src/observe/log.ts";
import { type Opening, parseOpening } from "../../src/protocol/opening.ts";
import type { Parsed } from "../../src/protocol/parsed.ts";
import { makeAddress } from "../../src/routing/address.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import type { Route } from "../../src/routing/route.ts";
import { createRouteTable, type RouteTable } from "../../src/routing/table.ts";
import type { SessionFacts } from "../../src/session/event.ts";
import { frame, handshake, intents, loginStart } from "../support/minecraft/wire.ts";

/** One function of ours on its own. */
export interface MicroRow {
  readonly call: string;
  readonly nanoseconds: number;
  /**
   * The same in yardsticks: what the runtime itself takes to decode a hostname, measured in turn with it.
   * It is much the same on every machine.
   */
  readonly yardsticks: number;
  /** How many it may be: about twice what it was when the limit was set. */
  readonly atMost: number;
}

/** A call to time: what it does, and whether it has done that. */
interface Call {
  readonly call: string;
  readonly atMost: number;
  readonly work: () => unknown;
  readonly isRight: (result: unknown) => boolean;
}

/** Short ones and many: on a busy machine some of them are left alone. */
const batchNanoseconds = 3_000_000;
const batches = 150;

const host = "survival.play.example.org";

/**
 * What the parts cost that every session goes through, as nanoseconds per call: the least of 150 batches of
 * 3 ms, since whatever disturbs can only add. Throws when a call does not do what it is timed for.
 */
export const microRows = (): readonly MicroRow[] =>
  [
    ...parserCalls(),
    ...hostnameCalls(),
    ...tableCalls(),
    ...limitCalls(),
    socketCall(),
    logCall(),
  ].map(time);

/** Whether a call is as fast as it was. */
export const isFast = ({ yardsticks, atMost }: MicroRow): boolean => yardsticks <= atMost;

function statusOpening(): Buffer {
  const bytes = handshake({ protocol: 767, host, port: 25_565, intent: intents.status });
  return Buffer.concat([bytes, frame(0x00)]);
}

function loginOpening(hostname: string): Buffer {
  const bytes = handshake({ protocol: 767, host: hostname, port: 25_565, intent: intents.login });
  return Buffer.concat([bytes, loginStart(767, "Steve")]);
}

function parserCalls(): readonly Call[] {
  const status = statusOpening();
  const login = loginOpening(host);
  const isRight = (result: unknown): boolean => parsedHost(result as Parsed<Opening>) === host;
  return [
    { call: "parseOpening, status", atMost: 20, work: () => parseOpening(status), isRight },
    { call: "parseOpening, login", atMost: 60, work: () => parseOpening(login), isRight },
  ];
}

/** What goes to the kernel through bun:ffi, for both sides of a game. */
function socketCall(): Call {
  const socket = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  // It would keep the bench from ending.
  socket.unref();
  return {
    call: "setUserTimeout",
    atMost: 16,
    work: () => setUserTimeout(socket.fd, 30_000),
    isRight: (result) => result === true,
  };
}

function hostnameCalls(): readonly Call[] {
  const odd = "Survival.Play.Example.org.\0FML3\0";
  const isRight = (result: unknown): boolean => result === host;
  return [
    {
      call: "toHostname, as nearly all clients send it",
      atMost: 2,
      work: () => toHostname(host),
      isRight,
    },
    {
      call: "toHostname, upper case and \\0FML3\\0",
      atMost: 8,
      work: () => toHostname(odd),
      isRight,
    },
  ];
}

function tableCalls(): readonly Call[] {
  return [1_000, 100_000].flatMap((size) => {
    const table = tableOf(size);
    const count = `${size.toLocaleString("en-US")} routes`;
    const known = (i: number): string => `s${(i * 7919) % size}.example.org`;
    const isFound = (result: unknown): boolean => result !== null;
    return [
      {
        call: `resolve, exact, ${count}`,
        atMost: 4,
        work: lookUps(table, known),
        isRight: isFound,
      },
      {
        call: `resolve, wildcard, ${count}`,
        atMost: 6,
        work: lookUps(table, (i) => `a${i}.below.example.org`),
        isRight: isFound,
      },
      {
        call: `resolve, unknown, ${count}`,
        atMost: 12,
        work: lookUps(table, (i) => `u${i}.nowhere.example.net`),
        isRight: (result: unknown) => result === null,
      },
      {
        call: `from a login's bytes to its route, ${count}`,
        atMost: 120,
        work: wayToRoute(table, known),
        isRight: isFound,
      },
    ];
  });
}

function limitCalls(): readonly Call[] {
  const isRight = (result: unknown): boolean => result === true;
  return [
    {
      call: "limits of an address, one that is known",
      atMost: 25,
      work: admitFrom(["203.0.113.7"]),
      isRight,
    },
    {
      call: "limits of an address, a new IPv4 one each time",
      atMost: 150,
      work: admitFrom(strangers(".")),
      isRight,
    },
    {
      call: "limits of an address, a new IPv6 one each time",
      atMost: 150,
      work: admitFrom(strangers("2001:db8")),
      isRight,
    },
  ];
}

/** Three times as many addresses as are remembered, no two of one network. */
const strangers = (prefix: string): readonly string[] =>
  Array.from({ length: 200_000 }, (_, i) =>
    prefix.includes(":")
      ? `${prefix}:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`
      : `${(i >> 12) + 1}.${(i >> 4) & 255}.${(i & 15) * 16}.1`,
  );

/** What a connection costs that comes, says what it wants and goes. */
function admitFrom(ips: readonly string[]): () => unknown {
  const limits = createClientLimits({
    connections: 256,
    perSecond: 1e9,
    loginsPerSecond: 1e9,
    exempt: createAddressSet([]),
  });
  let next = 0;
  return () => {
    const ip = ips[next] ?? "";
    next = (next + 1) % ips.length;
    const refusal = limits.refusal(ip);
    limits.entered(ip);
    const isAllowed = limits.allows(ip, "login");
    limits.left(ip);
    return refusal === null && isAllowed;
  };
}

function tableOf(size: number): RouteTable {
  const table = createRouteTable();
  const wildcard: Route = {
    source: "postgres",
    id: "wildcard",
    patterns: [{ kind: "wildcard", suffix: toHostname("below.example.org") }],
    address: makeAddress("10.0.0.1", 25_565),
    wake: null,
  };
  const exact = Array.from(
    { length: size },
    (_, i): Route => ({
      source: "postgres",
      id: `s${i}`,
      patterns: [{ kind: "exact", hostname: toHostname(`s${i}.example.org`) }],
      address: makeAddress("10.0.0.1", 25_565),
      wake: null,
    }),
  );
  table.replace("postgres", [wildcard, ...exact]);
  return table;
}

/** Goes round 1,024 hostnames, so that no look-up is answered by the one before. */
function lookUps(table: RouteTable, hostname: (index: number) => string): () => unknown {
  const hostnames = Array.from({ length: 1_024 }, (_, i) => toHostname(hostname(i)));
  let next = 0;
  return () => {
    next = (next + 1) % 1_024;
    return table.resolve(hostnames[next] ?? toHostname(""));
  };
}

/**
 * Goes round 1,024 openings: parse, hostname and look-up as in a session, with strings that are new each
 * time.
 */
function wayToRoute(table: RouteTable, hostname: (index: number) => string): () => unknown {
  const openings = Array.from({ length: 1_024 }, (_, i) => loginOpening(hostname(i)));
  let next = 0;
  return () => {
    next = (next + 1) % 1_024;
    return table.resolve(toHostname(parsedHost(parseOpening(openings[next] ?? none))));
  };
}

function logCall(): Call {
  let length = 0;
  const session: SessionFacts = {
    id: 1,
    client: { ip: "203.0.113.7", port: 50_000 },
    intent: "login",
    protocol: 767,
    rawHost: "survival.play.example.org",
    hostname: "survival.play.example.org",
    route: "*.example.org",
    row: "survival",
    backend: "10.0.0.5:25565",
    player: { name: "Steve", uuid: "5627dd98-e6be-3c21-b8a8-e92344183641" },
    waitedMs: null,
  };
  const log = createLog({
    level: () => "info",
    format: "logfmt",
    recordLogins: false,
    journald: false,
    now: () => "2026-01-01T00:00:00.000Z",
    write: (line) => {
      length += line.length;
    },
  });
  const end = { toBackend: 1_000, toClient: 100_000, endedBy: "client", ending: "fin" } as const;
  return {
    call: "log line of a session that ends",
    atMost: 180,
    work() {
      log({
        kind: "session-ended",
        session,
        outcome: { kind: "relayed", end },
        durationMs: 60_000,
      });
      return length;
    },
    isRight: (result) => Number(result) > 100,
  };
}

const none = Buffer.alloc(0);

/** The hostname as the client sent it; "" for anything but a whole opening of a game that is not ancient. */
const parsedHost = (parsed: Parsed<Opening>): string =>
  parsed.kind === "ok" && "handshake" in parsed.value ? parsed.value.handshake.rawHost : "";

/** Where the results of calls go, so that no call can be left out. */
let kept: unknown = null;

const encodedHost = Buffer.from(host);
const yardstick = (): unknown => encodedHost.toString("latin1", 0, host.length);

function time({ call, atMost, work, isRight }: Call): MicroRow {
  if (!isRight(work())) throw new Error(`${call}: it does not do what is timed`);
  let [nanoseconds, unit] = [Infinity, Infinity];
  for (let i = 0; i < batches; i++) {
    unit = Math.min(unit, batch(yardstick));
    nanoseconds = Math.min(nanoseconds, batch(work));
  }
  return { call, nanoseconds, yardsticks: nanoseconds / unit, atMost };
}

/** Nanoseconds per call, over calls in groups of 100, so that the clock itself does not count. */
function batch(work: () => unknown): number {
  const startedAt = Bun.nanoseconds();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < batchNanoseconds) {
    for (let i = 0; i < 100; i++) kept = work();
    calls += 100;
    elapsed = Bun.nanoseconds() - startedAt;
  }
  return kept === undefined ? 0 : elapsed / calls;
}
