import type { ConnectionLimiter } from "../limits/connection-limiter.ts";
import { type Conn, keepAlive, localEndpoint, peek, take } from "../net/conn.ts";
import { loginInsteadOfTransfer } from "../protocol/handshake.ts";
import type { Opening } from "../protocol/opening.ts";
import { proxyHeaderV2 } from "../protocol/proxy-header.ts";
import { isNowhere } from "../routing/address.ts";
import { type Hostname, toHostname } from "../routing/hostname.ts";
import { patternText } from "../routing/pattern.ts";
import type { Route } from "../routing/route.ts";
import type { Claim, RouteTable } from "../routing/table.ts";
import type { Idle, Visit } from "../wake/idle.ts";
import { type AdmissionDeps, admit, type Ends } from "./admission.ts";
import { answerPing, kick, kickLegacy } from "./answer.ts";
import type { SessionEvent, SessionFacts } from "./event.ts";
import { motdOf, refusalOf } from "./motd.ts";
import { type Opened, openingMs, readOpening } from "./opening.ts";
import { answered, dropped, type Outcome } from "./outcome.ts";
import {
  isWakeable,
  type PingNotes,
  type ReachDeps,
  type Reached,
  reachByWaking,
  reachDirectly,
  reachForPing,
  reachWithoutWaiting,
  type SleepersLogin,
} from "./reach.ts";
import { statusKey } from "./status-cache.ts";
import { overhearStatus } from "./status-exchange.ts";
import type { StatusMemory } from "./status-memory.ts";
import { mayWake, type WakePermissions } from "./wake-permission.ts";

/** What every session needs. */
export interface SessionDeps extends ReachDeps, AdmissionDeps {
  readonly limiter: ConnectionLimiter;
  readonly table: RouteTable;
  readonly simplifySrv: boolean;
  /** Null when nothing is ever put to sleep. */
  readonly idle: Idle | null;
  /** Who may start servers, at the moment. */
  wakePermissions(): WakePermissions;
  /** What servers that can sleep last said of themselves. */
  readonly statusMemory: StatusMemory;
  /** Begin with a PROXY protocol header towards backends whose route does not say otherwise. */
  readonly sendProxyProtocol: boolean;
  /** Hand a transfer over as a plain login. */
  readonly transferAsLogin: boolean;
  emit(event: SessionEvent): void;
}

/** How long a client has that can only be told that the router is full, ms: a game says all it has to say at once. */
const tooManyMs = 1_000;

/** One session while it lasts. Flat, and emptied of what is over, as thousands of them play or wait at a time. */
export interface Session {
  readonly client: Conn;
  /** The address that it is counted for; null while that is not known. */
  countedIp: string | null;
  /** It has not said yet what it wants. */
  isOpening: boolean;
  /** Filled in as it becomes known; final from the relay on. */
  readonly facts: { -readonly [Key in keyof SessionFacts]: SessionFacts[Key] };
  /** The router is full: only a word can be had. */
  readonly isTooMany: boolean;
  /** Aborted when the client is gone; null until somebody has asked `goneSignal`, as most sessions are over before. */
  gone: AbortController | null;
  /** What keeps the backend from being put to sleep; null where nothing depends on that. Whoever ends the session ends it. */
  visit: Visit | null;
}

/** What the opening of a session came to: it is over, or the relay is all that is left of it. */
export type Served =
  | Outcome
  | { readonly kind: "joined"; readonly backend: Conn; readonly isPing: boolean };

/**
 * One player's connection, from the first byte to the relay or, where it never comes to one, to the last: then the client is
 * closed, or about to be, when it resolves. The relay itself is not awaited here: a function that waited for it would keep the
 * whole opening in memory for as long as somebody plays.
 */
