import type { Deadlines } from "../base/deadlines.ts";
import { parseJson } from "../base/http.ts";
import { type Conn, close, localEndpoint, more, peek, send } from "../net/conn.ts";
import type { Dialer } from "../net/dial.ts";
import { statusHandshake } from "../protocol/handshake.ts";
import { proxyHeaderV2 } from "../protocol/proxy-header.ts";
import { readStatusResponse, statusRequest } from "../protocol/status.ts";
import type { PortState, Probe } from "../wake/waker.ts";

/** What finding out whether a server is ready needs. */
export interface ProbeDeps {
  readonly dialer: Dialer;
  readonly deadlines: Deadlines;
  /** Backends get a PROXY protocol header, unless their route says otherwise. */
  readonly sendProxyProtocol: boolean;
}

/** How long a server may take to answer a status request, ms. */
const answerMs = 3_000;

const state = (port: PortState["port"]): PortState => ({ port, why: null });

/** A server is ready when it takes connections. */
export const createTcpProbe =
  ({ dialer }: Pick<ProbeDeps, "dialer">): Probe =>
  async (address, _, signal) =>
    state((await dialer.accepts(address, signal)) ? "ready" : "closed");

/** A server is ready when it answers a status request with a JSON object that has a version. */
export function createStatusProbe({ dialer, deadlines, sendProxyProtocol }: ProbeDeps): Probe {
  return async (address, backend, signal) => {
    const dialled = await dialer.dial(address, signal);
    if (!dialled.ok) return { port: "closed", why: dialled.error.message };
    const server = dialled.value;
    const handshake = statusHandshake(backend.hostname ?? address.host, address.port);
    const bytes = Buffer.concat([handshake, statusRequest]);
    send(server, withHeader(bytes, server, backend.proxyProtocol ?? sendProxyProtocol));
    const port = await awaitStatus(server, deadlines, signal);
    close(server, deadlines);
    return state(port);
  };
}

/** The router speaks for itself: the header names its own end of the connection as the client. */
const withHeader = (bytes: Uint8Array, server: Conn, isWanted: boolean): Uint8Array =>
  isWanted ? Buffer.concat([proxyHeaderV2(localEndpoint(server), server.remote), bytes]) : bytes;

async function awaitStatus(
  server: Conn,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<PortState["port"]> {
  const until = deadlines.now() + answerMs;
  for (;;) {
    const answer = readStatusResponse(peek(server), 0);
    if (answer.kind === "ok") return isStatus(answer.value) ? "ready" : "open";
    if (answer.kind === "bad") return "open";
    const arrival = await more(server, deadlines, until - deadlines.now(), signal);
    if (arrival === "late") return "open";
    // A part of an answer is not the answer of a server without status.
    if (arrival !== "data") return peek(server).length === 0 ? "no-status" : "open";
  }
}

function isStatus(json: string): boolean {
  const status = parseJson(json);
  return typeof status === "object" && status !== null && "version" in status;
}
