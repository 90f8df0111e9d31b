import type { Deadlines } from "../base/deadlines.ts";
import { err, ok, type Result } from "../base/result.ts";
import { abort, type Conn, close, more, peek, send } from "../net/conn.ts";
import type { Dialer } from "../net/dial.ts";
import { type Address, isNowhere, sameAddress } from "../routing/address.ts";
import type { Route, WakeTarget } from "../routing/route.ts";
import type { Sleeper } from "../wake/waker.ts";
import type { Starter, Wakes } from "../wake/wakes.ts";
import {
  type Hold,
  type HoldEnd,
  type Holds,
  holdLogin,
  proveHold,
  releaseHold,
  stopHold,
} from "./hold.ts";
import { type DefaultMotd, motdOf } from "./motd.ts";
import type { RecentDialFailures } from "./recent-dial-failures.ts";
import type { CachedStatus, StatusCache } from "./status-cache.ts";
import { askStatus } from "./status-exchange.ts";

/** What came of the way to a backend. `reached` hands the connection over, with everything the client has said so far sent to it. */
export type Reached =
  | { readonly kind: "reached"; readonly backend: Conn; readonly waitedMs: number | null }
  /** A ping that is answered without a connection of its own, by this frame. */
  | { readonly kind: "running"; readonly status: Uint8Array }
  | { readonly kind: "asleep" | "waking"; readonly reason: string | null }
  | { readonly kind: "unreachable"; readonly reason: string }
  | { readonly kind: "wake-failed"; readonly waitedMs: number; readonly reason: string }
  /** May not be started by this player; or as many wait already as may. */
  | {
      readonly kind: "wake-denied" | "full";
      readonly waitedMs: number | null;
      readonly reason: string | null;
    }
  | {
      readonly kind: "wake-refused" | "unproven";
      readonly waitedMs: number;
      readonly reason: string;
    }
  | { readonly kind: "mute"; readonly waitedMs: number }
  | { readonly kind: HoldEnd; readonly waitedMs: number | null };

/** What the way to a backend needs. */
export interface ReachDeps extends DefaultMotd {
  readonly deadlines: Deadlines;
  readonly dialer: Dialer;
  /** Null when nothing can be woken. */
  readonly fleet: Wakes | null;
  /** Keep waiting logins alive; false lets them wait in silence. */
  readonly hold: boolean;
  /** Start servers only for clients that prove that they are a game. */
  readonly wakeProof: boolean;
  /** Who waits, and until when at most. */
  readonly holds: Holds;
  /** Which servers that may sleep took no connection a moment ago. */
  readonly absences: RecentDialFailures;
  /** Null: every ping of a running server reaches it. */
  readonly statusCache: StatusCache | null;
}

const cannotBeStarted: Reached = { kind: "asleep", reason: "it may not be started from here" };

/** The wake's own end comes first, as it knows why; the hold's limit is for a backend that takes the login and never says a word, ms. */
const graceMs = 1_000;

/** What the session learns on the way, for its one line in the log. */
export interface ReachNotes {
  /** The address that was dialled last. */
  backend: string | null;
}

/** What a ping brings back beside that. */
export interface PingNotes {
  readonly facts: ReachNotes;
  /** A signal that aborts when the client is gone; made when it is asked for. */
  gone(): AbortSignal;
  /** The server's own status, as JSON text. */
  heard(status: string): void;
}

/** True for a backend that may be started, or that others have had started already. */
export const isWakeable = (target: WakeTarget, fleet: Wakes): boolean =>
  fleet.canStart(target) || fleet.isJoinable(target);

