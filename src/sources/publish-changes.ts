import { patternText } from "../routing/pattern.ts";
import type { Publish } from "../routing/source.ts";
import type { RowChanges } from "./server-rows.ts";
import { yieldToLoop } from "./wait.ts";

/** Up to here changes are one patch, so that no look-up sees a part of them. */
const largestPatch = 5_000;
/** Routes per patch of larger changes: some milliseconds of work. */
const sliceSize = 1_000;

/**
 * Publishes changes: as one patch, or, when they are so many that they would hold up every session, in slices.
 * In slices, a route that takes its hostname over from a removed one still does so within one patch.
 */
export async function publishChanges(publish: Publish, changes: RowChanges): Promise<void> {
  const { upsert, removed } = changes;
  if (upsert.length + removed.length === 0) return;
  if (upsert.length + removed.length <= largestPatch) {
    publish.patch({ upsert, remove: removed.map(({ id }) => id) });
    return;
  }
  const leaving = new Map<string, string>();
  for (const { id, patterns } of removed) {
    for (const pattern of patterns) leaving.set(patternText(pattern), id);
  }
  const remaining = new Set(removed.map(({ id }) => id));
  for (let from = 0; from < upsert.length; from += sliceSize) {
    const slice = upsert.slice(from, from + sliceSize);
    const replaced = slice
      .flatMap(({ patterns }) => patterns)
      .map((pattern) => leaving.get(patternText(pattern)))
      .filter((id) => id !== undefined && remaining.delete(id));
    publish.patch({ upsert: slice, remove: replaced.filter((id) => id !== undefined) });
    await yieldToLoop();
  }
  const rest = [...remaining];
  for (let from = 0; from < rest.length; from += sliceSize) {
    publish.patch({ upsert: [], remove: rest.slice(from, from + sliceSize) });
    await yieldToLoop();
  }
}
