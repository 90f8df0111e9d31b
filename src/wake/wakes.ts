import type { Deadline, Deadlines } from "../base/deadlines.ts";
import type { Result } from "../base/result.ts";
import { toError } from "../base/thrown.ts";
import type { StartRefused, WakeBudget } from "../limits/wake-budget.ts";
import type { Dialer } from "../net/dial.ts";
import { type Address, nowhere, sameAddress } from "../routing/address.ts";
import { type WakeTarget, wakeKey, wakeName } from "../routing/route.ts";
import type { Changes, Claim } from "../routing/table.ts";
import type { BackendEvent } from "./event.ts";
import { lookAt } from "./look.ts";
import type { StartTimes } from "./start-times.ts";
import type { Effect, LookRequest, Moment, Seen, WakeEvent, WakeState } from "./state.ts";
import { createWaiters, type Starter, type Waiter, type Waiters, type Woken } from "./waiters.ts";
import { initialWake, next } from "./wake.ts";
import type { Probe, WakeableBackend, Waker, Wakers } from "./waker.ts";

/** The servers that can be woken: the state of each, and the clients that wait for it. */
export interface Wakes {
  /**
   * Waits until it is this client's turn to dial. All clients of a server share its looks and its start. A
   * client that may not start it can join what is under way. Rejects only with what code of ours threw on the
   * way.
   */
  wake(backend: WakeableBackend, starter: Starter, signal: AbortSignal): Promise<Woken>;
  /** A dial to the address that `addressOf` gave came to nothing. */
  unreachable(backend: WakeableBackend, address: Address): void;
  /** A client has pinged the server: while it starts, it may be looked at. */
  pinged(target: WakeTarget): void;
  /** True while clients that may not start the server can join: it starts, or is up. */
  isJoinable(target: WakeTarget): boolean;
  /** True while the server starts. */
  isStarting(target: WakeTarget): boolean;
  /** Where the server is reached without waking it. */
  addressOf(backend: WakeableBackend): Address;
  /**
   * Until when a client may wait that has waited since then, on the deadlines' clock. It may become later
   * while a start is under way.
   */
  endsAt(target: WakeTarget, since: number): number;
  /** What the router may do with the server. */
  may(target: WakeTarget): { readonly start: boolean; readonly stop: boolean };
  /** Puts a server to sleep. The error is one readable phrase. */
  stop(target: WakeTarget, signal: AbortSignal): Promise<Result<void, string>>;
  /** Takes notice of the routes: which servers there are, and their addresses. */
  routesChanged(changes: Pick<Changes, "added" | "removed" | "changed">): void;
  /** What is known of a server. */
  view(target: WakeTarget): WakeView;
  /** What is known of servers, by `wakeKey`. A server of which nothing is known is left out. */
  views(): ReadonlyMap<string, WakeView>;
}

/** One server as an operator sees it. Durations are ms. */
export interface WakeView {
  readonly state: WakeState["kind"];
  /** For how long it has been in this state; null for `unknown`. */
  readonly stateMs: number | null;
  /** Where it was found; null unless it is `up`. */
  readonly address: string | null;
  /** Clients that wait for it. */
  readonly waiting: number;
  /**
   * The player whose login started it, where the client gave a name; null also for a start that is not the
   * router's.
   */
  readonly startedBy: string | null;
  /** Why the last wake failed; null where none has. */
  readonly lastFailure: string | null;
  /** How long a start usually takes; null before the first. */
  readonly usualStartMs: number | null;
}

/** What the wakes need. */
export interface WakesDeps {
  readonly wakers: Wakers;
  readonly budget: WakeBudget;
  readonly dialer: Pick<Dialer, "accepts">;
  readonly probe: Probe;
  readonly deadlines: Deadlines;
  readonly startTimes: StartTimes;
  /** How long a failure is shown, ms. */
  readonly coolDownMs: number;
  emit(event: BackendEvent): void;
  /** Code of ours threw while no client waited. */
  fault(error: Error): void;
}

const unproven: StartRefused = {
  kind: "refused",
  why: "proof",
  reason: "the client did not answer as a game does",
};

/** A server that routes lead to. */
interface Place {
  target: WakeTarget;
  address: Address;
  claims: number;
}

