import type { Deadlines } from "../base/deadlines.ts";
import type { Dialer } from "../net/dial.ts";
import { type Address, isNowhere, sameAddress } from "../routing/address.ts";
import type { FoundBy, LookRequest, Seen } from "./state.ts";
import type { BackendState, PortState, Probe, WakeableBackend, Waker } from "./waker.ts";

/** What a look needs. */
export interface LookDeps {
  readonly dialer: Pick<Dialer, "accepts">;
  readonly probe: Probe;
  readonly deadlines: Deadlines;
}

/** For how long a platform may keep silent before the addresses that are known are tried, ms. */
const silenceMs = 2_500;

/**
 * Asks the platform how a server is, and the server itself where that is needed. Never rejects but by a
 * defect.
 */
export async function lookAt(
  waker: Waker,
  backend: WakeableBackend,
  request: LookRequest,
  signal: AbortSignal,
  deps: LookDeps,
): Promise<Seen> {
  const { dialer, deadlines } = deps;
  const { how, doubt, known, triesOwn } = request;
  const fallbacks = (known === null ? [backend.address] : [known, backend.address]).filter(
    (address) => !isNowhere(address),
  );

  async function seen(state: BackendState): Promise<Seen> {
    switch (state.kind) {
      case "running":
        return isBelieved(state.address)
          ? { kind: "ready", address: state.address, by: waker.kind }
          : tried([state.address], waker.kind);
      case "expected":
        return tried(state.addresses, waker.kind);
      case "unknown": {
        const found = await tried(state.addresses, "row");
        const isDown = found.kind === "loading" && found.port === "closed" && how !== "ready";
        return isDown ? { kind: "stopped", word: "closed" } : found;
      }
      case "starting":
      case "stopped":
      case "failed":
        return (triesOwn ? await atFallback() : null) ?? state;
      case "trouble":
        return (await atFallback()) ?? state;
      case "delayed":
        return state;
    }
  }

  /**
   * A running server is taken at its word once; after a player could not get in, the server itself has to
   * answer.
   */
  const isBelieved = (address: Address): boolean =>
    how === "first" || (how === "doubt" && doubt !== null && !sameAddress(address, doubt.address));

  /** The first of the addresses at which the server is ready; else the one that comes closest to it. */
  async function tried(addresses: readonly Address[], by: FoundBy): Promise<Seen> {
    let best: Seen & { readonly kind: "loading" } = {
      kind: "loading",
      address: addresses[0] ?? backend.address,
      by,
      port: "closed",
      reason: `${addresses.map(({ text }) => text).join(" and ")} ${portText.closed}`,
    };
    for (const address of addresses) {
      const { port, why } = await portAt(address);
      if (port === "ready") return { kind: "ready", address, by: byOf(address, by) };
      if (best.port !== "closed" || (port === "closed" && why === null)) continue;
      const reason = why === null ? portText[port] : `cannot be reached: ${why}`;
      best = { ...best, address, port, reason: `${address.text} ${reason}` };
    }
    return best;
  }

  /** An address that only the route names was not told by the platform. */
  const byOf = (address: Address, by: FoundBy): FoundBy =>
    by === "row" && !sameAddress(address, backend.address) ? waker.kind : by;

  async function portAt(address: Address): Promise<PortState> {
    if (how !== "first") return deps.probe(address, backend, signal);
    return { port: (await dialer.accepts(address, signal)) ? "ready" : "closed", why: null };
  }

  /** Where the server is although the platform does not say so; null where it is not. */
  async function atFallback(): Promise<Seen | null> {
    if (fallbacks.length === 0) return null;
    const found = await tried(fallbacks, "row");
    return found.kind === "loading" && found.port === "closed" ? null : found;
  }

  const asking = waker.look(backend, signal);
  if (how === "first" && (await isSilent(asking, deadlines))) {
    const found = await atFallback();
    if (found !== null) return found;
  }
  return seen(await asking);
}

/** True when the answer takes its time. */
function isSilent(asking: Promise<unknown>, deadlines: Deadlines): Promise<boolean> {
  const answered = new AbortController();
  const stop = (): void => answered.abort();
  asking.then(stop, stop);
  return deadlines.sleep(silenceMs, answered.signal);
}

const portText: Readonly<Record<Exclude<PortState["port"], "ready">, string>> = {
  closed: "takes no connection",
  open: "takes connections, but answers no status request yet",
  "no-status": "takes connections, but closes status requests without an answer",
};
