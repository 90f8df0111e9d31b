import { describe, expect, test } from "bun:test";
import { nowhere, parseAddress } from "../../src/routing/address.ts";
import type { WakeTarget } from "../../src/routing/route.ts";
import type { Claim } from "../../src/routing/table.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import type { WakeableBackend } from "../../src/wake/waker.ts";
import type { Wakes, Woken } from "../../src/wake/wakes.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import {
  type Misbehaviour,
  type PlannedServer,
  startControlPlane,
} from "../support/process/control-plane.ts";
import { manualDeadlines, until } from "../support/session/session-clock.ts";
import { realWakes, sleepingBackend, starter } from "../support/session/session-world.ts";

const never = new AbortController().signal;
const pollMs = 2_000;
const retryMs = 500;
const reuseMs = 5_000;

function addressOf(text: string) {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

/** A server `a` that a row places where nothing ever listens, unless told otherwise. */
const sleeper = (own = "127.0.0.1:1", server = "a"): WakeableBackend => ({
  target: named(server),
  address: addressOf(own),
});

const named = (server: string): WakeTarget => ({ kind: "control-plane", server });

/** A wake by somebody who may start it. */
const wake = (fleet: Wakes, who: WakeableBackend, signal: AbortSignal): Promise<Woken> =>
  fleet.wake(who, starter(true), signal);

const awakeAt = (text: string): Woken => ({ kind: "awake", address: addressOf(text) });

/** A fleet with a real control plane, on a clock that the test moves. */
function bench(
  options: {
    readonly servers?: readonly PlannedServer[];
    readonly timeoutMs?: number;
    readonly emit?: (event: BackendEvent) => void;
  } = {},
) {
  const { servers = [{ name: "a", startMs: null }], timeoutMs = 90_000 } = options;
  const plane = startControlPlane({ servers });
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const emit = (event: BackendEvent): void => {
    events.push(event);
    options.emit?.(event);
  };
  const fleet = realWakes(plane, clock, emit, { timeoutMs, pollMs });
  const polls = (name = "a"): number =>
    plane.requests.filter(({ kind, server }) => kind === "state" && server === name).length;
  return {
    plane,
    clock,
    events,
    fleet,
    polls,
    kinds: () => events.map(({ kind }) => kind),
    /** Lets the next poll happen, after that much time. */
    async nextPoll(ms = pollMs) {
      const before = polls();
      clock.advance(ms);
      await until(`poll ${before + 1}`, () => polls() > before);
    },
    /** Resolves when nothing is set on the clock any more. */
    idle: () => until("no deadline is left", () => clock.pending === 0),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}

/** A wake that has not been decided must stay so: gives "pending" unless the promise has settled. */
async function stateOf(woken: Promise<Woken>): Promise<Woken | "pending"> {
  await Bun.sleep(20);
  return await Promise.race([woken, Promise.resolve("pending" as const)]);
}

describe("one wake per server", () => {
  test("500 waiters cost one start, share its polls and get its address", async () => {
    await using town = bench();
    const waiting = Array.from({ length: 500 }, () => wake(town.fleet, sleeper(), never));
    await until("the first look", () => town.polls() === 1);
    await town.nextPoll();
    town.plane.setRunning("a", "127.0.0.1:7001");
    town.clock.advance(pollMs);
    expect(await Promise.all(waiting)).toEqual(Array(500).fill(awakeAt("127.0.0.1:7001")));
    expect(town.plane.starts("a")).toBe(1);
    expect(town.polls()).toBe(3);
    expect(town.events).toEqual([
      { kind: "wake-started", server: "a" },
      {
        kind: "wake-done",
        server: "a",
        address: "127.0.0.1:7001",
        by: "control-plane",
        waiters: 500,
        tookMs: 2 * pollMs,
      },
    ]);
  });

  test("who comes later joins, whatever the row said of the address then; another server has its own wake", async () => {
    await using town = bench({
      servers: [
        { name: "a", startMs: null },
        { name: "b", startMs: null },
      ],
    });
    const first = wake(town.fleet, sleeper("127.0.0.1:1"), never);
    await until("the first look", () => town.polls() === 1);
    const second = wake(town.fleet, sleeper("127.0.0.1:2"), never);
    const other = wake(town.fleet, sleeper("127.0.0.1:1", "b"), never);
    await until("the look at the other", () => town.polls("b") === 1);
    town.plane.setRunning("a", "127.0.0.1:7001");
    town.plane.setRunning("b", "127.0.0.1:7002");
    town.clock.advance(pollMs);
    expect(await Promise.all([first, second, other])).toEqual([
      awakeAt("127.0.0.1:7001"),
      awakeAt("127.0.0.1:7001"),
      awakeAt("127.0.0.1:7002"),
    ]);
    expect([town.plane.starts("a"), town.plane.starts("b")]).toEqual([1, 1]);
  });

  test("the result serves everybody for 5 s, and nobody after that", async () => {
    await using town = bench({
      servers: [{ name: "a", state: "running", address: "127.0.0.1:7001" }],
    });
    await wake(town.fleet, sleeper(), never);
    const before = town.plane.requests.length;
    town.clock.advance(reuseMs - 1);
    expect(await wake(town.fleet, sleeper(), never)).toEqual(awakeAt("127.0.0.1:7001"));
    expect(town.plane.requests.length).toBe(before);
    town.clock.advance(1);
    await wake(town.fleet, sleeper(), never);
    expect(town.plane.starts("a")).toBe(2);
    town.clock.advance(reuseMs);
    await town.idle();
  });

  test("who leaves disturbs nobody; when the last one has left the wake ends and asks no more", async () => {
    await using town = bench();
    const [leaver, last] = [new AbortController(), new AbortController()];
    const left = wake(town.fleet, sleeper(), leaver.signal);
    const stayed = wake(town.fleet, sleeper(), last.signal);
    await until("the first look", () => town.polls() === 1);
    leaver.abort();
    expect(await left).toEqual({ kind: "left" });
    await town.nextPoll();
    expect(await stateOf(stayed)).toBe("pending");
    last.abort();
    expect(await stayed).toEqual({ kind: "left" });
    await town.idle();
    expect(town.events).toEqual([
      { kind: "wake-started", server: "a" },
      { kind: "wake-abandoned", server: "a", tookMs: pollMs },
    ]);
    expect(town.fleet.isWaking(named("a"))).toBe(false);
    expect(town.plane.starts("a")).toBe(1);
  });

  test("who is gone already asks for nothing", async () => {
    await using town = bench();
    expect(await wake(town.fleet, sleeper(), AbortSignal.abort())).toEqual({ kind: "left" });
    expect(town.events).toEqual([]);
    expect(town.plane.requests).toEqual([]);
  });

  test("when the time is over the wake has failed for everybody, with what stood in the way; the next player starts anew", async () => {
    await using town = bench({ timeoutMs: 5_000 });
    const waiting = [wake(town.fleet, sleeper(), never), wake(town.fleet, sleeper(), never)];
    await until("the first look", () => town.polls() === 1);
    await town.nextPoll();
    waiting.push(wake(town.fleet, sleeper(), never));
    await town.nextPoll();
    town.clock.advance(999);
    expect(await stateOf(Promise.race(waiting))).toBe("pending");
    town.clock.advance(1);
    expect(await Promise.all(waiting)).toEqual(
      Array(3).fill({ kind: "failed", reason: "it was not running in time" }),
    );
    await town.idle();
    expect(town.events.slice(1)).toEqual([
      {
        kind: "wake-failed",
        server: "a",
        reason: "it was not running in time",
        waiters: 3,
        tookMs: 5_000,
      },
    ]);
    expect(town.fleet.isWaking(named("a"))).toBe(false);
    const again = new AbortController();
    void wake(town.fleet, sleeper(), again.signal);
    await until("a second start", () => town.plane.starts("a") === 2);
    again.abort();
    await town.idle();
  });

  for (const order of ["before", "after"]) {
    test(`a last waiter that leaves in the same moment, ${order} the time is over, makes for one event`, async () => {
      await using town = bench({ timeoutMs: 3_000 });
      const leaver = new AbortController();
      if (order === "before") town.clock.after(3_000, () => leaver.abort());
      const woken = wake(town.fleet, sleeper(), leaver.signal);
      if (order === "after") town.clock.after(3_000, () => leaver.abort());
      await until("the first look", () => town.polls() === 1);
      town.clock.advance(3_000);
      expect(await woken).toEqual({ kind: "left" });
      await until("the end", () => town.kinds().length > 1);
      await town.idle();
      const ends = { before: "wake-abandoned", after: "wake-failed" };
      expect(town.kinds().slice(1)).toEqual([ends[order as "before" | "after"] as "wake-failed"]);
    });
  }

  test("a defect on the way reaches everybody who waits, and nothing else", async () => {
    await using town = bench({
      servers: [{ name: "a", state: "running", address: "127.0.0.1:7001" }],
      emit: (event) => {
        if (event.kind === "wake-done") throw new Error("a broken observer");
      },
    });
    const waiting = [wake(town.fleet, sleeper(), never), wake(town.fleet, sleeper(), never)];
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(town.fleet.isWaking(named("a"))).toBe(false);
  });
});

describe("a start", () => {
  test("is asked for again until it is accepted, and then not any more", async () => {
    await using town = bench();
    town.plane.misbehave({ kind: "answer", status: 503 }, { request: "start" });
    const leaver = new AbortController();
    const woken = wake(town.fleet, sleeper(), leaver.signal);
    await until("the first look", () => town.polls() === 1);
    await town.nextPoll();
    expect(town.plane.starts("a")).toBe(2);
    town.plane.misbehave(null);
    await town.nextPoll();
    await town.nextPoll();
    await town.nextPoll();
    expect(town.plane.starts("a")).toBe(3);
    leaver.abort();
    await woken;
  });

  test("that hangs keeps nobody from a running server for longer than a poll interval, or from its real address", async () => {
    using stale = startBackend(silent);
    await using town = bench({
      servers: [{ name: "a", state: "running", address: "127.0.0.1:7001" }],
    });
    town.plane.misbehave({ kind: "hang" }, { request: "start" });
    const woken = wake(town.fleet, sleeper(stale.address), never);
    await until("the start", () => town.plane.starts("a") === 1);
    expect(await stateOf(woken)).toBe("pending");
    town.clock.advance(pollMs);
    expect(await woken).toEqual(awakeAt("127.0.0.1:7001"));
    expect(stale.connections).toEqual([]);
  });

  test("that hangs is no reason to take the row's address while the control plane says that the server starts", async () => {
    using stale = startBackend(silent);
    await using town = bench();
    town.plane.misbehave({ kind: "hang" }, { request: "start" });
    const leaver = new AbortController();
    const woken = wake(town.fleet, sleeper(stale.address), leaver.signal);
    await until("the start", () => town.plane.starts("a") === 1);
    await town.nextPoll();
    // Its answer is here: moved on before that, the clock would make it one that takes its time.
    await until("it is known to be down", () => town.fleet.isWaking(named("a")));
    await town.nextPoll();
    expect(await stateOf(woken)).toBe("pending");
    expect(town.plane.starts("a")).toBe(1);
    expect(stale.connections).toEqual([]);
    leaver.abort();
    await town.idle();
  });
});

describe("a control plane that is dead locks nobody out", () => {
  const rows: readonly { name: string; answer: Misbehaviour }[] = [
    { name: "500", answer: { kind: "answer", status: 500 } },
    { name: "404", answer: { kind: "answer", status: 404 } },
    { name: "401", answer: { kind: "answer", status: 401 } },
    { name: "a redirect", answer: { kind: "answer", status: 302, headers: { location: "/" } } },
    { name: "garbage", answer: { kind: "answer", status: 200, body: "<html>" } },
    { name: "10 MB", answer: { kind: "huge", bytes: 10_000_000 } },
  ];
  for (const { name, answer } of rows) {
    test(`${name}: a row's address that accepts is used at once`, async () => {
      using backend = startBackend(silent);
      await using town = bench();
      town.plane.misbehave(answer);
      expect(await wake(town.fleet, sleeper(backend.address), never)).toEqual(
        awakeAt(backend.address),
      );
      expect(town.events).toContainEqual(expect.objectContaining({ kind: "wake-done", by: "row" }));
      expect(town.kinds().filter((kind) => kind === "control-plane-lost")).toHaveLength(1);
    });
  }

  test("nothing listens there: the row's address is used at once", async () => {
    using backend = startBackend(silent);
    using closed = await reserveClosedPort();
    const clock = manualDeadlines();
    const fleet = realWakes({ url: `http://127.0.0.1:${closed.port}` }, clock, () => {});
    expect(await wake(fleet, sleeper(backend.address), never)).toEqual(awakeAt(backend.address));
  });

  test("it hangs: the row's address is used after a poll interval and a moment, and the operator hears of it", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    town.plane.misbehave({ kind: "hang" });
    const woken = wake(town.fleet, sleeper(backend.address), never);
    await until("the start", () => town.plane.starts("a") === 1);
    await town.nextPoll();
    town.clock.advance(500);
    expect(await woken).toEqual(awakeAt(backend.address));
    town.clock.advance(5_000);
    await until("the loss", () => town.kinds().includes("control-plane-lost"));
    expect(town.kinds().filter((kind) => kind === "control-plane-lost")).toHaveLength(1);
  });

  test("the row's address refuses: it is asked again with each poll, and lets players in when it opens", async () => {
    using sleeping = await sleepingBackend();
    await using town = bench();
    town.plane.misbehave({ kind: "answer", status: 500 });
    const woken = wake(town.fleet, sleeper(sleeping.address), never);
    await until("the first look", () => town.polls() === 1);
    await town.nextPoll();
    expect(await stateOf(woken)).toBe("pending");
    await until("it is known to be down", () => town.fleet.isWaking(named("a")));
    using backend = sleeping.listen(silent);
    town.clock.advance(pollMs);
    expect(await woken).toEqual(awakeAt(backend.address));
  });

  test("neither it nor the row's address: failed when the time is over, and the reason names the control plane's answer", async () => {
    await using town = bench({ timeoutMs: 3_000 });
    town.plane.misbehave({ kind: "answer", status: 500 });
    const woken = wake(town.fleet, sleeper(), never);
    await until("the first look", () => town.polls() === 1);
    await town.nextPoll();
    town.clock.advance(1_000);
    expect(await woken).toMatchObject({ kind: "failed" });
    expect(town.events.at(-1)).toMatchObject({
      kind: "wake-failed",
      reason: expect.stringContaining("status 500"),
    });
    await town.idle();
  });

  test("a row that names another address meanwhile is believed", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    town.plane.misbehave({ kind: "answer", status: 500 });
    const first = wake(town.fleet, sleeper("127.0.0.1:1"), never);
    await until("the first look", () => town.polls() === 1);
    const second = wake(town.fleet, sleeper(backend.address), never);
    town.clock.advance(pollMs);
    expect(await Promise.all([first, second])).toEqual([
      awakeAt(backend.address),
      awakeAt(backend.address),
    ]);
  });

  test("it refuses the start and answers looks: failed when the time is over, and the reason names the refusal", async () => {
    await using town = bench({ timeoutMs: 3_000 });
    town.plane.misbehave({ kind: "answer", status: 402 }, { request: "start" });
    const woken = wake(town.fleet, sleeper(), never);
    await until("the first look", () => town.polls() === 1);
    await town.nextPoll();
    town.clock.advance(1_000);
    expect(await woken).toMatchObject({ kind: "failed" });
    expect(town.events.at(-1)).toMatchObject({ reason: "POST /servers/a/start: status 402" });
  });

  test("it comes back: the server is started after all, at the address that it gives", async () => {
    await using town = bench();
    town.plane.misbehave({ kind: "answer", status: 500 });
    const woken = wake(town.fleet, sleeper(), never);
    await until("the first look", () => town.polls() === 1);
    town.plane.misbehave(null);
    town.plane.setRunning("a", "127.0.0.1:7001");
    town.clock.advance(pollMs);
    expect(await woken).toEqual(awakeAt("127.0.0.1:7001"));
    expect(town.kinds()).toEqual([
      "wake-started",
      "control-plane-lost",
      "control-plane-back",
      "wake-done",
    ]);
  });
});

