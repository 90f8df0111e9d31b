import { hostPort } from "../base/ip.ts";
import { abort, type Conn, localEndpoint, peek, take } from "../net/conn.ts";
import type { Dialer, Opening as DialOpening } from "../net/dial.ts";
import { loginInsteadOfTransfer } from "../protocol/handshake.ts";
import type { Opening } from "../protocol/opening.ts";
import { proxyHeaderV2 } from "../protocol/proxy-header.ts";
import { type Address, isNowhere, sameAddress } from "../routing/address.ts";
import type { Hostname } from "../routing/hostname.ts";
import { type Route, type WakeTarget, wakeName } from "../routing/route.ts";
import type { Idle, Visit } from "../wake/idle.ts";
import type { WakeableBackend } from "../wake/waker.ts";
import type { Wakes } from "../wake/wakes.ts";
import type { SessionEvent } from "./event.ts";
import type { MotdValues } from "./motd.ts";
import type { Outcome } from "./outcome.ts";
import { goneSignal, type Session } from "./session.ts";

/**
 * What serving a session came to: it is over, or it goes on as a relay. A ping's relay may not stand still.
 */
export type ServeResult =
  | Outcome
  | { readonly kind: "joined"; readonly backend: Conn; readonly isPing: boolean };

/** What a client asks for, and the route that matched. */
export interface Request<Kind extends Opening["kind"]> {
  readonly opening: Extract<Opening, { kind: Kind }>;
  readonly hostname: Hostname;
  readonly route: Route;
  /** How many bytes of the inbox the opening takes. */
  readonly openingLength: number;
}

/** What the way to a backend needs. */
export interface BackendDeps {
  readonly dialer: Dialer;
  /** Null when no backend can be woken. */
  readonly wakes: Wakes | null;
  /** Null when no backend is ever put to sleep. */
  readonly idle: Idle | null;
  /** Backends get a PROXY protocol header, unless their route says otherwise. */
  readonly sendProxyProtocol: boolean;
  /** Transfers reach the backend as plain logins. */
  readonly transferAsLogin: boolean;
  emit(event: SessionEvent): void;
}

/** What came of dialling one address. */
export type Connected =
  | { readonly kind: "reached"; readonly backend: Conn }
  | { readonly kind: "unreachable"; readonly reason: string }
  /** The client has gone meanwhile. */
  | { readonly kind: "left" };

/** True for a backend that may be started, or whose start is under way already. */
export const isWakeable = (target: WakeTarget, wakes: Wakes): boolean =>
  wakes.may(target).start || wakes.isJoinable(target);

/**
 * What the texts of a route may name: its server, how long a start usually takes, and how many clients wait
 * for it.
 */
export function motdValues({ wake, id }: Route, wakes: Wakes | null): MotdValues {
  const view = wake === null || wakes === null ? null : wakes.view(wake);
  return {
    server: wake === null ? id : wakeName(wake),
    reason: null,
    etaMs: view?.usualStartMs ?? null,
    waiting: view?.waiting ?? null,
    now: Date.now(),
  };
}

/** The visit of a session, which has not begun; null where no backend is ever put to sleep. */
export const visitTo = (route: Route, isLogin: boolean, { idle }: BackendDeps): Visit | null =>
  idle === null ? null : idle.visit(route.wake, isLogin);

/**
 * Takes `length` bytes, which begin with the opening, from the inbox and returns them: the client's own
 * bytes, with a transfer's intent changed where that is set.
 */
export function takeOpening(
  { client }: Session,
  { opening }: Pick<Request<"status" | "login" | "legacy-ping">, "opening">,
  length: number,
  deps: BackendDeps,
): Uint8Array {
  const own = peek(client).subarray(0, length);
  take(client, length);
  const isTransfer = opening.kind === "login" && opening.handshake.intent === "transfer";
  return isTransfer && deps.transferAsLogin ? loginInsteadOfTransfer(own) : own;
}

/**
 * What the route's backend is sent for these bytes: a PROXY protocol header goes first where it wants one.
 */
export function withProxyHeader(
  { client, facts, local }: Session,
  route: Route,
  bytes: Uint8Array,
  deps: BackendDeps,
): Uint8Array {
  if (!(route.proxyProtocol ?? deps.sendProxyProtocol)) return bytes;
  return Buffer.concat([proxyHeaderV2(facts.client, local ?? localEndpoint(client)), bytes]);
}

/**
 * Dials the address once and sends it the opening; of several endpoints, the first that answers is taken. An
 * address that is nowhere is not dialled.
 */
export async function connect(
  session: Session,
  address: Address,
  opening: DialOpening,
  { dialer }: BackendDeps,
): Promise<Connected> {
  if (isNowhere(address)) return { kind: "unreachable", reason: "has no address at the moment" };
  session.facts.backend = address.text;
  const gone = goneSignal(session);
  const reached = await dialer.reach(address, opening, gone);
  if (!reached.ok) {
    return gone.aborted ? { kind: "left" } : { kind: "unreachable", reason: reached.error.message };
  }
  const { conn, chosen, leave } = reached.value;
  session.leave = leave;
  if (chosen !== null) session.facts.backend = hostPort(chosen.ip, chosen.port);
  return { kind: "reached", backend: conn };
}

/**
 * Tries a backend that shall not be woken: where it was told to be, and then where its route says, if that is
 * elsewhere.
 */
export async function whereItRuns<End extends { readonly kind: string }>(
  backend: WakeableBackend,
  wakes: Wakes,
  reachAt: (address: Address) => Promise<End>,
): Promise<End> {
  const address = wakes.addressOf(backend);
  const end = await reachAt(address);
  if (end.kind !== "unreachable") return end;
  wakes.unreachable(backend, address);
  return sameAddress(address, backend.address) ? end : reachAt(backend.address);
}

/**
 * The backend is reached: from here on the session counts as a visit, and the operator is told. A throw
 * closes the backend.
 */
export function join(
  session: Session,
  backend: Conn,
  isPing: boolean,
  deps: BackendDeps,
): ServeResult {
  try {
    session.visit?.begin();
    session.visit?.reached(backend.remote);
    deps.emit({ kind: "session-relaying", session: session.facts });
  } catch (thrown) {
    abort(backend);
    throw thrown;
  }
  return { kind: "joined", backend, isPing };
}
