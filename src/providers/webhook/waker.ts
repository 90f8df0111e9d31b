import type { Deadlines } from "../../base/deadlines.ts";
import { isSuccess, parseJson } from "../../base/http.ts";
import { createRecent } from "../../base/recent.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type Address, isNowhere, parseAddress } from "../../routing/address.ts";
import { type WakeTarget, wakeKey } from "../../routing/route.ts";
import type { BackendEvent } from "../../wake/event.ts";
import type { BackendState, StartFailure, WakeableBackend, Waker } from "../../wake/waker.ts";
import { createRequester, type ServiceAnswer } from "../request.ts";

/** A backend that a webhook starts and stops. */
export type WebhookTarget = Extract<WakeTarget, { kind: "webhook" }>;

/** What calling a webhook needs. */
export interface WebhookDeps {
  readonly url: string;
  /** Further headers of each call; they win over ours. */
  headers(): Readonly<Record<string, string>>;
  /** How long it may take to answer, ms. */
  readonly timeoutMs: number;
  /**
   * How long a backend may take to accept connections after that, ms. One whole attempt is made in any case.
   */
  readonly wakeTimeoutMs: number;
  /** How long such an attempt may take, ms. */
  readonly attemptMs: number;
  readonly deadlines: Deadlines;
  emit(event: BackendEvent): void;
}

/** Where a webhook has said that a backend is up. */
interface Move {
  readonly address: Address;
  /** The last "up" has said so; false: an earlier one, and the last one named no address. */
  readonly isCertain: boolean;
}

/** As much of an answer as mc-router reads, bytes. */
const answerLimit = 4096;
/** mc-router's pauses between two attempts to connect, ms. */
const firstPauseMs = 500;
const pauseMs = 1_000;
/** Moves that are remembered; the oldest make room. */
const moveLimit = 10_000;

/**
 * A waker that calls mc-router's webhook: `POST {"action":"up"|"down","serverAddress":…,"backend":…}`. The
 * answer to "up" may name the address at which the backend is up, in its member `backend`; it holds until
 * "down".
 */
export function createWebhook(deps: WebhookDeps): Waker<WebhookTarget> {
  const ask = createRequester(deps.deadlines);
  const moves = createRecent<string, Move>(moveLimit);
  /** The backends whose last "up" failed. */
  const troubled = new Set<string>();

  async function call(
    action: "up" | "down",
    { serverAddress, backend }: WebhookTarget,
    signal: AbortSignal,
  ): Promise<Result<ServiceAnswer, string>> {
    const what = `the webhook's "${action}"`;
    const body = JSON.stringify({ action, serverAddress, backend });
    const { url, timeoutMs } = deps;
    const headers = requestHeaders(deps.headers());
    const answered = await ask(
      { what, url, method: "POST", headers, body, timeoutMs, redirect: "follow", answerLimit },
      signal,
    );
    if (!answered.ok || isSuccess(answered.value.status)) return answered;
    return err(`${what}: status ${answered.value.status}`);
  }

  async function start(
    { target }: WakeableBackend<WebhookTarget>,
    signal: AbortSignal,
  ): Promise<Result<void, StartFailure>> {
    const called = await call("up", target, signal);
    const told = called.ok ? readBackend(called.value) : called;
    judge(target.backend, told);
    if (!told.ok) return err({ reason: told.error, isFinal: true });
    note(wakeKey(target), told.value);
    return ok(undefined);
  }

  function note(key: string, address: Address | null): void {
    const known = moves.get(key);
    if (address !== null) moves.set(key, { address, isCertain: true });
    else if (known !== null) moves.set(key, { ...known, isCertain: false });
  }

  function judge(server: string, told: Result<unknown, string>): void {
    if (told.ok) {
      if (troubled.delete(server)) deps.emit({ kind: "webhook-back", server });
    } else if (!troubled.has(server)) {
      troubled.add(server);
      deps.emit({ kind: "webhook-lost", server, reason: told.error });
    }
  }

  /** Only the server itself can tell: there is no call that asks the webhook. */
  function look({ target, address }: WakeableBackend<WebhookTarget>): Promise<BackendState> {
    const move = moves.get(wakeKey(target));
    const own = move?.isCertain || isNowhere(address) ? [] : [address];
    const addresses = move === null ? own : [move.address, ...own];
    return Promise.resolve({ kind: "unknown", addresses });
  }

  async function stop(target: WebhookTarget, signal: AbortSignal): Promise<Result<void, string>> {
    const answered = await call("down", target, signal);
    if (!answered.ok) return answered;
    moves.delete(wakeKey(target));
    return ok(undefined);
  }

  const wakeMs = Math.max(deps.wakeTimeoutMs, deps.attemptMs);
  return {
    kind: "webhook",
    timing: {
      timeoutMs: () => deps.timeoutMs + wakeMs,
      afterAcceptMs: wakeMs,
      pauseMs: (round) => (round === 1 ? firstPauseMs : pauseMs),
    },
    start,
    look,
    may: () => ({ start: true, stop: true }),
    stop,
  };
}

/** What the connection itself decides about is not for a configured header to say. */
function requestHeaders(
  configured: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const headers = new Headers({ "content-type": "application/json" });
  for (const [name, value] of Object.entries(configured)) headers.set(name, value);
  for (const name of ["host", "content-length", "transfer-encoding"]) headers.delete(name);
  return Object.fromEntries(headers);
}

/**
 * The address that an answer to "up" names. Whatever has no such member says nothing (null); one that is no
 * address is an error.
 */
function readBackend({ text }: ServiceAnswer): Result<Address | null, string> {
  const body = parseJson(text);
  if (typeof body !== "object" || body === null) return ok(null);
  // Go's decoder takes member names in any case, and the last of several.
  const named = Object.entries(body).findLast(([name]) => name.toLowerCase() === "backend")?.[1];
  if (typeof named !== "string" || named.trim() === "") return ok(null);
  const address = parseAddress(named);
  return address.ok ? address : err(`the webhook's "up": its backend ${address.error}`);
}
