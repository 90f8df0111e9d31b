import type { Deadline, Deadlines } from "../base/deadlines.ts";
import { type Arrival, type Conn, more, peek, send, take, unwatch, watch } from "../net/conn.ts";
import type { Handshake } from "../protocol/handshake.ts";
import {
  emptyFrame,
  type KeepAlive,
  keepAliveFor,
  loginPluginRequest,
  readLoginPluginResponse,
} from "../protocol/login.ts";

/** Why a hold is over before its backend was there. */
export type HoldEnd = "left" | "out-of-turn" | "late" | "stopping";

/**
 * A login that waits. The client stays in the login phase, where every byte it receives resets its read
 * timeout, and shows nothing of the wait but its "logging in" screen. Plain data, as thousands may wait at a
 * time; only this file writes its fields.
 */
export interface Hold {
  readonly client: Conn;
  readonly deps: HoldDeps;
  /** Aborts when the wait ends on the client's side, at its limit, or because the router stops. */
  readonly control: AbortController;
  /** What the client hears while it waits; null for a client that bears nothing. */
  readonly keepAlive: KeepAlive | null;
  /** Why it is over; null while it waits. */
  end: HoldEnd | null;
  /** The number of the first request. */
  readonly firstId: number;
  /** Settles what `proveHold` waits for; null while that has not been called. */
  proof: PromiseWithResolvers<boolean> | null;
  /** Requests that the client was sent, and those that it has answered. */
  asked: number;
  answered: number;
  /** When the oldest unanswered one was sent, on the deadlines' clock. */
  askedAt: number;
  /** When it has waited as long as it may, and when the client next hears something, on the same clock. */
  limitAt: number;
  nextAt: number;
  /** Set for the earlier of the two; null when the hold is over. */
  timer: Deadline | null;
}

/** Every login that waits. */
export interface WaitingLogins {
  readonly waiting: Set<Hold>;
  /** How many may wait at a time. */
  readonly limit: number;
  /** Aborts when the router stops: no login waits any longer. */
  readonly stopping: AbortSignal;
}

/** No login waits yet. */
export function createWaitingLogins(
  stopping: AbortSignal,
  limit = Number.POSITIVE_INFINITY,
): WaitingLogins {
  const waiting = new Set<Hold>();
  // One listener for all of them.
  stopping.addEventListener("abort", () => {
    for (const hold of [...waiting]) finish(hold, "stopping");
  });
  return { waiting, limit, stopping };
}

/** What a hold needs. */
export interface HoldDeps {
  readonly deadlines: Deadlines;
  /** Send something while it waits; false waits in silence. */
  readonly keepAlive: boolean;
  /** How much longer it may wait, ms; asked again when that time is over. */
  leftMs(): number;
  readonly waitingLogins: WaitingLogins;
  /**
   * The number of the first request. By default one that cannot be guessed, so that an answer proves that it
   * was read.
   */
  readonly firstId?: number;
}

/** A client that owes an answer for this long is asked nothing more, ms. */
const muteMs = 15_000;
/** How long a client may take for its last answers when its backend is there, ms. */
const answerMs = 5_000;
/** How long a client may take to prove that it is a game, ms. */
const proofMs = 10_000;
/**
 * Keep-alives of clients that came together are spread by so much, half before and half after their time, ms.
 */
const spreadMs = 1_000;

/**
 * A channel that no mod listens to, so that every client answers "not understood"; ids far from those a
 * backend uses.
 */
const channel = "automc:hold";
const leastId = 0x4000_0000;
const idsToChoose = 0x0fff_ffff;

/**
 * Holds a client whose Login Start has been taken from its inbox. Reads and writes the client until released
 * or stopped.
 */
export function holdLogin(
  client: Conn,
  handshake: Pick<Handshake, "protocol" | "rawHost">,
  deps: HoldDeps,
): Hold {
  const { deadlines, waitingLogins } = deps;
  const now = deadlines.now();
  const keepAlive = keepAliveFor(handshake);
  const hold: Hold = {
    client,
    deps,
    control: new AbortController(),
    keepAlive,
    end: null,
    firstId: deps.firstId ?? randomId(),
    proof: null,
    asked: 0,
    answered: 0,
    askedAt: 0,
    limitAt: now + deps.leftMs(),
    nextAt:
      deps.keepAlive && keepAlive !== null ? now + keepAlive.firstMs : Number.POSITIVE_INFINITY,
    timer: null,
  };
  waitingLogins.waiting.add(hold);
  arm(hold, () => onTime(hold));
  watch(client, (arrival) => onArrival(hold, arrival));
  if (waitingLogins.stopping.aborted) finish(hold, "stopping");
  else if (client.closed || client.ending !== null) finish(hold, "left");
  return hold;
}

