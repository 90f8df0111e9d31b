import { toError } from "../base/thrown.ts";
import type { AcceptQueue } from "../limits/accept-queue.ts";
import { abort, type Conn, drop, peek, type RelayBytes, type RelayEnd } from "../net/conn.ts";
import { relayBriefly } from "../net/relay/callbacks.ts";
import {
  type CreateLoginRelay,
  cutRelay,
  type HandedOver,
  relayedBytes,
} from "../net/relay/relay.ts";
import type { Hostname } from "../routing/hostname.ts";
import type { SessionFacts } from "./event.ts";
import { dropped, type Outcome } from "./outcome.ts";
import { type SessionDeps, serve } from "./serve.ts";
import { createSession, type Session } from "./session.ts";

/** A session that is not over, as the operator sees it. */
export interface LiveSession {
  readonly facts: SessionFacts;
  readonly durationMs: number;
  /** Bytes given to either side so far; null before the relay. */
  readonly relayed: RelayBytes | null;
}

/** Every session there is. */
export interface Sessions {
  /** Whether a client with this address may connect; asked before a session is made for it. */
  admits(ip: string): boolean;
  /**
   * Takes an admitted client over; false when there is no place for it, not even to say so: the caller then
   * cuts it. `hostname` is what it is routed by, whatever it sends; left out, it is what it sends.
   */
  accept(client: Conn, hostname?: Hostname): boolean;
  /** How many clients are connected. */
  count(): number;
  /** The sessions that are not over, oldest first. */
  list(): readonly LiveSession[];
  /**
   * Takes no more clients, ends the wait in the accept queue, drops the clients that have said nothing yet,
   * and resolves when the end of the last session has been told and the relay has stopped, with how many
   * sessions had to be cut: those that were not over after `ms` or when the signal aborts.
   */
  drain(ms: number, signal: AbortSignal): Promise<number>;
}

/** What the set of sessions needs. */
export interface SessionsDeps extends SessionDeps {
  readonly queue: AcceptQueue;
  /** How many sessions are served. The few more that the limiter lets in are told that the router is full. */
  readonly limit: number;
  /** Relays logins once they are joined to their backend. */
  readonly createRelay: CreateLoginRelay;
}

/** What is kept of a session that a relay thread has: neither a socket nor a Conn. */
interface Player extends Pick<Session, "facts" | "acceptedAt" | "place" | "visit"> {
  readonly startedAt: number;
  readonly relayed: HandedOver;
}

/** Places beyond the limit for clients that are only told so. */
export const overflow = 64;

/** How long a relay thread may take to cut its sessions, ms; what is left then ends with the process. */
const cutMs = 1_000;

