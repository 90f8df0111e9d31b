import { createAddressBuckets } from "./address-buckets.ts";
import type { AddressSet } from "./cidr.ts";

/** Why an address may not have another connection: too many a second, or too many at a time. */
export type ClientRefusal = "rate" | "client";

/** What one address, and the network around it, may have of the router, whatever others do. */
export interface ClientLimits {
  /**
   * Why an address may not have one more connection now; null when it may. Each question counts towards the
   * rate.
   */
  refusal(ip: string): ClientRefusal | null;
  /** Counts one more connection of an address. */
  entered(ip: string): void;
  /** Takes back one `entered`. */
  left(ip: string): void;
  /** Whether the address may be served this now. Pings and logins have tokens of their own. */
  allows(ip: string, what: "status" | "login"): boolean;
}

/** What limits need. A network has four times what an address has; 0 is no limit. */
export interface ClientLimitsDeps {
  /** Connections at a time. */
  readonly connections: number;
  /** Connections each second in the long run; half as many pings. */
  readonly perSecond: number;
  readonly loginsPerSecond: number;
  /** Addresses that are not limited. */
  readonly exempt: AddressSet;
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now?: () => number;
}

/**
 * How many seconds' worth may come at once: a server list is pinged as a whole, and after a restart all
 * players join.
 */
const burstSeconds = 10;
/** Addresses and networks that are remembered: 2.9 MB. */
const entries = 65_536;

const kinds = { connection: 0, status: 1, login: 2 } as const;

/** Limits that no client has used yet. */
export function createClientLimits(deps: ClientLimitsDeps): ClientLimits {
  const { exempt } = deps;
  const rate = (perSecond: number) => ({ perSecond, burst: perSecond * burstSeconds });
  const buckets = createAddressBuckets({
    rates: [rate(deps.perSecond), rate(deps.perSecond / 2), rate(deps.loginsPerSecond)],
    liveLimit: deps.connections,
    entries,
    ...(deps.now && { now: deps.now }),
  });

  return {
    // Exemptions are looked up for refused clients only, which are few.
    refusal(ip) {
      if (!buckets.take(ip, kinds.connection) && !exempt.has(ip)) return "rate";
      return buckets.hasRoom(ip) || exempt.has(ip) ? null : "client";
    },
    entered: buckets.enter,
    left: buckets.leave,
    allows: (ip, what) => buckets.take(ip, kinds[what]) || exempt.has(ip),
  };
}
