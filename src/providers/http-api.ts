import { createTimedScope } from "../base/abort.ts";
import { failureText, isSuccess, parseJson, proxyFor, readCapped } from "../base/http.ts";
import { err, ok, type Result } from "../base/result.ts";

/** Keys and certificates of a TLS connection, as PEM text; null where the client has none. */
export interface ApiTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  /** False: the server's certificate is not verified. */
  readonly verify: boolean;
  /** The name that the certificate is for, where that is not the URL's; null: the URL's. */
  readonly serverName: string | null;
}

/** Where an API of JSON over HTTP is reached. */
export interface ApiEndpoint {
  /** Base URL without a slash at its end. */
  readonly url: string;
  /** Path of the Unix socket that it answers at; null: over TCP. */
  readonly unix: string | null;
  /** Null: plain, or as the system trusts. */
  readonly tls: ApiTls | null;
  /** URL of the proxy to go through; left out, the environment decides. */
  readonly proxy?: string;
}

/** One request. */
export interface ApiRequest {
  readonly method: "HEAD" | "GET" | "POST" | "PUT" | "PATCH";
  /** Path and query, beginning with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON text; null: none. */
  readonly body?: string | null;
}

/**
 * Why a request brought nothing. `status` is null when nothing was answered; `message` is one
 * readable phrase.
 */
export interface ApiFailure {
  readonly status: number | null;
  readonly message: string;
}

/** What was answered. */
export interface ApiAnswer {
  readonly headers: Headers;
  /** Null for an empty body. */
  readonly json: unknown;
}

/** What a stream tells. */
export interface StreamListener {
  /** It is open: what happens from now on will be told. */
  open(): void;
  /** One line of it. */
  line(json: unknown): void;
}

/** The longest answer that is read, bytes: thousands of containers, or services with their endpoints. */
const answerLimit = 64 * 1024 * 1024;
/** The longest line of a stream, bytes. */
const lineLimit = 4 * 1024 * 1024;
/** How much of a refusal is read, bytes. */
const refusalLimit = 4096;
/** How long a stream may take to open, ms. */
const openMs = 30_000;

/**
 * One request and its JSON answer. Any status but 2xx is a failure, also a redirection: credentials
 * are meant for this API.
 */
export async function callApi(
  endpoint: ApiEndpoint,
  request: ApiRequest,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Result<ApiAnswer, ApiFailure>> {
  const limit = createTimedScope(timeoutMs, signal);
  try {
    const response = await send(endpoint, request, limit.signal);
    if (!isSuccess(response.status)) return err(await refusal(request, response));
    const { text, isCut } = await readCapped(response, answerLimit);
    if (isCut) return err(failure(request, `the answer is longer than ${answerLimit} bytes`));
    const json = text.trim() === "" ? null : parseJson(text);
    if (json === null && text.trim() !== "") return err(failure(request, "the answer is no JSON"));
    return ok({ headers: response.headers, json });
  } catch (cause) {
    return err(failure(request, limit.isLate() ? lateText(timeoutMs) : failureText(cause)));
  } finally {
    limit.release();
  }
}

/**
 * Follows an endless answer of one JSON text for each line. Resolves with null when the other side
 * ended it, and with the failure when it could not be opened or broke off; never while the signal
 * has not aborted and the stream is well.
 */
export async function streamApi(
  endpoint: ApiEndpoint,
  request: ApiRequest,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<ApiFailure | null> {
  const limit = createTimedScope(openMs, signal);
  try {
    const response = await send(endpoint, request, limit.signal);
    limit.endTimeout();
    if (!isSuccess(response.status)) return await refusal(request, response);
    listener.open();
    return await readLines(request, response, listener);
  } catch (cause) {
    return failure(request, limit.isLate() ? lateText(openMs) : failureText(cause));
  } finally {
    limit.release();
  }
}

async function readLines(
  request: ApiRequest,
  response: Response,
  listener: StreamListener,
): Promise<ApiFailure | null> {
  if (response.body === null) return null;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return null;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() !== "") listener.line(parseJson(line));
    }
    if (rest.length > lineLimit) {
      await reader.cancel();
      return failure(request, `a line is longer than ${lineLimit} bytes`);
    }
  }
}

function send(
  { url, unix, tls, proxy }: ApiEndpoint,
  { method, path, headers, body = null }: ApiRequest,
  signal: AbortSignal,
): Promise<Response> {
  return fetch(url + path, {
    method,
    headers: {
      accept: "application/json",
      "accept-encoding": "identity",
      "user-agent": "automc-router",
      ...(body === null ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    body,
    redirect: "manual",
    // A small answer must not unpack to a large one.
    decompress: false,
    // Bun's own is five minutes without a byte, which a quiet stream may well be.
    timeout: false,
    signal,
    ...(unix === null ? proxyFor(url) : { unix, proxy: false }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(tls === null ? {} : { tls: tlsOptions(tls) }),
  });
}

const tlsOptions = ({ ca, cert, key, verify, serverName }: ApiTls): Bun.TLSOptions => ({
  rejectUnauthorized: verify,
  ...(ca === null ? {} : { ca }),
  ...(cert === null ? {} : { cert }),
  ...(key === null ? {} : { key }),
  ...(serverName === null ? {} : { serverName }),
});

/** Docker and Kubernetes both say why in a member `message`. */
async function refusal(request: ApiRequest, response: Response): Promise<ApiFailure> {
  const { text } = await readCapped(response, refusalLimit);
  const body = parseJson(text);
  const isTold = typeof body === "object" && body !== null && "message" in body;
  const why = isTold && typeof body.message === "string" ? `: ${body.message.trim()}` : "";
  return { ...failure(request, `status ${response.status}${why}`), status: response.status };
}

/** The query may hold much, and nothing that helps. */
const failure = ({ method, path }: ApiRequest, what: string): ApiFailure => ({
  status: null,
  message: `${method} ${path.split("?", 1)[0]}: ${what}`,
});

const lateText = (ms: number): string => `no answer within ${ms / 1000} s`;
