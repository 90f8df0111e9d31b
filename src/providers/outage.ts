import type { SourceName } from "../routing/route.ts";
import type { SourceEvent } from "./event.ts";

/**
 * Tells whether a source has its origin: an outage once, its further attempts one by one, and its
 * end once.
 */
interface Outage {
  /** The origin is there, and `routes` are published. Told at the first time and after an outage. */
  live(routes: number, mode: SourceMode): void;
  /** The origin is away, and the last `routes` stay; the next attempt comes after `nextMs`. */
  down(reason: string, routes: number, nextMs: number): void;
}

/** How changes of a source's origin arrive. */
type SourceMode = Extract<SourceEvent, { kind: "source-live" }>["mode"];

/** A source that has not found its origin yet, and has told nothing. */
export function createOutage(source: SourceName, emit: (event: SourceEvent) => void): Outage {
  let live: SourceMode | null = null;
  let lostAt: number | null = null;
  return {
    live(routes, mode) {
      if (live === mode) return;
      live = mode;
      const awayMs = lostAt === null ? 0 : Math.round(performance.now() - lostAt);
      lostAt = null;
      emit({ kind: "source-live", source, routes, mode, awayMs });
    },
    down(reason, routes, nextMs) {
      live = null;
      if (lostAt === null) emit({ kind: "source-lost", source, reason, routes });
      else emit({ kind: "source-retry", source, reason, nextMs });
      lostAt ??= performance.now();
    },
  };
}
