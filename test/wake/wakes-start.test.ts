import { describe, expect, test } from "bun:test";
import { err, ok } from "../../src/base/result.ts";
import { createAddressSet } from "../../src/limits/cidr.ts";
import { createWakeBudget } from "../../src/limits/wake-budget.ts";
import { parseAddress } from "../../src/routing/address.ts";
import type { WakeTarget } from "../../src/routing/route.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import type { BackendState, WakeableBackend, Waker } from "../../src/wake/waker.ts";
import { createWakes, type Starter, type Woken } from "../../src/wake/wakes.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { manualDeadlines, until } from "../support/session/session-clock.ts";
import { freeBudget, realWakes } from "../support/session/session-world.ts";

const never = new AbortController().signal;
const pollMs = 2_000;
const timeoutMs = 90_000;

function addressOf(text: string) {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

const sleeper = (server = "a"): WakeableBackend => ({
  target: { kind: "control-plane", server },
  address: addressOf("127.0.0.1:1"),
});

const awakeAt = (text: string): Woken => ({ kind: "awake", address: addressOf(text) });

/** A fleet with a real control plane for `a` and `b`, which start when told to, and a budget. */
function bench(limits: { readonly total?: number; readonly perClient?: number } | null = null) {
  const plane = startControlPlane({
    servers: ["a", "b", "c"].map((name) => ({ name, startMs: null })),
  });
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const budget =
    limits === null
      ? freeBudget(clock)
      : createWakeBudget({
          total: limits.total ?? 0,
          perClient: limits.perClient ?? 0,
          coolDownMs: 60_000,
          exempt: createAddressSet([]),
          now: clock.now,
        });
  const fleet = realWakes(plane, clock, (event) => events.push(event), {
    timeoutMs,
    pollMs,
    budget,
  });
  const looks = (server = "a"): number =>
    plane.requests.filter((each) => each.kind === "state" && each.server === server).length;
  return {
    plane,
    clock,
    events,
    fleet,
    looks,
    wake: (starter: Partial<Starter> = {}, server = "a", signal = never) =>
      fleet.wake(
        sleeper(server),
        { ip: "203.0.113.1", mayStart: true, prove: null, ...starter },
        signal,
      ),
    kinds: () => events.map(({ kind }) => kind),
    async nextLook() {
      const before = looks();
      clock.advance(pollMs);
      await until("the next look", () => looks() > before);
    },
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}

/** A proof that the test decides. */
function proof() {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const calls = { count: 0 };
  const prove = (): Promise<boolean> => {
    calls.count += 1;
    return promise;
  };
  return { prove, resolve, calls };
}

describe("where clients have to prove that they are a game", () => {
  test("a server that runs is found by looking, without a start and without a question", async () => {
    await using town = bench();
    town.plane.setRunning("a", "127.0.0.1:7001");
    const { prove, calls } = proof();
    expect(await town.wake({ prove })).toEqual(awakeAt("127.0.0.1:7001"));
    expect(town.plane.starts("a")).toBe(0);
    expect(calls.count).toBe(0);
    expect(town.kinds()).toEqual(["wake-done"]);
  });

  test("a server that sleeps is started as soon as one has proved it, for all who wait", async () => {
    await using town = bench();
    const mute = proof();
    const game = proof();
    const waiting = [town.wake({ prove: mute.prove }), town.wake({ prove: game.prove })];
    await until("both are asked", () => mute.calls.count + game.calls.count === 2);
    expect(town.plane.starts("a")).toBe(0);
    expect(town.fleet.isWaking(sleeper().target)).toBe(false);
    game.resolve(true);
    await until("the start", () => town.plane.starts("a") === 1);
    expect(town.clock.now()).toBe(0);
    mute.resolve(false);
    await until("a look that finds it starting", () => town.fleet.isWaking(sleeper().target));
    town.plane.setRunning("a", "127.0.0.1:7001");
    town.clock.advance(pollMs);
    expect(await Promise.all(waiting)).toEqual(Array(2).fill(awakeAt("127.0.0.1:7001")));
    expect(town.kinds()).toEqual(["wake-started", "wake-done"]);
  });

  test("who may have it started while it is still looked does not wait for the next look", async () => {
    const clock = manualDeadlines();
    const looks: PromiseWithResolvers<BackendState>[] = [];
    let starts = 0;
    const plane: Waker<Extract<WakeTarget, { kind: "control-plane" }>> = {
      kind: "control-plane",
      asking: "until-accepted",
      askMs: 0,
      timeoutMs: () => timeoutMs,
      pauseMs: () => pollMs,
      start: () => {
        starts += 1;
        return Promise.resolve(ok(undefined));
      },
      look: () => {
        const look = Promise.withResolvers<BackendState>();
        looks.push(look);
        return look.promise;
      },
      moved: () => null,
      forget: () => {},
      canStart: () => true,
      canStop: () => false,
      stop: () => Promise.resolve(err("never")),
    };
    const fleet = createWakes({
      wakers: { "control-plane": plane },
      budget: freeBudget(clock),
      dialer: { accepts: () => Promise.resolve(false) },
      deadlines: clock,
      emit: () => {},
    });
    const undecided = proof();
    const starter = { ip: "203.0.113.1", mayStart: true, prove: undecided.prove };
    void fleet.wake(sleeper(), starter, never);
    await until("the first look", () => looks.length === 1);
    void fleet.wake(sleeper(), { ...starter, prove: null }, never);
    expect(starts).toBe(0);
    looks[0]?.resolve({ kind: "not-running" });
    await until("the start", () => starts === 1);
    expect(clock.now()).toBe(0);
    expect(undecided.calls.count).toBe(0);
  });

  test("who does not prove it is sent away once the server is known to sleep, and nothing is started", async () => {
    await using town = bench();
    const mute = proof();
    const woken = town.wake({ prove: mute.prove });
    await until("it is asked", () => mute.calls.count === 1);
    mute.resolve(false);
    expect(await woken).toEqual({
      kind: "refused",
      why: "proof",
      reason: "the client did not answer as a game does",
    });
    expect(town.plane.starts("a")).toBe(0);
    expect(town.kinds()).toEqual(["wake-refused"]);
    await until("nothing is left", () => town.clock.pending === 0);
  });

  test("who comes when it is known to sleep is asked at once, and only once", async () => {
    await using town = bench();
    const first = proof();
    const later = proof();
    void town.wake({ prove: first.prove });
    await until("the first is asked", () => first.calls.count === 1);
    const woken = town.wake({ prove: later.prove });
    expect(later.calls.count).toBe(1);
    await town.nextLook();
    await town.nextLook();
    expect([first.calls.count, later.calls.count]).toEqual([1, 1]);
    later.resolve(true);
    await until("the start", () => town.plane.starts("a") === 1);
    town.plane.setRunning("a", "127.0.0.1:7001");
    await until("a look", () => town.fleet.isWaking(sleeper().target));
    town.clock.advance(pollMs);
    expect(await woken).toEqual(awakeAt("127.0.0.1:7001"));
  });

  test("who may only join is told so, and the proof of one who has left starts nothing", async () => {
    await using town = bench();
    const leaving = new AbortController();
    const gone = proof();
    const first = town.wake({ prove: gone.prove }, "a", leaving.signal);
    await until("it is asked", () => gone.calls.count === 1);
    expect(town.fleet.isJoinable(sleeper().target)).toBe(false);
    expect(await town.wake({ mayStart: false })).toEqual({ kind: "denied" });
    leaving.abort();
    gone.resolve(true);
    expect(await first).toEqual({ kind: "left" });
    await until("nothing is left", () => town.clock.pending === 0);
    expect(town.plane.starts("a")).toBe(0);
    expect(town.kinds()).toEqual([]);
  });

  test("what a proof throws reaches the one who waits", async () => {
    await using town = bench();
    const woken = town.wake({ prove: () => Promise.reject(new Error("a defect")) });
    await expect(woken).rejects.toThrow("a defect");
  });
});

describe("where the budget is used up", () => {
  test("a server that sleeps is not started, and whoever wanted it is told why", async () => {
    await using town = bench({ perClient: 1 });
    const first = town.wake({}, "a");
    await until("the start", () => town.plane.starts("a") === 1);
    expect(await town.wake({}, "b")).toMatchObject({ kind: "refused", why: "client" });
    expect(town.plane.starts("b")).toBe(0);
    expect(town.events.at(-1)).toMatchObject({ kind: "wake-refused", server: "b", why: "client" });
    const other = town.wake({ ip: "198.51.100.1" }, "b");
    await until("the other's start", () => town.plane.starts("b") === 1);
    town.plane.setRunning("a", "127.0.0.1:7001");
    town.plane.setRunning("b", "127.0.0.1:7002");
    town.clock.advance(pollMs);
    expect(await Promise.all([first, other])).toEqual([
      awakeAt("127.0.0.1:7001"),
      awakeAt("127.0.0.1:7002"),
    ]);
  });

  test("those who wait for a start of others need none, and a server that runs is found all the same", async () => {
    await using town = bench({ total: 1 });
    const first = town.wake({}, "a");
    await until("the start", () => town.plane.starts("a") === 1);
    const joined = town.wake({ ip: "198.51.100.1" }, "a");
    town.plane.setRunning("b", "127.0.0.1:7002");
    expect(await town.wake({}, "b")).toEqual(awakeAt("127.0.0.1:7002"));
    expect(town.plane.starts("b")).toBe(0);
    expect(await town.wake({}, "c")).toMatchObject({ kind: "refused", why: "total" });
    await until("it is known to sleep", () => town.fleet.isWaking(sleeper().target));
    town.plane.setRunning("a", "127.0.0.1:7001");
    town.clock.advance(pollMs);
    expect(await first).toEqual(awakeAt("127.0.0.1:7001"));
    expect(await joined).toEqual(awakeAt("127.0.0.1:7001"));
  });

  test("a start of a server that runs already costs nothing", async () => {
    await using town = bench({ total: 1, perClient: 1 });
    for (const server of ["a", "b", "c", "a", "b", "c"]) {
      town.plane.setRunning(server, "127.0.0.1:7001");
      expect(await town.wake({}, server)).toEqual(awakeAt("127.0.0.1:7001"));
      town.clock.advance(5_000);
    }
    expect(town.plane.starts("a")).toBe(2);
  });

  test("a server that twice did not come up is left alone for a minute", async () => {
    await using town = bench({});
    for (const round of [1, 2]) {
      const woken = town.wake();
      await until("the start", () => town.plane.starts("a") === round);
      town.clock.advance(timeoutMs);
      expect(await woken).toMatchObject({ kind: "failed" });
      town.plane.setStopped("a");
    }
    expect(await town.wake()).toMatchObject({ kind: "refused", why: "server" });
    expect(town.plane.starts("a")).toBe(2);
    town.clock.advance(60_000);
    void town.wake();
    await until("the third start", () => town.plane.starts("a") === 3);
  });
});
