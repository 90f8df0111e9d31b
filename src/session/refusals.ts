import type { Deadlines } from "../base/deadlines.ts";
import type { ConnectionRefusal } from "../limits/connection-limiter.ts";
import type { SessionEvent } from "./event.ts";

/** How many clients have been turned away, by why. */
export type RefusalCounts = Readonly<Record<ConnectionRefusal, number>>;

/**
 * Counts the clients that are turned away. One event stands for all of ten seconds, as a flood of events
 * would do harm too.
 */
export interface Refusals {
  count(why: ConnectionRefusal, ip: string): void;
  counts(): RefusalCounts;
}

/** The least time between two events for the same reason, ms. */
const everyMs = 10_000;

/** Counts from 0. */
export function createRefusals(deps: {
  readonly deadlines: Deadlines;
  emit(event: SessionEvent): void;
}): Refusals {
  const total = ofEach(0);
  const told = ofEach(0);
  const lastIp = ofEach("");
  const waiting = new Set<ConnectionRefusal>();

  function tell(why: ConnectionRefusal): void {
    waiting.add(why);
    deps.deadlines.after(everyMs, () => {
      waiting.delete(why);
      if (total[why] > told[why]) tell(why);
    });
    const count = total[why] - told[why];
    told[why] = total[why];
    deps.emit({ kind: "clients-refused", why, count, lastIp: lastIp[why] });
  }

  return {
    count(why, ip) {
      total[why] += 1;
      lastIp[why] = ip;
      if (!waiting.has(why)) tell(why);
    },
    counts: () => total,
  };
}

const ofEach = <T>(value: T): Record<ConnectionRefusal, T> => ({
  rate: value,
  client: value,
  total: value,
  opening: value,
  pings: value,
  logins: value,
});