describe("running, but no player gets in", () => {
  test("a closed port is not yet: no second start, no word before it opens, and then in", async () => {
    using sleeping = await sleepingBackend();
    await using town = bench({
      servers: [{ name: "a", state: "running", address: sleeping.address }],
    });
    const told = await wake(town.fleet, sleeper(), never);
    expect(told).toEqual(awakeAt(sleeping.address));
    expect(town.fleet.isWaking(named("a"))).toBe(false);

    town.fleet.refused(sleeper(), addressOf(sleeping.address), null);
    expect(town.fleet.isWaking(named("a"))).toBe(true);
    const woken = wake(town.fleet, sleeper(), never);
    await town.nextPoll(retryMs);
    // Longer than a result is kept: the wake must not be forgotten while somebody waits for it.
    for (let poll = 0; poll < 4; poll++) await town.nextPoll();
    expect(await stateOf(woken)).toBe("pending");
    using backend = sleeping.listen(silent);
    town.clock.advance(pollMs);
    expect(await woken).toEqual(awakeAt(backend.address));
    expect(town.plane.starts("a")).toBe(1);
    expect(town.fleet.isWaking(named("a"))).toBe(false);
    town.clock.advance(reuseMs);
    await town.idle();
  });

  test("when that goes on until the time is over, the reason says so", async () => {
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using town = bench({
      servers: [{ name: "a", state: "running", address }],
      timeoutMs: 3_000,
    });
    await wake(town.fleet, sleeper(), never);
    town.fleet.refused(sleeper(), addressOf(address), null);
    const woken = wake(town.fleet, sleeper(), never);
    await town.nextPoll(retryMs);
    await town.nextPoll();
    town.clock.advance(500);
    expect(await woken).toMatchObject({ kind: "failed" });
    expect(town.events.at(-1)).toMatchObject({
      kind: "wake-failed",
      reason: `it is said to run at ${address}, where no player gets in`,
    });
  });

  test("an address that changes between two polls is used at once", async () => {
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using town = bench({ servers: [{ name: "a", state: "running", address }] });
    await wake(town.fleet, sleeper(), never);
    town.fleet.refused(sleeper(), addressOf(address), null);
    const woken = wake(town.fleet, sleeper(), never);
    await town.nextPoll(retryMs);
    town.plane.setRunning("a", "127.0.0.1:7002");
    town.clock.advance(pollMs);
    expect(await woken).toEqual(awakeAt("127.0.0.1:7002"));
  });

  test("a backend that takes connections and drops them is tried twice a second, with one start and one word to the operator", async () => {
    using backend = startBackend(silent);
    await using town = bench({
      servers: [{ name: "a", state: "running", address: backend.address }],
      timeoutMs: 20_000,
    });
    let rounds = 0;
    for (const start = town.clock.now(); town.clock.now() - start < 12_000; rounds++) {
      const woken = wake(town.fleet, sleeper(), never);
      if (rounds > 0) {
        expect(await stateOf(woken)).toBe("pending");
        town.clock.advance(retryMs);
      }
      expect(await woken).toEqual(awakeAt(backend.address));
      town.fleet.refused(sleeper(), addressOf(backend.address), null);
    }
    expect(rounds).toBeLessThanOrEqual(25);
    expect(town.plane.starts("a")).toBe(1);
    expect(town.kinds()).toEqual(["wake-started", "wake-done"]);
  });

  test("such a backend does not get more than the wake's time either", async () => {
    using backend = startBackend(silent);
    await using town = bench({
      servers: [{ name: "a", state: "running", address: backend.address }],
      timeoutMs: 1_200,
    });
    const refuse = () => town.fleet.refused(sleeper(), addressOf(backend.address), null);
    await wake(town.fleet, sleeper(), never);
    for (let round = 0; round < 2; round++) {
      refuse();
      const woken = wake(town.fleet, sleeper(), never);
      town.clock.advance(retryMs);
      expect(await woken).toEqual(awakeAt(backend.address));
    }
    refuse();
    const woken = wake(town.fleet, sleeper(), never);
    town.clock.advance(retryMs);
    expect(await woken).toMatchObject({ kind: "failed" });
  });

  test("when nobody comes back after a refusal it is forgotten, and the server no longer said to be waking", async () => {
    await using town = bench({
      servers: [{ name: "a", state: "running", address: "127.0.0.1:1" }],
    });
    await wake(town.fleet, sleeper(), never);
    town.fleet.refused(sleeper(), addressOf("127.0.0.1:1"), null);
    expect(town.fleet.isWaking(named("a"))).toBe(true);
    town.clock.advance(reuseMs);
    expect(town.fleet.isWaking(named("a"))).toBe(false);
    await town.idle();
  });

  test("a refusal of an address that has been replaced, or of a server that nobody waked, changes nothing", async () => {
    await using town = bench({
      servers: [{ name: "a", state: "running", address: "127.0.0.1:7001" }],
    });
    town.fleet.refused(sleeper(), addressOf("127.0.0.1:7001"), null);
    expect(town.fleet.isWaking(named("a"))).toBe(false);
    await wake(town.fleet, sleeper(), never);
    town.fleet.refused(sleeper(), addressOf("127.0.0.1:7009"), null);
    expect(await wake(town.fleet, sleeper(), never)).toEqual(awakeAt("127.0.0.1:7001"));
    expect(town.plane.starts("a")).toBe(1);
  });
});

