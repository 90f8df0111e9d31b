import type { Deadlines } from "../base/deadlines.ts";
import type { AddressSet, ClientFilter } from "../limits/cidr.ts";
import type { ConnectionLimiter } from "../limits/connection-limiter.ts";
import { type Conn, type Endpoint, more, peek, take } from "../net/conn.ts";
import { readProxyHeader } from "../protocol/proxy-header.ts";
import type { WaitingLogins } from "./hold.ts";
import { dropped, type Outcome } from "./outcome.ts";
import type { Session } from "./session.ts";

/**
 * Both ends of a client's connection: those of its socket, or those that a proxy in front of the router tells
 * of.
 */
interface ClientEndpoints {
  readonly client: Endpoint;
  /** Where the client connected to; null: the socket's own end. */
  readonly local: Endpoint | null;
}

/** What decides whether a client is served. */
export interface AdmissionDeps {
  readonly deadlines: Deadlines;
  /** Null: clients come without PROXY protocol headers. */
  readonly proxies: {
    /** The proxies whose headers count; null: all of them. Headers of other peers are read and ignored. */
    readonly trusted: AddressSet | null;
  } | null;
  readonly filter: ClientFilter;
  readonly limiter: ConnectionLimiter;
  readonly waitingLogins: WaitingLogins;
}

/**
 * Reads the PROXY protocol header, where there may be one, and asks the client filter and the limits of the
 * client's address. Returns how the session ended, or null when it may go on; what follows the header stays
 * in the inbox.
 */
export async function admit(
  session: Session,
  until: number,
  deps: AdmissionDeps,
): Promise<Outcome | null> {
  const { client, facts } = session;
  if (deps.proxies !== null) {
    const endpoints = await readEndpoints(client, until, deps.deadlines);
    if (endpoints === null) return dropped("bad-proxy-header");
    if (deps.proxies.trusted?.has(client.remote.ip) !== false) {
      facts.client = endpoints.client;
      session.local = endpoints.local;
    }
  }
  if (!deps.filter.admits(facts.client.ip)) return dropped("filtered");
  // A client that has left is not counted any more; reading its opening tells how it left.
  if (client.closed) return null;
  return deps.limiter.countFor(session.place, facts.client.ip) ? null : dropped("throttled");
}

/** The ends that the PROXY header names; the socket's own without a header, and null for a malformed one. */
async function readEndpoints(
  client: Conn,
  until: number,
  deadlines: Deadlines,
): Promise<ClientEndpoints | null> {
  const own = { client: client.remote, local: null };
  for (;;) {
    const header = readProxyHeader(peek(client));
    if (header.kind === "bad") return null;
    if (header.kind === "ok") {
      take(client, header.end);
      if (header.value.kind !== "proxied") return own;
      return { client: header.value.source, local: header.value.destination };
    }
    const arrival = await more(client, deadlines, until - deadlines.now());
    if (arrival !== "data") return own;
  }
}

/**
 * Why no client is served at the moment, or not this one; null when it is. A call counts towards the
 * address's rate.
 */
export function refusalNow(
  session: Session,
  what: "login" | "status",
  { limiter, waitingLogins }: AdmissionDeps,
): "throttled" | "full" | "stopping" | null {
  if (!limiter.allows(session.facts.client.ip, what)) return "throttled";
  if (session.isOverLimit) return "full";
  return waitingLogins.stopping.aborted ? "stopping" : null;
}
