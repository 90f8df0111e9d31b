/** The head of one HTTP request, as it was sent. */
export interface RequestHead {
  /** Case is kept: methods are case-sensitive. */
  readonly method: string;
  /** The request target: a path with its query, or an absolute URL. */
  readonly target: string;
  readonly headers: Headers;
  /** The connection may take another request after this one. */
  readonly keepAlive: boolean;
  readonly body: BodyFraming;
}

/** How the body is delimited: RFC 9112, section 6. */
type BodyFraming =
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" };

/** A request that is refused before it is complete; the connection is closed after the answer. */
export interface BadRequest {
  readonly kind: "bad";
  readonly status: 400 | 413 | 431 | 501 | 505;
  readonly detail: string;
}

/** What has been read so far: a value that ends at the offset `end`, nothing yet, or a refusal. */
export type Read<T> =
  | { readonly kind: "ok"; readonly value: T; readonly end: number }
  | { readonly kind: "need-more" }
  | BadRequest;

/** Longest request line with all headers, bytes. */
export const longestHead = 16 * 1024;
/** Longest body, bytes. */
export const longestBody = 64 * 1024;

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible characters, spaces and tabs; bytes above 0x7f are let through as Latin-1. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

const bad = (status: BadRequest["status"], detail: string): BadRequest => ({
  kind: "bad",
  status,
  detail,
});

/** Reads a request's head from all bytes that have arrived. Message syntax: RFC 9112, sections 2 to 6. */
export function parseHead(bytes: Buffer): Read<RequestHead> {
  // RFC 9112, 2.2: empty lines before the request line are ignored.
  let start = 0;
  while (bytes[start] === 0x0d && bytes[start + 1] === 0x0a) start += 2;
  const headEnd = bytes.indexOf("\r\n\r\n", start);
  if (headEnd < 0) {
    if (bytes.length - start > longestHead)
      return bad(431, `the head exceeds ${longestHead} bytes`);
    return startsLikeHttp(bytes, start) ? { kind: "need-more" } : bad(400, "this is not HTTP");
  }
  if (headEnd - start > longestHead) return bad(431, `the head exceeds ${longestHead} bytes`);

  const [requestLine = "", ...lines] = bytes.toString("latin1", start, headEnd).split("\r\n");
  const [method = "", target = "", version = "", ...rest] = requestLine.split(" ");
  if (rest.length > 0 || !token.test(method) || !/^HTTP\/\d\.\d$/.test(version)) {
    return bad(400, "the request line is malformed");
  }
  if (!version.startsWith("HTTP/1.")) return bad(505, "only HTTP/1.0 and HTTP/1.1 are supported");
  if (target === "" || !/^[\x21-\x7e\x80-\xff]+$/.test(target)) {
    return bad(400, "the request target is malformed");
  }
  const headers = readHeaders(lines);
  if (headers === null) return bad(400, "a header is malformed");
  const hosts = lines.filter((line) => /^host:/i.test(line)).length;
  if (hosts > 1 || (hosts === 0 && version === "HTTP/1.1")) {
    return bad(400, "exactly one Host header is required");
  }
  const body = framingOf(headers, lines);
  if (body.kind === "bad") return body;
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const keepAlive = version === "HTTP/1.1" && !/(^|,)\s*close\s*(,|$)/.test(connection);
  return {
    kind: "ok",
    value: { method, target, headers, keepAlive, body },
    end: headEnd + 4,
  };
}

/** Refuses TLS and other protocols at their first bytes instead of waiting for an empty line. */
function startsLikeHttp(bytes: Buffer, start: number): boolean {
  const line = bytes.toString("latin1", start, Math.min(bytes.length, start + 64));
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{0,32}( |$)/.test(line);
}

function readHeaders(lines: readonly string[]): Headers | null {
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 1).trim();
    // A name with a space before the colon, or a folded line, has no token here.
    if (!token.test(name) || !fieldValue.test(value)) return null;
    headers.append(name, value);
  }
  return headers;
}

function framingOf(headers: Headers, lines: readonly string[]): BodyFraming | BadRequest {
  const encoding = headers.get("transfer-encoding");
  const lengths = lines
    .filter((line) => /^content-length:/i.test(line))
    .map((line) => line.slice("content-length:".length).trim());
  if (encoding !== null) {
    if (lengths.length > 0) return bad(400, "Transfer-Encoding excludes Content-Length");
    if (encoding.toLowerCase() !== "chunked") return bad(501, "only chunked bodies are supported");
    return { kind: "chunked" };
  }
  const [text = "0"] = lengths;
  if (new Set(lengths).size > 1 || !/^\d{1,15}$/.test(text)) {
    return bad(400, "Content-Length is malformed");
  }
  const length = Number(text);
  return length > longestBody ? tooLong : { kind: "length", length };
}

const tooLong = bad(413, `the body exceeds ${longestBody} bytes`);

/** Reads the body that begins at `start`. */
export function parseBody(bytes: Buffer, start: number, framing: BodyFraming): Read<Buffer> {
  switch (framing.kind) {
    case "length": {
      const end = start + framing.length;
      if (bytes.length < end) return { kind: "need-more" };
      return { kind: "ok", value: bytes.subarray(start, end), end };
    }
    case "chunked":
      return parseChunks(bytes, start);
  }
}

/** Chunked coding: RFC 9112, section 7.1. Extensions and trailers are skipped. */
function parseChunks(bytes: Buffer, start: number): Read<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) {
      return bytes.length - at > longestHead ? badChunk : { kind: "need-more" };
    }
    const [size = ""] = bytes.toString("latin1", at, lineEnd).split(";");
    if (!/^[0-9A-Fa-f]{1,8}[ \t]*$/.test(size)) return badChunk;
    const length = Number.parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) return parseTrailers(bytes, at, Buffer.concat(chunks));
    total += length;
    if (total > longestBody) return tooLong;
    if (bytes.length < at + length + 2) return { kind: "need-more" };
    if (bytes[at + length] !== 0x0d || bytes[at + length + 1] !== 0x0a) return badChunk;
    chunks.push(bytes.subarray(at, at + length));
    at += length + 2;
  }
}

const badChunk = bad(400, "a chunk is malformed");

function parseTrailers(bytes: Buffer, start: number, body: Buffer): Read<Buffer> {
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd === at) return { kind: "ok", value: body, end: at + 2 };
    if (at - start > longestHead || bytes.length - at > longestHead) return badChunk;
    if (lineEnd < 0) return { kind: "need-more" };
    at = lineEnd + 2;
  }
}
