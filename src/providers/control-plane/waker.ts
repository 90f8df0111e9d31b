import type { Deadlines } from "../../base/deadlines.ts";
import { isSuccess, parseJson } from "../../base/http.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { parseAddress } from "../../routing/address.ts";
import type { WakeTarget } from "../../routing/route.ts";
import type { BackendEvent } from "../../wake/event.ts";
import type { BackendState, WakeableBackend, Waker } from "../../wake/waker.ts";
import { createRequester, type ServiceAnswer } from "../request.ts";

/** A server that a control plane starts. */
export type PlaneTarget = Extract<WakeTarget, { kind: "control-plane" }>;

/** What speaking with a control plane needs. */
export interface ControlPlaneDeps {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** Sent as `X-API-Key`; null sends none. */
  readonly token: string | null;
  /** How long one wake may take, ms. */
  readonly timeoutMs: number;
  /** Time between two polls, ms. */
  readonly pollIntervalMs: number;
  readonly deadlines: Deadlines;
  emit(event: BackendEvent): void;
}

/** How long the control plane may think about a start and about a look, ms: a start may do the work before it answers. */
const startTimeoutMs = 30_000;
const lookTimeoutMs = 5_000;
/** The longest answer that is read, bytes. */
const answerLimit = 64 * 1024;

/**
 * A waker that asks the control plane, an HTTP service of the operator's that starts servers and knows where they run. The
 * contract: `POST /servers/{name}/start`, then `GET /servers/{name}`.
 */
export function createControlPlane(deps: ControlPlaneDeps): Waker<PlaneTarget> {
  const ask = createRequester(deps.deadlines);
  const headers = {
    accept: "application/json",
    ...(deps.token === null ? {} : { "x-api-key": deps.token }),
  };
  /** The servers that it did not do its part for when it was last asked. */
  const troubled = new Set<string>();

  function judge<T>(
    server: string,
    result: Result<T, string>,
    signal: AbortSignal,
  ): Result<T, string> {
    // A request that nobody waited for to the end says nothing about the control plane.
    if (signal.aborted) return result;
    if (result.ok) {
      if (troubled.delete(server)) deps.emit({ kind: "control-plane-back", server });
    } else if (!troubled.has(server)) {
      troubled.add(server);
      deps.emit({ kind: "control-plane-lost", server, reason: result.error });
    }
    return result;
  }

  async function request(
    method: "GET" | "POST",
    path: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Result<ServiceAnswer, string>> {
    const what = `${method} ${path}`;
    const url = deps.url + path;
    // The key is meant for this service, and not for wherever it might point.
    const answered = await ask(
      { what, url, method, headers, body: null, timeoutMs, redirect: "manual", answerLimit },
      signal,
    );
    if (answered.ok && answered.value.isCut)
      return err(`${what}: the answer is longer than ${answerLimit} bytes`);
    return answered;
  }

  async function start(
    { target: { server } }: WakeableBackend<PlaneTarget>,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    const path = `/servers/${encodeURIComponent(server)}/start`;
    const answered = await request("POST", path, startTimeoutMs, signal);
    if (!answered.ok) return judge(server, answered, signal);
    const { status } = answered.value;
    // 409: it is starting already, which is what was asked for.
    if (isSuccess(status) || status === 409) return judge(server, ok(undefined), signal);
    return judge(server, err(`POST ${path}: status ${status}`), signal);
  }

  async function look(
    { target: { server } }: WakeableBackend<PlaneTarget>,
    signal: AbortSignal,
  ): Promise<BackendState> {
    const path = `/servers/${encodeURIComponent(server)}`;
    const answered = await request("GET", path, lookTimeoutMs, signal);
    const seen = answered.ok ? readState(`GET ${path}`, answered.value) : answered;
    const state = judge(server, seen, signal);
    return state.ok ? state.value : { kind: "trouble", reason: state.error };
  }

  return {
    kind: "control-plane",
    asking: "until-accepted",
    timeoutMs: () => deps.timeoutMs,
    askMs: 0,
    pauseMs: () => deps.pollIntervalMs,
    start,
    look,
    // The address of a wake is for those who waited for it; everybody else goes where the row says.
    moved: () => null,
    forget() {
      // Nothing is kept.
    },
    canStart: () => true,
    // The operator's control plane decides itself when a server has been idle for long enough.
    canStop: () => false,
    stop: () => Promise.resolve(err("the control plane is not asked to stop servers")),
  };
}

function readState(what: string, { status, text }: ServiceAnswer): Result<BackendState, string> {
  if (!isSuccess(status)) return err(`${what}: status ${status}`);
  const body = parseJson(text);
  if (typeof body !== "object" || body === null || !("state" in body)) {
    return err(`${what}: the answer is no JSON object with a state`);
  }
  if (body.state !== "running") return ok({ kind: "not-running" });
  if (!("address" in body) || typeof body.address !== "string") {
    return err(`${what}: it is running, but the answer has no address`);
  }
  const address = parseAddress(body.address);
  if (!address.ok) return err(`${what}: its address ${address.error}`);
  return ok({ kind: "running", address: address.value });
}
