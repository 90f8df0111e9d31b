import { type Members, membersOf, numberOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Address } from "../../routing/address.ts";
import { type WakeTarget, wakeKey } from "../../routing/route.ts";
import type { BackendState, StartFailure, WakeableBackend, Waker } from "../../wake/waker.ts";
import type { ApiFailure } from "../http-api.ts";
import { onPlatform, platformTiming } from "../on-platform.ts";
import type { KubernetesApi } from "./api.ts";
import type { StatefulSet, StatefulSets } from "./stateful-sets.ts";

/** A service whose pods a StatefulSet runs. */
export type KubernetesTarget = Extract<WakeTarget, { kind: "kubernetes" }>;

/** What scaling StatefulSets needs. */
export interface KubernetesWakerDeps {
  readonly api: Pick<KubernetesApi, "call">;
  readonly statefulSets: Pick<StatefulSets, "of" | "scaled">;
  /**
   * Players who come by a proxy wait until the server's own pod is ready; false: until the proxy takes
   * connections.
   */
  readonly awaitPods: boolean;
}

/** mc-router's pauses between two attempts to connect, ms. */
const firstPauseMs = 500;
const pauseMs = 1_000;

/** A waker that scales the StatefulSet of a service between no pod and one. */
export function createKubernetesWaker(deps: KubernetesWakerDeps): Waker<KubernetesTarget> {
  const { api, statefulSets } = deps;
  /** Those that were scaled down from here last, of which the watch may not have told yet. */
  const stopped = new Set<string>();

  function setOf({ namespace, service }: KubernetesTarget): Result<StatefulSet, string> {
    const set = statefulSets.of(namespace, service);
    if (!set.ok) return set;
    if (set.value !== null) return ok(set.value);
    return err(`no StatefulSet in ${namespace} has the serviceName ${service}`);
  }

  /** True for one that shall have a pod, as far as the watch and the router's own calls tell. */
  function isStarted(key: string, { replicas }: StatefulSet): boolean {
    if (replicas === 0) stopped.delete(key);
    return replicas > 0 && !stopped.has(key);
  }

  async function start(
    { target }: WakeableBackend<KubernetesTarget>,
    signal: AbortSignal,
  ): Promise<Result<void, StartFailure>> {
    const key = wakeKey(target);
    const set = setOf(target);
    if (!set.ok) return err({ reason: set.error, isFinal: false });
    if (isStarted(key, set.value)) return ok(undefined);
    const started = await scaleFrom(set.value, 0, 1, signal);
    if (!started.ok) return err({ reason: started.error, isFinal: false });
    stopped.delete(key);
    return ok(undefined);
  }

  /** The number of pods that there is now. */
  async function scaleFrom(
    set: StatefulSet,
    from: number,
    to: number,
    signal: AbortSignal,
  ): Promise<Result<number, string>> {
    const scaled = await scale(api, set, { from, to }, signal);
    if (scaled.ok) statefulSets.scaled(set, scaled.value);
    return scaled;
  }

  function look({ target, address }: WakeableBackend<KubernetesTarget>): Promise<BackendState> {
    return Promise.resolve(stateOf(target, address));
  }

  function stateOf(target: KubernetesTarget, address: Address): BackendState {
    const set = setOf(target);
    if (!set.ok) return { kind: "unknown", addresses: [address] };
    if (!isStarted(wakeKey(target), set.value)) {
      // The proxy takes connections whether or not there is a server behind it.
      return target.isBehindProxy
        ? { kind: "stopped", word: "without replicas" }
        : { kind: "unknown", addresses: [address] };
    }
    if (set.value.ready > 0) return { kind: "running", address };
    return target.isBehindProxy && deps.awaitPods
      ? { kind: "starting", word: "without a ready pod" }
      : { kind: "expected", addresses: [address] };
  }

  async function stop(
    target: KubernetesTarget,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    const set = setOf(target);
    if (!set.ok) return set;
    const slept = await scaleFrom(set.value, 1, 0, signal);
    if (!slept.ok) return slept;
    if (slept.value === 0) stopped.add(wakeKey(target));
    return ok(undefined);
  }

  return {
    ...onPlatform,
    kind: "kubernetes",
    timing: platformTiming((round) => (round === 1 ? firstPauseMs : pauseMs)),
    start,
    look,
    stop,
  };
}

/**
 * The ways to set the number of pods, by the rights that they take: the first one leaves the rest of the
 * StatefulSet alone.
 */
const ways = [
  { method: "PATCH", of: "/scale", type: "application/merge-patch+json" },
  { method: "PATCH", of: "", type: "application/strategic-merge-patch+json" },
  { method: "PUT", of: "/scale", type: "application/json" },
] as const;

/** So often is it begun anew when the StatefulSet has changed meanwhile. */
const conflictLimit = 5;

/**
 * Sets the number of pods, if it is the expected one: a change that was made since is not overruled. Gives
 * the number that there is now. The error is one readable phrase.
 */
async function scale(
  api: KubernetesWakerDeps["api"],
  { namespace, name }: StatefulSet,
  { from, to }: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<Result<number, string>> {
  const path = `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/statefulsets/${encodeURIComponent(name)}`;
  for (let attempt = 1; ; attempt += 1) {
    const found = await api.call({ method: "GET", path: `${path}/scale` }, signal);
    if (!found.ok) return err(found.error.message + adviceOn(found.error, "get"));
    const spec = membersOf(found.value["spec"]) ?? {};
    // The API leaves out a 0.
    const replicas = numberOf(spec, "replicas") ?? 0;
    if (replicas !== from) return ok(replicas);
    const failure = await setReplicas(api, path, found.value, to, signal);
    if (failure === null) return ok(to);
    const isStale = failure.status === 409 && attempt < conflictLimit;
    if (!isStale) return err(failure.message + adviceOn(failure, "patch"));
  }
}

/** Tries one way after the other, for as long as it is not allowed. Null when it is done. */
async function setReplicas(
  api: KubernetesWakerDeps["api"],
  path: string,
  scaleObject: Members,
  replicas: number,
  signal: AbortSignal,
): Promise<ApiFailure | null> {
  let forbidden: ApiFailure | null = null;
  for (const { method, of, type } of ways) {
    const wanted =
      method === "PUT" ? withReplicas(scaleObject, replicas) : patchTo(scaleObject, replicas);
    const body = JSON.stringify(wanted);
    const request = { method, path: path + of, body, headers: { "content-type": type } };
    const answered = await api.call(request, signal);
    if (answered.ok) return null;
    if (answered.error.status !== 403) return answered.error;
    forbidden ??= answered.error;
  }
  return forbidden;
}

/** The version makes the API refuse what is out of date. */
function patchTo(scaleObject: Members, replicas: number): Members {
  const { resourceVersion } = membersOf(scaleObject["metadata"]) ?? {};
  return { metadata: { resourceVersion }, spec: { replicas } };
}

const withReplicas = (scaleObject: Members, replicas: number): Members => ({
  ...scaleObject,
  spec: { ...membersOf(scaleObject["spec"]), replicas },
});

const adviceOn = ({ status }: ApiFailure, verb: string): string =>
  status === 403 ? `; a Role has to allow ${verb} on statefulsets/scale` : "";
