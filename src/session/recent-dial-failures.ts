import type { Deadlines } from "../base/deadlines.ts";
import type { Address } from "../routing/address.ts";

/** Backends that took no connection a moment ago, so that the next ping need not ask again: a player's server list pings every server that sleeps. */
export interface RecentDialFailures {
  /** Why nothing could be reached there a moment ago, as one readable phrase; null when that is not known, or too long ago. */
  reason(address: Address): string | null;
  /** Nothing could be reached there just now. */
  note(address: Address, reason: string): void;
}

/** How long a ping may be answered without asking, ms. A login always asks. */
const rememberedMs = 1_000;
const limit = 4_096;

/** Nothing is known at first. */
export function createRecentDialFailures(deadlines: Pick<Deadlines, "now">): RecentDialFailures {
  /** The one noted last is the last. */
  const noted = new Map<string, { readonly reason: string; readonly until: number }>();

  return {
    reason({ text }) {
      const absence = noted.get(text);
      if (absence === undefined) return null;
      if (absence.until > deadlines.now()) return absence.reason;
      noted.delete(text);
      return null;
    },
    note({ text }, reason) {
      noted.delete(text);
      noted.set(text, { reason, until: deadlines.now() + rememberedMs });
      const [oldest] = noted.size > limit ? noted.keys() : [];
      if (oldest !== undefined) noted.delete(oldest);
    },
  };
}