/** A server of which something is known, or for which a client waits. */
interface Live {
  readonly key: string;
  readonly server: string;
  readonly waker: Waker;
  /** With the address that the routes give now. */
  backend: WakeableBackend;
  state: WakeState;
  readonly waiters: Waiters;
  /** Events that have not been handled yet; null while none is being handled. */
  events: WakeEvent[] | null;
  /** When the next look is due, and when the state's time is over. */
  timer: Deadline | null;
  limit: Deadline | null;
  /** Ends the looks that are under way when the server is gone. */
  gone: AbortController;
  /** The start and the stop that are under way, for one must not overtake the other. */
  starting: Promise<void> | null;
  stopping: Promise<unknown> | null;
  startedBy: string | null;
  lastFailure: string | null;
}

/** Wakes of which none is under way yet. */
export function createWakes(deps: WakesDeps): Wakes {
  const { deadlines, budget, emit, startTimes } = deps;
  const places = new Map<string, Place>();
  const lives = new Map<string, Live>();
  /** A start is the server's: it is not taken back when the clients leave. */
  const { signal: never } = new AbortController();

  function wakerOf(target: WakeTarget): Waker {
    const waker: Waker | null | undefined = deps.wakers[target.kind];
    if (!waker) throw new Error(`there is no waker of the kind ${target.kind}`);
    return waker;
  }

  const stateOf = (target: WakeTarget): WakeState =>
    lives.get(wakeKey(target))?.state ?? initialWake;

  function liveOf(backend: WakeableBackend): Live {
    const key = wakeKey(backend.target);
    const known = lives.get(key);
    if (known !== undefined) return known;
    const live: Live = {
      key,
      server: wakeName(backend.target),
      waker: wakerOf(backend.target),
      backend,
      state: initialWake,
      waiters: createWaiters({
        deadlines,
        deserted: () => dispatch(live, { kind: "deserted" }),
        turnOver: () => release(live),
        dialFailed(address, reason, since) {
          dispatch(live, { kind: "dial-failed", doubt: { address, reason }, since });
          dispatch(live, { kind: "login" });
        },
      }),
      events: null,
      timer: null,
      limit: null,
      gone: new AbortController(),
      starting: null,
      stopping: null,
      startedBy: null,
      lastFailure: null,
    };
    lives.set(key, live);
    return live;
  }

  /** Handles one event after the other: effects may cause more of them. */
  function dispatch(live: Live, event: WakeEvent): void {
    if (live.events !== null) {
      live.events.push(event);
      return;
    }
    live.events = [event];
    for (const each of live.events) {
      const { state, effects } = next(live.state, each, momentOf(live));
      live.state = state;
      if (state.kind === "starting") live.startedBy = state.payer?.player ?? null;
      const tookMs = each.kind === "looked" ? each.tookMs : 0;
      for (const effect of effects) {
        try {
          run(live, effect, tookMs);
        } catch (thrown) {
          // The other effects happen all the same: the state counts on them.
          fault(live, thrown);
        }
      }
      setTimers(live);
    }
    live.events = null;
    forgetIdle(live);
  }

  function momentOf({ waker: { timing }, backend: { target }, waiters }: Live): Moment {
    return {
      now: deadlines.now(),
      isAwaited: waiters.count() > 0,
      timeoutMs: timing.timeoutMs(target),
      afterAcceptMs: timing.afterAcceptMs,
      coolDownMs: deps.coolDownMs,
      pauseMs: timing.pauseMs,
    };
  }

  function setTimers(live: Live): void {
    live.limit?.cancel();
    live.limit = null;
    const { state } = live;
    if (state.kind !== "looking" && state.kind !== "starting") {
      live.timer?.cancel();
      live.timer = null;
    }
    if (state.kind !== "starting" && state.kind !== "failed") return;
    // Its last look decides, however long that takes.
    if (state.kind === "starting" && state.isLast) return;
    const leftMs = Math.max(0, state.until - deadlines.now());
    live.limit = deadlines.after(leftMs, () => dispatch(live, { kind: "expired" }));
  }

  /** Nothing is kept of a server of which nothing is known. */
  function forgetIdle(live: Live): void {
    const { state, waiters, stopping } = live;
    const isIdle = state.kind === "unknown" && !state.calls.look && !state.calls.start;
    if (!isIdle || waiters.count() > 0 || stopping !== null) return;
    const isShown = live.lastFailure !== null && places.has(live.key);
    if (!isShown && lives.get(live.key) === live) lives.delete(live.key);
  }

  function run(live: Live, effect: Effect, tookMs: number): void {
    const { server, waiters } = live;
    switch (effect.kind) {
      case "look":
        void look(live, effect);
        return;
      case "elect":
        elect(live);
        return;
      case "start":
        live.starting = start(live);
        return;
      case "wait":
        live.timer?.cancel();
        live.timer = deadlines.after(Math.max(effect.ms / 4, effect.ms - tookMs), () =>
          dispatch(live, { kind: "due" }),
        );
        return;
      case "release":
        release(live);
        return;
      case "refund":
        budget.giveBack(effect.payer.ip);
        return;
      case "count":
        if (effect.result === "up") budget.succeeded(live.key);
        else budget.failed(live.key);
        return;
      case "learn":
        startTimes.note(live.key, effect.tookMs);
        return;
      case "tell-started":
        emit({ kind: "wake-started", server });
        return;
      case "tell-abandoned":
        emit({ kind: "wake-abandoned", server, tookMs: effect.tookMs });
        return;
      case "tell-up":
        emit({
          kind: "wake-done",
          server,
          address: effect.address.text,
          by: effect.by,
          waiters: waiters.count(),
          tookMs: effect.tookMs,
        });
        return;
      case "tell-failed": {
        const { reason } = effect;
        live.lastFailure = reason;
        emit({
          kind: "wake-failed",
          server,
          reason,
          waiters: waiters.count(),
          tookMs: effect.tookMs,
        });
        return;
      }
      case "fail":
        waiters.settleAll({ kind: "failed", reason: effect.reason, message: effect.message });
        return;
      case "dismiss":
        live.gone.abort();
        live.gone = new AbortController();
        waiters.settleAll({ kind: "gone" });
        return;
    }
  }

  function release(live: Live): void {
    const { state, waiters } = live;
    if (state.kind === "up") waiters.release(state.address, deadlines.now());
  }

  async function look(live: Live, request: LookRequest): Promise<void> {
    const since = deadlines.now();
    const answer = (seen: Seen): void =>
      dispatch(live, { kind: "looked", seen, tookMs: deadlines.now() - since });
    try {
      // What is being stopped still says that it runs.
      await live.stopping;
      answer(await lookAt(live.waker, live.backend, request, live.gone.signal, deps));
    } catch (thrown) {
      fault(live, thrown);
      answer({ kind: "trouble", reason: "a defect" });
    }
  }

  async function start(live: Live): Promise<void> {
    try {
      await live.stopping;
      const started = await live.waker.start(live.backend, never);
      dispatch(live, started.ok ? { kind: "started" } : { kind: "refused", ...started.error });
    } catch (thrown) {
      fault(live, thrown);
      dispatch(live, { kind: "refused", reason: "a defect", isFinal: true });
    } finally {
      live.starting = null;
    }
  }

  function fault({ waiters }: Live, thrown: unknown): void {
    if (waiters.count() === 0) deps.fault(toError(thrown));
    else waiters.rejectAll(thrown);
  }

  /** Charges the first client that may have the server started, and sends those away that may not. */
  function elect(live: Live): void {
    const { waiters } = live;
    for (;;) {
      const waiter = waiters.candidate();
      if (waiter === null) return;
      const { starter } = waiter;
      if (!starter.mayStart) {
        waiters.settle(waiter, { kind: "denied" });
      } else if (waiter.proof === "unproven") {
        void prove(live, waiter);
      } else if (waiter.proof === "failed") {
        refuse(live, waiter, unproven);
      } else {
        const refusal = budget.take(live.key, starter.ip);
        if (refusal === null) {
          dispatch(live, { kind: "permitted", payer: { ip: starter.ip, player: starter.player } });
          return;
        }
        refuse(live, waiter, refusal);
      }
    }
  }

  async function prove(live: Live, waiter: Waiter): Promise<void> {
    const { waiters } = live;
    waiters.proving(waiter);
    try {
      waiters.proved(waiter, (await waiter.starter.prove?.()) ?? true);
      // As a client that has just come: the server may have to be started for it.
      if (waiters.has(waiter)) dispatch(live, { kind: "login" });
    } catch (thrown) {
      fault(live, thrown);
    }
  }

  function refuse({ server, waiters }: Live, waiter: Waiter, refusal: StartRefused): void {
    if (waiters.has(waiter)) {
      emit({ kind: "wake-refused", server, why: refusal.why, reason: refusal.reason });
    }
    waiters.settle(waiter, refusal);
  }

  function wake(backend: WakeableBackend, starter: Starter, signal: AbortSignal): Promise<Woken> {
    if (signal.aborted) return Promise.resolve({ kind: "left" });
    const live = liveOf(backend);
    if (!places.has(live.key)) live.backend = backend;
    const woken = live.waiters.add(starter, signal);
    dispatch(live, { kind: "login" });
    return woken;
  }

  async function stop(target: WakeTarget, signal: AbortSignal): Promise<Result<void, string>> {
    const place = places.get(wakeKey(target));
    const live = liveOf({ target, address: place?.address ?? nowhere });
    const stopping = (async () => {
      await live.starting;
      return live.waker.stop(target, signal);
    })();
    live.stopping = stopping.catch(() => null);
    dispatch(live, { kind: "stopping" });
    try {
      return await stopping;
    } finally {
      live.stopping = null;
      forgetIdle(live);
    }
  }

  function enter({ route: { wake: target, address } }: Claim): void {
    if (target === null) return;
    const key = wakeKey(target);
    const known = places.get(key);
    if (known === undefined) places.set(key, { target, address, claims: 1 });
    else known.claims += 1;
    relocate(key, target, address);
  }

  function relocate(key: string, target: WakeTarget, address: Address): void {
    const place = places.get(key);
    if (place !== undefined) {
      place.target = target;
      place.address = address;
    }
    const live = lives.get(key);
    if (live === undefined) return;
    const isMoved = !sameAddress(live.backend.address, address);
    live.backend = { ...live.backend, target, address };
    if (isMoved) dispatch(live, { kind: "moved", address });
  }

  function withdraw({ route: { wake: target } }: Claim): void {
    if (target === null) return;
    const key = wakeKey(target);
    const place = places.get(key);
    if (place === undefined) return;
    place.claims -= 1;
    if (place.claims > 0) return;
    places.delete(key);
    const live = lives.get(key);
    if (live !== undefined) dispatch(live, { kind: "removed" });
  }

  function viewOf(target: WakeTarget, live: Live | null): WakeView {
    const state = live?.state ?? initialWake;
    const { lastFailure = null, startedBy = null } = live ?? {};
    const now = deadlines.now();
    return {
      state: state.kind,
      stateMs: state.kind === "unknown" ? null : now - state.since,
      address: state.kind === "up" ? state.address.text : null,
      waiting: live?.waiters.count() ?? 0,
      startedBy,
      lastFailure,
      usualStartMs: startTimes.usualMs(wakeKey(target)),
    };
  }

  return {
    wake,
    unreachable({ target }, address) {
      const live = lives.get(wakeKey(target));
      if (live === undefined) return;
      const doubt = { address, reason: null };
      dispatch(live, { kind: "dial-failed", doubt, since: deadlines.now() });
    },
    pinged(target) {
      const live = lives.get(wakeKey(target));
      if (live !== undefined) dispatch(live, { kind: "pinged" });
    },
    isJoinable(target) {
      const { kind } = stateOf(target);
      return kind === "starting" || kind === "up";
    },
    isStarting: (target) => stateOf(target).kind === "starting",
    addressOf({ target, address }) {
      const state = stateOf(target);
      return state.kind === "up" ? state.address : address;
    },
    endsAt(target, since) {
      const timeoutMs = wakerOf(target).timing.timeoutMs(target);
      const state = stateOf(target);
      const until = state.kind === "starting" ? state.until : 0;
      return Math.min(since + 2 * timeoutMs, Math.max(since + timeoutMs, until));
    },
    may: (target) => wakerOf(target).may(target),
    stop,
    routesChanged({ added, removed, changed }) {
      for (const claim of added) enter(claim);
      for (const { after } of changed) enter(after);
      // Last, so that a server which only changes its names is never without one.
      for (const claim of removed) withdraw(claim);
      for (const { before } of changed) withdraw(before);
    },
    view: (target) => viewOf(target, lives.get(wakeKey(target)) ?? null),
    views: () =>
      new Map(Array.from(lives, ([key, live]) => [key, viewOf(live.backend.target, live)])),
  };
}
