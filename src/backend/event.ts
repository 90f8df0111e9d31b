/** What happens to backends and to the control plane that starts them, as the operator needs to know it. */
export type BackendEvent =
  | { readonly kind: "wake-started"; readonly server: string }
  /** The server can be dialled. `by` tells who said where: the control plane, or the row because the control plane could not be asked. */
  | {
      readonly kind: "wake-done";
      readonly server: string;
      readonly address: string;
      readonly by: "control-plane" | "row";
      readonly waiters: number;
      readonly tookMs: number;
    }
  /** The time for it is over. `reason` is what stood in the way last. */
  | {
      readonly kind: "wake-failed";
      readonly server: string;
      readonly reason: string;
      readonly waiters: number;
      readonly tookMs: number;
    }
  /** The last player that waited for it has left. */
  | { readonly kind: "wake-abandoned"; readonly server: string; readonly tookMs: number }
  /** The control plane does not do its part for a server. Emitted once until it does again. */
  | { readonly kind: "control-plane-lost"; readonly server: string; readonly reason: string }
  | { readonly kind: "control-plane-back"; readonly server: string };
