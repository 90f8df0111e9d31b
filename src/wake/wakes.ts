import type { Deadline, Deadlines } from "../base/deadlines.ts";
import type { Result } from "../base/result.ts";
import type { StartRefused, WakeBudget } from "../limits/wake-budget.ts";
import type { Dialer } from "../net/dial.ts";
import { type Address, isNowhere, sameAddress } from "../routing/address.ts";
import { type WakeTarget, wakeKey, wakeName } from "../routing/route.ts";
import type { Changes } from "../routing/table.ts";
import { type Attempt, bringUp, type Found } from "./bring-up.ts";
import type { BackendEvent } from "./event.ts";
import type { WakeableBackend, Waker, Wakers } from "./waker.ts";

/**
 * How waiting for a backend ended: it can be dialled, it did not come up, the signal aborted, nobody is starting it and whoever
 * asked may not, or it is not started now.
 */
export type Woken =
  | { readonly kind: "awake"; readonly address: Address }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "left" }
  | { readonly kind: "denied" }
  | StartRefused;

/** Whom a backend would be started for. */
export interface Starter {
  /** The client's IP literal. */
  readonly ip: string;
  /** False: it may only join what is under way. */
  readonly mayStart: boolean;
  /** Asks the client to show that it is a game; false when it does not. Null where that is not wanted. Called once at most. */
  readonly prove: (() => Promise<boolean>) | null;
}

/** The backends that can be woken. One wake per backend, shared by everyone who waits for it. */
export interface Wakes {
  /**
   * Waits until the backend can be dialled. The first to wait starts the wake, later ones join it, and it ends early when the last
   * one has left. Who may not start it can join all the same. Where nobody who waits may start it yet, it is looked whether it runs.
   * Rejects only with what code of ours threw on the way: everybody who waits gets it.
   */
  wake(sleeper: WakeableBackend, starter: Starter, signal: AbortSignal): Promise<Woken>;
  /**
   * Tells that the address which `wake` gave did not take a player: running, but not ready yet. The next `wake` goes on from there.
   * `reason` is why the dial failed; null where it did not.
   */
  refused(sleeper: WakeableBackend, address: Address, reason: string | null): void;
  /** Tells that nothing answered at the address which `addressOf` gave: it is not up, or not there any more. */
  unreachable(sleeper: WakeableBackend, address: Address): void;
  /** True while a wake can be joined: it is under way, or has just been done. */
  isJoinable(target: WakeTarget): boolean;
  /** True while a wake is under way for a backend that is known not to be up. */
  isWaking(target: WakeTarget): boolean;
  /** Where the backend is reached without waking it. */
  addressOf(sleeper: WakeableBackend): Address;
  /** Until when somebody may wait who has waited since then, on the deadlines' clock. It may become later while a wake is under way. */
  endsAt(target: WakeTarget, since: number): number;
  /** True when the backend may be started. */
  canStart(target: WakeTarget): boolean;
  /** True when the backend may be put to sleep. */
  canStop(target: WakeTarget): boolean;
  /** Puts a backend to sleep. The error is one readable phrase. */
  stop(target: WakeTarget, signal: AbortSignal): Promise<Result<void, string>>;
  /** What is known of a backend no longer holds, as its routes have changed. A wake that is under way goes on. */
  forget(target: WakeTarget): void;
  /** Takes notice of the routes: what is known of a backend that sleeps by now is forgotten. */
  routesChanged(changes: Pick<Changes, "changed">): void;
}

/** What a fleet needs. */
export interface WakesDeps {
  readonly wakers: Wakers;
  readonly budget: WakeBudget;
  readonly dialer: Pick<Dialer, "accepts">;
  readonly deadlines: Deadlines;
  emit(event: BackendEvent): void;
}

/** How old a wake may be and still be given more time, ms: whoever goes down again and again never comes up. */
const longestDelayMs = 600_000;
/** For how long a result serves those who come after it, ms: five hundred players after a restart cost one start. */
const reuseMs = 5_000;

/** A backend that is up so soon after it was to be started ran already, ms. */
const instantMs = 1_000;

