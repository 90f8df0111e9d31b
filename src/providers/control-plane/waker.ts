import type { Deadlines } from "../../base/deadlines.ts";
import { isSuccess, parseJson } from "../../base/http.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { parseAddress } from "../../routing/address.ts";
import type { WakeTarget } from "../../routing/route.ts";
import type { BackendEvent } from "../../wake/event.ts";
import type { BackendState, StartFailure, WakeableBackend, Waker } from "../../wake/waker.ts";
import { createRequester, type ServiceAnswer } from "../request.ts";

/** A server that a control plane starts. */
export type PlaneTarget = Extract<WakeTarget, { kind: "control-plane" }>;

/** What speaking with a control plane needs. */
export interface ControlPlaneDeps {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** Sent as `X-API-Key` with each call; null sends none. */
  token(): string | null;
  /** PEM text of the authorities that sign its certificate; null: the public ones. */
  readonly ca: string | null;
  /** How long one wake may take, ms. */
  readonly timeoutMs: number;
  /** Time between two polls, ms. */
  readonly pollIntervalMs: number;
  /** Servers may be put to sleep by `POST /servers/{name}/stop`. */
  readonly mayStop: boolean;
  readonly deadlines: Deadlines;
  emit(event: BackendEvent): void;
}

/** A call of the contract, by what it is for. */
type Call = (BackendEvent & { readonly kind: "control-plane-lost" })["call"];

/** How long the control plane may think, ms: a start or a stop may do its work before it answers. */
const limitMs: Readonly<Record<Call, number>> = { start: 30_000, status: 5_000, stop: 60_000 };
/** The longest answer that is read, bytes. */
const answerLimit = 64 * 1024;
/**
 * How much of an answer that is no success the log shows, and how much of a message the player reads,
 * characters.
 */
const shownLimit = 200;
/** The words for a start that came to nothing. */
const failureWords: ReadonlySet<unknown> = new Set(["failed", "crashed", "error"]);

/**
 * A waker that asks the control plane, an HTTP service of the operator's that starts servers and knows where
 * they run. The contract: `GET /servers/{name}`, `POST /servers/{name}/start` and, where it is wanted, `POST
 * /servers/{name}/stop`.
 */
