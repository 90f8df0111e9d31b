import { inChunks } from "../../base/wait.ts";
import { patternText } from "../../routing/pattern.ts";
import type { Route } from "../../routing/route.ts";
import type { Publish } from "../../routing/source.ts";
import type { RowChanges } from "./rows.ts";

/** Up to here changes are one patch, so that no look-up sees a part of them: a few milliseconds of work. */
const largestPatch = 2_000;

/** Publishes changes, one call after the other. */
export type PublishChanges = (changes: RowChanges) => Promise<void>;

/**
 * The first changes are the whole set, even when it is empty: after them the source counts as one that has
 * published. Later ones are one patch. Either comes in chunks when it is so large that it would hold up every
 * session.
 */
export function createChangePublisher(publish: Publish): PublishChanges {
  let isFirst = true;
  return async (changes) => {
    const { upsert, removed } = changes;
    const count = upsert.length + removed.length;
    if (isFirst && count > largestPatch) await publishFirst(publish, upsert);
    else if (isFirst) publish.replace(upsert);
    else if (count > largestPatch) await publishPieces(publish, changes);
    else if (count > 0) publish.patch({ upsert, remove: removed.map(({ id }) => id) });
    isFirst = false;
  };
}

/** There were no routes before, so look-ups may see a part of them. */
async function publishFirst(publish: Publish, routes: readonly Route[]): Promise<void> {
  for await (const piece of inChunks(routes)) publish.patch({ upsert: piece, remove: [] }, "more");
  publish.patch({ upsert: [], remove: [] });
}

/** A route that takes its hostname over from a removed one still does so within one patch. */
async function publishPieces(publish: Publish, { upsert, removed }: RowChanges): Promise<void> {
  const leaving = new Map<string, string>();
  const remaining = new Set<string>();
  for await (const piece of inChunks(removed)) {
    for (const { id, patterns } of piece) {
      remaining.add(id);
      for (const pattern of patterns) leaving.set(patternText(pattern), id);
    }
  }
  for await (const piece of inChunks(upsert)) {
    const replaced = piece
      .flatMap(({ patterns }) => patterns)
      .map((pattern) => leaving.get(patternText(pattern)))
      .filter((id) => id !== undefined && remaining.delete(id));
    publish.patch({ upsert: piece, remove: replaced.filter((id) => id !== undefined) });
  }
  for await (const piece of inChunks([...remaining])) publish.patch({ upsert: [], remove: piece });
}
