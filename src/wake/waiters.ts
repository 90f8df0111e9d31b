import { onAbort } from "../base/abort.ts";
import type { Deadline, Deadlines } from "../base/deadlines.ts";
import type { StartRefused } from "../limits/wake-budget.ts";
import type { Address } from "../routing/address.ts";

/**
 * How waiting for a server ended: it can be dialled, it did not come up, the signal aborted, no route leads
 * to it any more, it sleeps and the player may not have it started, or it is not started now.
 */
export type Woken =
  | { readonly kind: "awake"; readonly address: Address; readonly pass: Pass }
  /** `message` is the platform's, for the player. */
  | { readonly kind: "failed"; readonly reason: string; readonly message: string | null }
  | { readonly kind: "left" }
  | { readonly kind: "gone" }
  | { readonly kind: "denied" }
  | StartRefused;

/** A client's turn to dial. Exactly one of the two is called, unless the signal aborts first. */
export interface Pass {
  /** The server has said its first word, and the wait is over. */
  arrived(): void;
  /**
   * The address took no player: the client waits again, before all that came later. `reason` is null where
   * nothing was said.
   */
  failed(reason: string | null): Promise<Woken>;
}

/** The client that a server would be started for. */
export interface Starter {
  /** IP literal. */
  readonly ip: string;
  /** The player's name; null where the client gave none. */
  readonly player: string | null;
  /** False: it may only join what is under way. */
  readonly mayStart: boolean;
  /**
   * Asks the client to show that it is a game; false when it does not. Null where that is not wanted. Called
   * once at most.
   */
  readonly prove: (() => Promise<boolean>) | null;
}

/** A client that waits. Plain data, as thousands may wait for one server. */
export interface Waiter {
  readonly starter: Starter;
  waiting: PromiseWithResolvers<Woken>;
  /** Lets go of the signal. */
  release: () => void;
  /** Whether it has shown that it is a game; `proven` where that is not wanted. */
  proof: "unproven" | "proving" | "proven" | "failed";
  /** Set while its dial keeps others waiting. */
  turn: Deadline | null;
  /** When it was given the address that it dials. */
  releasedAt: number;
  /** What it waited for; null while it waits or dials. */
  ended: Woken | null;
}

/** The clients that wait for one server, in order of arrival. */
export interface Waiters {
  /** All that wait or dial. */
  count(): number;
  add(starter: Starter, signal: AbortSignal): Promise<Woken>;
  /**
   * The first of those that may be asked whether the server may be started for them; null when there is none.
   */
  candidate(): Waiter | null;
  /** Takes it out of the candidates while it proves that it is a game, and puts it back. */
  proving(waiter: Waiter): void;
  proved(waiter: Waiter, isProven: boolean): void;
  /** True while it waits or dials. */
  has(waiter: Waiter): boolean;
  /** Lets the next ones dial, a few at a time. */
  release(address: Address, now: number): void;
  settle(waiter: Waiter, woken: Woken): void;
  settleAll(woken: Woken): void;
  /** Code of ours threw. */
  rejectAll(thrown: unknown): void;
}

/** What the waiters of one server need. */
export interface WaitersDeps {
  readonly deadlines: Deadlines;
  /** The last one has gone, whether in or away. */
  deserted(): void;
  /** A turn is over: the next one may dial. */
  turnOver(): void;
  /** A dial failed. */
  dialFailed(address: Address, reason: string | null, releasedAt: number): void;
}

/** Dials that may be under way at once for one server, each for as long as its turn lasts, ms. */
const turns = 8;
const turnMs = 250;

/** No client waits yet. */
export function createWaiters(deps: WaitersDeps): Waiters {
  const all = new Set<Waiter>();
  /** Those that have not been given an address; those whose dial failed come first. */
  const queue = new Set<Waiter>();
  const back = new Set<Waiter>();
  const candidates = new Set<Waiter>();
  let dialling = 0;

  function add(starter: Starter, signal: AbortSignal): Promise<Woken> {
    const waiter: Waiter = {
      starter,
      waiting: Promise.withResolvers(),
      release: () => undefined,
      proof: starter.prove === null ? "proven" : "unproven",
      turn: null,
      releasedAt: 0,
      ended: null,
    };
    all.add(waiter);
    queue.add(waiter);
    candidates.add(waiter);
    waiter.release = onAbort(signal, () => settle(waiter, { kind: "left" }));
    return waiter.waiting.promise;
  }

  function settle(waiter: Waiter, woken: Woken): void {
    if (!all.has(waiter)) return;
    end(waiter);
    waiter.ended = woken;
    waiter.waiting.resolve(woken);
    if (all.size === 0) deps.deserted();
  }

  function end(waiter: Waiter): void {
    for (const set of [all, queue, back, candidates]) set.delete(waiter);
    waiter.release();
    endTurn(waiter);
  }

  function endTurn(waiter: Waiter): void {
    if (waiter.turn === null) return;
    waiter.turn.cancel();
    waiter.turn = null;
    dialling -= 1;
    deps.turnOver();
  }

  function release(address: Address, now: number): void {
    while (dialling < turns) {
      const [waiter] = back.size > 0 ? back : queue;
      if (waiter === undefined) return;
      back.delete(waiter);
      queue.delete(waiter);
      dialling += 1;
      waiter.releasedAt = now;
      waiter.turn = deps.deadlines.after(turnMs, () => endTurn(waiter));
      waiter.waiting.resolve({ kind: "awake", address, pass: passOf(waiter, address) });
    }
  }

  function passOf(waiter: Waiter, address: Address): Pass {
    return {
      arrived() {
        if (!all.has(waiter)) return;
        end(waiter);
        if (all.size === 0) deps.deserted();
      },
      failed(reason) {
        if (!all.has(waiter)) return Promise.resolve(waiter.ended ?? { kind: "left" });
        waiter.waiting = Promise.withResolvers();
        const { promise } = waiter.waiting;
        back.add(waiter);
        // Before its turn ends, so that the next one is not sent to the same address.
        deps.dialFailed(address, reason, waiter.releasedAt);
        endTurn(waiter);
        return promise;
      },
    };
  }

  return {
    count: () => all.size,
    add,
    candidate() {
      const [first] = candidates;
      return first ?? null;
    },
    proving(waiter) {
      waiter.proof = "proving";
      candidates.delete(waiter);
    },
    proved(waiter, isProven) {
      waiter.proof = isProven ? "proven" : "failed";
      if (all.has(waiter)) candidates.add(waiter);
    },
    has: (waiter) => all.has(waiter),
    release,
    settle,
    settleAll(woken) {
      for (const waiter of all) settle(waiter, woken);
    },
    rejectAll(thrown) {
      for (const waiter of all) {
        waiter.waiting.reject(thrown);
        settle(waiter, { kind: "left" });
      }
    },
  };
}
