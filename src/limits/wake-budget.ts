import { createAddressBuckets } from "./address-buckets.ts";
import type { AddressSet } from "./cidr.ts";

/**
 * Why a server is not started for a client: the address, or all of them together, have started as many as
 * they may, the server has failed to come up too often, or the client did not prove that it is a game.
 * `reason` is one readable phrase.
 */
export interface StartRefused {
  readonly kind: "refused";
  readonly why: "client" | "total" | "server" | "proof";
  readonly reason: string;
}

/** How many servers may be started, and for whom: what a flood of logins can cost at most. */
export interface WakeBudget {
  /** Takes one start of the server for a client with this IP literal, or tells why there is none. */
  take(server: string, ip: string): StartRefused | null;
  /** Gives back a start that was none, as the server ran already. */
  giveBack(ip: string): void;
  /** A server that was started is up. */
  succeeded(server: string): void;
  /** A server that was started did not come up. */
  failed(server: string): void;
}

/** What a budget needs. */
export interface WakeBudgetDeps {
  /** Starts within ten minutes; 0: no limit. */
  readonly total: number;
  /** Of these, for one address, a network having four times as many; 0: no limit. */
  readonly perClient: number;
  /** Addresses that only the total counts for. */
  readonly exempt: AddressSet;
  /** How long a server that has failed too often is left alone, ms. */
  readonly coolDownMs: number;
  /** Milliseconds on a clock that never jumps. */
  now(): number;
}

/** The time that the counts are for, ms. */
const periodMs = 600_000;
/** A server may be slow once. */
const failuresToCool = 2;
/** Addresses and networks that are remembered; far more than may start something within the period. */
const entries = 4_096;
/** Servers whose failures are remembered. */
const failingLimit = 10_000;

/** A budget that is untouched. */
export function createWakeBudget(deps: WakeBudgetDeps): WakeBudget {
  const { total, perClient, exempt, coolDownMs, now } = deps;
  const clients = createAddressBuckets({
    rates: [{ perSecond: (perClient * 1_000) / periodMs, burst: perClient }],
    liveLimit: 0,
    entries,
    now,
  });
  const failing = new Map<string, { readonly count: number; readonly at: number }>();
  let left = total;
  let filledAt = now();

  function fill(): void {
    left = Math.min(total, left + ((now() - filledAt) * total) / periodMs);
    filledAt = now();
  }

  function take(server: string, ip: string): StartRefused | null {
    const failed = failing.get(server);
    if (failed !== undefined && failed.count >= failuresToCool && now() - failed.at < coolDownMs) {
      return {
        kind: "refused",
        why: "server",
        reason: `it did not come up ${failed.count} times in a row`,
      };
    }
    fill();
    if (total > 0 && left < 1) {
      return {
        kind: "refused",
        why: "total",
        reason: `${total} servers were started within ten minutes`,
      };
    }
    if (!clients.take(ip, 0) && !exempt.has(ip)) {
      return {
        kind: "refused",
        why: "client",
        reason: `${perClient} servers were started within ten minutes from the client's address, or four times as many from its network`,
      };
    }
    left -= 1;
    return null;
  }

  return {
    take,
    giveBack(ip) {
      clients.giveBack(ip, 0);
      left = Math.min(total, left + 1);
    },
    succeeded: (server) => void failing.delete(server),
    failed(server) {
      const count = (failing.get(server)?.count ?? 0) + 1;
      failing.delete(server);
      failing.set(server, { count, at: now() });
      const [oldest] = failing.keys();
      if (failing.size > failingLimit && oldest !== undefined) failing.delete(oldest);
    },
  };
}