/** The way for a ping: whatever answers at the route's address. A ping never wakes anything. `cacheKey` is null for one that the cache cannot answer. */
export async function reachForPing(
  route: Route,
  opening: Uint8Array,
  cacheKey: string | null,
  deps: ReachDeps,
  notes: PingNotes,
): Promise<Reached> {
  const { fleet, statusCache } = deps;
  const { address, wake: target } = route;
  const reachAt = (at: Address): Promise<Reached> =>
    statusCache === null || cacheKey === null || isNowhere(at)
      ? reachDirectly(at, opening, notes.gone(), deps, notes.facts)
      : reachByCache(at, opening, cacheKey, statusCache, deps, notes);
  if (target === null || (fleet !== null && !isWakeable(target, fleet))) {
    return isNowhere(address) ? cannotBeStarted : reachAt(address);
  }
  const hasLoadingText = motdOf("waking", route, deps, Date.now()) !== "";
  if (fleet?.isWaking(target) && hasLoadingText) return { kind: "waking", reason: null };
  // What has just been woken is asked, however lately it was away.
  const mustAsk = isNowhere(address) || fleet?.isJoinable(target) === true;
  const absent = mustAsk ? null : deps.absences.reason(address);
  if (absent !== null) return { kind: "asleep", reason: absent };
  const reached =
    fleet === null
      ? await reachAt(address)
      : await reachAsItIs({ target, address }, fleet, reachAt);
  if (reached.kind !== "unreachable") return reached;
  if (!isNowhere(address)) deps.absences.note(address, reached.reason);
  return { kind: fleet?.isWaking(target) ? "waking" : "asleep", reason: reached.reason };
}

/** The way to a backend that is not to be woken: where it was told to be, or else where its route says. */
async function reachAsItIs(
  sleeper: Sleeper,
  fleet: Wakes,
  reachAt: (address: Address) => Promise<Reached>,
): Promise<Reached> {
  const address = fleet.addressOf(sleeper);
  const reached = await reachAt(address);
  if (reached.kind !== "unreachable") return reached;
  fleet.unreachable(sleeper, address);
  return sameAddress(address, sleeper.address) ? reached : reachAt(sleeper.address);
}

async function reachByCache(
  address: Address,
  opening: Uint8Array,
  key: string,
  cache: StatusCache,
  deps: ReachDeps,
  notes: PingNotes,
): Promise<Reached> {
  notes.facts.backend = address.text;
  const status = await cache.status(key, () => freshStatus(address, opening, deps, notes));
  if (!status.ok) return { kind: "unreachable", reason: status.error };
  return { kind: "running", status: status.value };
}

/** What the backend answers to a ping with this opening. Others may wait for it too, so no client's leaving ends it. */
async function freshStatus(
  address: Address,
  opening: Uint8Array,
  { dialer, deadlines }: ReachDeps,
  notes: PingNotes,
): Promise<CachedStatus> {
  const { signal } = new AbortController();
  const dialled = await dialer.dial(address, signal);
  if (!dialled.ok) return err(dialled.error.message);
  const backend = dialled.value;
  send(backend, opening);
  const answer = await askStatus(backend, deadlines, signal);
  close(backend, deadlines);
  if (answer === null) return err("does not answer pings");
  notes.heard(answer.json);
  return ok(answer.frame);
}

/** The way to a server that is simply there or not. Nothing is dialled where it has no address. */
export async function reachDirectly(
  address: Address,
  opening: Uint8Array,
  gone: AbortSignal,
  deps: ReachDeps,
  notes: ReachNotes,
): Promise<Reached> {
  if (isNowhere(address)) return { kind: "unreachable", reason: "has no address at the moment" };
  notes.backend = address.text;
  const dialled = await deps.dialer.dial(address, gone);
  if (!dialled.ok) {
    if (gone.aborted) return { kind: "left", waitedMs: null };
    return { kind: "unreachable", reason: dialled.error.message };
  }
  send(dialled.value, opening);
  return { kind: "reached", backend: dialled.value, waitedMs: null };
}

