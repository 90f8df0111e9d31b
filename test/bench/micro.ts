import { createLog } from "../../src/observe/log.ts";
import { parseOpening } from "../../src/protocol/opening.ts";
import { makeAddress } from "../../src/routing/address.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import type { Route } from "../../src/routing/route.ts";
import { createRouteTable, type RouteTable } from "../../src/routing/table.ts";
import type { SessionFacts } from "../../src/session/event.ts";
import { frame, handshake, intents, loginStart } from "../support/wire.ts";

/** One function of ours on its own. */
export interface MicroRow {
  readonly call: string;
  readonly nanoseconds: number;
}

const batchNanoseconds = 40_000_000;
const batches = 9;

/** What the parts cost that every session goes through, as nanoseconds per call: the least of nine batches of 40 ms, since whatever disturbs can only add. */
export function microRows(): readonly MicroRow[] {
  const host = "survival.play.example.org";
  const status = Buffer.concat([
    handshake({ protocol: 767, host, port: 25_565, intent: intents.status }),
    frame(0x00),
  ]);
  const login = Buffer.concat([
    handshake({ protocol: 767, host, port: 25_565, intent: intents.login }),
    loginStart(767, "Steve"),
  ]);
  const rows: MicroRow[] = [
    time("parseOpening, status", () => parseOpening(status)),
    time("parseOpening, login", () => parseOpening(login)),
    time("toHostname, as nearly everybody sends it", () => toHostname(host)),
    time("toHostname, upper case and \\0FML3\\0", () =>
      toHostname("Survival.Example.org.\0FML3\0"),
    ),
  ];
  for (const size of [1_000, 100_000]) {
    const table = tableOf(size);
    const count = size.toLocaleString("en-US");
    rows.push(
      time(
        `resolve, exact, ${count} routes`,
        lookUps(table, (i) => `s${(i * 7919) % size}.example.org`),
      ),
      time(
        `resolve, wildcard, ${count} routes`,
        lookUps(table, (i) => `a${i}.below.example.org`),
      ),
      time(
        `resolve, unknown, ${count} routes`,
        lookUps(table, (i) => `u${i}.nowhere.example.net`),
      ),
    );
  }
  return [...rows, time("log line of a session that ends", logSession())];
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

function logSession(): () => unknown {
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
    level: "info",
    format: "logfmt",
    recordLogins: false,
    journald: false,
    now: () => "2026-01-01T00:00:00.000Z",
    write: (line) => {
      length += line.length;
    },
  });
  const end = { toBackend: 1_000, toClient: 100_000, endedBy: "client", ending: "fin" } as const;
  return () => {
    log({
      kind: "session-ended",
      session,
      outcome: { kind: "relayed", end },
      durationMs: 60_000,
    });
    return length;
  };
}

/** Where the results of calls go, so that no call can be left out. */
let kept: unknown = null;

function time(call: string, work: () => unknown): MicroRow {
  return { call, nanoseconds: Math.min(...Array.from({ length: batches }, () => batch(work))) };
}

/** Nanoseconds per call, over calls in groups of 1,000, so that the clock itself does not count. */
function batch(work: () => unknown): number {
  const startedAt = Bun.nanoseconds();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < batchNanoseconds) {
    for (let i = 0; i < 1_000; i++) kept = work();
    calls += 1_000;
    elapsed = Bun.nanoseconds() - startedAt;
  }
  return kept === undefined ? 0 : elapsed / calls;
}
