import type { AddressSet } from "./cidr.ts";
import type { ClientLimits, ClientRefusal } from "./client-limits.ts";

/** Why a client is turned away: its address has used up what it may have, or the router has no place left. */
export type ConnectionRefusal = ClientRefusal | "total" | "opening" | "pings" | "logins";

/**
 * What one client takes of the limits. Only this file writes it; once the client has left, it takes nothing
 * more.
 */
export interface Place {
  /** The address that it counts against; null while that is not known. */
  countedIp: string | null;
  /** It counts among the clients that have not said what they want. */
  isOpening: boolean;
  hasLeft: boolean;
}

/** Counts the clients that are connected, and turns away those that there is no place for. */
export interface ConnectionLimiter {
  /** Whether a client with this address may connect. Asked before anything is kept for it. */
  admits(ip: string): boolean;
  /** A client has connected. Its place is given back by `leave`. */
  enter(ip: string): Place;
  /**
   * Counts a client for the address that a proxy told; false when that address has used up its limits, or the
   * client has left.
   */
  countFor(place: Place, ip: string): boolean;
  /** Whether a client with this address may be served this now. A call counts towards the address's rate. */
  allows(ip: string, what: "status" | "login"): boolean;
  /** The client has said what it wants. Safe to call twice. */
  opened(place: Place): void;
  /** The client has gone: everything that it took is given back. Safe to call twice. */
  leave(place: Place): void;
}

/** What a connection limiter needs. */
export interface ConnectionLimiterDeps {
  readonly clients: ClientLimits;
  /**
   * The peers that send a PROXY protocol header: those in `trusted`, or all where it is null. Null: the
   * protocol is off.
   */
  readonly proxies: { readonly trusted: AddressSet | null } | null;
  /** How many clients may be connected, and how many of them may still have to say what they want. */
  readonly places: { readonly total: number; readonly opening: number };
  /** Called for each client that is turned away. */
  refused(why: ConnectionRefusal, ip: string): void;
}

/** A limiter that has counted no client yet. */
export function createConnectionLimiter({
  clients,
  proxies,
  places,
  refused,
}: ConnectionLimiterDeps): ConnectionLimiter {
  let connected = 0;
  let opening = 0;

  /** The peer may be a proxy, with clients of many addresses behind it. */
  const mayBeProxy = (ip: string): boolean =>
    proxies !== null && proxies.trusted?.has(ip) !== false;

  /** A trusted proxy that speaks for itself checks whether the router is there. */
  const isProxy = (ip: string): boolean => proxies?.trusted?.has(ip) === true;

  function refusal(ip: string): ConnectionRefusal | null {
    if (connected >= places.total) return "total";
    if (opening >= places.opening) return "opening";
    return mayBeProxy(ip) ? null : clients.refusal(ip);
  }

  function isAdmitted(why: ConnectionRefusal | null, ip: string): boolean {
    if (why !== null) refused(why, ip);
    return why === null;
  }

  function opened(place: Place): void {
    if (place.isOpening) opening -= 1;
    place.isOpening = false;
  }

  return {
    admits: (ip) => isAdmitted(refusal(ip), ip),
    enter(ip) {
      connected += 1;
      opening += 1;
      const countedIp = mayBeProxy(ip) ? null : ip;
      if (countedIp !== null) clients.entered(countedIp);
      return { countedIp, isOpening: true, hasLeft: false };
    },
    countFor(place, ip) {
      if (place.hasLeft) return false;
      if (place.countedIp !== null) return true;
      if (!isProxy(ip) && !isAdmitted(clients.refusal(ip), ip)) return false;
      clients.entered(ip);
      place.countedIp = ip;
      return true;
    },
    allows(ip, what) {
      if (isProxy(ip) || clients.allows(ip, what)) return true;
      refused(what === "login" ? "logins" : "pings", ip);
      return false;
    },
    opened,
    leave(place) {
      if (place.hasLeft) return;
      place.hasLeft = true;
      connected -= 1;
      opened(place);
      if (place.countedIp !== null) clients.left(place.countedIp);
    },
  };
}