const unproven: StartRefused = {
  kind: "refused",
  why: "proof",
  reason: "the client did not answer as a game does",
};

/** Somebody who waits for a wake. Plain data, as thousands may wait for one. */
interface Waiter {
  readonly wake: Wake;
  readonly starter: Starter;
  readonly signal: AbortSignal;
  readonly waiting: PromiseWithResolvers<Woken>;
  /** Hears the signal; null before and after. */
  leave: (() => void) | null;
  /** Why it cannot have the backend started; null while it still may. */
  refusal: Woken | null;
  isProving: boolean;
}

interface Wake extends Attempt {
  readonly key: string;
  readonly server: string;
  readonly startedAt: number;
  /** Whose budget it was started on; null while it has not been, and when that is settled. */
  payer: string | null;
  /** When its time is over, on the clock of the deadlines. */
  until: number;
  readonly waiters: Set<Waiter>;
  /** Set when the backend can be dialled. */
  result: Address | null;
  /** Ends the work that is under way; null while none is. */
  work: AbortController | null;
  /** Set while it is worked on: ends that at `until`. */
  limit: Deadline | null;
  /** Set while nobody works on it: when it is forgotten. */
  forgetting: Deadline | null;
}

function settle(waiter: Waiter, woken: Woken): void {
  end(waiter);
  waiter.waiting.resolve(woken);
}

function fault(waiter: Waiter, thrown: unknown): void {
  end(waiter);
  waiter.waiting.reject(thrown);
}

function end(waiter: Waiter): void {
  waiter.wake.waiters.delete(waiter);
  if (waiter.leave !== null) waiter.signal.removeEventListener("abort", waiter.leave);
  waiter.leave = null;
}

