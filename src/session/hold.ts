import { type Conn, more, peek, send, take } from "../net/conn.ts";
import type { Deadline, Deadlines } from "../net/deadlines.ts";
import {
  canBeHeld,
  emptyFrame,
  keepAliveKind,
  loginPluginRequest,
  readLoginPluginResponse,
} from "../protocol/login.ts";

/** Why a hold is over before its backend was there. */
export type HoldEnd = "left" | "out-of-turn" | "late" | "stopping";

/**
 * A login that waits. The client stays in the login phase, where every byte it receives resets its read timeout (30 s, 20 s
 * before Minecraft 1.8), and knows nothing of the wait but the words on its screen.
 */
export interface Hold {
  /** Aborts when the wait is over for a reason on this side: the client left, broke the rules or waited as long as it may, or the router stops. */
  readonly signal: AbortSignal;
  /** That reason; null while it waits. */
  ended(): HoldEnd | null;
  /**
   * Asks the client at once, as a keep-alive would later. True as soon as it answers, which only a game does; false when it does not
   * within 10 s, is too old to be asked, or the hold is over.
   */
  prove(): Promise<boolean>;
  /**
   * Stops talking to the client because its backend has begun to, and waits for the answers to what was asked: the backend must
   * not see them. True when the client's next byte is the backend's; false when the answers did not come or the hold has ended.
   */
  release(): Promise<boolean>;
  /** Stops the hold without more words. Safe to call twice. */
  stop(): void;
}

/** What a hold needs. */
export interface HoldDeps {
  readonly deadlines: Deadlines;
  /** Send something while it waits; false waits in silence. */
  readonly keepAlive: boolean;
  /** How much longer it may wait, ms; asked again when that time is over. */
  leftMs(): number;
  /** Aborts when the router stops. */
  readonly stopping: AbortSignal;
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

/** Holds a client whose Login Start has been taken from its inbox. Reads and writes the client until released or stopped. */
export function holdLogin(client: Conn, protocol: number, deps: HoldDeps): Hold {
  const { deadlines, firstId = randomId() } = deps;
  const control = new AbortController();
  const watching = new AbortController();
  const kind = keepAliveKind(protocol);
  let end: HoldEnd | null = null;
  let asked = 0;
  let answered = 0;
  let askedAt = 0;
  let next: Deadline | null = null;
  const proof = Promise.withResolvers<boolean>();

  let limit = deadlines.after(deps.leftMs(), overdue);
  const onStopping = (): void => finish("stopping");
  deps.stopping.addEventListener("abort", onStopping, { once: true });
  if (deps.keepAlive && canBeHeld(protocol)) next = deadlines.after(firstMs, keepAlive);
  if (deps.stopping.aborted) finish("stopping");
  void watch();

  function overdue(): void {
    const ms = deps.leftMs();
    if (ms <= 0) finish("late");
    else limit = deadlines.after(ms, overdue);
  }

  function quiet(): void {
    limit.cancel();
    next?.cancel();
    deps.stopping.removeEventListener("abort", onStopping);
  }

  function finish(why: HoldEnd): void {
    if (end !== null) return;
    end = why;
    stop();
    control.abort();
  }

  function stop(): void {
    quiet();
    watching.abort();
    proof.resolve(false);
  }

  function keepAlive(): void {
    // Answers could not be told from what a client said of its own accord, so such a client is not asked anything.
    const mayAsk = asked > answered || peek(client).length === 0;
    const mute = asked > answered && deadlines.now() - askedAt > muteMs;
    if (kind === "empty-frame") send(client, emptyFrame);
    else if (mayAsk && !mute) ask();
    next = deadlines.after(everyMs + (Math.random() - 0.5) * 1_000, keepAlive);
  }

  function ask(): void {
    if (asked === answered) askedAt = deadlines.now();
    if (send(client, loginPluginRequest(firstId + asked, channel))) asked += 1;
  }

  /** Eats the answers as they come and notices a client that leaves. */
  async function watch(): Promise<void> {
    while (end === null && !watching.signal.aborted) {
      if (!eatAnswers()) return finish("out-of-turn");
      const arrival = await more(client, deadlines, Number.POSITIVE_INFINITY, watching.signal);
      if (arrival === "closed" || arrival === "ended") return finish("left");
    }
  }

  /** False when the client sent something that is not an answer to us. */
  function eatAnswers(): boolean {
    while (answered < asked) {
      const response = readLoginPluginResponse(peek(client), 0);
      if (response.kind === "need-more") return true;
      if (response.kind === "bad" || response.value.id !== firstId + answered) return false;
      take(client, response.end);
      answered += 1;
      proof.resolve(true);
    }
    return true;
  }

  async function prove(): Promise<boolean> {
    if (kind === "empty-frame" || !canBeHeld(protocol) || end !== null) return false;
    if (asked === 0 && peek(client).length > 0) return false;
    if (asked === 0) ask();
    const late = deadlines.after(proofMs, () => proof.resolve(false));
    const isProven = await proof.promise;
    late.cancel();
    return isProven;
  }

  async function release(): Promise<boolean> {
    quiet();
    watching.abort();
    const until = deadlines.now() + answerMs;
    while (end === null) {
      if (!eatAnswers()) {
        end = "out-of-turn";
        return false;
      }
      if (answered === asked) return true;
      const arrival = await more(client, deadlines, until - deadlines.now());
      if (arrival === "late") return false;
      if (arrival !== "data") end = "left";
    }
    return false;
  }

  return { signal: control.signal, ended: () => end, prove, release, stop };
}

const randomId = (): number =>
  leastId + ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) & idsToChoose);
