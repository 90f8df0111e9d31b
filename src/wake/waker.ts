import type { Result } from "../base/result.ts";
import type { Address } from "../routing/address.ts";
import type { WakeTarget } from "../routing/route.ts";

/** How a platform says that a server is. */
export type BackendState =
  /** It runs there, and the platform knows. */
  | { readonly kind: "running"; readonly address: Address }
  /** It runs or starts, and is up where the first of these addresses takes connections. */
  | { readonly kind: "expected"; readonly addresses: readonly Address[] }
  /** The platform cannot tell: it runs if one of these addresses takes connections. */
  | { readonly kind: "unknown"; readonly addresses: readonly Address[] }
  /** It starts, in the platform's own word. */
  | { readonly kind: "starting"; readonly word: string }
  /** It does not run; every word that the router does not know counts as this one. */
  | { readonly kind: "stopped"; readonly word: string }
  /** It has gone down on its way up, and the platform starts it again in so many ms. */
  | { readonly kind: "delayed"; readonly ms: number }
  /** Its start came to nothing. `message` is for the player; null where the platform has no words for one. */
  | { readonly kind: "failed"; readonly reason: string; readonly message: string | null }
  /** The platform could not be asked, or made no sense. */
  | { readonly kind: "trouble"; readonly reason: string };

/** A server that may have to be started, as its route describes it. */
export interface WakeableBackend<Target extends WakeTarget = WakeTarget> {
  readonly target: Target;
  /** The route's own address. */
  readonly address: Address;
  /** A hostname that leads to it, for a status request; left out, its address. */
  readonly hostname?: string;
  /** Whether it wants a PROXY protocol header; left out, the router's setting decides. */
  readonly proxyProtocol?: boolean;
}

/** Why a start was not accepted, as one readable phrase. `isFinal`: asking again is of no use. */
export interface StartFailure {
  readonly reason: string;
  readonly isFinal: boolean;
}

/** How long wakes of one kind take, ms. */
export interface WakeTiming<Target extends WakeTarget = WakeTarget> {
  /** How long a start may take. */
  timeoutMs(target: Target): number;
  /** How long it may take from its acceptance on; null: acceptance changes nothing. */
  readonly afterAcceptMs: number | null;
  /** The pause after the `round`-th look, the first being 1. */
  pauseMs(round: number): number;
}

/** Looks at, starts and stops the servers of one platform. It is given backends of its kind only. */
export interface Waker<Target extends WakeTarget = WakeTarget> {
  readonly kind: Target["kind"];
  readonly timing: WakeTiming<Target>;
  /** How the server is. Changes nothing. */
  look(backend: WakeableBackend<Target>, signal: AbortSignal): Promise<BackendState>;
  /**
   * Asks for a start, which is harmless for a server that starts or runs. Never two at once for one server,
   * nor one beside a stop.
   */
  start(backend: WakeableBackend<Target>, signal: AbortSignal): Promise<Result<void, StartFailure>>;
  /** Puts one to sleep. The error is one readable phrase. */
  stop(target: Target, signal: AbortSignal): Promise<Result<void, string>>;
  /** What the router may do with it. */
  may(target: Target): { readonly start: boolean; readonly stop: boolean };
}

/** One waker for each kind of target; null or left out where there is none. */
export type Wakers = {
  readonly [Kind in WakeTarget["kind"]]?: Waker<Extract<WakeTarget, { kind: Kind }>> | null;
};

/** What a server's port does. */
export interface PortState {
  /** It is closed, open without an answer, closes each status request (`no-status`), or answers one. */
  readonly port: "closed" | "open" | "no-status" | "ready";
  /** Why it cannot be reached; null where that is not known. */
  readonly why: string | null;
}

/**
 * Finds out whether a game answers at an address. Settles in a few seconds, and leaves no connection behind.
 */
export type Probe = (
  address: Address,
  backend: WakeableBackend,
  signal: AbortSignal,
) => Promise<PortState>;
