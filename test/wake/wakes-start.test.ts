import { describe, expect, test } from "bun:test";
import type { Woken } from "../../src/wake/waiters.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { until } from "../support/until.ts";
import { backendOf, named, never, passTo, startWakes } from "./wakes-bench.ts";

const servers = ["a", "b", "c"].map((name) => ({ name, startMs: null }));
const unproven: Woken = {
  kind: "refused",
  why: "proof",
  reason: "the client did not answer as a game does",
};

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
    await using town = startWakes({ servers });
    town.plane.setRunning("a", "127.0.0.1:7001");
    const { prove, calls } = proof();
    passTo(await town.join(backendOf(), { prove }), "127.0.0.1:7001").arrived();
    expect(town.plane.starts("a")).toBe(0);
    expect(calls.count).toBe(0);
  });

  test("a server that sleeps is started as soon as one client has proved it, for all who wait", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({ servers });
    const mute = proof();
    const game = proof();
    const waiting = [
      town.join(backendOf(), { prove: mute.prove }),
      town.join(backendOf(), { prove: game.prove }),
    ];
    await until("both are asked", () => mute.calls.count + game.calls.count === 2);
    expect(town.plane.starts("a")).toBe(0);
    expect(town.isStarting(named("a"))).toBe(false);
    game.resolve(true);
    await town.started();
    mute.resolve(false);
    town.plane.setRunning("a", backend.address);
    for (const woken of waiting) {
      passTo(await town.whileTimePasses(woken), backend.address).arrived();
    }
    expect(town.kinds()).toEqual(["wake-started", "wake-done"]);
  });

  test("a client that does not prove it is sent away, and nothing is started", async () => {
    await using town = startWakes({ servers });
    const mute = proof();
    const woken = town.join(backendOf(), { prove: mute.prove });
    await until("it is asked", () => mute.calls.count === 1);
    mute.resolve(false);
    expect(await woken).toEqual(unproven);
    expect(town.plane.starts("a")).toBe(0);
    expect(town.kinds()).toEqual(["wake-refused"]);
    await town.idle();
  });

  test("a client that comes when the server is known to sleep is asked at once, and only once", async () => {
    await using town = startWakes({ servers });
    const first = proof();
    const later = proof();
    void town.join(backendOf(), { prove: first.prove });
    await until("the first is asked", () => first.calls.count === 1);
    void town.join(backendOf(), { prove: later.prove });
    expect(later.calls.count).toBe(1);
    await town.nextLook();
    await town.nextLook();
    expect([first.calls.count, later.calls.count]).toEqual([1, 1]);
    later.resolve(true);
    await town.started();
  });

  test("a client that needs no proof starts the server while another one proves it", async () => {
    await using town = startWakes({ servers });
    const undecided = proof();
    void town.join(backendOf(), { prove: undecided.prove });
    await until("it is asked", () => undecided.calls.count === 1);
    void town.join();
    await town.started();
  });

  test("a client that may only join is told so, and the proof of one that has left starts nothing", async () => {
    await using town = startWakes({ servers });
    const leaving = new AbortController();
    const gone = proof();
    const first = town.join(backendOf(), { prove: gone.prove }, leaving.signal);
    await until("it is asked", () => gone.calls.count === 1);
    expect(town.isJoinable(named("a"))).toBe(false);
    expect(await town.join(backendOf(), { mayStart: false })).toEqual({ kind: "denied" });
    leaving.abort();
    gone.resolve(true);
    expect(await first).toEqual({ kind: "left" });
    await town.idle();
    expect(town.plane.starts("a")).toBe(0);
    expect(town.kinds()).toEqual([]);
  });

  test("what a proof throws reaches the client that waits", async () => {
    await using town = startWakes({ servers });
    const woken = town.join(backendOf(), { prove: () => Promise.reject(new Error("a defect")) });
    await expect(woken).rejects.toThrow("a defect");
  });
});

describe("a client that may not start a server", () => {
  test("joins a start that is under way", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({ servers });
    void town.join();
    await town.started();
    expect(town.isJoinable(named("a"))).toBe(true);
    const woken = town.join(backendOf(), { mayStart: false });
    town.plane.setRunning("a", backend.address);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
  });

  test("is let in to one that runs", async () => {
    await using town = startWakes({ servers });
    town.plane.setRunning("a", "127.0.0.1:7001");
    passTo(await town.join(backendOf(), { mayStart: false }), "127.0.0.1:7001").arrived();
  });
});

describe("where the budget is used up", () => {
  test("a server that sleeps is not started, and the client that wanted it is told why", async () => {
    await using town = startWakes({ servers, limits: { perClient: 1 } });
    void town.join();
    await town.started();
    expect(await town.join(backendOf("b"))).toMatchObject({ kind: "refused", why: "client" });
    expect(town.plane.starts("b")).toBe(0);
    expect(town.events.at(-1)).toMatchObject({ kind: "wake-refused", server: "b", why: "client" });
    void town.join(backendOf("b"), { ip: "198.51.100.1" });
    await town.started("b");
  });

  test("clients that join a start need none, and leaving and joining again spends none", async () => {
    await using town = startWakes({ servers, limits: { total: 2 } });
    for (let client = 0; client < 5; client++) {
      const leaving = new AbortController();
      void town.join(backendOf(), {}, leaving.signal);
      await town.started();
      leaving.abort();
    }
    void town.join(backendOf("b"));
    await town.started("b");
    expect(await town.join(backendOf("c"))).toMatchObject({ kind: "refused", why: "total" });
  });

  test("a start that found the server up all along is given back, though that took 15 s to learn", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({ servers, limits: { total: 1, perClient: 1 } });
    town.plane.misbehave({ kind: "answer", status: 503 }, { request: "state", server: "a" });
    const woken = town.join();
    await town.started();
    await until("the look after it", () => town.looks() === 2);
    town.clock.advance(15_000);
    town.plane.setRunning("a", backend.address);
    town.plane.misbehave(null);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
    void town.join(backendOf("b"));
    await town.started("b");
  });

  test("a server that twice did not come up is left alone", async () => {
    await using town = startWakes({ servers, timeoutMs: 5_000, limits: {} });
    for (const round of [1, 2]) {
      const woken = town.join();
      await town.started("a", round);
      expect(await town.whileTimePasses(woken)).toMatchObject({ kind: "failed" });
      town.plane.setStopped("a");
    }
    expect(await town.join()).toMatchObject({ kind: "refused", why: "server" });
    town.clock.advance(600_000);
    void town.join(backendOf(), {}, never);
    await town.started("a", 3);
  });
});
