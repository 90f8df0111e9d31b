import { onAbort } from "./abort.ts";

/** A deadline that has been set. It ends by expiring or by `cancel`, whichever comes first. */
export interface Deadline {
  /** Takes the deadline back; without effect once it has expired. */
  cancel(): void;
}

/**
 * Every timeout of every session, on one monotonic clock and one timer that runs only while
 * something waits.
 */
export interface Deadlines {
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** Runs `expire` once, no earlier than `ms` from now and normally within one tick (25 ms) after that. */
  after(ms: number, expire: () => void): Deadline;
  /** Resolves true after `ms`, or false as soon as the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<boolean>;
}

interface Entry extends Deadline {
  dueTick: number;
  expire: () => void;
  previous: Entry | null;
  next: Entry | null;
  slot: number;
}

const tickMs = 25;
const slots = 512;

/**
 * A hashed timer wheel: setting and cancelling cost the same whether ten or ten thousand sessions wait.
 * Bun's own per-socket timeouts are not used, as they only notify and fire up to four seconds early.
 */
export function createDeadlines(): Deadlines {
  const wheel: (Entry | null)[] = new Array(slots).fill(null);
  const start = performance.now();
  let swept = 0;
  let armed = 0;
  let timer: ReturnType<typeof setInterval> | null = null;

  const tickOf = (time: number): number => Math.floor((time - start) / tickMs);

  /**
   * One function for all entries: a session sets several, and a closure for each would be most of
   * what they weigh.
   */
  function cancel(this: Entry): void {
    unlink(this);
  }

  function unlink(entry: Entry): void {
    if (entry.slot < 0) return;
    if (entry.previous === null) wheel[entry.slot] = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next !== null) entry.next.previous = entry.previous;
    entry.slot = -1;
    entry.previous = null;
    entry.next = null;
    armed -= 1;
    if (armed === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  }

  function sweepSlot(slot: number, tick: number): void {
    let entry = wheel[slot] ?? null;
    const due: Entry[] = [];
    while (entry !== null) {
      if (entry.dueTick <= tick) due.push(entry);
      entry = entry.next;
    }
    // The newest heads the slot; the oldest goes first.
    for (const each of due.reverse()) {
      // An earlier one of the same slot may have cancelled this one.
      if (each.slot < 0) continue;
      unlink(each);
      each.expire();
    }
  }

  function sweep(): void {
    const tick = tickOf(performance.now());
    const first = Math.max(swept + 1, tick - slots + 1);
    for (let at = first; at <= tick; at += 1) {
      sweepSlot(at % slots, tick);
      // Slot by slot, so that an `expire` that throws takes no other deadline with it.
      swept = at;
    }
  }

  function after(ms: number, expire: () => void): Deadline {
    const now = performance.now();
    if (timer === null) {
      swept = tickOf(now);
      timer = setInterval(sweep, tickMs);
    }
    const dueTick = Math.max(tickOf(now + ms) + 1, swept + 1);
    const slot = dueTick % slots;
    const next = wheel[slot] ?? null;
    const entry: Entry = { dueTick, expire, previous: null, next, slot, cancel };
    if (next !== null) next.previous = entry;
    wheel[slot] = entry;
    armed += 1;
    return entry;
  }

  function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (elapsed: boolean): void => {
        deadline.cancel();
        release();
        resolve(elapsed);
      };
      const deadline = after(ms, () => settle(true));
      const release = onAbort(signal, () => settle(false));
    });
  }

  return { now: () => performance.now(), after, sleep };
}
