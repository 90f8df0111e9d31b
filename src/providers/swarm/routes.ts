import { ok, type Result } from "../../base/result.ts";
import { type Address, makeAddress, nowhere } from "../../routing/address.ts";
import { type Pattern, patternText } from "../../routing/pattern.ts";
import type { Motd, Route, WakeTarget } from "../../routing/route.ts";
import { type LabelRules, type RouteLabels, readLabels } from "../labels.ts";
import { serviceHost } from "./address.ts";
import type { SwarmNetwork, SwarmService } from "./service.ts";
import { type ServiceState, serviceState } from "./state.ts";
import type { SwarmTask } from "./task.ts";

/** Everything that a Swarm has told at one time. */
export interface SwarmListing {
  readonly services: readonly SwarmService[];
  readonly networks: readonly SwarmNetwork[];
  readonly tasks: readonly SwarmTask[];
}

/**
 * What services make: their routes, how each service that asks for one is, and what is wrong with
 * some, by their names.
 */
interface SwarmRoutes {
  readonly routes: readonly Route[];
  readonly states: ReadonlyMap<string, ServiceState["kind"]>;
  readonly complaints: ReadonlyMap<string, string>;
}

/** What mc-router says where no label has other words for a service that is down. */
const failedText = "Server failed to start.";

/** The routes that the labels of services ask for. Of two services with one hostname the older one has it. */
export function swarmRoutes(
  { services, networks, tasks }: SwarmListing,
  rules: Omit<LabelRules, "readDefault">,
): SwarmRoutes {
  const routes: Route[] = [];
  const states = new Map<string, ServiceState["kind"]>();
  const complaints = new Map<string, string>();
  const owners = new Map<string, string>();
  const tasksOf = Map.groupBy(tasks, ({ service }) => service);

  for (const service of oldestFirst(services)) {
    const { name } = service;
    const { labels, complaint } = readLabels(service.labels, { ...rules, readDefault });
    if (complaint !== "") complaints.set(name, complaint);
    if (labels === null) continue;
    const state = serviceState(service, tasksOf.get(service.id) ?? []);
    states.set(name, state.kind);
    const address = addressOf(service, state, labels, networks);
    if (!address.ok) {
      complaints.set(name, joined(complaint, address.error));
      continue;
    }
    const free = labels.patterns.filter((pattern) => !owners.has(patternText(pattern)));
    if (free.length < labels.patterns.length) {
      complaints.set(name, joined(complaint, lostTo(owners, labels.patterns)));
    }
    for (const pattern of free) owners.set(patternText(pattern), name);
    if (free.length > 0) routes.push(routeOf(service, state, labels, free, address.value));
  }
  return { routes, states, complaints };
}

const joined = (...parts: readonly string[]): string => parts.filter(Boolean).join("; ");

/** Names the services that own the patterns already. */
const lostTo = (owners: ReadonlyMap<string, string>, patterns: readonly Pattern[]): string =>
  joined(
    ...patterns.map((pattern) => {
      const owner = owners.get(patternText(pattern));
      return owner === undefined ? "" : `${nameOf(pattern)} belongs to ${owner}, which is older`;
    }),
  );

const oldestFirst = (services: readonly SwarmService[]): readonly SwarmService[] =>
  services.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));

const nameOf = (pattern: Pattern): string =>
  pattern.kind === "default" ? "the default route" : `the hostname ${patternText(pattern)}`;

/** The words by which a service does not become the default route; mc-router takes all others for a yes. */
const readDefault = (text: string): Result<boolean, never> =>
  ok(!["0", "false", "no"].includes(text.toLowerCase()));

/** Where it is reached: `nowhere` while it does not run. The error is a clause about the service. */
function addressOf(
  service: SwarmService,
  state: ServiceState,
  { network, port }: RouteLabels,
  known: readonly SwarmNetwork[],
): Result<Address, string> {
  if (state.kind !== "running") return ok(nowhere);
  const host = serviceHost({ service, running: state.tasks, wanted: network, known });
  return host.ok ? ok(makeAddress(host.value.toLowerCase(), port)) : host;
}

function routeOf(
  service: SwarmService,
  state: ServiceState,
  labels: RouteLabels,
  patterns: readonly Pattern[],
  address: Address,
): Route {
  const motd = motdOf(state, labels);
  return {
    source: "swarm",
    // Names are unique in a Swarm, and stay when a service is made anew.
    id: service.name,
    patterns,
    address,
    wake: targetOf(service, state, labels),
    ...(motd !== null && { motd }),
  };
}

/** Null: it can neither be started nor be put to sleep. */
function targetOf(
  { id, name, replicas }: SwarmService,
  state: ServiceState,
  { port, network, scaling }: RouteLabels,
): WakeTarget | null {
  if (replicas === null) return null;
  // The Swarm starts it again by itself, or never: more replicas are not what is missing.
  const isDown = state.kind === "restart-delay" || state.kind === "failed";
  const up = scaling.up && !isDown;
  // Those who wait for a service that the Swarm starts again go on waiting: it stays the same target.
  if (!scaling.up && !scaling.down) return null;
  return { kind: "swarm", service: id, name, port, network, scaling: { ...scaling, up } };
}

/** Null: it has no texts of its own. */
function motdOf(state: ServiceState, labels: RouteLabels): Motd | null {
  const { loading } = labels;
  switch (state.kind) {
    case "sleeping":
    case "running":
      return labels.asleep + loading === ""
        ? null
        : { asleep: labels.asleep, loading, until: null };
    case "waking":
      return labels.asleep + loading === ""
        ? null
        : { asleep: loading || labels.asleep, loading, until: null };
    case "restart-delay": {
      const text = labels.restartDelay || labels.failed || failedText;
      return { asleep: text, loading, until: state.until, refusal: text };
    }
    case "failed": {
      const text = labels.failed || failedText;
      return { asleep: text, loading, until: null, refusal: text };
    }
  }
}
