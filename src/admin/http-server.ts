import { createServer, type Server, type Socket } from "node:net";
import type { BadRequest, RequestHead } from "./http-parser.ts";
import { longestBody, longestHead, parseBody, parseHead } from "./http-parser.ts";
import { problem } from "./problem.ts";

/** One request to the API, complete with its body. */
export interface ApiRequest {
  /** As it was sent. */
  readonly method: string;
  /** The path as it was sent, still percent-encoded. */
  readonly rawPath: string;
  /** From the question mark on; empty without one. */
  readonly search: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The client's IP literal; null on a unix socket. */
  readonly clientIp: string | null;
}

/** What a server needs. */
export interface HttpServerDeps {
  /** Answers one request. What it throws becomes a 500 and a call of `fault`. */
  answer(request: ApiRequest): Response | Promise<Response>;
  fault(error: unknown): void;
  readonly limits?: Partial<HttpLimits>;
}

/** The bounds of a server, so that its clients cost players nothing. */
export interface HttpLimits {
  /** Most connections that are read from at once; as many more wait in line. */
  readonly connections: number;
  /** From the connection or a request's first byte to its last byte, ms. */
  readonly requestMs: number;
  /** Between two requests of one connection, ms. */
  readonly idleMs: number;
  /** For the client to take a part of the answer, ms. */
  readonly writeMs: number;
}

const defaultLimits: HttpLimits = {
  connections: 64,
  requestMs: 10_000,
  idleMs: 30_000,
  writeMs: 30_000,
};

/** A server that does not listen yet. */
interface HttpServer {
  readonly server: Server;
  /** Closes the listener and every connection; resolves when they are closed. */
  stop(): Promise<void>;
}

/** A client that is connected. */
interface Connection {
  readonly socket: Socket;
  received: Buffer;
  /** True while a request is answered; false while one is read. */
  isBusy: boolean;
  /** The client has closed its side: this request is the last one. */
  isLast: boolean;
  /** At least one request has been answered. */
  hasServed: boolean;
  timer: ReturnType<typeof setTimeout> | null;
}

/** An HTTP/1.1 server. The runtime's own has no limit on connections and refuses methods that it does not know. */
export function createHttpServer(deps: HttpServerDeps): HttpServer {
  const limits = { ...defaultLimits, ...deps.limits };
  /** Those without a complete request for longest come first. */
  const connections = new Set<Connection>();
  /** Clients that are not read from yet, in order of arrival. */
  const waiting = new Set<Socket>();

  function opened(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (connections.size < limits.connections || closeOne(isIdle)) {
      serve(socket);
      return;
    }
    if (waiting.size >= limits.connections && !closeOne(isUnanswered)) {
      socket.destroy();
      return;
    }
    socket.pause();
    waiting.add(socket);
    const late = setTimeout(() => socket.destroy(), limits.requestMs);
    socket.once("close", () => {
      clearTimeout(late);
      waiting.delete(socket);
    });
  }

  function serve(socket: Socket): void {
    const connection: Connection = {
      socket,
      received: Buffer.alloc(0),
      isBusy: false,
      isLast: false,
      hasServed: false,
      timer: null,
    };
    connections.add(connection);
    socket.on("end", () => ended(connection));
    socket.on("close", () => closed(connection));
    socket.on("data", (data: Buffer) => arrived(connection, data));
    limitTo(connection, limits.requestMs);
  }

  /** Closes the first connection of that kind, which makes room for a client that waits; false when there is none. */
  function closeOne(isOfKind: (connection: Connection) => boolean): boolean {
    for (const connection of connections) {
      if (!isOfKind(connection)) continue;
      closed(connection);
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  function closed(connection: Connection): void {
    stopTimer(connection);
    if (!connections.delete(connection)) return;
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    serve(next);
    next.resume();
  }

  function ended(connection: Connection): void {
    connection.isLast = true;
    if (!connection.isBusy) connection.socket.end();
  }

  function limitTo(connection: Connection, ms: number): void {
    stopTimer(connection);
    connection.timer = setTimeout(() => connection.socket.destroy(), ms);
  }

  function arrived(connection: Connection, data: Buffer): void {
    const isFirst = connection.received.length === 0;
    connection.received = Buffer.concat([connection.received, data]);
    if (connection.isBusy) {
      // A client that sends ahead waits for its answer.
      if (connection.received.length > longestHead + longestBody) connection.socket.pause();
      return;
    }
    if (isFirst) limitTo(connection, limits.requestMs);
    read(connection);
  }

  function read(connection: Connection): void {
    const { received } = connection;
    const head = parseHead(received);
    const body = head.kind === "ok" ? parseBody(received, head.end, head.value.body) : head;
    if (body.kind === "bad") {
      refuse(connection, body);
    } else if (head.kind === "ok" && body.kind === "ok") {
      connection.received = received.subarray(body.end);
      connection.isBusy = true;
      stopTimer(connection);
      // It never rejects.
      void reply(connection, head.value, body.value);
    } else if (head.kind === "ok" && received.length === head.end) {
      askForBody(connection.socket, head.value);
    }
  }

  async function reply(connection: Connection, head: RequestHead, body: Buffer): Promise<void> {
    const { socket } = connection;
    const response = await answer(requestOf(head, body, socket));
    // A client that waits in line gets this one's place.
    const keepAlive = head.keepAlive && !connection.isLast && waiting.size === 0;
    const request = { method: head.method, keepAlive };
    const isWritten = await writeResponse(socket, response, request, limits.writeMs);
    if (!isWritten || !keepAlive || connection.isLast || waiting.size > 0) {
      socket.end();
      limitTo(connection, limits.writeMs);
      return;
    }
    if (socket.destroyed) return;
    connection.isBusy = false;
    connection.hasServed = true;
    // Last in the order in which connections make room.
    connections.delete(connection);
    connections.add(connection);
    limitTo(connection, connection.received.length === 0 ? limits.idleMs : limits.requestMs);
    socket.resume();
    if (connection.received.length > 0) read(connection);
  }

  async function answer(request: ApiRequest): Promise<Response> {
    try {
      return await deps.answer(request);
    } catch (thrown) {
      deps.fault(thrown);
      return problem("failed", "the log has the error");
    }
  }

  function refuse(connection: Connection, { status, detail }: BadRequest): void {
    connection.isBusy = true;
    connection.received = Buffer.alloc(0);
    const text = JSON.stringify({ type: "about:blank", title: "Bad request", status, detail });
    const headers = { "content-type": "application/problem+json", connection: "close" };
    connection.socket.end(`${headText(status, new Headers(headers), text.length)}${text}`);
    limitTo(connection, limits.writeMs);
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, opened);
  return {
    server,
    stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const socket of [...waiting]) socket.destroy();
      waiting.clear();
      for (const { socket } of [...connections]) socket.destroy();
      return promise;
    },
  };
}

