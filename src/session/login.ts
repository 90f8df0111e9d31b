import { hostPort } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";
import { abort, type Conn, more, peek, probeWhenSilent } from "../net/conn.ts";
import type { Handshake } from "../protocol/handshake.ts";
import { longestVanillaName } from "../protocol/login.ts";
import type { Address } from "../routing/address.ts";
import type { Hostname } from "../routing/hostname.ts";
import { type Route, type WakeTarget, wakeKey } from "../routing/route.ts";
import type { RouteTable } from "../routing/table.ts";
import type { Starter } from "../wake/waiters.ts";
import type { WakeableBackend } from "../wake/waker.ts";
import type { Wakes } from "../wake/wakes.ts";
import { type AdmissionDeps, refusalNow } from "./admission.ts";
import { kick } from "./answer.ts";
import {
  type Connected,
  connect,
  isWakeable,
  join,
  motdValues,
  type Request,
  type ServeResult,
  takeOpening,
  visitTo,
  whereItRuns,
  withProxyHeader,
} from "./backend.ts";
import { type FallbackDeps, fallBack, isDown } from "./fallback.ts";
import { type Hold, type HoldEnd, holdLogin, proveHold, releaseHold, stopHold } from "./hold.ts";
import { refusalOf } from "./motd.ts";
import { answered, dropped } from "./outcome.ts";
import type { Session } from "./session.ts";
import { asSentence, fillText, type KickTexts, type Refusal } from "./texts.ts";
import { mayWake, type WakePermissions } from "./wake-permission.ts";

/** What a login needs. */
export interface LoginDeps extends AdmissionDeps, FallbackDeps {
  /** Keep waiting logins alive; false lets them wait in silence. */
  readonly keepAlive: boolean;
  /** Start servers only for clients that prove that they are a game. */
  readonly wakeProof: boolean;
  /** Finds the server that a hostname leads to. */
  readonly table: Pick<RouteTable, "resolve">;
  /** The players that may start servers, as of now. */
  wakePermissions(): WakePermissions;
  readonly texts: KickTexts;
}

/** What came of a login. `answer` is why the player is refused in words; `reason` is for the operator. */
type LoginEnd =
  | { readonly kind: "reached"; readonly backend: Conn }
  | {
      readonly kind: "refused";
      readonly answer: Refusal;
      readonly reason: string | null;
      /** Instead of the router's own words; empty: those. */
      readonly words: string;
      /** The wait that ended so; null where there was none. */
      readonly hold: Hold | null;
    }
  /** The client left, or broke the rules: it is closed without a word. */
  | { readonly kind: "gone"; readonly why: "left" | "out-of-turn" };

/** A login to a backend that may have to be started. */
interface WaitingLogin {
  readonly session: Session;
  readonly handshake: Handshake;
  readonly backend: WakeableBackend;
  readonly wakes: Wakes;
  /** False: the player may only join a wake that another player has started. */
  readonly mayStart: boolean;
  /** What the backend is sent first. */
  readonly bytes: Uint8Array;
}

/**
 * The longest name that a backend is asked about, UTF-16 units. Servers that allow other names than Mojang's
 * cut them far sooner.
 */
const longestName = 255;

/**
 * The hold's limit lies behind the wake's own end, which knows the reason; it is for a backend that never
 * says a word, ms.
 */
const graceMs = 1_000;

type Refused = LoginEnd & { readonly kind: "refused" };

const refused = (answer: Refusal, reason: string | null = null, words = ""): Refused => ({
  kind: "refused",
  answer,
  reason,
  words,
  hold: null,
});

/** Brings a login to its backend, which is started first if need be, or tells the player why not. */
export async function login(
  session: Session,
  request: Request<"login">,
  deps: LoginDeps,
): Promise<ServeResult> {
  const end = refusalAtOnce(session, request, deps) ?? (await reach(session, request, deps));
  // A wait that ended before anything was dialled was for the route's backend.
  if (session.facts.waitedMs !== null) session.facts.backend ??= request.route.address.text || null;
  switch (end.kind) {
    case "reached": {
      const joined = join(session, end.backend, false, deps);
      probeWhenSilent(session.client);
      probeWhenSilent(end.backend);
      return joined;
    }
    case "refused": {
      const words = end.words || wordsFor(session, request.route, end, deps);
      kick(session.client, words, deps.deadlines);
      return answered(end.answer, end.reason);
    }
    case "gone":
      return dropped(end.why);
  }
}

