import { type Members, membersOf, within } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type DockerApi, dockerFilters } from "../docker/api.ts";
import type { ApiFailure, StreamListener } from "../http-api.ts";
import {
  parseSwarmNetwork,
  parseSwarmService,
  replicasOf,
  type SwarmNetwork,
  type SwarmService,
} from "./service.ts";
import { parseSwarmTask, type SwarmTask } from "./task.ts";

/** A Swarm, asked through one of its managers. Errors are one readable phrase. */
export interface SwarmApi {
  /** The services that have this label, whatever its value. */
  services(label: string, signal: AbortSignal): Promise<Result<readonly SwarmService[], string>>;
  service(id: string, signal: AbortSignal): Promise<Result<SwarmService, string>>;
  networks(signal: AbortSignal): Promise<Result<readonly SwarmNetwork[], string>>;
  /** Every task that the Swarm still knows of the services with these ids. */
  tasks(
    services: readonly string[],
    signal: AbortSignal,
  ): Promise<Result<readonly SwarmTask[], string>>;
  /**
   * Gives a service its one replica if it has none. Fails for a global service or a job, whose
   * replicas cannot be set.
   */
  wake(id: string, signal: AbortSignal): Promise<Result<void, string>>;
  /** Takes all replicas from a service. Fails as `wake` does. */
  putToSleep(id: string, signal: AbortSignal): Promise<Result<void, string>>;
  /**
   * Tells of every change of a service or a node, but not of tasks; gives why it cannot any more,
   * null when the engine ended it.
   */
  events(listener: StreamListener, signal: AbortSignal): Promise<ApiFailure | null>;
}

/** How often a change of a service is tried while others change it at the same time. */
const changeTries = 5;
/** How many services' tasks are asked for at once: the address of a request must not become too long. */
const servicesPerQuery = 50;

/** The Swarm that the engine is a manager of. */
export function createSwarmApi(docker: DockerApi): SwarmApi {
  async function list<T>(
    path: string,
    parse: (json: unknown) => T | null,
    signal: AbortSignal,
  ): Promise<Result<readonly T[], string>> {
    const answered = await docker.get(path, signal);
    if (!answered.ok) return err(answered.error.message);
    const { json } = answered.value;
    // An engine may say null where it means none.
    if (json !== null && !Array.isArray(json)) return err(`GET ${path}: the answer is no list`);
    return ok((json ?? []).map(parse).filter((each: T | null) => each !== null));
  }

  async function inspect(id: string, signal: AbortSignal): Promise<Result<Members, string>> {
    const path = `/services/${encodeURIComponent(id)}`;
    const answered = await docker.get(path, signal);
    if (!answered.ok) return err(answered.error.message);
    const members = membersOf(answered.value.json);
    return members === null ? err(`GET ${path}: the answer is no service`) : ok(members);
  }

  async function tasks(
    services: readonly string[],
    signal: AbortSignal,
  ): Promise<Result<readonly SwarmTask[], string>> {
    const all: SwarmTask[] = [];
    for (let from = 0; from < services.length; from += servicesPerQuery) {
      const service = services.slice(from, from + servicesPerQuery);
      const some = await list(`/tasks?${dockerFilters({ service })}`, parseSwarmTask, signal);
      if (!some.ok) return some;
      for (const task of some.value) all.push(task);
    }
    return ok(all);
  }

  /**
   * Changes the number of replicas in the service as it is, and begins anew when it has become
   * another meanwhile.
   */
  async function change(
    id: string,
    wanted: (replicas: number) => number,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    for (let attempt = 1; ; attempt += 1) {
      const found = await inspect(id, signal);
      if (!found.ok) return found;
      const spec = within(found.value, "Spec");
      const replicas = replicasOf(spec);
      if (replicas === null) return err("the service has no number of replicas to change");
      const next = wanted(replicas);
      if (next === replicas) return ok(undefined);
      if (!isExact(spec)) return err("the service has a number that is too large to be kept");
      const version = within(found.value, "Version")["Index"];
      const path = `/services/${encodeURIComponent(id)}/update?version=${version}`;
      const changed = await docker.post(path, withReplicas(spec, next), 0, signal);
      if (changed.ok) return ok(undefined);
      if (!isOutOfSequence(changed.error) || attempt === changeTries) {
        return err(changed.error.message);
      }
    }
  }

  return {
    services: (label, signal) =>
      list(`/services?${dockerFilters({ label: [label] })}`, parseSwarmService, signal),
    async service(id, signal) {
      const found = await inspect(id, signal);
      if (!found.ok) return found;
      const service = parseSwarmService(found.value);
      return service === null ? err(`the service ${id} makes no sense`) : ok(service);
    },
    networks: (signal) =>
      list(`/networks?${dockerFilters({ scope: ["swarm"] })}`, parseSwarmNetwork, signal),
    tasks,
    wake: (id, signal) => change(id, (replicas) => replicas || 1, signal),
    putToSleep: (id, signal) => change(id, () => 0, signal),
    events: (listener, signal) =>
      docker.events(dockerFilters({ type: ["service", "node"] }), listener, signal),
  };
}

/** The service was changed since it was read. Engines report that with status 500. */
const isOutOfSequence = ({ status, message }: ApiFailure): boolean =>
  status === 409 || message.includes("out of sequence");

const withReplicas = (spec: Members, replicas: number): Members => ({
  ...spec,
  Mode: {
    ...within(spec, "Mode"),
    Replicated: { ...within(spec, "Mode", "Replicated"), Replicas: replicas },
  },
});

/**
 * False when a number in it is beyond what JavaScript can carry: the service must not come back
 * with another one.
 */
function isExact(value: unknown): boolean {
  if (typeof value === "number") return !Number.isInteger(value) || Number.isSafeInteger(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.values(value).every(isExact);
}
