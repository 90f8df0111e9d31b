import { readBoolean } from "../../base/go-text.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type Address, makeAddress, nowhere } from "../../routing/address.ts";
import type { Route } from "../../routing/route.ts";
import type { RouteSource } from "../../routing/source.ts";
import { createEntryProblems } from "../entry-problems.ts";
import type { SourceEvent } from "../event.ts";
import { type RouteLabels, readLabels } from "../labels.ts";
import {
  type ListWatchOrigin,
  type ListWatchTimings,
  runListWatch,
  type WatchEnd,
} from "../list-watch.ts";
import { type DockerApi, dockerFilters } from "./api.ts";
import { type Container, chooseNetwork, inspectContainer, listContainers } from "./containers.ts";

/** What finding backends among containers needs. */
export interface DockerSourceDeps {
  readonly api: DockerApi;
  /** Whether containers whose labels do not say may be started and stopped. */
  readonly scaling: { readonly up: boolean; readonly down: boolean };
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  readonly emit: (event: SourceEvent) => void;
  /** How long after an event everything is listed once more, ms. */
  readonly echoesMs?: readonly number[];
  /** Waits that differ from the usual ones. */
  readonly timings?: Partial<ListWatchTimings>;
}

/**
 * The containers with a hostname, and when they were listed, in Unix seconds of the engine's clock;
 * null where it does not say.
 */
interface Listing {
  readonly containers: readonly Container[];
  readonly at: number | null;
}

const source = "docker";
/** Everything is listed this often, ms, in case a stream of events is silently dead. */
const resyncMs = 15_000;
/**
 * Docker tells of a pause or a death before its own listing knows, by some milliseconds where the
 * machine has nothing else to do.
 */
const usualEchoesMs = [150, 1_500];

/**
 * What changes where a container can be reached, or whether it can. `remove` and `cleanup` are
 * Podman's words for `destroy` and for the end of a `die`.
 */
const relevant: ReadonlySet<string> = new Set([
  "create",
  "start",
  "restart",
  "stop",
  "die",
  "pause",
  "unpause",
  "destroy",
  "cleanup",
  "remove",
  "rename",
  "connect",
  "disconnect",
]);

/**
 * The routes that the labels of containers ask for, followed live. While the engine is away, the
 * last ones stay published.
 */
export function createDockerSource(deps: DockerSourceDeps): RouteSource {
  return {
    name: source,
    run(publish, signal) {
      const { emit, echoesMs = usualEchoesMs, timings = {} } = deps;
      const origin = dockerOrigin(deps.api, echoesMs);
      const routes = routesOf(deps);
      return runListWatch({ source, origin, routes, resyncMs, emit, timings }, publish, signal);
    },
  };
}

function dockerOrigin(api: DockerApi, echoesMs: readonly number[]): ListWatchOrigin<Listing> {
  async function list(signal: AbortSignal): Promise<Result<Listing, string>> {
    const listed = await listContainers(api, "mc-router.host", signal);
    if (!listed.ok) return listed;
    const containers: Container[] = [];
    for (const container of listed.value.containers) {
      const whole = await withAliases(container, signal);
      if (!whole.ok) return whole;
      if (whole.value !== null) containers.push(whole.value);
    }
    return ok({ containers, at: listed.value.at });
  }

  /**
   * A listing has no aliases; where a label may mean one, the container is looked at by itself.
   * Null when it is gone by then.
   */
  async function withAliases(
    container: Container,
    signal: AbortSignal,
  ): Promise<Result<Container | null, string>> {
    const label = container.labels.get("mc-router.network") || null;
    if (label === null || chooseNetwork(container, label).ok) return ok(container);
    const inspected = await inspectContainer(api, container.id, signal);
    if (inspected.ok) return ok({ ...container, networks: inspected.value.networks });
    return inspected.error.status === 404 ? ok(null) : err(inspected.error.message);
  }

  return {
    list,
    async watch({ at }, { open, changed }, signal): Promise<WatchEnd> {
      // One second more, as the engine's clock is told in whole ones: an event that was heard of
      // already costs one listing.
      const since = at === null ? "" : `&since=${at - 1}`;
      const query = dockerFilters({ type: ["container", "network"] }) + since;
      const echoes = createEchoes(echoesMs, () => changed(null));
      const line = (event: unknown): void => {
        if (isRelevant(event)) echoes.ring();
      };
      const failure = await api.events(query, { open, line }, signal);
      echoes.stop();
      return { kind: "lost", reason: failure?.message ?? "the engine ended the stream of events" };
    },
  };
}

/** Calls at once, and again these times after the last ring. */
function createEchoes(echoesMs: readonly number[], call: () => void) {
  let timers: readonly Timer[] = [];
  function stop(): void {
    for (const timer of timers) clearTimeout(timer);
  }
  return {
    ring(): void {
      stop();
      call();
      timers = echoesMs.map((ms) => setTimeout(call, ms));
    },
    stop,
  };
}

/** True also for a line that is no event: it may have been one that matters. */
function isRelevant(event: unknown): boolean {
  if (typeof event !== "object" || event === null || !("Action" in event)) return true;
  return typeof event.Action !== "string" || relevant.has(event.Action);
}

/** Turns listings into routes, one for each container, and says once what stands in the way of one. */
function routesOf(deps: DockerSourceDeps): (listing: Listing) => readonly Route[] {
  const problems = createEntryProblems(source, deps.emit);
  const rules = { ...deps, readDefault: readBoolean };
  return ({ containers }) => {
    const routes: Route[] = [];
    const wrong = new Map<string, string>();
    for (const container of containers) {
      const { labels, complaint } = readLabels(container.labels, rules);
      if (complaint !== "") wrong.set(container.name, complaint);
      if (labels === null) continue;
      const address = addressOf(container, labels);
      if (!address.ok) wrong.set(container.name, `the container ${address.error}`);
      else if (address.value !== null) routes.push(routeOf(container, labels, address.value));
    }
    problems.report(wrong);
    return routes;
  };
}

/**
 * Where the container is reached: `nowhere` while it sleeps and can be woken, null while it sleeps
 * and cannot. The error completes "the container ...".
 */
function addressOf(
  container: Container,
  { network: label, port, scaling }: RouteLabels,
): Result<Address | null, string> {
  const network = chooseNetwork(container, label);
  if (!network.ok) return network;
  const { name, ip } = network.value;
  // A paused container takes connections and never answers: where it may be woken, it counts as asleep.
  const isUp = container.state === "running" || (container.state === "paused" && !scaling.up);
  if (!isUp) return ok(scaling.up ? nowhere : null);
  return ip === null ? err(`has no address on the network ${name}`) : ok(makeAddress(ip, port));
}

function routeOf({ id, name }: Container, labels: RouteLabels, address: Address): Route {
  const { patterns, port, network, scaling, asleep, loading } = labels;
  return {
    source,
    // Of two containers with one hostname the name that sorts first has it, whatever happened when.
    id: name,
    patterns,
    address,
    wake:
      scaling.up || scaling.down
        ? { kind: "docker", container: id, name, port, network, scaling }
        : null,
    ...(asleep + loading !== "" && {
      motd: { asleep, loading, until: null },
    }),
  };
}
