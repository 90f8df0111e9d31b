import type { Address } from "../routing/address.ts";
import type { WakeTarget } from "../routing/route.ts";

/** Who said where a server is: its waker, or its route because the waker could not be asked. */
export type FoundBy = WakeTarget["kind"] | "row";

/** The client that a start was charged to. */
export interface Payer {
  /** IP literal. */
  readonly ip: string;
  /** The player's name; null where the client did not give one. */
  readonly player: string | null;
}

/**
 * What one look at a server came to. A port is `closed`, `open` without an answer to a status request so far,
 * or `no-status`: it takes connections and closes each status request without an answer.
 */
export type Seen =
  | { readonly kind: "ready"; readonly address: Address; readonly by: FoundBy }
  | {
      readonly kind: "loading";
      readonly address: Address;
      readonly by: FoundBy;
      readonly port: "closed" | "open" | "no-status";
      readonly reason: string;
    }
  /** The platform says that it starts, in its own word. */
  | { readonly kind: "starting"; readonly word: string }
  /** It does not run; the word is the platform's. */
  | { readonly kind: "stopped"; readonly word: string }
  /** It has gone down, and the platform starts it again in so many ms. */
  | { readonly kind: "delayed"; readonly ms: number }
  /** Its start came to nothing. `message` is for the player. */
  | { readonly kind: "failed"; readonly reason: string; readonly message: string | null }
  /** The platform could not be asked, or made no sense. */
  | { readonly kind: "trouble"; readonly reason: string };

/**
 * An address that took no player. `reason` is why the dial failed; null where it was dropped without a word.
 */
export interface Doubt {
  readonly address: Address;
  readonly reason: string | null;
}

/** Calls to the waker that have not been answered yet. They outlive the states. */
export interface Calls {
  readonly start: boolean;
  readonly look: boolean;
}

/** What has been seen of a server since its start. */
export interface Evidence {
  /** The platform has said that it does not run. */
  readonly wasDown: boolean;
  /** It has been seen starting or running since. */
  readonly wasAlive: boolean;
  /** It was failed before the start, and nothing else has been seen since. */
  readonly wasFailed: boolean;
  /** When its port was first open, if it still is. */
  readonly openSince: number | null;
  /** The platform's last word, and what stood in the way last; null before there is one. */
  readonly word: string | null;
  readonly trouble: string | null;
}

/** The state of one server. Times are ms on a clock that never jumps. */
export type WakeState = { readonly calls: Calls } & (
  | { readonly kind: "unknown" }
  /**
   * A client waits for the first answer, or for a client that the start may be charged to. `down` is why it
   * has to be started.
   */
  | {
      readonly kind: "looking";
      readonly since: number;
      readonly round: number;
      readonly doubt: Doubt | null;
      readonly down: (Seen & { readonly kind: "stopped" | "failed" | "trouble" }) | null;
    }
  | {
      readonly kind: "starting";
      readonly since: number;
      /** When the start was accepted, or the platform was first seen starting the server; null: not yet. */
      readonly acceptedAt: number | null;
      /** Null where no start was sent. */
      readonly payer: Payer | null;
      readonly until: number;
      readonly round: number;
      readonly lookedAt: number;
      /** No look is due, as no client waits. */
      readonly isResting: boolean;
      /** The next look decides: the start was refused for good, or its time is over. */
      readonly isLast: boolean;
      readonly evidence: Evidence;
    }
  | {
      readonly kind: "up";
      readonly address: Address;
      readonly since: number;
      /** When a look last said so. */
      readonly confirmedAt: number;
    }
  | {
      readonly kind: "failed";
      readonly since: number;
      readonly reason: string;
      readonly message: string | null;
      readonly until: number;
    }
);

/** What happens to a server, or is learned of it. */
export type WakeEvent =
  /** A client begins to wait. */
  | { readonly kind: "login" }
  /** The last client that waited has left. */
  | { readonly kind: "deserted" }
  | { readonly kind: "pinged" }
  /** A look was answered after so many ms. */
  | { readonly kind: "looked"; readonly seen: Seen; readonly tookMs: number }
  /** A client was found that may have the server started, and has been charged. */
  | { readonly kind: "permitted"; readonly payer: Payer }
  | { readonly kind: "started" }
  /** The start was not accepted. `isFinal`: asking again is of no use. */
  | { readonly kind: "refused"; readonly reason: string; readonly isFinal: boolean }
  /** The pause before the next look is over. */
  | { readonly kind: "due" }
  /** The state's `until` has come. */
  | { readonly kind: "expired" }
  /** A dial to the address failed; it had been given out at `since`. */
  | { readonly kind: "dial-failed"; readonly doubt: Doubt; readonly since: number }
  /** The route's own address has changed. */
  | { readonly kind: "moved"; readonly address: Address }
  /** No route leads to the server any more. */
  | { readonly kind: "removed" }
  /** The router puts it to sleep. */
  | { readonly kind: "stopping" };

/** How a look is made. */
export interface LookRequest {
  /** `first` believes what it is told; `doubt` and `ready` want an answer of the server itself. */
  readonly how: "first" | "doubt" | "ready";
  /** The address that took no player; null where none is in doubt. */
  readonly doubt: Doubt | null;
  /** Where the server was up last, for when the platform cannot be asked; null: only where its route says. */
  readonly known: Address | null;
  /**
   * Try the route's address also when the platform says that the server does not run: it has refused the
   * start.
   */
  readonly triesOwn: boolean;
}

/** What has to be done. */
export type Effect =
  | ({ readonly kind: "look" } & LookRequest)
  /** Charge one of the clients that wait, and refuse those for which the server may not be started. */
  | { readonly kind: "elect" }
  | { readonly kind: "start" }
  /**
   * `due` in so many ms; there is one such timer. After a look the time counts from the beginning of that
   * look.
   */
  | { readonly kind: "wait"; readonly ms: number }
  /** The clients that wait may dial. */
  | { readonly kind: "release" }
  | { readonly kind: "refund"; readonly payer: Payer }
  /** What came of a start, for the cool-down. */
  | { readonly kind: "count"; readonly result: "up" | "failed" }
  /** How long a whole start took. */
  | { readonly kind: "learn"; readonly tookMs: number }
  | { readonly kind: "tell-started" }
  | { readonly kind: "tell-abandoned"; readonly tookMs: number }
  | {
      readonly kind: "tell-up";
      readonly address: Address;
      readonly by: FoundBy;
      readonly tookMs: number;
    }
  | { readonly kind: "tell-failed"; readonly reason: string; readonly tookMs: number }
  /** The wake has failed for all clients that wait. */
  | { readonly kind: "fail"; readonly reason: string; readonly message: string | null }
  /** The clients that wait leave: there is no server any more. */
  | { readonly kind: "dismiss" };

/** When an event happens, and what holds for the server then. */
export interface Moment {
  readonly now: number;
  /** A client waits. */
  readonly isAwaited: boolean;
  /** How long a start may take, ms. */
  readonly timeoutMs: number;
  /** How long it may take from its acceptance on; null: acceptance changes nothing. */
  readonly afterAcceptMs: number | null;
  /** How long a failure is remembered, ms. */
  readonly coolDownMs: number;
  /** The pause after the `round`-th look, the first being 1, ms. */
  pauseMs(round: number): number;
}

/** The state that an event leads to, and what has to be done, in order. */
export interface Step {
  readonly state: WakeState;
  readonly effects: readonly Effect[];
}
