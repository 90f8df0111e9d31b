import type { Deadlines } from "../net/deadlines.ts";
import { createGate } from "../net/gate.ts";
import { err, ok, type Result } from "../result.ts";
import { type Address, parseAddress } from "../routing/address.ts";
import type { BackendEvent } from "./event.ts";

/** What the control plane says about a server. `trouble` means that it could not be asked or did not make sense. */
export type ServerState =
  | { readonly kind: "running"; readonly address: Address }
  | { readonly kind: "not-running" }
  | { readonly kind: "trouble"; readonly reason: string };

/** The control plane: an HTTP service of the operator's that starts servers and knows where they run. */
export interface Waker {
  /** Asks it to start a server; asking again for one that starts or runs is harmless. The error is one readable phrase. */
  start(server: string, signal: AbortSignal): Promise<Result<void, string>>;
  /** Asks whether a server runs, and where. */
  look(server: string, signal: AbortSignal): Promise<ServerState>;
}

/** What a waker needs. */
export interface WakerDeps {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** Sent as `X-API-Key`; null sends none. */
  readonly token: string | null;
  readonly deadlines: Deadlines;
  emit(event: BackendEvent): void;
}

/** How long the control plane may think about a start and about a look, ms: a start may do the work before it answers. */
const startTimeoutMs = 30_000;
const lookTimeoutMs = 5_000;
/** The longest answer that is read, bytes, and how many requests may be under way at once. */
const answerLimit = 64 * 1024;
const requestLimit = 32;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A waker that speaks the automc contract: `POST /servers/{name}/start`, then `GET /servers/{name}`. */
export function createWaker(deps: WakerDeps): Waker {
  const gate = createGate(requestLimit, deps.deadlines);
  // Bun sets its HTTP thread up at the first fetch, and ends the process if there are no file descriptors left for it then.
  fetch("http://127.0.0.1:9/", { signal: AbortSignal.timeout(1_000) }).catch(() => {
    // Nothing listens there, and nothing is meant to.
  });
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
  ): Promise<Result<Answer, string>> {
    const what = `${method} ${path}`;
    if (!(await gate.enter(timeoutMs, signal)))
      return err(`${what}: too many requests wait already`);
    const limit = new AbortController();
    const stop = (): void => limit.abort();
    const deadline = deps.deadlines.after(timeoutMs, stop);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      const response = await fetch(deps.url + path, {
        method,
        headers: {
          accept: "application/json",
          "accept-encoding": "identity",
          ...(deps.token === null ? {} : { "x-api-key": deps.token }),
        },
        redirect: "manual",
        decompress: false,
        signal: limit.signal,
      });
      const text = await readCapped(response);
      if (text === null) return err(`${what}: the answer is longer than ${answerLimit} bytes`);
      return ok({ status: response.status, text });
    } catch (cause) {
      if (limit.signal.aborted) return err(`${what}: no answer within ${timeoutMs / 1000} s`);
      return err(`${what}: ${failureText(cause)}`);
    } finally {
      deadline.cancel();
      signal.removeEventListener("abort", stop);
      gate.leave();
    }
  }

  async function start(server: string, signal: AbortSignal): Promise<Result<void, string>> {
    const path = `/servers/${encodeURIComponent(server)}/start`;
    const answered = await request("POST", path, startTimeoutMs, signal);
    if (!answered.ok) return judge(server, answered, signal);
    const { status } = answered.value;
    // 409: it is starting already, which is what was asked for.
    if (isSuccess(status) || status === 409) return judge(server, ok(undefined), signal);
    return judge(server, err(`POST ${path}: status ${status}`), signal);
  }

  async function look(server: string, signal: AbortSignal): Promise<ServerState> {
    const path = `/servers/${encodeURIComponent(server)}`;
    const answered = await request("GET", path, lookTimeoutMs, signal);
    const seen = answered.ok ? readState(`GET ${path}`, answered.value) : answered;
    const state = judge(server, seen, signal);
    return state.ok ? state.value : { kind: "trouble", reason: state.error };
  }

  function readState(what: string, { status, text }: Answer): Result<ServerState, string> {
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

  return { start, look };
}

/** Bun's own words for the two commonest failures are advice for a browser's user. */
function failureText(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  if (code === "ECONNREFUSED" || code === "ConnectionRefused") return "connection refused";
  if (code === "ECONNRESET" || code === "ConnectionClosed") return "the connection was closed";
  return cause instanceof Error ? cause.message : String(cause);
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is one of the answers to expect; the caller says so.
    return null;
  }
}

/** The body as text; null when it is longer than the limit. Leaves nothing unread behind. */
async function readCapped(response: Response): Promise<string | null> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks).toString("utf8");
    size += value.length;
    if (size > answerLimit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
}