/** What the player reads: the route's own words where it has any for this, or else the router's. */
function wordsFor(
  { facts }: Session,
  route: Route,
  { answer, reason }: Refused,
  { texts, wakes }: LoginDeps,
): string {
  const known = motdValues(route, wakes);
  const own = answer === "unreachable" ? refusalOf(route, known) : "";
  if (own !== "") return own;
  const server = route.wake === null ? (facts.row ?? facts.hostname) : known.server;
  const values = { ...known, server, reason };
  const isStarting = route.wake !== null && wakes?.isStarting(route.wake) === true;
  if (!isStarting || !mayPass.has(answer)) return fillText(texts[answer], values);
  const text = texts["still-starting"];
  return asSentence(text, fillText(text, values));
}

/** Refusals that say less than that the server is still starting. */
const mayPass: ReadonlySet<Refusal> = new Set(["full", "wake-failed"]);

/** Why the login is not served at all; null when it is. */
function refusalAtOnce(
  session: Session,
  { opening }: Request<"login">,
  deps: LoginDeps,
): Refused | null {
  const notNow = refusalNow(session, "login", deps);
  if (notNow !== null) return refused(notNow);
  return opening.player.name.length > longestName ? refused("bad-name") : null;
}

/** Reaches the route's backend, or the fallback's while that is down. */
async function reach(
  session: Session,
  request: Request<"login">,
  deps: LoginDeps,
): Promise<LoginEnd> {
  const { route, openingLength } = request;
  const opening = takeOpening(session, request, openingLength, deps);
  const end = await reachOwn(session, request, opening, deps);
  if (end.kind !== "refused" || !isDown(end.answer)) return end;
  const other = await fallBack({ session, route, opening, hold: end.hold }, deps);
  return other === null ? end : endOf(other, "unreachable");
}

function reachOwn(
  session: Session,
  request: Request<"login">,
  own: Uint8Array,
  deps: LoginDeps,
): Promise<LoginEnd> | LoginEnd {
  const { opening, hostname, route } = request;
  const bytes = withProxyHeader(session, route, own, deps);
  session.visit = visitTo(route, true, deps);
  const { wakes, waitingLogins } = deps;
  const { address, wake: target } = route;
  if (target === null || wakes === null || !isWakeable(target, wakes)) {
    return reachDirectly(session, address, bytes, deps);
  }

  // No game sends a longer name: a backend that runs may judge it, but nothing is started for it.
  const isPermitted =
    opening.player.name.length <= longestVanillaName &&
    mayWake(deps.wakePermissions(), leadsTo(target, hostname, deps.table), opening.player);
  const waiting: WaitingLogin = {
    session,
    handshake: opening.handshake,
    backend: backendOf(route, target, hostname),
    wakes,
    mayStart: wakes.may(target).start && isPermitted,
    bytes,
  };
  if (waitingLogins.waiting.size >= waitingLogins.limit) {
    return reachRunning(waiting, "full", deps);
  }
  if (!waiting.mayStart && !wakes.isJoinable(target)) {
    return reachRunning(waiting, "wake-denied", deps);
  }
  return reachByWaking(waiting, deps);
}

/**
 * Tells of a hostname whether it leads to the server: the one that the client asked for, and each that a
 * route of the server's claims. A hostname that only the default route takes belongs to no server.
 */
const leadsTo =
  (target: WakeTarget, asked: Hostname, table: LoginDeps["table"]) =>
  (hostname: Hostname): boolean => {
    if (hostname === asked) return true;
    const claim = table.resolve(hostname);
    if (claim === null || claim.pattern.kind === "default" || claim.route.wake === null)
      return false;
    return wakeKey(claim.route.wake) === wakeKey(target);
  };

const backendOf = (route: Route, target: WakeTarget, hostname: Hostname): WakeableBackend => ({
  target,
  address: route.address,
  ...(hostname === "" ? {} : { hostname }),
  ...(route.proxyProtocol === undefined ? {} : { proxyProtocol: route.proxyProtocol }),
});

async function reachDirectly(
  session: Session,
  address: Address,
  bytes: Uint8Array,
  deps: LoginDeps,
): Promise<LoginEnd> {
  return endOf(await connect(session, address, { bytes, isAnswered: true }, deps), "unreachable");
}

/**
 * For a player who may not wait: the backend is dialled where it runs, if it does, and else refuses him as
 * `otherwise`.
 */
async function reachRunning(
  { session, backend, wakes, bytes }: WaitingLogin,
  otherwise: "wake-denied" | "full",
  deps: LoginDeps,
): Promise<LoginEnd> {
  const connected = await whereItRuns(backend, wakes, (at) =>
    connect(session, at, { bytes, isAnswered: true }, deps),
  );
  return endOf(connected, otherwise);
}

