import { toError } from "../base/thrown.ts";
import type { AcceptQueue } from "../limits/accept-queue.ts";
import { abort, type Conn, drop, peek, type RelayEnd } from "../net/conn.ts";
import { relay, relayBriefly } from "../net/relay/callbacks.ts";
import { endOpening } from "./admission.ts";
import type { SessionFacts } from "./event.ts";
import { dropped, type Outcome } from "./outcome.ts";
import { type SessionDeps, serve } from "./serve.ts";
import { createSession, type Session } from "./session.ts";

/** A session that is not over, as the operator sees it. */
export interface LiveSession {
  readonly facts: SessionFacts;
  readonly durationMs: number;
  /** Bytes given to either side so far; null before the relay. */
  readonly relayed: { readonly toBackend: number; readonly toClient: number } | null;
}

/** Every session there is. */
export interface Sessions {
  /** Whether a client with this address may connect; asked before a session is made for it. */
  admits(ip: string): boolean;
  /** Takes an admitted client over; false when there is no place for it, not even to say so: the caller then cuts it. */
  accept(client: Conn): boolean;
  /** How many clients are connected. */
  count(): number;
  /** The sessions that are not over, oldest first. */
  list(): readonly LiveSession[];
  /**
   * Takes no more clients, drops those that have said nothing yet, and resolves when the last client is gone, with how many
   * sessions had to be cut: those that were not over after `ms` or when the signal aborts.
   */
  drain(ms: number, signal: AbortSignal): Promise<number>;
}

/** What the set of sessions needs. */
export interface SessionsDeps extends SessionDeps {
  readonly queue: AcceptQueue;
  /** How many sessions are served. The few more that the limiter lets in are told that the router is full. */
  readonly limit: number;
}

/** Places beyond the limit for clients that are only told so. */
export const overflow = 64;

/** A set of sessions that is empty at first. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { limiter, deadlines } = deps;
  const sessions = new Map<Conn, Session>();
  let lastId = 0;
  let onEmpty: (() => void) | null = null;

  function accept(client: Conn): boolean {
    // First, so that a throw leaves nothing behind: the client is not kept yet.
    deps.emit({ kind: "session-accepted", client: client.remote });
    lastId += 1;
    const isOverLimit = sessions.size >= deps.limit;
    const session = createSession(lastId, client, { isOverLimit, acceptedAt: deadlines.now() });
    sessions.set(client, session);
    session.countedIp = limiter.enter(client.remote.ip);
    client.onClose = closed;
    if (isOverLimit) {
      // It takes no other client's turn: all it gets is a word.
      void run(session);
      return true;
    }
    const leaveQueue = deps.queue.enter(() => void run(session));
    if (session.startedAt === null) session.leaveQueue = leaveQueue;
    // The queue is full: the listener cuts the client, and its close event does the rest.
    return leaveQueue !== null;
  }

  function closed(client: Conn): void {
    const session = sessions.get(client);
    if (session === undefined) return;
    sessions.delete(client);
    endOpening(session, limiter);
    limiter.leave(session.countedIp);
    session.leaveQueue?.();
    session.gone?.abort();
    if (session.startedAt === null) end(session, dropped("left"));
    if (sessions.size === 0) onEmpty?.();
  }

  async function run(session: Session): Promise<void> {
    const { client } = session;
    session.startedAt = deadlines.now();
    session.leaveQueue = null;
    try {
      const result = await serve(session, deps);
      if (result.kind !== "joined") return end(session, result);
      session.gone = null;
      const start = result.isPing ? relayBriefly : relay;
      start(client, result.backend, deadlines, relayOver(session));
    } catch (thrown) {
      fail(session, thrown);
    }
  }

  /** A function of its own, so that the relay keeps nothing but the session in memory. */
  function relayOver(session: Session): (relayed: RelayEnd) => void {
    return (relayed) => {
      try {
        end(session, { kind: "relayed", end: relayed });
      } catch (thrown) {
        fail(session, thrown);
      }
    };
  }

  /** The one place that catches what a session throws. */
  function fail(session: Session, thrown: unknown): void {
    abort(session.client);
    deps.emit({ kind: "fault", error: toError(thrown) });
    end(session, dropped("fault"));
  }

  function end(session: Session, outcome: Outcome): void {
    if (session.isOver) return;
    session.isOver = true;
    session.visit?.end();
    if (outcome.kind === "dropped") drop(session.client);
    const durationMs = deadlines.now() - (session.startedAt ?? session.acceptedAt);
    deps.emit({ kind: "session-ended", session: session.facts, outcome, durationMs });
  }

  function drain(ms: number, signal: AbortSignal): Promise<number> {
    deps.queue.stop();
    for (const { client, facts } of [...sessions.values()]) {
      if (facts.intent === null && peek(client).length === 0) drop(client);
    }
    if (sessions.size === 0) return Promise.resolve(0);
    return new Promise((resolve) => {
      let cutCount = 0;
      const cut = (): void => {
        for (const { client, isOver } of [...sessions.values()]) {
          if (!isOver) cutCount += 1;
          abort(client);
        }
      };
      const deadline = deadlines.after(ms, cut);
      signal.addEventListener("abort", cut, { once: true });
      onEmpty = () => {
        deadline.cancel();
        signal.removeEventListener("abort", cut);
        resolve(cutCount);
      };
      if (signal.aborted) cut();
    });
  }

  function list(): readonly LiveSession[] {
    const now = deadlines.now();
    const live = [...sessions.values()].filter(({ isOver }) => !isOver);
    return live.map(({ client, facts, acceptedAt }) => ({
      facts: { ...facts },
      durationMs: now - acceptedAt,
      relayed: client.peer && { toBackend: client.peer.sent, toClient: client.sent },
    }));
  }

  return { admits: limiter.admits, accept, count: () => sessions.size, list, drain };
}
