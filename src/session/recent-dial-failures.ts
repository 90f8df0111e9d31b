import type { Deadlines } from "../base/deadlines.ts";
import type { Address } from "../routing/address.ts";

/**
 * Backends that took no connection a moment ago. The next ping does not dial them again: a server list pings
 * every server that sleeps.
 */
export interface RecentDialFailures {
  /**
   * Why the last dial there failed, as one readable phrase; null when none has failed within the last second.
   */
  reason(address: Address): string | null;
  /** A dial there has just failed. */
  note(address: Address, reason: string): void;
}

/** How long a ping may be answered without asking, ms. A login always asks. */
const rememberedMs = 1_000;
const limit = 4_096;

/** No dial has failed yet. */
export function createRecentDialFailures(deadlines: Pick<Deadlines, "now">): RecentDialFailures {
  /** In the order in which they were noted. */
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
