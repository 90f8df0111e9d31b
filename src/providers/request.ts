import type { Deadlines } from "../base/deadlines.ts";
import { failureText, proxyFor, readCapped } from "../base/http.ts";
import { err, ok, type Result } from "../base/result.ts";
import { createGate } from "../net/gate.ts";

/** One HTTP request to a service of the operator's. */
export interface ServiceRequest {
  /** What the error calls it: the URL may hold secrets. */
  readonly what: string;
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** For the wait in the queue and then for the answer, each, ms. */
  readonly timeoutMs: number;
  readonly redirect: "follow" | "manual";
  /** How much of the answer is read, bytes. */
  readonly answerLimit: number;
}

/** What was answered. */
export interface ServiceAnswer {
  readonly status: number;
  readonly text: string;
  /** There was more than the limit. */
  readonly isCut: boolean;
}

/** Makes one request. The error is one readable phrase; an aborted request is one too. */
export type Requester = (
  request: ServiceRequest,
  signal: AbortSignal,
) => Promise<Result<ServiceAnswer, string>>;

/** How many requests may be under way at once. */
const requestLimit = 32;

/**
 * A requester with a queue of its own. `ca` is PEM text of the authorities it trusts; null: the public ones.
 */
export function createRequester(deadlines: Deadlines, ca: string | null = null): Requester {
  const gate = createGate(requestLimit, deadlines);
  return async (request, signal) => {
    const { what, url, method, headers, body, timeoutMs, redirect, answerLimit } = request;
    if (!(await gate.enter(timeoutMs, signal)))
      return err(`${what}: too many requests wait already`);
    const limit = new AbortController();
    const stop = (): void => limit.abort();
    const deadline = deadlines.after(timeoutMs, stop);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      const response = await fetch(url, {
        method,
        headers: { "accept-encoding": "identity", ...headers },
        body,
        redirect,
        // A small answer must not unpack to a large one.
        decompress: false,
        signal: limit.signal,
        ...(ca === null ? {} : { tls: { ca } }),
        ...proxyFor(url),
      });
      const read = await readCapped(response, answerLimit);
      return ok({ status: response.status, ...read });
    } catch (cause) {
      if (limit.signal.aborted) return err(`${what}: no answer within ${timeoutMs / 1000} s`);
      return err(`${what}: ${failureText(cause)}`);
    } finally {
      deadline.cancel();
      signal.removeEventListener("abort", stop);
      gate.leave();
    }
  };
}
