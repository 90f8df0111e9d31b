import type { SourceName } from "../routing/route.ts";
import type { SourceEvent } from "./event.ts";

/** Emits what is wrong with a source's entries, each problem once for as long as it stays the same. */
export interface EntryProblems {
  /** All problems that there are now, by entry. An entry that is not in the map is well, or gone. */
  report(current: ReadonlyMap<string, string>): void;
}

/** No entry is wrong so far. */
export function createEntryProblems(
  source: SourceName,
  emit: (event: SourceEvent) => void,
): EntryProblems {
  let told: ReadonlyMap<string, string> = new Map();
  return {
    report(current) {
      for (const [row, reason] of current) {
        if (told.get(row) !== reason) emit({ kind: "row-skipped", source, row, reason });
      }
      told = new Map(current);
    },
  };
}