export async function serve(session: Session, deps: SessionDeps): Promise<Served> {
  const { client } = session;
  const until = deps.deadlines.now() + (session.isTooMany ? tooManyMs : openingMs);
  const admitting = admit(client, until, deps);
  const admission = admitting instanceof Promise ? await admitting : admitting;
  if (admission.kind === "refused") return admission.outcome;
  session.facts.client = admission.ends.client;
  if (!isCounted(session, deps)) return dropped("throttled");

  const opened = await readOpening(client, until, deps.deadlines);
  if (opened.kind === "refused") return opened.outcome;
  endOpening(session, deps.limiter);

  const { opening } = opened;
  const hostname = recognise(session, opening, deps);
  if (opening.kind === "legacy-login") return refuseLegacy(session, deps);

  const claim = deps.table.resolve(hostname);
  if (claim === null) return dropped("unknown-host");
  noteClaim(session, claim);
  const what = opening.kind === "login" ? "login" : "status";
  if (!deps.limiter.allows(session.facts.client.ip, what)) {
    return refuse(session, opening, { kind: "throttled" }, claim.route, deps);
  }
  if (session.isTooMany) {
    return refuse(
      session,
      opening,
      { kind: "full", waitedMs: null, reason: null },
      claim.route,
      deps,
    );
  }
  if (deps.holds.stopping.aborted) {
    return refuse(session, opening, { kind: "stopping", waitedMs: null }, claim.route, deps);
  }

  const bytes = bytesForBackend(client, opened, admission.ends, claim.route, deps);
  session.visit = visitTo(claim.route, opening, deps);
  const reached = await reach(session, opening, bytes, hostname, claim, deps);
  if (reached.kind === "running") {
    await answerPing(client, opening, { text: "", status: reached.status }, deps.deadlines);
    return answered("running");
  }
  if (reached.kind !== "reached") return refuse(session, opening, reached, claim.route, deps);

  const { backend } = reached;
  session.visit?.begin();
  session.facts.waitedMs = reached.waitedMs;
  deps.emit({ kind: "session-relaying", session: session.facts });
  const isPing = opening.kind !== "login";
  if (!isPing) {
    keepAlive(client);
    keepAlive(backend);
  }
  if (opening.kind === "status" && claim.route.wake !== null) {
    await lookAtStatus(session, opening.handshake.protocol, claim.route, backend, deps);
  }
  return { kind: "joined", backend, isPing };
}

/** Gives the session's place among those who have not said what they want back. Safe to call twice. */
export function endOpening(session: Session, limiter: ConnectionLimiter): void {
  if (session.isOpening) limiter.opened();
  session.isOpening = false;
}

/** Counts a client that came through a proxy for the address that the proxy told; false when that address has had enough. */
function isCounted(session: Session, { limiter }: SessionDeps): boolean {
  const { ip } = session.facts.client;
  if (session.countedIp !== null) return true;
  if (!limiter.countFor(ip)) return false;
  session.countedIp = ip;
  return true;
}

/** Aborts when the client is gone. */
export function goneSignal(session: Session): AbortSignal {
  session.gone ??= new AbortController();
  if (session.client.closed) session.gone.abort();
  return session.gone.signal;
}

/** Null where nothing depends on whether somebody is there. */
const visitTo = (route: Route, opening: Opening, { idle }: SessionDeps): Visit | null =>
  idle === null || route.wake === null ? null : idle.visit(route.wake, opening.kind === "login");

/** Notes what the opening tells, and gives the hostname that it asks for; empty, which is the default route's, where it names none. */
function recognise({ facts }: Session, opening: Opening, deps: SessionDeps): Hostname {
  const { intent, protocol, rawHost } = inGeneral(opening);
  facts.intent = intent;
  facts.protocol = protocol;
  facts.player = opening.kind === "login" ? opening.player : null;
  facts.rawHost = rawHost?.split("\0", 1)[0] ?? null;
  const hostname = toHostname(rawHost ?? "", deps.simplifySrv);
  facts.hostname = rawHost === null ? null : hostname;
  return hostname;
}

/** Notes which claim it was. The route's own text takes the place of the client's where they are equal: one string serves all its players. */
function noteClaim({ facts }: Session, { pattern, route }: Claim): void {
  facts.route = patternText(pattern);
  facts.row = route.source === "env" ? null : route.id;
  if (facts.hostname === facts.route) facts.hostname = facts.route;
  if (facts.rawHost === facts.route) facts.rawHost = facts.route;
}

/** What all openings have in common, as far as the client's version tells it. */
function inGeneral(opening: Opening): {
  readonly intent: SessionFacts["intent"];
  readonly protocol: number | null;
  readonly rawHost: string | null;
} {
  switch (opening.kind) {
    case "status":
    case "login":
      return opening.handshake;
    case "legacy-ping":
      return { intent: opening.kind, protocol: opening.protocol, rawHost: opening.rawHost };
    case "legacy-login":
      return { intent: opening.kind, protocol: null, rawHost: null };
  }
}

/** The way to the backend that the claim names, by what the client wants and by whether the backend can be woken. */
function reach(
  session: Session,
  opening: Opening,
  bytes: Uint8Array,
  hostname: Hostname,
  { route }: Claim,
  deps: SessionDeps,
): Promise<Reached> {
  if (opening.kind !== "login") return reachPinged(session, opening, bytes, hostname, route, deps);
  const { fleet } = deps;
  const { address, wake: target } = route;
  if (target === null || fleet === null || !isWakeable(target, fleet)) {
    return reachDirectly(address, bytes, goneSignal(session), deps, session.facts);
  }
  const login: SleepersLogin = {
    client: session.client,
    protocol: opening.handshake.protocol,
    sleeper: { target, address },
    mayStart: fleet.canStart(target) && mayWake(deps.wakePermissions(), hostname, opening.player),
    ip: session.facts.client.ip,
    opening: bytes,
    gone: () => goneSignal(session),
    holding: () => noteHold(session, deps),
  };
  return deps.holds.waiting.size < deps.holds.limit
    ? reachByWaking(login, fleet, deps, session.facts)
    : reachWithoutWaiting(login, "full", fleet, deps, session.facts);
}