test("a server is waking from the first look that finds it down until it is up, and never when it was up all along", async () => {
  await using town = bench({
    servers: [
      { name: "a", startMs: null },
      { name: "up", state: "running", address: "127.0.0.1:7001" },
    ],
  });
  await wake(town.fleet, sleeper("127.0.0.1:1", "up"), never);
  expect(town.fleet.isWaking(named("up"))).toBe(false);

  expect(town.fleet.isWaking(named("a"))).toBe(false);
  const woken = wake(town.fleet, sleeper(), never);
  expect(town.fleet.isWaking(named("a"))).toBe(false);
  await until("it is known to be down", () => town.fleet.isWaking(named("a")));
  town.plane.setRunning("a", "127.0.0.1:7001");
  town.clock.advance(pollMs);
  await woken;
  expect(town.fleet.isWaking(named("a"))).toBe(false);
});

test("what was found is forgotten when the route says that the server sleeps, and not when it moves", async () => {
  await using town = bench({
    servers: [{ name: "a", state: "running", address: "127.0.0.1:7001" }],
  });
  const claim = (address: Claim["route"]["address"]): Claim => ({
    pattern: { kind: "default" },
    route: { source: "docker", id: "a", patterns: [], address, wake: named("a") },
  });
  const [before, moved] = [claim(addressOf("127.0.0.1:1")), claim(addressOf("127.0.0.1:2"))];
  await wake(town.fleet, sleeper(), never);
  town.fleet.routesChanged({ changed: [{ before, after: moved }] });
  await wake(town.fleet, sleeper(), never);
  expect(town.plane.starts("a")).toBe(1);
  town.fleet.routesChanged({ changed: [{ before: moved, after: claim(nowhere) }] });
  await wake(town.fleet, sleeper(), never);
  expect(town.plane.starts("a")).toBe(2);
});
