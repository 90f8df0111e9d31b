import { createRecent } from "../base/recent.ts";

/** How long the last starts of each server took. */
export interface StartTimes {
  /** A start took so many ms, from the request until the server was ready. */
  note(key: string, tookMs: number): void;
  /** How long a start usually takes, ms: three of four were no longer. Null before the first. */
  usualMs(key: string): number | null;
  /** Everything as plain JSON values, the server that was noted last being the last. */
  save(): readonly SavedStarts[];
  /** Takes in what `save` gave in an earlier run. Values that are something else are passed over. */
  restore(saved: readonly unknown[]): void;
}

/** One server's starts, as a file keeps them. */
export interface SavedStarts {
  readonly startsOf: string;
  readonly tookMs: readonly number[];
}

/** Starts of each server, and servers, that are remembered; the oldest make room. */
const startLimit = 10;
const serverLimit = 10_000;

/** Nothing is known yet. `changed` is called when something has been noted. */
export function createStartTimes(changed: () => void): StartTimes {
  const servers = createRecent<string, readonly number[]>(serverLimit);

  function keep(key: string, starts: readonly number[]): void {
    servers.set(key, starts.slice(-startLimit));
  }

  return {
    note(key, tookMs) {
      keep(key, [...(servers.get(key) ?? []), Math.round(tookMs)]);
      changed();
    },
    usualMs(key) {
      const sorted = (servers.get(key) ?? []).toSorted((a, b) => a - b);
      return sorted[Math.ceil(sorted.length * 0.75) - 1] ?? null;
    },
    save: () => [...servers.entries()].map(([startsOf, tookMs]) => ({ startsOf, tookMs })),
    restore(saved) {
      for (const one of saved) if (isSaved(one)) keep(one.startsOf, one.tookMs);
    },
  };
}

const isSaved = (value: unknown): value is SavedStarts =>
  typeof value === "object" &&
  value !== null &&
  "startsOf" in value &&
  typeof value.startsOf === "string" &&
  "tookMs" in value &&
  Array.isArray(value.tookMs) &&
  value.tookMs.every((ms) => typeof ms === "number" && Number.isFinite(ms) && ms >= 0);
