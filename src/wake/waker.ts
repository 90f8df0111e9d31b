import type { Result } from "../base/result.ts";
import type { Address } from "../routing/address.ts";
import type { WakeTarget } from "../routing/route.ts";

/** What is known about a backend. `trouble` means that whoever should know could not be asked or did not make sense. */
export type BackendState =
  /** Somebody who should know says so. */
  | { readonly kind: "running"; readonly address: Address }
  /** It should be up at the first of these addresses, now or soon: where connections are accepted, it is. */
  | { readonly kind: "expected"; readonly addresses: readonly Address[] }
  | { readonly kind: "not-running" }
  /** It has gone down on its way up, and whoever runs it starts it again in so many ms: its time counts anew from then. */
  | { readonly kind: "delayed"; readonly ms: number }
  /** It has gone down on its way up, and nobody starts it again. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "trouble"; readonly reason: string };

/** A backend that may have to be started, and the address that its route gives. */
export interface WakeableBackend<Target extends WakeTarget = WakeTarget> {
  readonly target: Target;
  readonly address: Address;
}

/** Whoever starts, and perhaps stops, backends of one kind. It is given sleepers of that kind only. */
export interface Waker<Target extends WakeTarget = WakeTarget> {
  /** Whom wakes are told to be done by. */
  readonly kind: Target["kind"];
  /**
   * `until-accepted`: it is looked how the backend is while a start takes its time, and a refused start is tried again.
   * `once`: everything waits for the start's answer, and the wake's time counts from there; a refused start ends the wake.
   */
  readonly asking: "until-accepted" | "once";
  /** How long a wake may take, ms. */
  timeoutMs(target: Target): number;
  /** How long asking for a start may take before that time begins, ms; 0 where it is part of it. */
  readonly askMs: number;
  /** The pause after the `round`-th look, the first being 1, ms. */
  pauseMs(round: number): number;
  /** Asks for a start; asking again for one that starts or runs is harmless. The error is one readable phrase. */
  start(sleeper: WakeableBackend<Target>, signal: AbortSignal): Promise<Result<void, string>>;
  /** How the backend is, and where. */
  look(sleeper: WakeableBackend<Target>, signal: AbortSignal): Promise<BackendState>;
  /** Where it was told to live for the time being; null: where its route says. */
  moved(target: Target): Address | null;
  /** What is known of where it lives no longer holds. */
  forget(target: Target): void;
  /** Whether it may be started from here. */
  canStart(target: Target): boolean;
  /** Whether it may be put to sleep from here. */
  canStop(target: Target): boolean;
  /** Puts one to sleep. The error is one readable phrase. */
  stop(target: Target, signal: AbortSignal): Promise<Result<void, string>>;
}

/** One waker for each kind of target; null or left out where there is none. */
export type Wakers = {
  readonly [Kind in WakeTarget["kind"]]?: Waker<Extract<WakeTarget, { kind: Kind }>> | null;
};
