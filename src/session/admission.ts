import type { Deadlines } from "../base/deadlines.ts";
import type { AddressSet, ClientFilter } from "../limits/cidr.ts";
import { type Conn, type Endpoint, more, peek, take } from "../net/conn.ts";
import { readProxyHeader } from "../protocol/proxy-header.ts";
import { dropped, type Outcome } from "./outcome.ts";

/** Both ends of a client's connection as they count: the socket's, or those that a proxy in front of the router tells of. */
export interface Ends {
  readonly client: Endpoint;
  /** Where the client connected to; null: where the socket ends. */
  readonly local: Endpoint | null;
}

/** Whether a client may go on to its opening. */
export type Admission =
  | { readonly kind: "admitted"; readonly ends: Ends }
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** Who may enter. */
export interface AdmissionDeps {
  readonly deadlines: Deadlines;
  /** Null: clients come without PROXY protocol headers. */
  readonly proxies: {
    /** Whose headers are believed; null: everybody's. Those of others are read and ignored. */
    readonly trusted: AddressSet | null;
  } | null;
  readonly filter: ClientFilter;
}

/**
 * Reads the PROXY protocol header, where there may be one, and asks the client filter. What follows the header is left where it
 * is. Without proxies there is nothing to wait for, and no promise.
 */
export function admit(
  client: Conn,
  until: number,
  deps: AdmissionDeps,
): Admission | Promise<Admission> {
  const socketEnds = { client: client.remote, local: null };
  return deps.proxies === null
    ? filtered(socketEnds, deps)
    : admitProxied(client, until, socketEnds, deps.proxies.trusted, deps);
}

async function admitProxied(
  client: Conn,
  until: number,
  socketEnds: Ends,
  trusted: AddressSet | null,
  deps: AdmissionDeps,
): Promise<Admission> {
  const told = await readEnds(client, until, socketEnds, deps);
  if (told === null) return refused("bad-proxy-header");
  return filtered(trusted?.has(client.remote.ip) === false ? socketEnds : told, deps);
}

const filtered = (ends: Ends, { filter }: AdmissionDeps): Admission =>
  filter.admits(ends.client.ip) ? { kind: "admitted", ends } : refused("filtered");

/** The ends that the header tells; those of the socket without a header, and null for a wrong one. A client that sends nothing in time has no header either. */
async function readEnds(
  client: Conn,
  until: number,
  socketEnds: Ends,
  { deadlines }: AdmissionDeps,
): Promise<Ends | null> {
  for (;;) {
    const header = readProxyHeader(peek(client));
    if (header.kind === "bad") return null;
    if (header.kind === "ok") {
      take(client, header.end);
      if (header.value.kind !== "proxied") return socketEnds;
      return { client: header.value.source, local: header.value.destination };
    }
    const arrival = await more(client, deadlines, until - deadlines.now());
    if (arrival !== "data") return socketEnds;
  }
}

const refused = (why: "bad-proxy-header" | "filtered"): Admission => ({
  kind: "refused",
  outcome: dropped(why),
});
