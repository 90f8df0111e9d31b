import type { Deadline, Deadlines } from "../net/deadlines.ts";
import type { Dialer } from "../net/dial.ts";
import { type Address, sameAddress } from "../routing/address.ts";
import type { BackendEvent } from "./event.ts";
import type { Waker } from "./waker.ts";

/** How waiting for a server ended: it can be dialled, it did not come up in time, or the signal aborted. */
export type Woken =
  | { readonly kind: "awake"; readonly address: Address }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "left" };

/** A server that may have to be started: its name at the control plane, and the address that its row gives. */
export interface Sleeper {
  readonly server: string;
  readonly address: Address;
}

/** The backends that can be woken. One wake per server, shared by everyone who waits for it. */
export interface Fleet {
  /**
   * Waits until the server can be dialled. The first to wait starts the wake, later ones join it, and it ends early when the last
   * one has left. Rejects only with what code of ours threw on the way: everybody who waits gets it.
   */
  wake(sleeper: Sleeper, signal: AbortSignal): Promise<Woken>;
  /** Tells that the address which `wake` gave did not take a player: running, but not ready yet. The next `wake` goes on from there. */
  refused(sleeper: Sleeper, address: Address): void;
  /** True while a wake is under way for a server that is known not to be up. */
  isWaking(server: string): boolean;
}

/** What a fleet needs. */
export interface FleetDeps {
  readonly waker: Waker;
  readonly dialer: Dialer;
  readonly deadlines: Deadlines;
  /** How long one wake may take, ms. */
  readonly timeoutMs: number;
  /** Time between two polls, ms. */
  readonly pollMs: number;
  emit(event: BackendEvent): void;
}

/** For how long a result serves those who come after it, ms: five hundred players after a restart cost one start. */
const reuseMs = 5_000;
/** The pause before an address that took no player is asked again, ms. */
const retryMs = 500;
/** For how long a control plane that has not accepted the start may keep silent before the row's own address is asked, ms. */
const silenceMs = 500;

interface Waiter {
  settle(woken: Woken): void;
  fault(thrown: unknown): void;
}

interface Wake {
  readonly server: string;
  readonly startedAt: number;
  /** Where the row says that it lives: asked when the control plane cannot be. */
  own: Address;
  readonly waiters: Set<Waiter>;
  /** The control plane has accepted the start. */
  accepted: boolean;
  /** Known not to be up: pings say so. */
  asleep: boolean;
  /** Told to be running there, but a player could not get in. */
  doubtful: Address | null;
  /** Set when the server can be dialled. */
  result: Address | null;
  /** Ends the work that is under way; null while none is. */
  work: AbortController | null;
  /** Set while nobody works on it: when it is forgotten. */
  forgetting: Deadline | null;
  lastTrouble: string | null;
}

