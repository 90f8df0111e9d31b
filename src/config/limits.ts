import type { AddressRange } from "../limits/cidr.ts";
import type { Environment } from "./environment.ts";

/** What clients may use of the router and of what it starts. */
export interface Limits {
  /** Connections at a time; null: as many as fit. */
  readonly connections: {
    readonly total: number | null;
    readonly opening: number | null;
    readonly holding: number | null;
  };
  /** For one address, a network having four times as much; 0 for no limit. */
  readonly client: {
    readonly connections: number;
    readonly perSecond: number;
    readonly loginsPerSecond: number;
    /** Clients without these limits. */
    readonly exempt: readonly AddressRange[];
  };
  /** Starts of servers within ten minutes; 0 for no limit. */
  readonly wakes: {
    readonly total: number;
    readonly perClient: number;
    readonly coolDownMs: number;
    /** A client must have answered a question as the game does. */
    readonly proof: boolean;
  };
}

/** Reads the limits. */
export function readLimits({ read }: Environment): Limits {
  return {
    connections: {
      total: read("AUTOMC_MAX_CONNECTIONS") || null,
      opening: read("AUTOMC_MAX_OPENING") || null,
      holding: read("AUTOMC_MAX_HOLDING") || null,
    },
    client: {
      connections: read("AUTOMC_CLIENT_CONNECTIONS"),
      perSecond: read("AUTOMC_CLIENT_RATE"),
      loginsPerSecond: read("AUTOMC_CLIENT_LOGIN_RATE"),
      exempt: read("AUTOMC_CLIENT_EXEMPT"),
    },
    wakes: {
      total: read("AUTOMC_WAKES"),
      perClient: read("AUTOMC_CLIENT_WAKES"),
      coolDownMs: read("AUTOMC_WAKE_COOLDOWN"),
      proof: read("AUTOMC_WAKE_PROOF"),
    },
  };
}
