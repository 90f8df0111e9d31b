import { createServer, type Server, type Socket } from "node:net";
import type { BadRequest, RequestHead } from "./http-parser.ts";
import { longestBody, longestHead, parseBody, parseHead } from "./http-parser.ts";
import { headText, writeResponse } from "./http-response.ts";
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

/**
 * An HTTP/1.1 server. The runtime's own has no limit on connections and refuses methods that it does not
 * know.
 */
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

  /**
   * Closes the first connection of that kind, which makes room for a client that waits; false when there is
   * none.
   */
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
