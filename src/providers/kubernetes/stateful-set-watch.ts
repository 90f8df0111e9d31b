import type { Publish } from "../../routing/source.ts";
import type { SourceEvent } from "../event.ts";
import { type ListWatchTimings, runListWatch } from "../list-watch.ts";
import { createKubeCollection, type KubeCollection, type KubeScope } from "./collection.ts";
import { readStatefulSet, type StatefulSet, type StatefulSets } from "./stateful-sets.ts";

/** What following a cluster's StatefulSets needs. */
interface FollowStatefulSetsDeps extends KubeScope {
  readonly statefulSets: StatefulSets;
  readonly emit: (event: SourceEvent) => void;
  readonly timings?: Partial<ListWatchTimings>;
}

/** They are no routes. */
const noRoutes: Publish = {
  replace() {
    // See above.
  },
  patch() {
    // See above.
  },
};

/**
 * Keeps the StatefulSets up to date until the signal aborts. A router without the right to read
 * them is warned once, and tries again.
 */
export function followStatefulSets(
  deps: FollowStatefulSetsDeps,
  signal: AbortSignal,
): Promise<void> {
  const { statefulSets, timings } = deps;
  const source = "kubernetes";
  const origin = createKubeCollection<StatefulSet>(deps, {
    group: "/apis/apps/v1",
    plural: "statefulsets",
    read: readStatefulSet,
  });
  function routes({ items }: KubeCollection<StatefulSet>): readonly [] {
    statefulSets.replace(items.values());
    return [];
  }
  function emit(event: SourceEvent): void {
    if (event.kind !== "source-lost") return;
    const reason = `the StatefulSets cannot be read: ${event.reason}`;
    statefulSets.lost(reason);
    deps.emit({ kind: "source-warning", source, message: reason });
  }
  return runListWatch(
    { source, origin, routes, resyncMs: null, emit, ...(timings && { timings }) },
    noRoutes,
    signal,
  );
}
