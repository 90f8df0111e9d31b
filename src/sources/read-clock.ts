import type { Reread } from "./hints.ts";
import type { PostgresTimings } from "./timings.ts";

/** When the next read, and the next heartbeat or attempt to LISTEN, is due; all on the clock of `performance.now`. */
export interface ReadClock {
  /** Notes a read that has just ended. `againMs`: read everything again after this time. */
  noteRead(reread: Reread, startedAt: number, againMs: number | null): void;
  /** When to read what notifications named, the first of which came at `since`; null for none. */
  hintsAt(since: number | null): number;
  /** When to read everything, although nothing is known to have changed. */
  fullReadAt(): number;
  /** When the next heartbeat is due, or, while polling, the next attempt to LISTEN. */
  speakAt(): number;
  /** Changes are heard: full reads are rare, heartbeats keep watch. */
  listening(): void;
  /** Changes are not heard: full reads are the only way to see them. */
  polling(): void;
}

/** A clock that begins in the listening state. */
export function createReadClock(resyncMs: number, timings: PostgresTimings): ReadClock {
  let isListening = true;
  let lastStartAt = -Infinity;
  let lastEndAt = -Infinity;
  let fullReadAt = Infinity;
  let speakAt = performance.now() + timings.heartbeatMs;

  const fullReadPauseMs = () => {
    // Spread, so that many routers on one database do not read in step.
    return isListening ? resyncMs * (0.8 + Math.random() * 0.4) : timings.pollMs;
  };
  return {
    noteRead(reread, startedAt, againMs) {
      lastStartAt = startedAt;
      lastEndAt = performance.now();
      if (reread.kind === "all") fullReadAt = lastEndAt + fullReadPauseMs();
      if (againMs !== null) fullReadAt = Math.min(fullReadAt, lastEndAt + againMs);
    },
    hintsAt(since) {
      if (since === null) return Infinity;
      // A read is followed by a pause as long as itself, so that large tables cost at most half of the time.
      const rested = lastEndAt === -Infinity ? lastEndAt : 2 * lastEndAt - lastStartAt;
      return Math.max(since + timings.coalesceMs, lastStartAt + timings.readGapMs, rested);
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