/**
 * Stops talking to the client because its backend has begun to, and waits for the answers that the client
 * still owes: the backend must not see them. True when the client's next byte is the backend's; false when
 * the answers did not come or the hold has ended.
 */
export async function releaseHold(hold: Hold): Promise<boolean> {
  const { client, deps } = hold;
  stopHold(hold);
  const until = deps.deadlines.now() + answerMs;
  while (hold.end === null) {
    if (!eatAnswers(hold)) {
      hold.end = "out-of-turn";
      return false;
    }
    if (hold.answered === hold.asked) return true;
    const arrival = await more(client, deps.deadlines, until - deps.deadlines.now());
    if (arrival === "late") return false;
    if (arrival !== "data") hold.end = "left";
  }
  return false;
}

/**
 * Asks the client at once, as a keep-alive would later. True as soon as it answers, which only a game does;
 * false when it does not within 10 s, is too old to be asked, or the hold is over.
 */
export async function proveHold(hold: Hold): Promise<boolean> {
  const { client, deps, keepAlive } = hold;
  if (hold.answered > 0) return true;
  if (keepAlive?.kind !== "plugin-request" || hold.end !== null) return false;
  if (hold.asked === 0 && peek(client).length > 0) return false;
  hold.proof ??= Promise.withResolvers<boolean>();
  const { resolve, promise } = hold.proof;
  if (hold.asked === 0) ask(hold, deps.deadlines.now());
  const late = deps.deadlines.after(proofMs, () => resolve(false));
  const isProven = await promise;
  late.cancel();
  return isProven;
}

/** Stops the hold without more words. Safe to call twice. */
export function stopHold(hold: Hold): void {
  hold.timer?.cancel();
  hold.timer = null;
  if (hold.deps.waitingLogins.waiting.delete(hold)) unwatch(hold.client);
  hold.proof?.resolve(false);
}

function finish(hold: Hold, why: HoldEnd): void {
  if (hold.end !== null) return;
  hold.end = why;
  stopHold(hold);
  hold.control.abort();
}

function arm(hold: Hold, onTime: () => void): void {
  const { deadlines } = hold.deps;
  const leftMs = Math.min(hold.limitAt, hold.nextAt) - deadlines.now();
  hold.timer = deadlines.after(Math.max(0, leftMs), onTime);
}

function onTime(hold: Hold): void {
  const { deadlines, leftMs } = hold.deps;
  const { keepAlive } = hold;
  const now = deadlines.now();
  if (now >= hold.limitAt) hold.limitAt = now + leftMs();
  if (now >= hold.limitAt) {
    finish(hold, "late");
    return;
  }
  if (keepAlive !== null && now >= hold.nextAt) {
    hold.nextAt = now + keepAlive.everyMs + (Math.random() - 0.5) * spreadMs;
    sendKeepAlive(hold, keepAlive, now);
  }
  // What it sent may have found the client gone.
  if (hold.end === null) arm(hold, () => onTime(hold));
}

function sendKeepAlive(hold: Hold, { kind }: KeepAlive, now: number): void {
  const { client } = hold;
  if (kind === "empty-frame") {
    send(client, emptyFrame);
    return;
  }
  const isAsked = hold.asked > hold.answered;
  // An answer could not be told from what a client has sent unasked, so such a client is not asked anything.
  const mayAsk = isAsked || peek(client).length === 0;
  const isMute = isAsked && now - hold.askedAt > muteMs;
  if (mayAsk && !isMute) ask(hold, now);
}

function ask(hold: Hold, now: number): void {
  if (hold.asked === hold.answered) hold.askedAt = now;
  if (send(hold.client, loginPluginRequest(hold.firstId + hold.asked, channel))) hold.asked += 1;
}

/**
 * Takes the answers as they come and notices a client that leaves. What it sends unasked stays for its
 * backend.
 */
function onArrival(hold: Hold, arrival: Arrival): void {
  if (arrival !== "data") finish(hold, "left");
  else if (!eatAnswers(hold)) finish(hold, "out-of-turn");
}

/** False when the client sent something else while it owed an answer. */
function eatAnswers(hold: Hold): boolean {
  const { client } = hold;
  while (hold.answered < hold.asked) {
    const response = readLoginPluginResponse(peek(client), 0);
    if (response.kind === "need-more") return true;
    if (response.kind === "bad" || response.value !== hold.firstId + hold.answered) return false;
    take(client, response.end);
    hold.answered += 1;
    hold.proof?.resolve(true);
  }
  return true;
}

const randomId = (): number =>
  leastId + ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) & idsToChoose);
