import { type Members, membersOf, numberOf, textOf } from "../../base/members.ts";
import type { Result } from "../../base/result.ts";
import { err, ok } from "../../base/result.ts";

/** What starting and stopping a StatefulSet needs to know of it. */
export interface StatefulSet {
  readonly namespace: string;
  readonly name: string;
  /** The service that its pods belong to. */
  readonly service: string;
  /** How many pods there shall be. */
  readonly replicas: number;
  /** How many of them are ready. */
  readonly ready: number;
}

/** The StatefulSets of a cluster, as they were last heard of. */
export interface StatefulSets {
  /**
   * The one that runs the pods of a service, the first by name of several; null when none does. The
   * error: they have not been read.
   */
  of(namespace: string, service: string): Result<StatefulSet | null, string>;
  /** These are all there are. */
  replace(sets: Iterable<StatefulSet>): void;
  /** This is how many pods one shall have by now: it was just asked for, or looked at. */
  scaled(set: StatefulSet, replicas: number): void;
  /** They cannot be read. What was known stays. */
  lost(reason: string): void;
}

/** Nothing is known at first. */
export function createStatefulSets(): StatefulSets {
  /** By namespace and service. */
  let known: Map<string, StatefulSet> | null = null;
  let trouble = "the StatefulSets have not been read yet";
  return {
    of(namespace, service) {
      return known === null ? err(trouble) : ok(known.get(`${namespace}/${service}`) ?? null);
    },
    replace(sets) {
      const byService = new Map<string, StatefulSet>();
      for (const set of sets) {
        const key = `${set.namespace}/${set.service}`;
        const other = byService.get(key);
        if (other === undefined || set.name < other.name) byService.set(key, set);
      }
      known = byService;
    },
    scaled(set, replicas) {
      const key = `${set.namespace}/${set.service}`;
      if (known?.get(key)?.name === set.name) known.set(key, { ...set, replicas });
    },
    lost(reason) {
      trouble = reason;
    },
  };
}

/** A StatefulSet as the API describes it; null for what is none. */
export function readStatefulSet(object: Members): StatefulSet | null {
  const metadata = membersOf(object["metadata"]) ?? {};
  const spec = membersOf(object["spec"]) ?? {};
  const status = membersOf(object["status"]) ?? {};
  const [namespace, name] = [textOf(metadata, "namespace"), textOf(metadata, "name")];
  if (namespace === null || name === null) return null;
  return {
    namespace,
    name,
    service: textOf(spec, "serviceName") ?? "",
    // The API's own default.
    replicas: numberOf(spec, "replicas") ?? 1,
    ready: numberOf(status, "readyReplicas") ?? 0,
  };
}
