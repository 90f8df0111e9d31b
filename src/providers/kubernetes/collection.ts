import { type Members, membersOf, textOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { ApiFailure } from "../http-api.ts";
import type { ListWatchOrigin } from "../list-watch.ts";
import type { KubernetesApi } from "./api.ts";

/** A collection as it was last heard of. A watch brings it up to date in place. */
export interface KubeCollection<Item> {
  /** Where a watch goes on from. */
  version: string;
  /** By `namespace:name`. */
  readonly items: Map<string, Item>;
}

/** The cluster, and as much of it as is looked at. */
export interface KubeScope {
  readonly api: Pick<KubernetesApi, "list" | "watch">;
  /** The namespace to look in; null: all of them. */
  readonly namespace: string | null;
  /** The namespace to advise where all of them may not be read; null where none is known. */
  readonly ownNamespace: string | null;
}

/** One kind of objects. */
interface KubeKind<Item> {
  /** Such as `/api/v1`. */
  readonly group: string;
  /** Such as `services`. */
  readonly plural: string;
  /** What is kept of an object; null: nothing. */
  read(object: Members, key: string): Item | null;
}

/** The objects of one kind, as the shared loop follows them. */
export function createKubeCollection<Item>(
  scope: KubeScope,
  { group, plural, read }: KubeKind<Item>,
): ListWatchOrigin<KubeCollection<Item>> {
  const { api, namespace } = scope;
  const within = namespace === null ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  const path = `${group}${within}/${plural}`;
  const phrase = (failure: ApiFailure): string =>
    failure.message + (failure.status === 403 ? adviceOnRights(scope, plural) : "");

  async function list(signal: AbortSignal): Promise<Result<KubeCollection<Item>, string>> {
    for (let attempt = 1; ; attempt += 1) {
      const items = new Map<string, Item>();
      const take = (objects: readonly Members[]): void => {
        for (const object of objects) put(items, object, read);
      };
      const listed = await api.list(path, take, signal);
      if (listed.ok) return ok({ version: listed.value, items });
      // So many pages that the first ones were forgotten meanwhile.
      if (listed.error.status !== 410 || attempt > 1) return err(phrase(listed.error));
    }
  }

  return {
    list,
    async watch(since, listener, signal) {
      const failed = await api.watch(
        path,
        since.version,
        {
          open: () => listener.open(),
          event({ kind, object }) {
            const key = keyOf(object);
            const before = since.items.get(key);
            if (kind === "set") put(since.items, object, read);
            else since.items.delete(key);
            // Most of a cluster is no game server, and much of what changes about one is none of ours.
            if (!Bun.deepEquals(before, since.items.get(key))) listener.changed(since);
          },
          reached(version) {
            since.version = version;
          },
        },
        signal,
      );
      if (failed === null) return { kind: "ended" };
      if (failed.status === 410) return { kind: "stale" };
      return { kind: "lost", reason: phrase(failed) };
    },
  };
}

function put<Item>(
  items: Map<string, Item>,
  object: Members,
  read: (object: Members, key: string) => Item | null,
): void {
  const key = keyOf(object);
  const item = read(object, key);
  if (item === null) items.delete(key);
  else items.set(key, item);
}

function keyOf(object: Members): string {
  const metadata = membersOf(object["metadata"]) ?? {};
  return `${textOf(metadata, "namespace") ?? ""}:${textOf(metadata, "name") ?? ""}`;
}

function adviceOnRights({ namespace, ownNamespace }: KubeScope, plural: string): string {
  if (namespace !== null) return `; a Role in it has to allow list and watch on ${plural}`;
  const own = ownNamespace ?? "the namespace of the servers";
  return `; a ClusterRole has to allow list and watch on ${plural}, or with a Role set KUBE_NAMESPACE=${own}`;
}
