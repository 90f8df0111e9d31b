import { sleep } from "../../base/wait.ts";

/** How many dials may follow each other at once, and how long one more takes to earn. */
interface DialPace {
  readonly burst: number;
  readonly everyMs: number;
}

/** Permission to dial, handed out at a bounded pace. */
export interface DialBudget {
  /** Resolves when one more dial is due, or when the signal aborts. */
  take(signal: AbortSignal): Promise<void>;
}

/**
 * A token bucket before every dial. Backoff bounds one kind of failure at a time; this bounds all of them
 * together: at most `burst + span / everyMs` dials in any span.
 */
export function createDialBudget({ burst, everyMs }: DialPace): DialBudget {
  let tokens = burst;
  let countedAt = performance.now();
  return {
    async take(signal) {
      while (!signal.aborted) {
        const now = performance.now();
        tokens = Math.min(burst, tokens + (now - countedAt) / everyMs);
        countedAt = now;
        if (tokens >= 1) {
          tokens -= 1;
          return;
        }
        await sleep(Math.ceil((1 - tokens) * everyMs), signal);
      }
    },
  };
}
