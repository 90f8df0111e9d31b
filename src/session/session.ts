import type { Place } from "../limits/connection-limiter.ts";
import type { Conn, Endpoint } from "../net/conn.ts";
import type { Hostname } from "../routing/hostname.ts";
import type { Visit } from "../wake/idle.ts";
import type { SessionFacts } from "./event.ts";

/**
 * What is known of one client, from its first byte to its last. Plain data and flat, and emptied of what is
 * over: thousands of clients play or wait at a time.
 */
export interface Session {
  readonly client: Conn;
  /** Filled in as it becomes known; final from the relay on. */
  readonly facts: { -readonly [Key in keyof SessionFacts]: SessionFacts[Key] };
  /** The router is full: the client is told so and not served. */
  readonly isOverLimit: boolean;
  /** On the deadlines' clock, ms. */
  readonly acceptedAt: number;
  /**
   * What it is routed by, whatever it sends: it came in by a port of that hostname. Null: by what it sends.
   */
  readonly fixedHostname: Hostname | null;
  /** What it takes of the limits. */
  readonly place: Place;
  /** When its turn in the accept queue came; null before. */
  startedAt: number | null;
  /** Leaves the accept queue; null when it does not wait there. */
  leaveQueue: (() => void) | null;
  /** Where the client connected to, as a PROXY protocol header said; null: the socket's own end. */
  local: Endpoint | null;
  /**
   * Aborted when the client is gone. Null until `goneSignal` is called: most sessions end before anything
   * waits for it.
   */
  gone: AbortController | null;
  /**
   * Keeps the backend from being put to sleep until the end of the session; null for a backend that never is.
   */
  visit: Visit | null;
  /** Ends its part in the balance between the endpoints of its backend; null where it has none. */
  leave: (() => void) | null;
  /** Its end has been told. */
  isOver: boolean;
}

/** A session of which only its number and its socket are known. */
export function createSession(
  id: number,
  client: Conn,
  given: Pick<Session, "isOverLimit" | "acceptedAt" | "place" | "fixedHostname">,
): Session {
  return {
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
    ...given,
    startedAt: null,
    leaveQueue: null,
    local: null,
    gone: null,
    visit: null,
    leave: null,
    isOver: false,
  };
}

/** Aborts when the client is gone. */
export function goneSignal(session: Session): AbortSignal {
  session.gone ??= new AbortController();
  if (session.client.closed) session.gone.abort();
  return session.gone.signal;
}
