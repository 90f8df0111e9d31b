import { createAddressBuckets } from "./address-buckets.ts";
import type { AddressSet } from "./cidr.ts";

/** Why an address may not have another connection: it has made too many of late, or has too many. */
export type ClientRefusal = "rate" | "client";

/** What one address may have of the router, and the network around it. Nobody's share depends on what others do. */
export interface ClientLimits {
  /** Why an address may not have one more connection now; null when it may. Each question counts towards the rate. */
  refusal(ip: string): ClientRefusal | null;
  /** An address has one more connection. */
  entered(ip: string): void;
  /** That connection is gone. */
  left(ip: string): void;
  /** Whether the address may be served this now. Pings cannot use up what logins need. */
  allows(ip: string, what: "status" | "login"): boolean;
}

/** What limits need. A network has four times what an address has; 0 is no limit. */
export interface ClientLimitsDeps {
  /** Connections at a time. */
  readonly connections: number;
  /** Connections each second in the long run; half as many pings. */
  readonly perSecond: number;
  readonly loginsPerSecond: number;
  /** Whom nothing of this applies to. */
  readonly exempt: AddressSet;
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now?: () => number;
}

/** How many seconds' worth may come at once: a server list is pinged all together, and after a restart everybody joins. */
const burstSeconds = 10;
/** Addresses and networks that are remembered: 2.9 MB. */
const entries = 65_536;

const kinds = { connection: 0, status: 1, login: 2 } as const;

/** Limits that nobody has touched yet. */
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
    // Who is exempt is found out only for those who would be refused, as nearly nobody is.
    refusal(ip) {
      if (!buckets.take(ip, kinds.connection) && !exempt.has(ip)) return "rate";
      return buckets.hasRoom(ip) || exempt.has(ip) ? null : "client";
    },
    entered: buckets.enter,
    left: buckets.leave,
    allows: (ip, what) => buckets.take(ip, kinds[what]) || exempt.has(ip),
  };
}