/** A fleet whose backends are started by others, and dialled without them when they cannot be asked. */
export function createWakes(deps: WakesDeps): Wakes {
  const { deadlines, budget, emit } = deps;
  const wakes = new Map<string, Wake>();

  function wake(sleeper: WakeableBackend, starter: Starter, signal: AbortSignal): Promise<Woken> {
    if (signal.aborted) return Promise.resolve({ kind: "left" });
    const known = wakes.get(wakeKey(sleeper.target));
    if (known?.result) return Promise.resolve({ kind: "awake", address: known.result });
    if (known === undefined && !starter.mayStart) return Promise.resolve({ kind: "denied" });
    const joined = known ?? begin(sleeper);
    joined.sleeper = sleeper;
    const waiter = join(joined, starter, signal);
    askForStart(joined, waiter);
    // It never rejects: what it throws goes to those who wait.
    if (joined.work === null) void work(joined);
    else if (joined.asleep && !joined.isPermitted) settleThoseWhoCannotStart(joined);
    return waiter.waiting.promise;
  }

  function begin(sleeper: WakeableBackend): Wake {
    const { target } = sleeper;
    const waker = wakerOf(target);
    const startedAt = deadlines.now();
    const begun: Wake = {
      key: wakeKey(target),
      server: wakeName(target),
      waker,
      sleeper,
      startedAt,
      until: startedAt + waker.askMs + waker.timeoutMs(target),
      payer: null,
      waiters: new Set(),
      isPermitted: false,
      permission: Promise.withResolvers(),
      accepted: false,
      asleep: false,
      doubtful: null,
      doubt: null,
      result: null,
      work: null,
      limit: null,
      forgetting: null,
      lastTrouble: null,
    };
    wakes.set(begun.key, begun);
    return begun;
  }

  /** Lets the backend be started, if this is somebody who may have that done at once. */
  function askForStart(on: Wake, waiter: Waiter): void {
    if (on.isPermitted) return;
    if (!waiter.starter.mayStart) waiter.refusal = { kind: "denied" };
    else if (waiter.starter.prove === null) payFor(on, waiter);
  }

  function payFor(on: Wake, waiter: Waiter): void {
    const { ip } = waiter.starter;
    const refusal = budget.take(on.key, ip);
    if (refusal !== null) {
      waiter.refusal = refusal;
      return;
    }
    on.payer = ip;
    on.isPermitted = true;
    on.permission.resolve();
    emit({ kind: "wake-started", server: on.server });
  }

  /** Sends those away who cannot have a backend started that is known to be down, and asks the others to prove that they may. */
  function settleThoseWhoCannotStart(on: Wake): void {
    for (const waiter of [...on.waiters]) {
      if (waiter.refusal !== null) sendAway(on, waiter, waiter.refusal);
      else if (!waiter.isProving) void prove(on, waiter);
    }
  }

  async function prove(on: Wake, waiter: Waiter): Promise<void> {
    waiter.isProving = true;
    try {
      const isProven = await waiter.starter.prove?.();
      if (on.isPermitted || !on.waiters.has(waiter)) return;
      if (isProven) payFor(on, waiter);
      else waiter.refusal = unproven;
      if (waiter.refusal !== null) sendAway(on, waiter, waiter.refusal);
    } catch (thrown) {
      fault(waiter, thrown);
    }
  }

  function sendAway(on: Wake, waiter: Waiter, refusal: Woken): void {
    if (refusal.kind === "refused") {
      emit({ kind: "wake-refused", server: on.server, why: refusal.why, reason: refusal.reason });
    }
    settle(waiter, refusal);
    if (on.waiters.size === 0) abandon(on);
  }

  function wakerOf(target: WakeTarget): Waker {
    const waker: Waker | null | undefined = deps.wakers[target.kind];
    if (!waker) throw new Error(`there is no waker of the kind ${target.kind}`);
    return waker;
  }

  function join(wake: Wake, starter: Starter, signal: AbortSignal): Waiter {
    const waiter: Waiter = {
      wake,
      starter,
      signal,
      waiting: Promise.withResolvers(),
      leave: null,
      refusal: null,
      isProving: false,
    };
    waiter.leave = () => {
      settle(waiter, { kind: "left" });
      if (wake.waiters.size === 0) abandon(wake);
    };
    signal.addEventListener("abort", waiter.leave, { once: true });
    wake.waiters.add(waiter);
    return waiter;
  }

  function abandon(left: Wake): void {
    // A wake whose time is over has failed, even if its last waiter leaves in the same moment.
    if (left.work === null || left.work.signal.aborted) return;
    left.work.abort();
    left.work = null;
    drop(left);
    if (!left.isPermitted) return;
    emit({
      kind: "wake-abandoned",
      server: left.server,
      tookMs: deadlines.now() - left.startedAt,
    });
  }

  /** Works on one wake until its backend can be dialled, its time is over or nobody waits any more. */
  async function work(on: Wake): Promise<void> {
    const control = new AbortController();
    on.work = control;
    on.forgetting?.cancel();
    setLimit(on, control);
    const notes = {
      accepted() {
        if (on.waker.asking === "once") beginAnew(on, control, 0);
      },
      delayed(ms: number) {
        if (deadlines.now() + ms < on.startedAt + longestDelayMs) beginAnew(on, control, ms);
      },
      waitsForPermission: () => settleThoseWhoCannotStart(on),
    };
    try {
      const found = await bringUp(on, notes, control.signal, deps);
      // Abandoned, and told so already.
      if (on.work !== control) return;
      if (found === null) fail(on);
      else succeed(on, found);
    } catch (thrown) {
      control.abort();
      drop(on);
      for (const waiter of on.waiters) fault(waiter, thrown);
    } finally {
      on.limit?.cancel();
    }
  }

  /** The time for it counts from in so many ms. */
  function beginAnew(on: Wake, control: AbortController, inMs: number): void {
    if (on.work !== control) return;
    on.until = deadlines.now() + inMs + on.waker.timeoutMs(on.sleeper.target);
    setLimit(on, control);
  }

  function setLimit(on: Wake, control: AbortController): void {
    on.limit?.cancel();
    const leftMs = Math.max(0, on.until - deadlines.now());
    on.limit = deadlines.after(leftMs, () => control.abort());
  }

  function succeed(on: Wake, found: Found): void {
    settleBill(on);
    on.work = null;
    on.result = found.address;
    on.asleep = false;
    on.forgetting = deadlines.after(reuseMs, () => drop(on));
    const moved = on.waker.moved(on.sleeper.target);
    if (moved !== null && !sameAddress(moved, found.address)) on.waker.forget(on.sleeper.target);
    // A backend that takes connections and drops them is found again and again; once is news.
    if (on.doubtful === null) {
      emit({
        kind: "wake-done",
        server: on.server,
        address: found.address.text,
        by: found.by,
        waiters: on.waiters.size,
        tookMs: deadlines.now() - on.startedAt,
      });
    }
    for (const waiter of on.waiters) settle(waiter, { kind: "awake", address: found.address });
  }

  /** A start that turns out to have been none costs nothing. */
  function settleBill(on: Wake): void {
    if (on.payer === null) return;
    const wasUp = !on.asleep && deadlines.now() - on.startedAt < instantMs;
    if (wasUp) budget.giveBack(on.payer);
    on.payer = null;
    budget.succeeded(on.key);
  }

  function fail(on: Wake): void {
    if (on.isPermitted) budget.failed(on.key);
    on.work = null;
    drop(on);
    on.waker.forget(on.sleeper.target);
    const reason = on.lastTrouble ?? "it was not running in time";
    emit({
      kind: "wake-failed",
      server: on.server,
      reason,
      waiters: on.waiters.size,
      tookMs: deadlines.now() - on.startedAt,
    });
    for (const waiter of on.waiters) settle(waiter, { kind: "failed", reason });
  }

  /** Forgets a wake, unless it has a successor already. */
  function drop(on: Wake): void {
    on.forgetting?.cancel();
    if (wakes.get(on.key) === on) wakes.delete(on.key);
  }

  function refused({ target }: WakeableBackend, address: Address, reason: string | null): void {
    const on = wakes.get(wakeKey(target));
    if (on === undefined || on.result === null || !sameAddress(on.result, address)) return;
    on.result = null;
    on.doubtful = address;
    on.doubt = reason;
    on.asleep = true;
  }

  function unreachable({ target }: WakeableBackend, address: Address): void {
    const on = wakes.get(wakeKey(target));
    if (on !== undefined && on.work !== null) {
      on.asleep = true;
      return;
    }
    const waker = wakerOf(target);
    const moved = waker.moved(target);
    if (moved !== null && sameAddress(moved, address)) waker.forget(target);
  }

  function stop(target: WakeTarget, signal: AbortSignal): Promise<Result<void, string>> {
    forgetResult(target);
    return wakerOf(target).stop(target, signal);
  }

  /** A result that nobody waits for must not send a player to a backend that is not there any more. */
  function forgetResult(target: WakeTarget): void {
    const on = wakes.get(wakeKey(target));
    if (on !== undefined && on.work === null) drop(on);
  }

  function forget(target: WakeTarget): void {
    forgetResult(target);
    wakerOf(target).forget(target);
  }

  return {
    wake,
    refused,
    unreachable,
    isJoinable(target) {
      const on = wakes.get(wakeKey(target));
      return on !== undefined && (on.isPermitted || on.result !== null);
    },
    isWaking(target) {
      const on = wakes.get(wakeKey(target));
      return on?.isPermitted === true && on.asleep;
    },
    addressOf({ target, address }) {
      const moved = wakerOf(target).moved(target);
      if (moved !== null || !isNowhere(address)) return moved ?? address;
      // Its route does not know yet that it is up.
      return wakes.get(wakeKey(target))?.result ?? address;
    },
    endsAt(target, since) {
      const { askMs, timeoutMs } = wakerOf(target);
      return Math.max(since + askMs + timeoutMs(target), wakes.get(wakeKey(target))?.until ?? 0);
    },
    canStart: (target) => wakerOf(target).canStart(target),
    canStop: (target) => wakerOf(target).canStop(target),
    stop,
    forget,
    routesChanged({ changed }) {
      for (const { after } of changed) {
        const { address, wake: target } = after.route;
        if (target !== null && isNowhere(address)) forget(target);
      }
    },
  };
}