/** A login to a server that may have to be started. */
export interface SleepersLogin {
  readonly client: Conn;
  readonly protocol: number;
  readonly sleeper: Sleeper;
  /** False: the player may only join a wake that others have started. */
  readonly mayStart: boolean;
  /** The client's address, which starts of servers are counted for. */
  readonly ip: string;
  readonly opening: Uint8Array;
  /** A signal that aborts when the client is gone; made when it is asked for. */
  gone(): AbortSignal;
  /** It waits from now on. */
  holding(): void;
}

/** The way for a login that may not wait: to where its server is, if it runs; else it ends as `instead`. */
export async function reachWithoutWaiting(
  { sleeper, opening, gone }: SleepersLogin,
  instead: "wake-denied" | "full",
  fleet: Wakes,
  deps: ReachDeps,
  notes: ReachNotes,
): Promise<Reached> {
  const reached = await reachAsItIs(sleeper, fleet, (address) =>
    reachDirectly(address, opening, gone(), deps, notes),
  );
  if (reached.kind !== "unreachable") return reached;
  return { kind: instead, waitedMs: null, reason: reached.reason };
}

/**
 * The way for a login to a server that may have to be started. The client is held meanwhile, and the router commits late:
 * until the backend's first byte is here, a dial that fails or is dropped just leads back to waiting.
 */
export async function reachByWaking(
  login: SleepersLogin,
  fleet: Wakes,
  deps: ReachDeps,
  notes: ReachNotes,
): Promise<Reached> {
  const { client, protocol, sleeper, mayStart, ip, opening, holding } = login;
  if (!mayStart && !fleet.isJoinable(sleeper.target)) {
    return reachWithoutWaiting(login, "wake-denied", fleet, deps, notes);
  }
  const { deadlines } = deps;
  const since = deadlines.now();
  const hold = holdLogin(client, protocol, {
    deadlines,
    keepAlive: deps.hold,
    leftMs: () => fleet.endsAt(sleeper.target, since) + graceMs - deadlines.now(),
    holds: deps.holds,
  });
  holding();
  const starter: Starter = { ip, mayStart, prove: deps.wakeProof ? () => proveHold(hold) : null };
  for (;;) {
    const woken = await fleet.wake(sleeper, starter, hold.control.signal);
    const waitedMs = deadlines.now() - since;
    if (woken.kind !== "awake") {
      stopHold(hold);
      if (woken.kind === "failed") return { kind: "wake-failed", waitedMs, reason: woken.reason };
      if (woken.kind === "denied") return { kind: "wake-denied", waitedMs, reason: null };
      if (woken.kind === "refused") {
        const kind = woken.why === "proof" ? "unproven" : "wake-refused";
        return { kind, waitedMs, reason: woken.reason };
      }
      return { kind: hold.end ?? "left", waitedMs };
    }
    notes.backend = woken.address.text;
    const backend = await firstWord(woken.address, opening, hold, deps);
    if (!backend.ok) {
      if (!hold.control.signal.aborted) fleet.refused(sleeper, woken.address, backend.error);
      continue;
    }
    if (await releaseHold(hold)) {
      return { kind: "reached", backend: backend.value, waitedMs: deadlines.now() - since };
    }
    abort(backend.value);
    return { kind: hold.end ?? "mute", waitedMs };
  }
}

/** A backend that has answered the opening with at least one byte; the error is why it could not be dialled, null where it just says nothing or the hold ended first. */
async function firstWord(
  address: Address,
  opening: Uint8Array,
  { control: { signal } }: Hold,
  deps: ReachDeps,
): Promise<Result<Conn, string | null>> {
  const dialled = await deps.dialer.dial(address, signal);
  if (!dialled.ok) return err(dialled.error.message);
  const backend = dialled.value;
  send(backend, opening);
  // The connection may have been open for a moment before it was handed over.
  if (peek(backend).length > 0) return ok(backend);
  const arrival = await more(backend, deps.deadlines, Number.POSITIVE_INFINITY, signal);
  if (arrival === "data") return ok(backend);
  abort(backend);
  return err(null);
}
