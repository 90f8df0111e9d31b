import { ok, type Result } from "../../base/result.ts";
import type { Route } from "../../routing/route.ts";
import type { RouteSource } from "../../routing/source.ts";
import { createEntryProblems } from "../entry-problems.ts";
import type { SourceEvent } from "../event.ts";
import {
  type ListWatchOrigin,
  type ListWatchTimings,
  runListWatch,
  type WatchEnd,
} from "../list-watch.ts";
import type { SwarmApi } from "./api.ts";
import { type SwarmListing, swarmRoutes } from "./routes.ts";
import type { ServiceState } from "./state.ts";

/** What finding backends among Swarm services needs. */
interface SwarmSourceDeps {
  readonly api: SwarmApi;
  /** Whether services whose labels do not say may be started and stopped. */
  readonly scaling: { readonly up: boolean; readonly down: boolean };
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  readonly emit: (event: SourceEvent) => void;
  /** How often everything is listed, ms: events do not tell what happens to tasks. */
  readonly resyncMs?: number;
  /** The same while a service is on its way up, ms. */
  readonly unsettledMs?: number;
  /** Waits that differ from the usual ones. */
  readonly timings?: Partial<ListWatchTimings>;
}

const source = "swarm";
/** mc-router's. */
const usualResyncMs = 5_000;
const usualUnsettledMs = 1_000;
/** What the Swarm is about to change by itself. */
const unsettled: ReadonlySet<ServiceState["kind"]> = new Set(["waking", "restart-delay"]);

/**
 * The routes that the labels of Swarm services ask for, followed live. While the manager is away,
 * the last ones stay published.
 */
export function createSwarmSource(deps: SwarmSourceDeps): RouteSource {
  return {
    name: source,
    run(publish, signal) {
      const { emit, resyncMs = usualResyncMs, timings = {} } = deps;
      const { routes, isUnsettled } = followServices(deps);
      const origin = swarmOrigin(deps, isUnsettled);
      return runListWatch({ source, origin, routes, resyncMs, emit, timings }, publish, signal);
    },
  };
}

function swarmOrigin(
  { api, unsettledMs = usualUnsettledMs }: SwarmSourceDeps,
  isUnsettled: () => boolean,
): ListWatchOrigin<SwarmListing> {
  /** A service without its tasks would look as if it did not run, so it is everything or nothing. */
  async function list(signal: AbortSignal): Promise<Result<SwarmListing, string>> {
    const services = await api.services("mc-router.host", signal);
    if (!services.ok) return services;
    const networks = await api.networks(signal);
    if (!networks.ok) return networks;
    const awake = services.value.filter(({ replicas }) => replicas !== 0);
    const ids = awake.map(({ id }) => id);
    const tasks = await api.tasks(ids, signal);
    if (!tasks.ok) return tasks;
    return ok({ services: services.value, networks: networks.value, tasks: tasks.value });
  }

  return {
    list,
    async watch(_, { open, changed }, signal): Promise<WatchEnd> {
      const listener = {
        open() {
          open();
          // No event told what happened between the listing and now.
          changed(null);
        },
        line: () => changed(null),
      };
      const looking = setInterval(() => {
        if (isUnsettled()) changed(null);
      }, unsettledMs);
      const failure = await api.events(listener, signal);
      clearInterval(looking);
      return { kind: "lost", reason: failure?.message ?? "the engine ended the stream of events" };
    },
  };
}

/** Turns listings into routes, and tells what is new about the services. */
function followServices(deps: SwarmSourceDeps) {
  const problems = createEntryProblems(source, deps.emit);
  let known: ReadonlyMap<string, ServiceState["kind"]> = new Map();

  function routesOf(listing: SwarmListing): readonly Route[] {
    const { routes, states, complaints: wrong } = swarmRoutes(listing, deps);
    for (const [service, state] of states) {
      const before = known.get(service);
      if (before !== undefined && before !== state) {
        deps.emit({ kind: "service-state", source, service, before, state });
      }
    }
    known = states;
    problems.report(wrong);
    return routes;
  }

  return {
    routes: routesOf,
    isUnsettled: () => [...known.values()].some((kind) => unsettled.has(kind)),
  };
}
