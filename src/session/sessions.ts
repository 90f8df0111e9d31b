import { toError } from "../base/thrown.ts";
import type { AcceptQueue } from "../limits/accept-queue.ts";
import { abort, type Conn, drop, peek, type RelayEnd } from "../net/conn.ts";
import { relay, relayBriefly } from "../net/relay/callbacks.ts";
import type { SessionFacts } from "./event.ts";
import { dropped, type Outcome } from "./outcome.ts";
import { endOpening, type Session, type SessionDeps, serve } from "./session.ts";

/** A session that is not over, as the operator sees it. */
export interface LiveSession {
  readonly facts: SessionFacts;
  readonly durationMs: number;
  /** Bytes given to either side so far; null before the relay. */
  readonly relayed: { readonly toBackend: number; readonly toClient: number } | null;
}

/** Every session there is. */
export interface Sessions {
  /** Whether a client with this address may come in; asked before it is made. */
  admits(ip: string): boolean;
  /** Takes a client over that was admitted; false when there is no place left for it, not even to say so. */
  accept(client: Conn): boolean;
  /** How many clients are connected. */
  count(): number;
  /** The sessions that are not over, oldest first. */
  list(): readonly LiveSession[];
  /**
   * Lets nobody else in, drops those who have said nothing yet, and resolves when the last client is gone, with how
   * many sessions had to be cut: those that were not over after `ms` or when the signal aborts.
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

/** A client that is connected. */
interface Entry extends Session {
  readonly acceptedAt: number;
  /** Gives up its turn; null when it has none to wait for. */
  leaveQueue: (() => void) | null;
  /** Null until its turn has come. */
  startedAt: number | null;
  isOver: boolean;
}

/** A set of sessions that is empty at first. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { limiter } = deps;
  const entries = new Map<Conn, Entry>();
  let lastId = 0;
  let onEmpty: (() => void) | null = null;

  function accept(client: Conn): boolean {
    // First, so that a throw leaves nothing behind: the client is not kept yet.
    deps.emit({ kind: "session-accepted", client: client.remote });
    lastId += 1;
    const entry = newEntry(lastId, client, entries.size >= deps.limit, deps.deadlines.now());
    entries.set(client, entry);
    entry.countedIp = limiter.enter(client.remote.ip);
    client.onClose = closed;
    if (entry.isTooMany) {
      // It takes nobody's turn: all it gets is a word.
      void run(entry);
      return true;
    }
    const leaveQueue = deps.queue.enter(() => void run(entry));
    if (entry.startedAt === null) entry.leaveQueue = leaveQueue;
    // The queue is full: the listener cuts the client, and its close event does the rest.
    return leaveQueue !== null;
  }

  function closed(client: Conn): void {
    const entry = entries.get(client);
    if (entry === undefined) return;
    entries.delete(client);
    endOpening(entry, limiter);
    limiter.leave(entry.countedIp);
    entry.leaveQueue?.();
    entry.gone?.abort();
    if (entry.startedAt === null) end(entry, dropped("left"));
    if (entries.size === 0) onEmpty?.();
  }

  async function run(entry: Entry): Promise<void> {
    const { client } = entry;
    entry.startedAt = deps.deadlines.now();
    entry.leaveQueue = null;
    try {
      const served = await serve(entry, deps);
      if (served.kind !== "joined") return end(entry, served);
      entry.gone = null;
      const join = served.isPing ? relayBriefly : relay;
      join(client, served.backend, deps.deadlines, relayOver(entry));
    } catch (thrown) {
      fail(entry, thrown);
    }
  }

  /** Made here, where nothing but the entry can be kept alive by it. */
  function relayOver(entry: Entry): (relayed: RelayEnd) => void {
    return (relayed) => {
      try {
        end(entry, { kind: "relayed", end: relayed });
      } catch (thrown) {
        fail(entry, thrown);
      }
    };
  }

  /** The one place where what a session throws ends up. */
  function fail(entry: Entry, thrown: unknown): void {
    abort(entry.client);
    deps.emit({ kind: "fault", error: toError(thrown) });
    end(entry, dropped("fault"));
  }

  function end(entry: Entry, outcome: Outcome): void {
    if (entry.isOver) return;
    entry.isOver = true;
    entry.visit?.end();
    if (outcome.kind === "dropped") drop(entry.client);
    const durationMs = deps.deadlines.now() - (entry.startedAt ?? entry.acceptedAt);
    deps.emit({ kind: "session-ended", session: entry.facts, outcome, durationMs });
  }

  function drain(ms: number, signal: AbortSignal): Promise<number> {
    deps.queue.stop();
    for (const { client, facts } of [...entries.values()]) {
      if (facts.intent === null && peek(client).length === 0) drop(client);
    }
    if (entries.size === 0) return Promise.resolve(0);
    return new Promise((resolve) => {
      let cutCount = 0;
      const cut = (): void => {
        for (const { client, isOver } of [...entries.values()]) {
          if (!isOver) cutCount += 1;
          abort(client);
        }
      };
      const deadline = deps.deadlines.after(ms, cut);
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
    const now = deps.deadlines.now();
    const live = [...entries.values()].filter(({ isOver }) => !isOver);
    return live.map(({ client, facts, acceptedAt }) => ({
      facts: { ...facts },
      durationMs: now - acceptedAt,
      relayed: client.peer && { toBackend: client.peer.sent, toClient: client.sent },
    }));
  }

  return { admits: limiter.admits, accept, count: () => entries.size, list, drain };
}

const newEntry = (id: number, client: Conn, isTooMany: boolean, acceptedAt: number): Entry => ({
  client,
  facts: {
    id,
    client: client.remote,
    intent: null,
    protocol: null,
    rawHost: null,
    hostname: null,
    route: null,
    row: null,
    backend: null,
    player: null,
    waitedMs: null,
  },
  isTooMany,
  countedIp: null,
  isOpening: true,
  gone: null,
  visit: null,
  acceptedAt,
  leaveQueue: null,
  startedAt: null,
  isOver: false,
});
