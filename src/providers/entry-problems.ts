import type { SourceName } from "../routing/route.ts";
import type { SourceEvent } from "./event.ts";

/** What is wrong with a source's entries, told once for as long as it stays the same. */
export interface EntryProblems {
  /** By entry, what is wrong at the moment; an entry that is not in it is well, or gone. */
  are(wrong: ReadonlyMap<string, string>): void;
}

/** Nothing is wrong so far. */
export function createEntryProblems(
  source: SourceName,
  emit: (event: SourceEvent) => void,
): EntryProblems {
  let told: ReadonlyMap<string, string> = new Map();
  return {
    are(wrong) {
      for (const [row, reason] of wrong) {
        if (told.get(row) !== reason) emit({ kind: "row-skipped", source, row, reason });
      }
      told = new Map(wrong);
    },
  };
}
