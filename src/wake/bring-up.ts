import type { Deadlines } from "../base/deadlines.ts";
import type { Dialer } from "../net/dial.ts";
import { type Address, sameAddress } from "../routing/address.ts";
import type { BackendState, WakeableBackend, Waker } from "./waker.ts";

/** What is known while one backend is brought up, across interruptions. */
export interface Attempt {
  readonly waker: Waker;
  /** With the address that the route of the last who came gives. */
  sleeper: WakeableBackend;
  /** It may be started. Until then it is only looked how it is. */
  isPermitted: boolean;
  /** Resolves when it is. */
  readonly permission: PromiseWithResolvers<void>;
  /** The start has been accepted. */
  accepted: boolean;
  /** Known not to be up. */
  asleep: boolean;
  /** Told to be running there, but a player could not get in. */
  doubtful: Address | null;
  /** Why it could not, as far as that is known. */
  doubt: string | null;
  /** What stood in the way last. */
  lastTrouble: string | null;
}

/** Where a backend can be dialled, and who told. */
export interface Found {
  readonly address: Address;
  readonly by: Waker["kind"] | "row";
}

/** What happens on the way, as far as it bears upon the time that it may take, or upon who may have it started. */
export interface BringUpNotes {
  /** A start is accepted. */
  accepted(): void;
  /** It has gone down, and comes up again in so many ms without anybody's doing. */
  delayed(ms: number): void;
  /** It is not up, and it may not be started yet: told after each look. */
  waitsForPermission(): void;
}

/** What bringing a backend up needs. */
export interface BringUpDeps {
  readonly dialer: Pick<Dialer, "accepts">;
  readonly deadlines: Deadlines;
}

/** The pause before an address that took no player is asked again, ms. */
const retryMs = 500;
/** For how long somebody who has not accepted the start may keep silent before the route's own address is asked, ms. */
const silenceMs = 500;

/** Where the backend can be dialled; null when the signal aborted first, its start was refused for good, or it has failed. */
export async function bringUp(
  on: Attempt,
  notes: BringUpNotes,
  signal: AbortSignal,
  deps: BringUpDeps,
): Promise<Found | null> {
  const { dialer, deadlines } = deps;
  const { waker } = on;

  async function start(): Promise<boolean> {
    const started = await waker.start(on.sleeper, signal);
    if (started.ok) {
      on.accepted = true;
      notes.accepted();
    } else if (!signal.aborted) {
      on.lastTrouble = started.error;
    }
    return started.ok;
  }

  /** Asks for the start until it is accepted, and meanwhile looks how the backend is. */
  async function startAndLook(): Promise<Found | null> {
    let starting: Promise<boolean> | null = null;
    for (let round = 1; !signal.aborted; round += 1) {
      const nextRound = deadlines.sleep(waker.pauseMs(round), signal);
      let isRefused = false;
      const wasPermitted = on.isPermitted;
      if (wasPermitted && !on.accepted) {
        starting ??= start();
        // A start that takes its time is no reason not to look.
        const answered = await Promise.race([starting, nextRound.then(() => null)]);
        if (answered !== null) starting = null;
        isRefused = answered === false;
      }
      const looking = waker.look(on.sleeper, signal);
      const mayBeOwn = !on.accepted && (await isSilent(looking));
      if (mayBeOwn && (await dialer.accepts(on.sleeper.address, signal))) return ownAddress();
      const seen = await looking;
      const address = await dialable(seen);
      if (address !== null) return { address, by: waker.kind };
      if (seen.kind === "failed") return null;
      const isOwnUp = seen.kind === "trouble" || isRefused;
      if (isOwnUp && (await dialer.accepts(on.sleeper.address, signal))) return ownAddress();
      await rest(nextRound, wasPermitted);
    }
    return null;
  }

  /** Asks for the start once, and then looks until the backend is there. */
  async function startThenLook(): Promise<Found | null> {
    for (let round = 1; !on.accepted && !on.isPermitted; round += 1) {
      const found = await whereverItWas();
      if (found !== null || signal.aborted) return found;
      await rest(deadlines.sleep(waker.pauseMs(round), signal), false);
    }
    if (!on.accepted && !(await start())) return whereverItWas();
    for (let round = 1; !signal.aborted; round += 1) {
      const seen = await waker.look(on.sleeper, signal);
      const address = await dialable(seen);
      if (address !== null) return { address, by: waker.kind };
      if (seen.kind === "failed") return null;
      on.asleep = true;
      await deadlines.sleep(waker.pauseMs(round), signal);
    }
    return null;
  }

  /** Lets time pass until the next look; no longer than until it may be started, which may be since the look that is just over. */
  async function rest(pause: Promise<unknown>, wasPermitted: boolean): Promise<void> {
    if (signal.aborted) return;
    on.asleep = true;
    if (!on.isPermitted) notes.waitsForPermission();
    await (wasPermitted ? pause : Promise.race([pause, on.permission.promise]));
  }

  /** True when the answer takes its time. An answer comes first even so: the row may name a port that is another server's by now. */
  function isSilent(looking: Promise<unknown>): Promise<boolean> {
    return Promise.race([looking.then(() => false), deadlines.sleep(silenceMs, signal)]);
  }

  /** The address at which players can be sent to a backend in this state; null when there is none yet. */
  async function dialable(seen: BackendState): Promise<Address | null> {
    if (signal.aborted) return null;
    switch (seen.kind) {
      case "running":
        return (await isReady(seen.address)) ? seen.address : null;
      case "expected":
        return firstThatAccepts(seen.addresses);
      case "not-running":
        return null;
      case "delayed":
        notes.delayed(seen.ms);
        return null;
      case "failed":
      case "trouble":
        on.lastTrouble = seen.reason;
        return null;
    }
  }

  /** A running server is taken at its word once; after a player could not get in, it has to accept a connection first. */
  function isReady(address: Address): Promise<boolean> {
    if (on.doubtful === null || !sameAddress(on.doubtful, address)) return Promise.resolve(true);
    const doubt = on.doubt === null ? "" : `: ${on.doubt}`;
    on.lastTrouble = `it is said to run at ${address.text}, where no player gets in${doubt}`;
    return dialer.accepts(address, signal);
  }

  async function firstThatAccepts(addresses: readonly Address[]): Promise<Address | null> {
    for (const address of addresses) {
      if (await dialer.accepts(address, signal)) return address;
    }
    on.lastTrouble ??= `${addresses.map(({ text }) => text).join(" and ")} takes no connection`;
    return null;
  }

  /** The start was refused, but whoever refused it need not know how the backend is. */
  async function whereverItWas(): Promise<Found | null> {
    const { target, address } = on.sleeper;
    const moved = waker.moved(target);
    if (moved !== null && (await dialer.accepts(moved, signal))) {
      return { address: moved, by: "row" };
    }
    return (await dialer.accepts(address, signal)) ? ownAddress() : null;
  }

  const ownAddress = (): Found => ({ address: on.sleeper.address, by: "row" });

  if (on.doubtful !== null) await deadlines.sleep(Math.min(retryMs, waker.pauseMs(1)), signal);
  return waker.asking === "once" ? startThenLook() : startAndLook();
}
