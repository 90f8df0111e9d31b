import { err, ok } from "../base/result.ts";
import { type Conn, close, peek, send } from "../net/conn.ts";
import type { Opening as DialOpening } from "../net/dial.ts";
import { type Address, isNowhere } from "../routing/address.ts";
import type { Route } from "../routing/route.ts";
import { type AdmissionDeps, refusalNow } from "./admission.ts";
import { answerPing } from "./answer.ts";
import {
  type BackendDeps,
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
import { type DefaultMotd, motdOf } from "./motd.ts";
import { answered, dropped } from "./outcome.ts";
import type { RecentDialFailures } from "./recent-dial-failures.ts";
import { goneSignal, type Session } from "./session.ts";
import { type CachedStatus, type StatusCache, statusKey } from "./status-cache.ts";
import { askStatus, captureStatus } from "./status-exchange.ts";
import { rememberedAs, type StatusMemory } from "./status-memory.ts";

/** What a ping needs. */
export interface PingDeps extends AdmissionDeps, BackendDeps, DefaultMotd {
  /** What backends that can sleep last said of themselves. */
  readonly statusMemory: StatusMemory;
  /** Null: every ping of a running backend reaches it. */
  readonly statusCache: StatusCache | null;
  /** Backends that took no connection a moment ago. */
  readonly recentDialFailures: RecentDialFailures;
}

type PingRequest = Request<"status" | "legacy-ping">;

/** What came of a ping. */
type PingEnd =
  | { readonly kind: "reached"; readonly backend: Conn }
  /** Answered from the cache by this frame. */
  | { readonly kind: "cached"; readonly status: Uint8Array }
  /** The backend sleeps, or is being started. */
  | {
      readonly kind: "down";
      readonly state: "asleep" | "waking";
      readonly reason: string | null;
    }
  | { readonly kind: "unreachable"; readonly reason: string }
  | { readonly kind: "left" };

/** Brings a ping to its backend, or answers it in the backend's place. A ping never wakes anything. */
export async function ping(
  session: Session,
  request: PingRequest,
  deps: PingDeps,
): Promise<ServeResult> {
  const { opening } = request;
  const notNow = refusalNow(session, "status", deps);
  if (notNow !== null) return dropped(notNow === "throttled" ? "throttled" : "no-answer");

  const end = await reach(session, request, deps);
  switch (end.kind) {
    case "reached": {
      const joined = join(session, end.backend, true, deps);
      await learnStatus(session, request, end.backend, deps);
      return joined;
    }
    case "cached":
      await answerPing(session.client, opening, { text: "", status: end.status }, deps.deadlines);
      return answered("running");
    case "down":
      return answerInItsPlace(session, request, end.state, end.reason, deps);
    case "unreachable":
      return dropped("no-answer", end.reason);
    case "left":
      return dropped("left");
  }
}

async function reach(session: Session, request: PingRequest, deps: PingDeps): Promise<PingEnd> {
  const { route, openingLength } = request;
  const { address, wake: target } = route;
  const { wakes } = deps;
  // The status request is there mostly, and goes along in the same write where it is sure to be relayed.
  const length = isAlwaysRelayed(request, deps) ? peek(session.client).length : openingLength;
  const isAnswered = request.opening.kind === "legacy-ping" || length > openingLength;
  const own = takeOpening(session, request, length, deps);
  const bytes = withProxyHeader(session, route, own, deps);
  session.visit = visitTo(route, false, deps);
  const reachAt = (at: Address): Promise<PingEnd> =>
    reachOrCache(session, request, at, { bytes, isAnswered }, deps);

  if (target === null || (wakes !== null && !isWakeable(target, wakes))) {
    return isNowhere(address)
      ? { kind: "down", state: "asleep", reason: "it may not be started from here" }
      : reachAt(address);
  }
  wakes?.pinged(target);
  const hasLoadingText = motdOf("waking", route, deps, motdValues(route, wakes)) !== "";
  if (wakes?.isStarting(target) && hasLoadingText) {
    return { kind: "down", state: "waking", reason: null };
  }
  // A backend that has just been woken is asked, however recently a dial failed.
  const mustAsk = isNowhere(address) || wakes?.isJoinable(target) === true;
  const failure = mustAsk ? null : deps.recentDialFailures.reason(address);
  if (failure !== null) return { kind: "down", state: "asleep", reason: failure };

  const end =
    wakes === null
      ? await reachAt(address)
      : await whereItRuns({ target, address }, wakes, reachAt);
  if (end.kind !== "unreachable") return end;
  if (!isNowhere(address)) deps.recentDialFailures.note(address, end.reason);
  return {
    kind: "down",
    state: wakes?.isStarting(target) ? "waking" : "asleep",
    reason: end.reason,
  };
}

/** True for a ping that only ever goes to the backend. */
const isAlwaysRelayed = ({ opening, route }: PingRequest, { statusCache }: PingDeps): boolean =>
  opening.kind === "status" &&
  route.wake === null &&
  statusCache === null &&
  !isNowhere(route.address);

async function reachOrCache(
  session: Session,
  { opening, hostname, route }: PingRequest,
  address: Address,
  opened: DialOpening,
  deps: PingDeps,
): Promise<PingEnd> {
  const { statusCache } = deps;
  if (statusCache === null || opening.kind !== "status" || isNowhere(address)) {
    return connect(session, address, opened, deps);
  }
  session.facts.backend = address.text;
  const { protocol } = opening.handshake;
  const status = await statusCache.status(statusKey(address, opening.handshake, hostname), () =>
    freshStatus(route, protocol, address, opened.bytes, deps),
  );
  if (!status.ok) return { kind: "unreachable", reason: status.error };
  return { kind: "cached", status: status.value };
}

/**
 * What the backend answers to this opening now. Other clients wait for it too, so no client's leaving ends
 * it.
 */
async function freshStatus(
  route: Route,
  protocol: number,
  address: Address,
  bytes: Uint8Array,
  deps: PingDeps,
): Promise<CachedStatus> {
  const { dialer, deadlines } = deps;
  const { signal } = new AbortController();
  const dialled = await dialer.dial(address, signal);
  if (!dialled.ok) return err(dialled.error.message);
  const backend = dialled.value;
  send(backend, bytes);
  const answer = await askStatus(backend, deadlines, signal);
  close(backend, deadlines);
  if (answer === null) return err("does not answer pings");
  if (route.wake !== null) deps.statusMemory.remember(rememberedAs(route), protocol, answer.json);
  return ok(answer.frame);
}

/** Answers for a backend that is down: with its own text, and with what it last said of itself. */
async function answerInItsPlace(
  session: Session,
  { opening, route }: PingRequest,
  state: "asleep" | "waking",
  reason: string | null,
  deps: PingDeps,
): Promise<ServeResult> {
  const text = motdOf(state, route, deps, motdValues(route, deps.wakes));
  const status =
    opening.kind === "status"
      ? deps.statusMemory.asleepStatus(rememberedAs(route), {
          protocol: opening.handshake.protocol,
          text,
        })
      : null;
  if (text === "" && status === null) return dropped("no-answer", reason);
  await answerPing(session.client, opening, { text, status }, deps.deadlines);
  return answered(state, reason);
}

/**
 * Reads along, every now and then, what a backend that can sleep says of itself. Other pings go straight to
 * the relay.
 */
async function learnStatus(
  session: Session,
  { opening, route }: PingRequest,
  backend: Conn,
  deps: PingDeps,
): Promise<void> {
  if (opening.kind !== "status" || route.wake === null) return;
  const { protocol } = opening.handshake;
  if (!deps.statusMemory.mayLook(rememberedAs(route), protocol)) return;
  const seen = await captureStatus(session.client, backend, deps.deadlines, goneSignal(session));
  if (seen !== null) deps.statusMemory.remember(rememberedAs(route), protocol, seen.json);
}
