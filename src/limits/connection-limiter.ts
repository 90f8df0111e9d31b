import type { AddressSet } from "./cidr.ts";
import type { ClientLimits, ClientRefusal } from "./client-limits.ts";

/** Why a client is turned away: for what its address does, or because the router has no place, or none for those who have not said what they want. */
export type ConnectionRefusal = ClientRefusal | "total" | "opening" | "pings" | "logins";

/** Counts who is there, and lets nobody in whom there is no place for. */
export interface ConnectionLimiter {
  /** Whether a client with this address may come in. Asked before anything is made for it. */
  admits(ip: string): boolean;
  /** A client has come in. Gives the address that it is counted for; null while that is not known. */
  enter(ip: string): string | null;
  /** Counts a client for the address that a proxy has told; false when there is no place for another one of that address. */
  countFor(ip: string): boolean;
  /** Whether a client with this address may be served this now. */
  allows(ip: string, what: "status" | "login"): boolean;
  /** A client has said what it wants, or has gone without. */
  opened(): void;
  /** A client is gone; the address is what it was counted for. */
  leave(countedIp: string | null): void;
}

/** What a connection limiter needs. */
export interface ConnectionLimiterDeps {
  readonly clients: ClientLimits;
  /** Peers that send a PROXY protocol header: those in `trusted`, or all where it is null. Null: the PROXY protocol is off. */
  readonly proxies: { readonly trusted: AddressSet | null } | null;
  /** How many may be there at a time, and how many of them that have not said what they want. */
  readonly places: { readonly total: number; readonly opening: number };
  /** Told of each client that is turned away. */
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

  /** Whoever connects from there may be a proxy, with clients of many addresses. */
  const mayBeProxy = (ip: string): boolean =>
    proxies !== null && proxies.trusted?.has(ip) !== false;

  /** A proxy that speaks for itself looks whether the router is there. */
  const isProxy = (ip: string): boolean => proxies?.trusted?.has(ip) === true;

  function refusal(ip: string): ConnectionRefusal | null {
    if (connected >= places.total) return "total";
    if (opening >= places.opening) return "opening";
    return mayBeProxy(ip) ? null : clients.refusal(ip);
  }

  function isLetIn(why: ConnectionRefusal | null, ip: string): boolean {
    if (why !== null) refused(why, ip);
    return why === null;
  }

  return {
    admits: (ip) => isLetIn(refusal(ip), ip),
    enter(ip) {
      connected += 1;
      opening += 1;
      if (mayBeProxy(ip)) return null;
      clients.entered(ip);
      return ip;
    },
    countFor(ip) {
      if (!isProxy(ip) && !isLetIn(clients.refusal(ip), ip)) return false;
      clients.entered(ip);
      return true;
    },
    allows(ip, what) {
      if (isProxy(ip) || clients.allows(ip, what)) return true;
      refused(what === "login" ? "logins" : "pings", ip);
      return false;
    },
    opened() {
      opening -= 1;
    },
    leave(countedIp) {
      connected -= 1;
      if (countedIp !== null) clients.left(countedIp);
    },
  };
}
