import { patternText } from "../routing/pattern.ts";
import type { Publish } from "../routing/source.ts";
import type { RowChanges } from "./server-rows.ts";
import { yieldToLoop } from "./wait.ts";

/** Up to here changes are one patch, so that no look-up sees a part of them. */
const largestPatch = 5_000;
/** Routes per patch of larger changes: some milliseconds of work. */
const sliceSize = 1_000;

/** Publishes changes, one call after the other. */
export type PublishChanges = (changes: RowChanges) => Promise<void>;

/**
 * The first changes are the whole set, even when it is empty: whoever waits for the source's routes then has all of
 * them. Later ones are one patch, or, when they are so many that they would hold up every session, come in slices.
 */
export function createChangePublisher(publish: Publish): PublishChanges {
  let isFirst = true;
  return async (changes) => {
    const { upsert, removed } = changes;
    const count = upsert.length + removed.length;
    if (isFirst) publish.replace(upsert);
    else if (count > largestPatch) await publishSlices(publish, changes);
    else if (count > 0) publish.patch({ upsert, remove: removed.map(({ id }) => id) });
    isFirst = false;
  };
}

/** A route that takes its hostname over from a removed one still does so within one patch. */
async function publishSlices(publish: Publish, { upsert, removed }: RowChanges): Promise<void> {
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
