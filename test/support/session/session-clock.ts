import type { Deadlines } from "../../../src/base/deadlines.ts";

/** Deadlines on a clock that stands still until the test moves it, so that no schedule depends on how fast the machine is. */
export interface ManualDeadlines extends Deadlines {
  /** Moves the clock by `ms`; what falls due on the way runs in order, each at its own time. */
  advance(ms: number): void;
  /** How many deadlines are set: what is left when nothing should be is a leak. */
  readonly pending: number;
}

interface Due {
  readonly atMs: number;
  readonly expire: () => void;
}

/** A clock at 0 with nothing to come. */
export function manualDeadlines(): ManualDeadlines {
  const pending = new Set<Due>();
  let nowMs = 0;

  function after(ms: number, expire: () => void): { cancel(): void } {
    const due: Due = { atMs: nowMs + ms, expire };
    pending.add(due);
    return { cancel: () => void pending.delete(due) };
  }

  function next(untilMs: number): Due | null {
    let earliest: Due | null = null;
    for (const due of pending) {
      if (due.atMs <= untilMs && (earliest === null || due.atMs < earliest.atMs)) earliest = due;
    }
    return earliest;
  }

  return {
    now: () => nowMs,
    after,
    sleep(ms, signal) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      if (signal.aborted) return Promise.resolve(false);
      const deadline = after(ms, () => settle(true));
      const onAbort = (): void => settle(false);
      const settle = (elapsed: boolean): void => {
        deadline.cancel();
        signal.removeEventListener("abort", onAbort);
        resolve(elapsed);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      return promise;
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      for (let due = next(untilMs); due !== null; due = next(untilMs)) {
        pending.delete(due);
        nowMs = Math.max(nowMs, due.atMs);
        due.expire();
      }
      nowMs = untilMs;
    },
    get pending() {
      return pending.size;
    },
  };
}

/** Moves the clock in small steps until the condition holds, and lets the sockets have their say after each; rejects when it has moved by `limitMs` in vain. */
export async function advanceUntil(
  clock: ManualDeadlines,
  what: string,
  holds: () => boolean,
  limitMs = 120_000,
): Promise<void> {
  const untilMs = clock.now() + limitMs;
  while (!holds()) {
    if (clock.now() > untilMs) throw new Error(`not within ${limitMs} ms of the clock: ${what}`);
    clock.advance(100);
    await Bun.sleep(2);
  }
}
