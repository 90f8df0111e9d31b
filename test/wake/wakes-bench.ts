import { expect } from "bun:test";
import { createAddressSet } from "../../src/limits/cidr.ts";
import { createWakeBudget } from "../../src/limits/wake-budget.ts";
import { type Address, parseAddress } from "../../src/routing/address.ts";
import type { WakeTarget } from "../../src/routing/route.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import type { Starter, Woken } from "../../src/wake/waiters.ts";
import type { WakeableBackend } from "../../src/wake/waker.ts";
import { type PlannedServer, startControlPlane } from "../support/process/control-plane.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import { freeBudget, realWakes } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

export const never = new AbortController().signal;
export const pollMs = 2_000;

export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

export const named = (server: string): WakeTarget => ({ kind: "control-plane", server });

/** A server that a row places where nothing ever listens, unless told otherwise. */
export const backendOf = (server = "a", own = "127.0.0.1:1"): WakeableBackend => ({
  target: named(server),
  address: addressOf(own),
});

/** Expects a client's turn to dial there, and gives it. */
export function passTo(woken: Woken, address: string) {
  expect(woken).toMatchObject({ kind: "awake", address: { text: address } });
  if (woken.kind !== "awake") throw new Error(`not awake: ${woken.kind}`);
  return woken.pass;
}

/** "pending" unless the promise has settled. */
export async function stateOf(woken: Promise<Woken>): Promise<Woken | "pending"> {
  await Bun.sleep(20);
  return await Promise.race([woken, Promise.resolve("pending" as const)]);
}

/**
 * Wakes with a real control plane, on a clock that the test moves. A server is ready when its port is open.
 */
export function startWakes(
  options: {
    readonly servers?: readonly PlannedServer[];
    readonly timeoutMs?: number;
    readonly limits?: { readonly total?: number; readonly perClient?: number };
    readonly emit?: (event: BackendEvent) => void;
  } = {},
) {
  const { servers = [{ name: "a", startMs: null }], timeoutMs = 90_000, limits } = options;
  const plane = startControlPlane({ servers });
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const emit = (event: BackendEvent): void => {
    events.push(event);
    options.emit?.(event);
  };
  const budget =
    limits === undefined
      ? freeBudget(clock)
      : createWakeBudget({
          total: limits.total ?? 0,
          perClient: limits.perClient ?? 0,
          coolDownMs: 600_000,
          exempt: createAddressSet([]),
          now: clock.now,
        });
  const wakes = realWakes(plane, clock, emit, { timeoutMs, pollMs, budget, mayStop: true });
  const looks = (name = "a"): number =>
    plane.requests.filter(({ kind, server }) => kind === "state" && server === name).length;
  return {
    ...wakes,
    plane,
    clock,
    events,
    looks,
    /** A client that may start servers, unless told otherwise. */
    join: (
      backend: WakeableBackend = backendOf(),
      starter: Partial<Starter> = {},
      signal = never,
    ): Promise<Woken> =>
      wakes.wake(
        backend,
        { ip: "203.0.113.1", player: "Steve", mayStart: true, prove: null, ...starter },
        signal,
      ),
    kinds: () => events.map(({ kind }) => kind),
    /** Lets time pass until the next look. */
    async nextLook(name = "a") {
      const before = looks(name);
      await advanceUntil(clock, `look ${before + 1}`, () => looks(name) > before);
    },
    /** Lets time pass until the promise settles. */
    async whileTimePasses(woken: Promise<Woken>): Promise<Woken> {
      let isSettled = false;
      const settle = (): void => {
        isSettled = true;
      };
      woken.then(settle, settle);
      await advanceUntil(clock, "the wait is over", () => isSettled);
      return woken;
    },
    started: (name = "a", times = 1) =>
      until(`start ${times} of ${name}`, () => plane.starts(name) === times),
    /** Resolves when nothing is set on the clock any more. */
    idle: () => until("no deadline is left", () => clock.pending === 0),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}
