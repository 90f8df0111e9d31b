import type { Reload, WaitingChanges } from "./pending.ts";
import type { PostgresTimings } from "./timings.ts";

/** When the next read, and the next heartbeat or attempt to LISTEN, is due, by `performance.now`. */
export interface ReadClock {
  /** Notes a read that has just ended. `againMs`: read everything again after this time. */
  noteRead(reload: Reload, startedAt: number, againMs: number | null): void;
  /** When to read what notifications named; null: they have named nothing. */
  changesAt(waiting: WaitingChanges | null): number;
  /** When to read everything, although nothing is known to have changed. */
  fullReadAt(): number;
  /** When the next heartbeat is due, or, while polling, the next attempt to LISTEN. */
  speakAt(): number;
  /** Whether the table's triggers tell of every change; else full reads are the only way to see them. */
  told(areTold: boolean): void;
  /** Notifications arrive: full reads are rare, heartbeats keep watch. */
  listening(): void;
  /** Notifications do not arrive: full reads are the only way to see changes. */
  polling(): void;
}

/** A clock that begins in the listening state. */
export function createReadClock(resyncMs: number, timings: PostgresTimings): ReadClock {
  let isListening = true;
  let isTold = true;
  /** The last two reads of any kind. */
  let lastStartAt = -Infinity;
  let startBeforeAt = -Infinity;
  /** The last read of everything. */
  let fullEndAt = -Infinity;
  let fullMs = 0;
  let fullReadAt = Infinity;
  let speakAt = performance.now() + timings.heartbeatMs;

  const fullReadPauseMs = () => {
    // Spread, so that many routers on one database do not read in step.
    return isListening && isTold ? resyncMs * (0.8 + Math.random() * 0.4) : timings.pollMs;
  };
  return {
    noteRead(reload, startedAt, againMs) {
      const now = performance.now();
      startBeforeAt = lastStartAt;
      lastStartAt = startedAt;
      if (reload.kind === "all") {
        fullEndAt = now;
        fullMs = now - startedAt;
        fullReadAt = now + fullReadPauseMs();
      }
      if (againMs !== null) fullReadAt = Math.min(fullReadAt, now + againMs);
    },
    changesAt(waiting) {
      if (waiting === null) return Infinity;
      const { gatherMs, coalesceMs, readGapMs } = timings;
      const nextAt = Math.max(
        waiting.since + gatherMs,
        lastStartAt + coalesceMs,
        startBeforeAt + 2 * readGapMs,
      );
      if (waiting.kind === "names") return nextAt;
      // Waiting for more costs little beside a long read. The pause after a read is as long as the read,
      // so that a large table costs at most half of the time.
      return Math.max(nextAt, waiting.since + Math.min(fullMs, coalesceMs), fullEndAt + fullMs);
    },
    told(areTold) {
      isTold = areTold;
      if (!areTold) fullReadAt = Math.min(fullReadAt, performance.now() + timings.pollMs);
    },
    fullReadAt: () => fullReadAt,
    speakAt: () => speakAt,
    listening() {
      isListening = true;
      speakAt = performance.now() + timings.heartbeatMs;
    },
    polling() {
      isListening = false;
      speakAt = performance.now() + timings.relistenMs;
      fullReadAt = Math.min(fullReadAt, performance.now() + timings.pollMs);
    },
  };
}