/** The way for a ping. What the backend says of itself is remembered for when it sleeps. */
function reachPinged(
  session: Session,
  opening: Exclude<Opening, { kind: "login" }>,
  bytes: Uint8Array,
  hostname: Hostname,
  route: Route,
  deps: SessionDeps,
): Promise<Reached> {
  const isCached = opening.kind === "status" && deps.statusCache !== null;
  const key = isCached ? statusKey(route.address, opening.handshake, hostname) : null;
  const notes: PingNotes = {
    facts: session.facts,
    gone: () => goneSignal(session),
    heard: (status) => {
      if (opening.kind !== "status" || route.wake === null) return;
      deps.statusMemory.remember(nameOf(route), opening.handshake.protocol, status);
    },
  };
  return reachForPing(route, bytes, key, deps, notes);
}

/** A login waits. What is told of it then is a copy, as more becomes known. */
function noteHold(session: Session, deps: SessionDeps): void {
  session.visit?.begin();
  keepAlive(session.client);
  deps.emit({ kind: "session-holding", session: { ...session.facts } });
}

/**
 * Takes the opening out of the inbox as the backend shall see it: the client's own bytes, behind a PROXY protocol header where
 * the backend wants one, and with a transfer's intent changed where that is wanted.
 */
function bytesForBackend(
  client: Conn,
  { opening, end }: Opened & { readonly kind: "opened" },
  ends: Ends,
  route: Route,
  deps: SessionDeps,
): Uint8Array {
  const asked = isRelayed(opening, route, deps) ? peek(client).length : end;
  const own = peek(client).subarray(0, asked);
  take(client, asked);
  const isTransfer = opening.kind === "login" && opening.handshake.intent === "transfer";
  const bytes = isTransfer && deps.transferAsLogin ? loginInsteadOfTransfer(own) : own;
  if (!(route.proxyProtocol ?? deps.sendProxyProtocol)) return bytes;
  return Buffer.concat([proxyHeaderV2(ends.client, ends.local ?? localEndpoint(client)), bytes]);
}

/** True for a ping that only ever goes to the backend. The status request is there mostly, and goes along in one write. */
const isRelayed = (opening: Opening, route: Route, deps: SessionDeps): boolean =>
  opening.kind === "status" &&
  route.wake === null &&
  deps.statusCache === null &&
  !isNowhere(route.address);

/** Tells the client in its own terms why there is no backend, as far as it shall know. */
async function refuse(
  session: Session,
  opening: Opening,
  reached: Exclude<Reached, { kind: "reached" | "running" }> | { readonly kind: "throttled" },
  route: Route,
  deps: SessionDeps,
): Promise<Outcome> {
  const { client } = session;
  if ("waitedMs" in reached) session.facts.waitedMs = reached.waitedMs;
  if (reached.kind === "left" || reached.kind === "out-of-turn") return dropped(reached.kind);

  const answer = reached.kind === "late" ? "wake-failed" : reached.kind;
  const reason = "reason" in reached ? reached.reason : null;
  if (opening.kind === "login") {
    const words = answer === "unreachable" ? refusalOf(route, Date.now()) : "";
    kick(client, answer, words, deps.deadlines);
    return answered(answer, reason);
  }
  const isSleeper = answer === "asleep" || answer === "waking";
  const text = isSleeper ? motdOf(answer, route, deps, Date.now()) : "";
  const status =
    opening.kind === "status" && isSleeper
      ? deps.statusMemory.asleepStatus(nameOf(route), {
          protocol: opening.handshake.protocol,
          text,
        })
      : null;
  if (answer === "throttled") return dropped("throttled");
  if (text === "" && status === null) return dropped("no-answer", reason);
  await answerPing(client, opening, { text, status }, deps.deadlines);
  return answered(answer, reason);
}

/** Looks, now and then, at what a server that can sleep says of itself, for when it does. Other pings go straight to the relay. */
async function lookAtStatus(
  session: Session,
  protocol: number,
  route: Route,
  backend: Conn,
  deps: SessionDeps,
): Promise<void> {
  if (!deps.statusMemory.mayLook(nameOf(route), protocol)) return;
  const seen = await overhearStatus(session.client, backend, deps.deadlines, goneSignal(session));
  if (seen !== null) deps.statusMemory.remember(nameOf(route), protocol, seen.json);
}

/** The name of a route that no other has; it outlives a change of address. */
const nameOf = (route: Route): string => `${route.source} ${route.id}`;

function refuseLegacy(session: Session, deps: SessionDeps): Outcome {
  const isAllowed = deps.limiter.allows(session.facts.client.ip, "login");
  const answer = isAllowed ? "too-old" : "throttled";
  kickLegacy(session.client, answer, deps.deadlines);
  return answered(answer);
}
