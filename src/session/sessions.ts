import { abort, type Conn, drop } from "../net/conn.ts";
import type { AcceptQueue } from "../net/rate.ts";
import { type Session, type SessionDeps, serve } from "./session.ts";

/** Every session there is. */
export interface Sessions {
  /** Takes a client over; false when there is no place left for it, not even to say so. */
  accept(client: Conn): boolean;
  /** How many clients are connected. */
  count(): number;
  /** Lets nobody else in, and resolves when the last client is gone, with how many had to be cut: those left after `ms` or when the signal aborts. */
  drain(ms: number, signal: AbortSignal): Promise<number>;
}

/** What the set of sessions needs. */
export interface SessionsDeps extends SessionDeps {
  readonly queue: AcceptQueue;
  /** How many sessions are served. A few more are taken to tell them that the router is full. */
  readonly limit: number;
}

/** Places beyond the limit for clients that are only told so. */
const overflow = 64;

/** A set of sessions that is empty at first. */
export function createSessions(deps: SessionsDeps): Sessions {
  const clients = new Set<Conn>();
  /** Those of them that still wait for their turn. */
  const queued = new Set<Conn>();
  let lastId = 0;
  let onEmpty: (() => void) | null = null;

  function accept(client: Conn): boolean {
    if (clients.size >= deps.limit + overflow) return false;
    const isTooMany = clients.size >= deps.limit;
    // First, so that a throw leaves nothing behind: the client is not kept yet.
    deps.emit({ kind: "session-accepted", client: client.remote });
    const gone = new AbortController();
    queued.add(client);
    const leaveQueue = deps.queue.enter(() => {
      queued.delete(client);
      void run(client, isTooMany, gone.signal);
    });
    if (leaveQueue === null) {
      queued.delete(client);
      return false;
    }
    clients.add(client);
    client.onClose = () => {
      leaveQueue();
      queued.delete(client);
      clients.delete(client);
      gone.abort();
      if (clients.size === 0) onEmpty?.();
    };
    return true;
  }

  async function run(client: Conn, isTooMany: boolean, gone: AbortSignal): Promise<void> {
    const startedAt = deps.deadlines.now();
    lastId += 1;
    const session: Session = {
      client,
      isTooMany,
      gone,
      facts: {
        id: lastId,
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
    };
    try {
      const outcome = await serve(session, deps);
      const durationMs = deps.deadlines.now() - startedAt;
      if (outcome.kind === "dropped") drop(client);
      deps.emit({ kind: "session-ended", session: { ...session.facts }, outcome, durationMs });
    } catch (thrown) {
      abort(client);
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      deps.emit({ kind: "fault", error });
    }
  }

  function drain(ms: number, signal: AbortSignal): Promise<number> {
    deps.queue.stop();
    for (const client of [...queued]) drop(client);
    if (clients.size === 0) return Promise.resolve(0);
    return new Promise((resolve) => {
      let cutCount = 0;
      const cut = (): void => {
        cutCount += clients.size;
        for (const client of [...clients]) abort(client);
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

  return { accept, count: () => clients.size, drain };
}
