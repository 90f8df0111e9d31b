import type { Deadline, Deadlines } from "../base/deadlines.ts";
import { type Arrival, type Conn, more, peek, send, take, unwatch, watch } from "../net/conn.ts";
import {
  canBeHeld,
  emptyFrame,
  keepAliveKind,
  loginPluginRequest,
  readLoginPluginResponse,
} from "../protocol/login.ts";

/** How much a waiting client may say that it was not asked, bytes. It is kept for the backend, and thousands may wait at a time. */
const chatter = 8 * 1024;

/** Why a hold is over before its backend was there. */
export type HoldEnd = "left" | "out-of-turn" | "late" | "stopping";

/**
 * A login that waits. The client stays in the login phase, where every byte it receives resets its read timeout (30 s, 20 s
 * before Minecraft 1.8), and knows nothing of the wait but the words on its screen. Plain data, as thousands may wait at a time;
 * only this file writes its fields.
 */
export interface Hold {
  readonly client: Conn;
  readonly deps: HoldDeps;
  /** Aborts when the wait is over for a reason on this side: the client left, broke the rules or waited as long as it may, or the router stops. */
  readonly control: AbortController;
  readonly protocol: number;
  readonly kind: ReturnType<typeof keepAliveKind>;
  /** Why it is over; null while it waits. */
  end: HoldEnd | null;
  /** The number of the first request. */
  readonly firstId: number;
  /** Settles what `proveHold` waits for; null while nobody has asked. */
  proof: PromiseWithResolvers<boolean> | null;
  /** Requests that the client was sent, and those that it has answered. */
  asked: number;
  answered: number;
  /** When the oldest unanswered one was sent, on the deadlines' clock. */
  askedAt: number;
  /** When the client next hears something, and when it has waited as long as it may, on the same clock. */
  limitAt: number;
  nextAt: number;
  /** Set for whichever comes first; null when the hold is over. */
  timer: Deadline | null;
}

/** Every login that waits. */
export interface WaitingLogins {
  readonly waiting: Set<Hold>;
  /** How many may wait at a time. */
  readonly limit: number;
  /** The router stops: nobody waits any longer. */
  readonly stopping: AbortSignal;
}

/** Nobody waits yet. */
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
  /** The number of the first question; by default one that cannot be guessed, so that an answer shows that the question was read. */
  readonly firstId?: number;
}

/** A fast wake passes unseen; after that the client hears something well within its timeout, ms. */
const firstMs = 2_000;
const everyMs = 8_000;
/** A client that owes an answer for this long is asked nothing more, and is not handed over until it has answered, ms. */
const muteMs = 15_000;
const answerMs = 5_000;
/** How long a client may take to prove that it is a game, ms. */
const proofMs = 10_000;

/** A channel of ours that no mod listens to, so that every client answers "not understood"; ids far from those a backend uses. */
const channel = "automc:hold";
const leastId = 0x4000_0000;
const idsToChoose = 0x0fff_ffff;

/** WaitingLogins a client whose Login Start has been taken from its inbox. Reads and writes the client until released or stopped. */
export function holdLogin(client: Conn, protocol: number, deps: HoldDeps): Hold {
  const { deadlines, waitingLogins } = deps;
  const now = deadlines.now();
  const hold: Hold = {
    client,
    deps,
    control: new AbortController(),
    protocol,
    kind: keepAliveKind(protocol),
    end: null,
    firstId: deps.firstId ?? randomId(),
    proof: null,
    asked: 0,
    answered: 0,
    askedAt: 0,
    limitAt: now + deps.leftMs(),
    nextAt: deps.keepAlive && canBeHeld(protocol) ? now + firstMs : Number.POSITIVE_INFINITY,
    timer: null,
  };
  waitingLogins.waiting.add(hold);
  arm(hold, () => onTime(hold));
  watch(client, (arrival) => onArrival(hold, arrival));
  if (waitingLogins.stopping.aborted) finish(hold, "stopping");
  else if (client.closed || client.ending !== null) finish(hold, "left");
  else if (peek(client).length > chatter) finish(hold, "out-of-turn");
  return hold;
}

/**
 * Stops talking to the client because its backend has begun to, and waits for the answers to what was asked: the backend must
 * not see them. True when the client's next byte is the backend's; false when the answers did not come or the hold has ended.
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
 * Asks the client at once, as a keep-alive would later. True as soon as it answers, which only a game does; false when it does not
 * within 10 s, is too old to be asked, or the hold is over.
 */
export async function proveHold(hold: Hold): Promise<boolean> {
  const { client, deps, kind } = hold;
  if (hold.answered > 0) return true;
  if (kind === "empty-frame" || !canBeHeld(hold.protocol) || hold.end !== null) return false;
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
  const now = deadlines.now();
  if (now >= hold.limitAt) hold.limitAt = now + leftMs();
  if (now >= hold.limitAt) {
    finish(hold, "late");
    return;
  }
  if (now >= hold.nextAt) {
    hold.nextAt = now + everyMs + (Math.random() - 0.5) * 1_000;
    sendKeepAlive(hold, now);
  }
  // What it sent may have found the client gone.
  if (hold.end === null) arm(hold, () => onTime(hold));
}

function sendKeepAlive(hold: Hold, now: number): void {
  const { client } = hold;
  if (hold.kind === "empty-frame") {
    send(client, emptyFrame);
    return;
  }
  const isAsked = hold.asked > hold.answered;
  // Answers could not be told from what a client said of its own accord, so such a client is not asked anything.
  const mayAsk = isAsked || peek(client).length === 0;
  const isMute = isAsked && now - hold.askedAt > muteMs;
  if (mayAsk && !isMute) ask(hold, now);
}

function ask(hold: Hold, now: number): void {
  if (hold.asked === hold.answered) hold.askedAt = now;
  if (send(hold.client, loginPluginRequest(hold.firstId + hold.asked, channel))) hold.asked += 1;
}

/** Eats the answers as they come and notices a client that leaves. */
function onArrival(hold: Hold, arrival: Arrival): void {
  if (arrival !== "data") finish(hold, "left");
  else if (!eatAnswers(hold) || peek(hold.client).length > chatter) finish(hold, "out-of-turn");
}

/** False when the client sent something that is not an answer to us. */
function eatAnswers(hold: Hold): boolean {
  const { client } = hold;
  while (hold.answered < hold.asked) {
    const response = readLoginPluginResponse(peek(client), 0);
    if (response.kind === "need-more") return true;
    if (response.kind === "bad" || response.value.id !== hold.firstId + hold.answered) return false;
    take(client, response.end);
    hold.answered += 1;
    hold.proof?.resolve(true);
  }
  return true;
}

const randomId = (): number =>
  leastId + ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) & idsToChoose);