function endOf(connected: Connected, otherwise: Refusal): LoginEnd {
  switch (connected.kind) {
    case "reached":
      return connected;
    case "unreachable":
      return refused(otherwise, connected.reason);
    case "left":
      return { kind: "gone", why: "left" };
  }
}

/**
 * Holds the client while its backend is started. The router commits late: until the backend's first byte is
 * here, a dial that fails or is dropped leads back to waiting.
 */
async function reachByWaking(login: WaitingLogin, deps: LoginDeps): Promise<LoginEnd> {
  const { session, backend, wakes, mayStart } = login;
  const { facts } = session;
  const since = deps.deadlines.now();
  const hold = holdSession(login, since, deps);
  const prove = deps.wakeProof ? () => proveHold(hold) : null;
  const player = facts.player?.name ?? null;
  const starter: Starter = { ip: facts.client.ip, player, mayStart, prove };
  let woken = await wakes.wake(backend, starter, hold.control.signal);
  for (;;) {
    facts.waitedMs = deps.deadlines.now() - since;
    if (woken.kind !== "awake") stopHold(hold);
    switch (woken.kind) {
      case "awake": {
        facts.backend = woken.address.text;
        const spoken = await firstWord(login, woken.address, hold, deps);
        if (spoken.ok) {
          woken.pass.arrived();
          return handOver(login, hold, spoken.value, since, deps);
        }
        woken = await woken.pass.failed(spoken.error);
        break;
      }
      case "failed":
        return { ...refused("wake-failed", woken.reason, woken.message ?? ""), hold };
      case "denied":
        return { ...refused("wake-denied"), hold };
      case "refused": {
        const answer = woken.why === "proof" ? "unproven" : "wake-refused";
        return { ...refused(answer, woken.reason), hold };
      }
      case "gone":
        return { ...refused("unreachable", "its route was removed"), hold };
      case "left":
        return endOfHold(hold.end ?? "left");
    }
  }
}

/** The session waits from now on. What the event carries is a copy, as more becomes known later. */
function holdSession(
  { session, handshake, backend, wakes }: WaitingLogin,
  since: number,
  deps: LoginDeps,
): Hold {
  const { deadlines, keepAlive, waitingLogins } = deps;
  const hold = holdLogin(session.client, handshake, {
    deadlines,
    keepAlive,
    waitingLogins,
    leftMs: () => wakes.endsAt(backend.target, since) + graceMs - deadlines.now(),
  });
  session.visit?.begin();
  probeWhenSilent(session.client);
  deps.emit({ kind: "session-holding", session: { ...session.facts } });
  return hold;
}

/** Gives the client over to a backend that has spoken, as soon as it owes the hold no more answers. */
async function handOver(
  { session }: WaitingLogin,
  hold: Hold,
  backend: Conn,
  since: number,
  { deadlines }: LoginDeps,
): Promise<LoginEnd> {
  const isReleased = await releaseHold(hold);
  session.facts.waitedMs = deadlines.now() - since;
  if (isReleased) return { kind: "reached", backend };
  abort(backend);
  return hold.end === null ? refused("mute") : endOfHold(hold.end);
}

function endOfHold(end: HoldEnd): LoginEnd {
  switch (end) {
    case "left":
    case "out-of-turn":
      return { kind: "gone", why: end };
    case "late":
      return refused("wake-failed");
    case "stopping":
      return refused("stopping");
  }
}

/**
 * A backend that has answered the opening with at least one byte. The error is why it could not be dialled;
 * null where it was silent until the hold ended, or closed the connection.
 */
async function firstWord(
  { session, bytes }: WaitingLogin,
  address: Address,
  { control: { signal } }: Hold,
  { dialer, deadlines }: LoginDeps,
): Promise<Result<Conn, string | null>> {
  const reached = await dialer.reach(address, { bytes, isAnswered: true }, signal);
  if (!reached.ok) return err(reached.error.message);
  const { conn, chosen, leave } = reached.value;
  // The connection may have been open for a moment before it was handed over.
  const hasSpoken =
    peek(conn).length > 0 ||
    (await more(conn, deadlines, Number.POSITIVE_INFINITY, signal)) === "data";
  if (!hasSpoken) {
    abort(conn);
    leave();
    return err(null);
  }
  session.leave = leave;
  if (chosen !== null) session.facts.backend = hostPort(chosen.ip, chosen.port);
  return ok(conn);
}