/** A fleet whose servers are started by a control plane, and dialled without it when it cannot be asked. */
export function createFleet(deps: FleetDeps): Fleet {
  const { waker, dialer, deadlines, emit } = deps;
  const wakes = new Map<string, Wake>();

  function wake(sleeper: Sleeper, signal: AbortSignal): Promise<Woken> {
    if (signal.aborted) return Promise.resolve({ kind: "left" });
    const known = wakes.get(sleeper.server);
    if (known?.result) return Promise.resolve({ kind: "awake", address: known.result });
    const joined = known ?? begin(sleeper);
    joined.own = sleeper.address;
    const waiting = join(joined, signal);
    // It never rejects: what it throws goes to those who wait.
    if (joined.work === null) void work(joined);
    return waiting;
  }

  function begin({ server, address }: Sleeper): Wake {
    const begun: Wake = {
      server,
      startedAt: deadlines.now(),
      own: address,
      waiters: new Set(),
      accepted: false,
      asleep: false,
      doubtful: null,
      result: null,
      work: null,
      forgetting: null,
      lastTrouble: null,
    };
    wakes.set(server, begun);
    emit({ kind: "wake-started", server });
    return begun;
  }

  function join(joined: Wake, signal: AbortSignal): Promise<Woken> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        joined.waiters.delete(waiter);
        signal.removeEventListener("abort", leave);
      };
      const waiter: Waiter = {
        settle: (woken) => {
          end();
          resolve(woken);
        },
        fault: (thrown) => {
          end();
          reject(thrown);
        },
      };
      const leave = (): void => {
        waiter.settle({ kind: "left" });
        if (joined.waiters.size === 0) abandon(joined);
      };
      signal.addEventListener("abort", leave, { once: true });
      joined.waiters.add(waiter);
    });
  }

  function abandon(left: Wake): void {
    // A wake whose time is over has failed, even if its last waiter leaves in the same moment.
    if (left.work === null || left.work.signal.aborted) return;
    left.work.abort();
    left.work = null;
    wakes.delete(left.server);
    emit({
      kind: "wake-abandoned",
      server: left.server,
      tookMs: deadlines.now() - left.startedAt,
    });
  }

  /** Works on one wake until its server can be dialled, its time is over or nobody waits any more. */
  async function work(on: Wake): Promise<void> {
    const control = new AbortController();
    on.work = control;
    on.forgetting?.cancel();
    const left = on.startedAt + deps.timeoutMs - deadlines.now();
    const deadline = deadlines.after(Math.max(0, left), () => control.abort());
    try {
      const found = await bringUp(on, control.signal);
      // Abandoned, and told so already.
      if (on.work !== control) return;
      if (found === null) fail(on);
      else succeed(on, found);
    } catch (thrown) {
      control.abort();
      wakes.delete(on.server);
      for (const waiter of on.waiters) waiter.fault(thrown);
    } finally {
      deadline.cancel();
    }
  }

  function succeed(on: Wake, found: { address: Address; by: "control-plane" | "row" }): void {
    on.work = null;
    on.result = found.address;
    on.asleep = false;
    on.forgetting = deadlines.after(reuseMs, () => wakes.delete(on.server));
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
    for (const waiter of on.waiters) waiter.settle({ kind: "awake", address: found.address });
  }

  function fail(on: Wake): void {
    on.work = null;
    wakes.delete(on.server);
    const reason = on.lastTrouble ?? "it was not running in time";
    emit({
      kind: "wake-failed",
      server: on.server,
      reason,
      waiters: on.waiters.size,
      tookMs: deadlines.now() - on.startedAt,
    });
    for (const waiter of on.waiters) waiter.settle({ kind: "failed", reason });
  }

  /** Where the server can be dialled; null when the signal aborted first. */
  async function bringUp(
    on: Wake,
    signal: AbortSignal,
  ): Promise<{ address: Address; by: "control-plane" | "row" } | null> {
    let starting: Promise<boolean> | null = null;
    if (on.doubtful !== null) await deadlines.sleep(Math.min(retryMs, deps.pollMs), signal);
    while (!signal.aborted) {
      const nextRound = deadlines.sleep(deps.pollMs, signal);
      let isRefused = false;
      if (!on.accepted) {
        starting ??= start(on, signal);
        // A start that takes its time is no reason not to look.
        const answered = await Promise.race([starting, nextRound.then(() => null)]);
        if (answered !== null) starting = null;
        isRefused = answered === false;
      }
      const looking = waker.look(on.server, signal);
      if (
        !on.accepted &&
        (await isSilent(looking, signal)) &&
        (await dialer.accepts(on.own, signal))
      ) {
        return { address: on.own, by: "row" };
      }
      const seen = await looking;
      if (signal.aborted) return null;
      if (seen.kind === "running" && (await isReady(on, seen.address, signal))) {
        return { address: seen.address, by: "control-plane" };
      }
      if (seen.kind === "trouble") on.lastTrouble = seen.reason;
      if ((seen.kind === "trouble" || isRefused) && (await dialer.accepts(on.own, signal))) {
        return { address: on.own, by: "row" };
      }
      on.asleep = true;
      await nextRound;
    }
    return null;
  }

  /** True when the answer takes its time. An answer comes first even so: the row may name a port that is another server's by now. */
  function isSilent(looking: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
    return Promise.race([looking.then(() => false), deadlines.sleep(silenceMs, signal)]);
  }

  async function start(on: Wake, signal: AbortSignal): Promise<boolean> {
    const started = await waker.start(on.server, signal);
    if (started.ok) on.accepted = true;
    else if (!signal.aborted) on.lastTrouble = started.error;
    return started.ok;
  }

  /** A running server is taken at its word once; after a player could not get in, it has to accept a connection first. */
  function isReady(on: Wake, address: Address, signal: AbortSignal): Promise<boolean> {
    if (on.doubtful === null || !sameAddress(on.doubtful, address)) return Promise.resolve(true);
    on.lastTrouble = `it is said to run at ${address.text}, where no player gets in`;
    return dialer.accepts(address, signal);
  }

  function refused(sleeper: Sleeper, address: Address): void {
    const on = wakes.get(sleeper.server);
    if (on === undefined || on.result === null || !sameAddress(on.result, address)) return;
    on.result = null;
    on.doubtful = address;
    on.asleep = true;
  }

  const isWaking = (server: string): boolean => wakes.get(server)?.asleep ?? false;

  return { wake, refused, isWaking };
}
