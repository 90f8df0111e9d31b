import type { Deadlines } from "../net/deadlines.ts";
import { createGate } from "../net/gate.ts";
import { err, ok, type Result } from "../result.ts";
import { codeOf, messageOf } from "../thrown.ts";

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

/** A requester with a queue of its own. */
export function createRequester(deadlines: Deadlines): Requester {
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

/** True for the statuses that say that it was done. */
export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** The text as JSON; null for what is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is one of the answers to expect; the caller says so.
    return null;
  }
}

/** Hosts for which Go asks no proxy, whatever the environment says. */
const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** How `fetch` is told so: nothing where the environment decides. */
export const proxyFor = (url: string): { readonly proxy?: false } =>
  loopback.test(URL.parse(url)?.hostname ?? "") ? { proxy: false } : {};

/** Bun's own words for the commonest failures are advice for a browser's user, and some of the others end with the URL, which may hold secrets. */
function failureText(cause: unknown): string {
  const code = codeOf(cause);
  if (code === "ECONNREFUSED" || code === "ConnectionRefused") return "connection refused";
  if (code === "ECONNRESET" || code === "ConnectionClosed") return "the connection was closed";
  return messageOf(cause).split(/\. | fetching /)[0] ?? "no connection";
}

/** The body as text, up to the limit. Leaves nothing unread behind. */
async function readCapped(
  response: Response,
  limit: number,
): Promise<{ readonly text: string; readonly isCut: boolean }> {
  if (response.body === null) return { text: "", isCut: false };
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let isCut = false;
  while (!isCut) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    isCut = size > limit;
  }
  if (isCut) await reader.cancel();
  return { text: Buffer.concat(chunks).toString("utf8", 0, Math.min(size, limit)), isCut };
}