export function createControlPlane(deps: ControlPlaneDeps): Waker<PlaneTarget> {
  // Each with a queue of its own: a start that takes its time delays no look.
  const ask = {
    start: createRequester(deps.deadlines, deps.ca),
    status: createRequester(deps.deadlines, deps.ca),
    stop: createRequester(deps.deadlines, deps.ca),
  };
  /** The servers for which a call failed when it was last made. */
  const troubled = {
    start: new Set<string>(),
    status: new Set<string>(),
    stop: new Set<string>(),
  };

  function judge<T>(
    call: Call,
    server: string,
    result: Result<T, string>,
    signal: AbortSignal,
  ): Result<T, string> {
    // A request that was given up says nothing about the control plane.
    if (signal.aborted) return result;
    const known = troubled[call];
    if (result.ok) {
      if (known.delete(server)) deps.emit({ kind: "control-plane-back", server, call });
    } else if (!known.has(server)) {
      known.add(server);
      deps.emit({ kind: "control-plane-lost", server, call, reason: result.error });
    }
    return result;
  }

  async function request(
    call: Call,
    path: string,
    signal: AbortSignal,
  ): Promise<Result<ServiceAnswer, string>> {
    const method = call === "status" ? "GET" : "POST";
    const what = `${method} ${path}`;
    const url = deps.url + path;
    const timeoutMs = limitMs[call];
    const token = deps.token();
    const headers = {
      accept: "application/json",
      ...(token === null ? {} : { "x-api-key": token }),
    };
    // The key is meant for this service, and not for wherever it might point.
    const answered = await ask[call](
      { what, url, method, headers, body: null, timeoutMs, redirect: "manual", answerLimit },
      signal,
    );
    if (answered.ok && answered.value.isCut)
      return err(`${what}: the answer is longer than ${answerLimit} bytes`);
    if (!answered.ok && /certificate/i.test(answered.error))
      return err(`${answered.error}; AUTOMC_WAKER_CA names the authority of a private certificate`);
    return answered;
  }

  /** Makes a call that has no answer but its status. These statuses are as good as success. */
  async function order(
    call: "start" | "stop",
    server: string,
    alsoGood: readonly number[],
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    const path = `/servers/${encodeURIComponent(server)}/${call}`;
    const answered = await request(call, path, signal);
    if (!answered.ok) return judge(call, server, answered, signal);
    const { status } = answered.value;
    const isGood = isSuccess(status) || alsoGood.includes(status);
    const result = isGood ? ok(undefined) : err(statusText(`POST ${path}`, answered.value));
    return judge(call, server, result, signal);
  }

  async function start(
    { target: { server } }: WakeableBackend<PlaneTarget>,
    signal: AbortSignal,
  ): Promise<Result<void, StartFailure>> {
    // 409: it is starting already, which is what was asked for.
    const started = await order("start", server, [409], signal);
    return started.ok ? started : err({ reason: started.error, isFinal: false });
  }

  async function look(
    { target: { server } }: WakeableBackend<PlaneTarget>,
    signal: AbortSignal,
  ): Promise<BackendState> {
    const path = `/servers/${encodeURIComponent(server)}`;
    const answered = await request("status", path, signal);
    const seen = answered.ok ? readState(`GET ${path}`, answered.value) : answered;
    const state = judge("status", server, seen, signal);
    return state.ok ? state.value : { kind: "trouble", reason: state.error };
  }

  return {
    kind: "control-plane",
    timing: {
      timeoutMs: () => deps.timeoutMs,
      afterAcceptMs: null,
      pauseMs: () => deps.pollIntervalMs,
    },
    start,
    look,
    may: () => ({ start: true, stop: deps.mayStop }),
    // Unknown or stopped already: it does not run, which is what was asked for.
    stop: ({ server }, signal) => order("stop", server, [404, 409], signal),
  };
}

function readState(what: string, answer: ServiceAnswer): Result<BackendState, string> {
  if (!isSuccess(answer.status)) return err(statusText(what, answer));
  const body = parseJson(answer.text);
  if (typeof body !== "object" || body === null || !("state" in body)) {
    return err(`${what}: the answer is no JSON object with a state${shown(answer)}`);
  }
  const { state } = body;
  if (failureWords.has(state)) return ok(failureOf(String(state), body));
  const word = typeof state === "string" ? plainText(state) : String(JSON.stringify(state));
  if (state === "starting") return ok({ kind: "starting", word });
  if (state !== "running") return ok({ kind: "stopped", word });
  if (!("address" in body) || typeof body.address !== "string") {
    return err(`${what}: it is running, but the answer has no address`);
  }
  const address = parseAddress(body.address);
  if (!address.ok) return err(`${what}: its address ${address.error}`);
  return ok({ kind: "running", address: address.value });
}

function failureOf(word: string, body: object): BackendState {
  const told = "message" in body && typeof body.message === "string" ? body.message : "";
  const message = plainText(told);
  const reason = `the control plane says ${JSON.stringify(word)}${message && `: ${message}`}`;
  return { kind: "failed", reason, message: message === "" ? null : message };
}

/** What an answer of that status is told as; with a hint where the operator's setting is to blame. */
const statusText = (what: string, answer: ServiceAnswer): string =>
  `${what}: status ${answer.status}${shown(answer)}${answer.status === 401 ? "; check AUTOMC_WAKER_TOKEN" : ""}`;

const shown = ({ text }: ServiceAnswer): string => {
  const plain = plainText(text);
  return plain === "" ? "" : `: ${plain}`;
};

/** One line without control characters, of a length that can be shown. */
const plainText = (text: string): string =>
  text
    .slice(0, 4 * shownLimit)
    .replace(/[\s\p{C}]+/gu, " ")
    .trim()
    .slice(0, shownLimit);