/** Between two requests: its client sends the next one on a new connection. */
const isIdle = ({ isBusy, hasServed, received }: Connection): boolean =>
  !isBusy && hasServed && received.length === 0;

const isUnanswered = ({ isBusy }: Connection): boolean => !isBusy;

function stopTimer(connection: Connection): void {
  if (connection.timer !== null) clearTimeout(connection.timer);
  connection.timer = null;
}

/** RFC 9110, 10.1.1: a client may wait for this before it sends a long body. */
function askForBody(socket: Socket, { headers }: RequestHead): void {
  if (headers.get("expect")?.toLowerCase() !== "100-continue") return;
  socket.write("HTTP/1.1 100 Continue\r\n\r\n");
}

function requestOf(head: RequestHead, body: Buffer, socket: Socket): ApiRequest {
  const [, path = "/"] = /^[a-z]+:\/\/[^/?]*(.*)$/i.exec(head.target) ?? [null, head.target];
  const query = path.indexOf("?");
  return {
    method: head.method,
    rawPath: (query < 0 ? path : path.slice(0, query)) || "/",
    search: query < 0 ? "" : path.slice(query),
    headers: head.headers,
    body,
    clientIp: socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "") ?? null,
  };
}

/**
 * Writes a response; false when the connection cannot be used for another one. A body whose length is not known, which
 * only a stream of events has, is sent in chunks.
 */
async function writeResponse(
  socket: Socket,
  response: Response,
  { method, keepAlive }: Pick<RequestHead, "method" | "keepAlive">,
  writeMs: number,
): Promise<boolean> {
  const headers = new Headers(response.headers);
  if (!keepAlive) headers.set("connection", "close");
  const isStream = headers.get("content-type") === "text/event-stream";
  if (isStream && response.body !== null && method !== "HEAD") {
    headers.set("connection", "close");
    await write(socket, headText(response.status, headers, null), writeMs);
    await writeStream(socket, response.body, writeMs);
    return false;
  }
  const body = Buffer.from(await response.arrayBuffer());
  const head = Buffer.from(headText(response.status, headers, body.length), "latin1");
  return write(socket, method === "HEAD" ? head : Buffer.concat([head, body]), writeMs);
}

async function writeStream(
  socket: Socket,
  body: ReadableStream<Uint8Array>,
  writeMs: number,
): Promise<void> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => {});
  socket.once("close", cancel);
  socket.once("end", cancel);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!(await write(socket, value, writeMs))) break;
  }
  cancel();
}

/** Resolves true when the kernel has taken the bytes, false when the connection is gone or the client takes too long. */
function write(socket: Socket, bytes: string | Uint8Array, writeMs: number): Promise<boolean> {
  if (socket.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), writeMs);
    const settle = (isWritten: boolean): void => {
      clearTimeout(timer);
      socket.removeListener("close", onClose);
      resolve(isWritten);
    };
    const onClose = (): void => settle(false);
    socket.once("close", onClose);
    socket.write(bytes, (error) => settle(!error));
  });
}

const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  301: "Moved Permanently",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** The status line and headers. A length of null is for a body that ends with the connection. */
function headText(status: number, headers: Headers, length: number | null): string {
  const lines = [`HTTP/1.1 ${status} ${phrases[status] ?? ""}`];
  // Every pair but Set-Cookie, of which there may be several, is joined by the Headers class.
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  lines.push(`date: ${new Date().toUTCString()}`);
  if (length !== null) lines.push(`content-length: ${length}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
