import { type Members, membersOf, numberOf, textOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import {
  type ApiEndpoint,
  type ApiFailure,
  type ApiRequest,
  callApi,
  streamApi,
} from "../http-api.ts";
import { createCredentialStore } from "./credentials.ts";
import type { KubeAccess } from "./kubeconfig.ts";

/** What has happened to one object. */
export interface ObjectEvent {
  /** `set`: it is new, or reads like this now. */
  readonly kind: "set" | "deleted";
  readonly object: Members;
}

/** Hears what a watch tells. */
interface ObjectListener {
  /** The API has agreed to the watch. */
  open(): void;
  event(event: ObjectEvent): void;
  /** Everything up to this version has been told. */
  reached(version: string): void;
}

/**
 * The API of a cluster. Failures are one readable phrase; the status 410 means that what was to be
 * continued is forgotten.
 */
export interface KubernetesApi {
  /** One request and the object that is answered. */
  call(request: ApiRequest, signal: AbortSignal): Promise<Result<Members, ApiFailure>>;
  /** All objects of a collection, page by page, and the version that they were read at. */
  list(
    collection: string,
    take: (objects: readonly Members[]) => void,
    signal: AbortSignal,
  ): Promise<Result<string, ApiFailure>>;
  /**
   * Tells what happens in a collection after that version. Resolves with null when the API ends the
   * watch in good order, as it does every few minutes.
   */
  watch(
    collection: string,
    since: string,
    listener: ObjectListener,
    signal: AbortSignal,
  ): Promise<ApiFailure | null>;
}

/** How long one answer may take, and one page of a list, ms. */
const answerMs = 10_000;
const pageMs = 30_000;
/** Objects for each page. */
const pageSize = 500;
/** How long a watch goes on, s: at its end a link that has silently died is noticed. */
const watchSeconds = 120;
/** How much later than that it is given up, ms. */
const watchGraceMs = 15_000;

/** A client of the API. Nothing is sent before the first request. */
export function createKubernetesApi(access: KubeAccess): KubernetesApi {
  const credentials = createCredentialStore(access);

  /** Makes a request, and once more with fresh credentials when the API does not take the remembered ones. */
  async function authorized<T>(
    request: ApiRequest,
    signal: AbortSignal,
    make: (endpoint: ApiEndpoint, request: ApiRequest) => Promise<T>,
    failureOf: (made: T) => ApiFailure | null,
  ): Promise<Result<T, ApiFailure>> {
    for (let attempt = 1; ; attempt += 1) {
      const current = await credentials.current(signal);
      if (!current.ok) return err({ status: null, message: current.error });
      const { tls, headers } = current.value;
      const made = await make(endpointOf(access, tls), {
        ...request,
        headers: { ...request.headers, ...headers },
      });
      if (failureOf(made)?.status !== 401) return ok(made);
      credentials.refused();
      if (attempt > 1) return ok(made);
    }
  }

  async function call(
    request: ApiRequest,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Result<Members, ApiFailure>> {
    const made = await authorized(
      request,
      signal,
      (endpoint, complete) => callApi(endpoint, complete, timeoutMs, signal),
      (answered) => (answered.ok ? null : answered.error),
    );
    if (!made.ok) return made;
    if (!made.value.ok) return made.value;
    const object = membersOf(made.value.value.json);
    if (object !== null) return ok(object);
    return err({ status: null, message: `${request.method} ${request.path}: no JSON object` });
  }

  const list: KubernetesApi["list"] = async (collection, take, signal) => {
    let query = `limit=${pageSize}`;
    for (;;) {
      const page = await call({ method: "GET", path: `${collection}?${query}` }, pageMs, signal);
      if (!page.ok) return page;
      const { items } = page.value;
      if (!Array.isArray(items)) return err({ status: null, message: `${collection}: no list` });
      take(items.map(membersOf).filter((item) => item !== null));
      const metadata = membersOf(page.value["metadata"]) ?? {};
      const next = textOf(metadata, "continue");
      if (next === null) return ok(textOf(metadata, "resourceVersion") ?? "");
      query = `limit=${pageSize}&continue=${encodeURIComponent(next)}`;
    }
  };

  const watch: KubernetesApi["watch"] = async (collection, since, listener, signal) => {
    const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}`;
    const path = `${collection}?${query}&resourceVersion=${encodeURIComponent(since)}`;
    const limit = AbortSignal.any([
      signal,
      AbortSignal.timeout(watchSeconds * 1_000 + watchGraceMs),
    ]);
    let told: ApiFailure | null = null;
    const line = (json: unknown): void => {
      told ??= tell(json, listener);
    };
    const made = await authorized(
      { method: "GET", path },
      limit,
      (endpoint, complete) =>
        streamApi(endpoint, complete, { open: () => listener.open(), line }, limit),
      (ended) => ended,
    );
    if (told !== null) return told;
    if (limit.aborted && !signal.aborted) {
      return { status: null, message: `${collection}: the watch was not ended in time` };
    }
    return made.ok ? made.value : made.error;
  };

  return { call: (request, signal) => call(request, answerMs, signal), list, watch };
}

const endpointOf = (access: KubeAccess, tls: ApiEndpoint["tls"]): ApiEndpoint => ({
  url: access.server,
  unix: null,
  tls,
  ...(access.proxy === null ? {} : { proxy: access.proxy }),
});

/**
 * Tells the listener what a line of a watch says; what it fails with (kubernetes.io, "Efficient
 * detection of changes").
 */
function tell(json: unknown, listener: ObjectListener): ApiFailure | null {
  const event = membersOf(json) ?? {};
  const object = membersOf(event["object"]);
  const nonsense = { status: null, message: "the watch told something that is no event" };
  if (object === null) return nonsense;
  const version = textOf(membersOf(object["metadata"]) ?? {}, "resourceVersion");
  switch (event["type"]) {
    case "ADDED":
    case "MODIFIED":
      listener.event({ kind: "set", object });
      break;
    case "DELETED":
      listener.event({ kind: "deleted", object });
      break;
    case "BOOKMARK":
      break;
    case "ERROR":
      return {
        status: numberOf(object, "code"),
        message: `the watch was ended: ${textOf(object, "message") ?? "no reason"}`,
      };
    default:
      return nonsense;
  }
  if (version !== null) listener.reached(version);
  return null;
}
