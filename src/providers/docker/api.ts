import { ok, type Result } from "../../base/result.ts";
import {
  type ApiAnswer,
  type ApiEndpoint,
  type ApiFailure,
  callApi,
  type StreamListener,
  streamApi,
} from "../http-api.ts";

/** What reaching a Docker engine needs. */
interface DockerApiDeps {
  readonly endpoint: ApiEndpoint;
  /** Without a `v` in front; null: the highest that both know. */
  readonly version: string | null;
  /** How long one request may take, ms. */
  readonly timeoutMs: number;
}

/**
 * A Docker engine, or another program with its API. Paths have no version; failures are one
 * readable phrase.
 */
export interface DockerApi {
  get(path: string, signal: AbortSignal): Promise<Result<ApiAnswer, ApiFailure>>;
  /**
   * `body` is sent as JSON, undefined sends none. `extraMs`: how much longer than other requests it
   * may take.
   */
  post(
    path: string,
    body: unknown,
    extraMs: number,
    signal: AbortSignal,
  ): Promise<Result<ApiAnswer, ApiFailure>>;
  /** Follows `/events` until it is lost; null when the engine ended it. */
  events(query: string, listener: StreamListener, signal: AbortSignal): Promise<ApiFailure | null>;
}

/** The newest version that is known here; every one since 1.24 has what is used. */
const newest = "1.51";

/** A client of the engine's. Nothing is sent before the first request. */
export function createDockerApi({ endpoint, version, timeoutMs }: DockerApiDeps): DockerApi {
  /**
   * What paths begin with. Null: to be asked for, again after a failure, as another engine may
   * answer by then.
   */
  let prefix: string | null = fixedPrefix(version);

  async function prefixSpoken(signal: AbortSignal): Promise<Result<string, ApiFailure>> {
    if (prefix !== null) return ok(prefix);
    const pinged = await callApi(endpoint, { method: "HEAD", path: "/_ping" }, timeoutMs, signal);
    if (!pinged.ok && pinged.error.status === null) return pinged;
    const told = pinged.ok ? pinged.value.headers.get("api-version") : null;
    // An engine that does not tell its version gets paths without one, which mean its own.
    prefix = told === null ? "" : `/v${lower(told, newest)}`;
    return ok(prefix);
  }

  /**
   * What a failure says about the version: one without an answer may mean that another engine
   * answers next time.
   */
  function noteFailure({ status }: ApiFailure): void {
    if (status === null || status === 400) prefix = fixedPrefix(version);
  }

  async function call(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    ms: number,
    signal: AbortSignal,
  ): Promise<Result<ApiAnswer, ApiFailure>> {
    const known = await prefixSpoken(signal);
    if (!known.ok) return known;
    const text = body === undefined ? null : JSON.stringify(body);
    const request = { method, path: known.value + path, body: text };
    const answered = await callApi(endpoint, request, ms, signal);
    if (!answered.ok) noteFailure(answered.error);
    return answered;
  }

  async function events(
    query: string,
    listener: StreamListener,
    signal: AbortSignal,
  ): Promise<ApiFailure | null> {
    const known = await prefixSpoken(signal);
    if (!known.ok) return known.error;
    const path = `${known.value}/events?${query}`;
    const failed = await streamApi(endpoint, { method: "GET", path }, listener, signal);
    // An engine that ends a stream of events may be replaced, perhaps by a newer version.
    noteFailure(failed ?? { status: null, message: "" });
    return failed;
  }

  return {
    get: (path, signal) => call("GET", path, undefined, timeoutMs, signal),
    post: (path, body, extraMs, signal) => call("POST", path, body, timeoutMs + extraMs, signal),
    events,
  };
}

const fixedPrefix = (version: string | null): string | null =>
  version === null ? null : `/v${version}`;

/** The lower one of two versions such as 1.24 and 1.51. */
function lower(a: string, b: string): string {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA < majorB || (majorA === majorB && minorA < minorB) ? a : b;
}

/** A Docker filter as a query has it: `filters={"label":{"a":true}}`. */
export const dockerFilters = (filters: Readonly<Record<string, readonly string[]>>): string =>
  `filters=${encodeURIComponent(JSON.stringify(filters))}`;