/** A set of sessions that is empty at first. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { limiter, deadlines } = deps;
  /** The sessions whose sockets the event loop has. */
  const sessions = new Map<Conn, Session>();
  /** The sessions whose sockets a relay thread has. */
  const players = new Set<Player>();
  /** Their clients are gone, and their end is still to be told: a backend may go on for a few seconds. */
  const ending = new Set<Session>();
  const logins = deps.createRelay<Session, Player>({ over: relayOver, handedOver, left });
  let lastId = 0;
  let onEmpty: (() => void) | null = null;

  const count = (): number => sessions.size + players.size;
  const isEmpty = (): boolean => count() === 0 && ending.size === 0;

  function accept(client: Conn, hostname: Hostname | null = null): boolean {
    // First, so that a throw leaves nothing behind: the client is not kept yet.
    deps.emit({ kind: "session-accepted", client: client.remote });
    lastId += 1;
    const isOverLimit = count() >= deps.limit;
    const place = limiter.enter(client.remote.ip);
    const acceptedAt = deadlines.now();
    const session = createSession(lastId, client, {
      isOverLimit,
      acceptedAt,
      place,
      fixedHostname: hostname,
    });
    sessions.set(client, session);
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
    limiter.leave(session.place);
    session.leaveQueue?.();
    session.gone?.abort();
    if (!session.isOver) ending.add(session);
    if (session.startedAt === null) end(session, dropped("left"));
    tellIfEmpty();
  }

  function tellIfEmpty(): void {
    if (isEmpty()) onEmpty?.();
  }

  async function run(session: Session): Promise<void> {
    const { client } = session;
    session.startedAt = deadlines.now();
    session.leaveQueue = null;
    try {
      const result = await serve(session, deps);
      if (result.kind !== "joined") return end(session, result);
      session.gone = null;
      const { backend } = result;
      if (result.isPing) relayBriefly(client, backend, { deadlines, over: pingOver(session) });
      else logins.join(client, backend, session);
    } catch (thrown) {
      fail(session, thrown);
    }
  }

  /** A function of its own, so that the relay keeps nothing but the session in memory. */
  function pingOver(session: Session): (relayed: RelayEnd) => void {
    return (relayed) => relayOver(session, relayed);
  }

  function relayOver(session: Session, relayed: RelayEnd): void {
    try {
      end(session, { kind: "relayed", end: relayed });
    } catch (thrown) {
      fail(session, thrown);
    }
  }

  function handedOver(session: Session, relayed: HandedOver): Player {
    const { client, facts, acceptedAt, place, visit } = session;
    const startedAt = session.startedAt ?? acceptedAt;
    const player = { facts, acceptedAt, place, visit, startedAt, relayed };
    sessions.delete(client);
    players.add(player);
    return player;
  }

  function left(player: Player, relayed: RelayEnd): void {
    players.delete(player);
    limiter.leave(player.place);
    try {
      player.visit?.end();
      tellEnd(player.facts, { kind: "relayed", end: relayed }, player.startedAt);
    } catch (thrown) {
      deps.emit({ kind: "fault", error: toError(thrown) });
    }
    tellIfEmpty();
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
    session.leave?.();
    if (outcome.kind === "dropped") drop(session.client);
    ending.delete(session);
    try {
      tellEnd(session.facts, outcome, session.startedAt ?? session.acceptedAt);
    } finally {
      tellIfEmpty();
    }
  }

  function tellEnd(facts: SessionFacts, outcome: Outcome, since: number): void {
    const durationMs = deadlines.now() - since;
    deps.emit({ kind: "session-ended", session: facts, outcome, durationMs });
  }

  async function drain(ms: number, signal: AbortSignal): Promise<number> {
    deps.queue.stop();
    for (const { client, facts } of [...sessions.values()]) {
      if (facts.intent === null && peek(client).length === 0) drop(client);
    }
    const cutCount = isEmpty() ? 0 : await lastSessionOver(ms, signal);
    await logins.stop();
    return cutCount;
  }

  function lastSessionOver(ms: number, signal: AbortSignal): Promise<number> {
    return new Promise((resolve) => {
      let cutCount = 0;
      let deadline = deadlines.after(ms, cut);
      signal.addEventListener("abort", cut, { once: true });
      onEmpty = done;
      if (signal.aborted) cut();

      function cut(): void {
        signal.removeEventListener("abort", cut);
        deadline.cancel();
        deadline = deadlines.after(cutMs, done);
        const left = [...sessions.values()];
        cutCount = players.size + left.filter(({ isOver }) => !isOver).length;
        for (const { relayed } of players) cutRelay(relayed);
        for (const session of [...left, ...ending]) cutBoth(session);
      }

      function done(): void {
        signal.removeEventListener("abort", cut);
        deadline.cancel();
        resolve(cutCount);
      }
    });
  }

  /** The backend too: the relay's end, which is to be told before the process ends, waits for both. */
  function cutBoth({ client }: Session): void {
    const { peer } = client;
    abort(client);
    if (peer !== null) abort(peer);
  }

  function list(): readonly LiveSession[] {
    const now = deadlines.now();
    const live = [...sessions.values()].filter(({ isOver }) => !isOver);
    const listed = live.map(({ client, facts, acceptedAt }) => ({
      facts: { ...facts },
      durationMs: now - acceptedAt,
      relayed: client.relay && relayedBytes(client.relay),
    }));
    for (const { facts, acceptedAt, relayed } of players) {
      const durationMs = now - acceptedAt;
      listed.push({ facts: { ...facts }, durationMs, relayed: relayedBytes(relayed) });
    }
    return listed.sort((one, other) => one.facts.id - other.facts.id);
  }

  return { admits: limiter.admits, accept, count, list, drain };
}
