import { onAbort } from "../base/abort.ts";
import type { Deadlines } from "../base/deadlines.ts";

/** Lets a limited number through at a time; the others wait in order. */
export interface Gate {
  /** Takes a place if one is free now; false when the caller would have to wait. */
  tryEnter(): boolean;
  /**
   * Resolves true with a place taken, which `leave` gives back; false when `ms` passed or the
   * signal aborted first.
   */
  enter(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Gives one place back. */
  leave(): void;
  /** True when no place is taken and no caller waits. */
  isEmpty(): boolean;
}

/** A gate with `limit` places. */
export function createGate(limit: number, deadlines: Deadlines): Gate {
  const queue = new Set<() => void>();
  let inside = 0;

  function tryEnter(): boolean {
    if (inside >= limit) return false;
    inside += 1;
    return true;
  }

  function enter(ms: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (tryEnter()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (entered: boolean): void => {
        queue.delete(admit);
        deadline.cancel();
        release();
        resolve(entered);
      };
      const admit = (): void => {
        inside += 1;
        settle(true);
      };
      const giveUp = (): void => settle(false);
      const deadline = deadlines.after(ms, giveUp);
      const release = onAbort(signal, giveUp);
      queue.add(admit);
    });
  }

  function leave(): void {
    inside -= 1;
    const [next] = queue;
    next?.();
  }

  return { tryEnter, enter, leave, isEmpty: () => inside === 0 && queue.size === 0 };
}
