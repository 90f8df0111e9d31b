import type { Route } from "../../routing/route.ts";
import type { RouteSource } from "../../routing/source.ts";
import { createEntryProblems } from "../entry-problems.ts";
import type { SourceEvent } from "../event.ts";
import { type ListWatchTimings, runListWatch } from "../list-watch.ts";
import { createKubeCollection, type KubeCollection, type KubeScope } from "./collection.ts";
import { type KubeServiceRules, type ReadService, readKubeService } from "./service.ts";
import { followStatefulSets } from "./stateful-set-watch.ts";
import type { StatefulSets } from "./stateful-sets.ts";

/** What the source of a cluster's services needs. */
export interface KubernetesSourceDeps extends KubeScope, KubeServiceRules {
  /** Kept up to date as soon as there is a route that may be started or stopped. */
  readonly statefulSets: StatefulSets;
  readonly emit: (event: SourceEvent) => void;
  /** Waits that differ from the usual ones. */
  readonly timings?: Partial<ListWatchTimings>;
}

const source = "kubernetes";

/**
 * The routes that the annotations of a cluster's services ask for, followed live. While the API is
 * away, the last ones stay published.
 */
export function createKubernetesSource(deps: KubernetesSourceDeps): RouteSource {
  return {
    name: source,
    async run(publish, signal) {
      const { emit, timings } = deps;
      // Not before it is of use: it takes rights that a router without scaling need not have.
      let following: Promise<void> | null = null;
      const problems = createEntryProblems(source, emit);
      const origin = createKubeCollection<ReadService>(deps, {
        group: "/api/v1",
        plural: "services",
        read: (object, key) => readKubeService(object, key, deps),
      });
      function routes({ items }: KubeCollection<ReadService>): readonly Route[] {
        const wrong = [...items].flatMap(([key, { complaint }]) =>
          complaint === "" ? [] : [[key, complaint] as const],
        );
        problems.report(new Map(wrong));
        const usable = [...items.values()].flatMap(({ route }) => route ?? []);
        const isScaled = usable.some(({ wake }) => wake !== null);
        if (isScaled) following ??= followStatefulSets(deps, signal);
        return usable;
      }
      await runListWatch(
        { source, origin, routes, resyncMs: null, emit, ...(timings && { timings }) },
        publish,
        signal,
      );
      await following;
    },
  };
}
