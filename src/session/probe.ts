import type { Deadlines } from "../base/deadlines.ts";
import { parseJson } from "../base/http.ts";
import { type Members, membersOf, numberOf } from "../base/members.ts";
import { type Conn, close, type Endpoint, localEndpoint, more, peek, send } from "../net/conn.ts";
import type { Dialer } from "../net/dial.ts";
import { statusHandshake } from "../protocol/handshake.ts";
import { proxyHeaderV2 } from "../protocol/proxy-header.ts";
import { readStatusResponse, statusRequest } from "../protocol/status.ts";
import { type Address, isNowhere } from "../routing/address.ts";
import type { Occupancy } from "../wake/idle.ts";
import type { PortState, Probe, WakeableBackend } from "../wake/waker.ts";

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
export const createStatusProbe =
  (deps: ProbeDeps): Probe =>
  async (address, backend, signal) => {
    const asked = await ask(address, backend, deps, signal);
    return asked.kind === "unreachable"
      ? { port: "closed", why: asked.why }
      : state(portOf(asked.answer));
  };

/** Asks a server who is there, as a client's server list does. */
export const createOccupancy =
  (deps: ProbeDeps) =>
  async (backend: WakeableBackend, address: Address, signal: AbortSignal): Promise<Occupancy> => {
    const asked = await ask(address, backend, deps, signal);
    if (asked.kind === "unreachable") return { at: null, online: null };
    const { at, answer } = asked;
    const players = answer.kind === "status" ? membersOf(answer.status["players"]) : null;
    return { at, online: players === null ? null : numberOf(players, "online") };
  };

/** What a server made of a status request. */
type Answer =
  /** A JSON object. */
  | { readonly kind: "status"; readonly status: Members }
  /** Something else, or a part of an answer, or nothing in time. */
  | { readonly kind: "none" }
  /** It closed the connection without a word. */
  | { readonly kind: "closed" };

type Asked =
  | { readonly kind: "unreachable"; readonly why: string }
  | { readonly kind: "asked"; readonly at: Endpoint; readonly answer: Answer };

function portOf(answer: Answer): Exclude<PortState["port"], "closed"> {
  switch (answer.kind) {
    case "status":
      return "version" in answer.status ? "ready" : "open";
    case "none":
      return "open";
    case "closed":
      return "no-status";
  }
}

async function ask(
  address: Address,
  { hostname, proxyProtocol }: WakeableBackend,
  { dialer, deadlines, sendProxyProtocol }: ProbeDeps,
  signal: AbortSignal,
): Promise<Asked> {
  if (isNowhere(address)) return { kind: "unreachable", why: "it has no address at the moment" };
  const dialled = await dialer.dial(address, signal);
  if (!dialled.ok) return { kind: "unreachable", why: dialled.error.message };
  const server = dialled.value;
  const handshake = statusHandshake(hostname ?? address.host, address.port);
  const bytes = Buffer.concat([handshake, statusRequest]);
  send(server, withHeader(bytes, server, proxyProtocol ?? sendProxyProtocol));
  const answer = await awaitAnswer(server, deadlines, signal);
  close(server, deadlines);
  return { kind: "asked", at: server.remote, answer };
}

/** The router speaks for itself: the header names its own end of the connection as the client. */
const withHeader = (bytes: Uint8Array, server: Conn, isWanted: boolean): Uint8Array =>
  isWanted ? Buffer.concat([proxyHeaderV2(localEndpoint(server), server.remote), bytes]) : bytes;

async function awaitAnswer(
  server: Conn,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<Answer> {
  const until = deadlines.now() + answerMs;
  for (;;) {
    const answer = readStatusResponse(peek(server), 0);
    if (answer.kind === "bad") return { kind: "none" };
    if (answer.kind === "ok") {
      const status = membersOf(parseJson(answer.value));
      return status === null ? { kind: "none" } : { kind: "status", status };
    }
    const arrival = await more(server, deadlines, until - deadlines.now(), signal);
    if (arrival === "data") continue;
    return { kind: arrival !== "late" && peek(server).length === 0 ? "closed" : "none" };
  }
}
