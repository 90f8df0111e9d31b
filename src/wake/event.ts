import type { StartRefused } from "../limits/wake-budget.ts";
import type { WakeTarget } from "../routing/route.ts";

/**
 * What happens to backends and to those who start them, as the operator needs to know it. `server` is the
 * backend's name there.
 */
export type BackendEvent =
  | { readonly kind: "wake-started"; readonly server: string }
  /**
   * The server is ready. `by` tells what named its address: its waker, or its route because the waker could
   * not be asked.
   */
  | {
      readonly kind: "wake-done";
      readonly server: string;
      readonly address: string;
      readonly by: WakeTarget["kind"] | "row";
      readonly waiters: number;
      readonly tookMs: number;
    }
  /** The time for it is over, or it could not be started. `reason` is what stood in the way last. */
  | {
      readonly kind: "wake-failed";
      readonly server: string;
      readonly reason: string;
      readonly waiters: number;
      readonly tookMs: number;
    }
  /**
   * A sleeping server is not started for a client: there is no budget for it, or the client did not prove
   * that it is a game.
   */
  | {
      readonly kind: "wake-refused";
      readonly server: string;
      readonly why: StartRefused["why"];
      readonly reason: string;
    }
  /** The last player that waited for it has left. Its start goes on. */
  | { readonly kind: "wake-abandoned"; readonly server: string; readonly tookMs: number }
  /** A call to the control plane fails for a server. Emitted once for each call until it succeeds again. */
  | {
      readonly kind: "control-plane-lost";
      readonly server: string;
      readonly call: "start" | "status" | "stop";
      readonly reason: string;
    }
  | {
      readonly kind: "control-plane-back";
      readonly server: string;
      readonly call: "start" | "status" | "stop";
    }
  /** The webhook does not start a server. Emitted once until it does again. */
  | { readonly kind: "webhook-lost"; readonly server: string; readonly reason: string }
  | { readonly kind: "webhook-back"; readonly server: string }
  /** The last client has left it: it is put to sleep after `afterMs`, unless another one comes. */
  | { readonly kind: "idle-armed"; readonly server: string; readonly afterMs: number }
  /** It has been idle, and is being put to sleep. */
  | { readonly kind: "sleep-started"; readonly server: string }
  | { readonly kind: "sleep-done"; readonly server: string; readonly tookMs: number }
  /** It was not put to sleep, which is tried again after `retryMs`. */
  | {
      readonly kind: "sleep-failed";
      readonly server: string;
      readonly reason: string;
      readonly retryMs: number;
    };
