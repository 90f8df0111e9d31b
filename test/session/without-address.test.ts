import { describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { ok } from "../../src/base/result.ts";
import type { SwarmTarget } from "../../src/providers/swarm/waker.ts";
import { type Address, makeAddress, nowhere } from "../../src/routing/address.ts";
import type { Motd, Route } from "../../src/routing/route.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import type { BackendState, Waker } from "../../src/wake/waker.ts";
import { disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import {
  frame,
  handshake,
  intents,
  legacyPing,
  login,
  ping,
  readLegacyAnswer,
  statusRequest,
  statusResponse,
} from "../support/minecraft/wire.ts";
import { sending, startBackend } from "../support/net/backend.ts";
import { type ManualDeadlines, manualDeadlines } from "../support/session/session-clock.ts";
import { route, startSessions, wakesOf } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

const host = "a.example.com";
const greeting = frame(0x02, Buffer.from("welcome"));
const statusPing = Buffer.concat([
  handshake({ protocol: 774, host, port: 25565, intent: intents.status }),
  statusRequest,
  ping(7n),
]);
const shows = (text: string): Buffer =>
  Buffer.concat([
    statusResponse(
      `{"version":{"name":"1.7+","protocol":774},"players":{"max":1,"online":0},"description":{"text":"${text}"}}`,
    ),
    ping(7n),
  ]);

const target: SwarmTarget = {
  kind: "swarm",
  service: "s1",
  name: "lobby",
  port: 25565,
  network: null,
  scaling: { up: true, down: true, waitMs: 60_000 },
};

const unwakeable: SwarmTarget = { ...target, scaling: { ...target.scaling, up: false } };

/** A route to a backend that a platform tells of. */
const discovered = (wake: Route["wake"], motd?: Motd, address: Address = nowhere): Route => ({
  ...route(host, "127.0.0.1:1"),
  address,
  wake,
  ...(motd && { motd }),
});

const down: BackendState = { kind: "stopped", word: "without replicas" };

/** Sessions with one such route, and a platform that does what the test says. */
function start(
  only: Route,
  options: { readonly asleepText?: string; readonly clock?: ManualDeadlines } = {},
) {
  const { asleepText = "", clock } = options;
  const deadlines = clock ?? createDeadlines();
  const platform = { state: down, starts: 0, looks: 0 };
  const waker: Waker<SwarmTarget> = {
    kind: "swarm",
    timing: { timeoutMs: ({ scaling }) => scaling.waitMs, afterAcceptMs: null, pauseMs: () => 20 },
    start() {
      platform.starts += 1;
      return Promise.resolve(ok(undefined));
    },
    look() {
      platform.looks += 1;
      return Promise.resolve(platform.state);
    },
    may: ({ scaling }) => ({ start: scaling.up, stop: scaling.down }),
    stop: () => Promise.resolve(ok(undefined)),
  };
  const events: BackendEvent[] = [];
  const wakes = wakesOf({ swarm: waker }, deadlines, (event) => void events.push(event));
  const table = createRouteTable();
  const set = (next: Route): void => void table.replace("postgres", [next]);
  set(only);
  const world = startSessions({ table, wakes, deadlines, asleepText });
  return { ...world, world, platform, backendEvents: events, wakes, set };
}

describe("a ping of a backend without an address", () => {
  const own: Motd = { asleep: "mine", loading: "soon", until: null };
  const rows: readonly { name: string; only: Route; asleepText: string; shown: string }[] = [
    { name: "that nobody can wake", only: discovered(null), asleepText: "zzz", shown: "zzz" },
    {
      name: "with a text of its own that nobody can wake",
      only: discovered(null, own),
      asleepText: "",
      shown: "mine",
    },
  ];
  for (const { name, only, asleepText, shown } of rows) {
    test(`${name} shows its text, dials nothing and wakes nothing`, async () => {
      await using world = start(only, { asleepText }).world;
      const player = await world.player(statusPing);
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.received()).toEqual(shows(shown));
      const { session, outcome } = await world.ended();
      expect(outcome).toMatchObject({ kind: "answered", answer: "asleep" });
      expect(session.backend).toBeNull();
    });
  }

  test("from before 1.7 shows it too", async () => {
    await using world = start(discovered(null), { asleepText: "zzz" }).world;
    const player = await world.player(legacyPing.withHost(host, 1));
    expect(await player.waitForEnd()).toBe("finished");
    expect(readLegacyAnswer(player.received())).toContain("zzz");
  });

  test("counts down to the time at which it is started again", async () => {
    const motd = { asleep: "back in {duration}", loading: "", until: Date.now() + 7_200_000 };
    await using world = start(discovered(null, motd)).world;
    const player = await world.player(statusPing);
    await player.waitForEnd();
    expect(player.received().toString()).toMatch(/back in (2h0m0s|1h59m\d+s)/);
  });

  test("without any text is closed without a word", async () => {
    for (const wake of [null, target]) {
      await using world = start(discovered(wake)).world;
      const player = await world.player(statusPing);
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.receivedLength).toBe(0);
      expect((await world.ended()).outcome).toMatchObject({ why: "no-answer" });
    }
  });

  test("that is being woken shows that it starts, by its own text", async () => {
    const running = start(discovered(target, own), { asleepText: "zzz" });
    await using world = running.world;
    await world.player(login({ host, name: "Waiter" }));
    await until("known to be down", () => running.wakes.isStarting(target));
    const player = await world.player(statusPing);
    await player.waitForEnd();
    expect(player.received()).toEqual(shows("soon"));
  });

  test("that has just come up is its own, although its route does not know yet", async () => {
    using backend = startBackend(sending(statusResponse("{}")));
    const running = start(discovered(target), { asleepText: "zzz" });
    await using world = running.world;
    running.platform.state = {
      kind: "expected",
      addresses: [makeAddress("127.0.0.1", backend.port)],
    };
    await world.player(login({ host, name: "First" }));
    await world.waitForEvent("session-relaying");
    const player = await world.player(statusPing);
    await player.waitForLength(statusResponse("{}").length);
    expect(player.received()).toEqual(statusResponse("{}"));
  });
});

describe("a login to a backend without an address", () => {
  test("waits for its start, and gets in where the platform says", async () => {
    using backend = startBackend(sending(greeting));
    const running = start(discovered(target));
    await using world = running.world;
    const player = await world.player(login({ host, name: "Steve" }));
    await until("some looks", () => running.platform.looks > 2);
    expect(running.platform.starts).toBe(1);
    running.platform.state = {
      kind: "expected",
      addresses: [makeAddress("127.0.0.1", backend.port)],
    };
    expect((await waitThroughHold(player)).frame.raw).toEqual(greeting);
    expect(running.backendEvents.at(-1)).toMatchObject({ kind: "wake-done", by: "swarm" });
  });

  const refused: readonly { name: string; only: Route; says: string | RegExp }[] = [
    { name: "that nobody can wake", only: discovered(null), says: "cannot be reached right now" },
    { name: "that may not be woken now", only: discovered(unwakeable), says: "cannot be reached" },
    {
      name: "with words of its own",
      only: discovered(null, { asleep: "x", loading: "", until: null, refusal: "It is broken." }),
      says: "It is broken.",
    },
    {
      name: "that comes back by itself",
      only: discovered(unwakeable, {
        asleep: "x",
        loading: "",
        until: Date.now() + 7_200_000,
        refusal: "Back in {duration}",
      }),
      says: /Back in (2h0m0s|1h59m\d+s)/,
    },
  ];
  for (const { name, only, says } of refused) {
    test(`${name} is refused at once, in words`, async () => {
      const running = start(only);
      await using world = running.world;
      const player = await world.player(login({ host, name: "Steve" }));
      expect(disconnectText(await player.readFrame())).toMatch(says);
      const { session, outcome } = await world.ended();
      expect(outcome).toMatchObject({ kind: "answered", answer: "unreachable" });
      expect(session.backend).toBeNull();
      expect(running.platform.starts).toBe(0);
    });
  }

  test("joins the wake that is under way, although the platform says by now that it is down", async () => {
    using backend = startBackend(sending(greeting));
    const running = start(discovered(target));
    await using world = running.world;
    await world.player(login({ host, name: "First" }));
    await until("a look", () => running.platform.looks > 0);
    running.set(discovered(unwakeable));
    const second = await world.player(login({ host, name: "Second" }));
    await world.waitForEvent("session-holding", 2);
    running.platform.state = {
      kind: "expected",
      addresses: [makeAddress("127.0.0.1", backend.port)],
    };
    expect((await waitThroughHold(second)).frame.raw).toEqual(greeting);
    expect(running.platform.starts).toBe(1);
  });

  test("that fails on its way up is refused without waiting for the end of its time", async () => {
    const running = start(discovered(target));
    await using world = running.world;
    const player = await world.player(login({ host, name: "Steve" }));
    await until("the start", () => running.platform.starts === 1);
    running.platform.state = { kind: "failed", reason: "its last task has ended", message: null };
    expect(disconnectText((await waitThroughHold(player)).frame)).toContain("did not start");
    expect((await world.ended()).outcome).toMatchObject({
      answer: "wake-failed",
      reason: "its last task has ended",
    });
  });

  test("that goes down on its way up is given its time anew, up to twice that time for a client", async () => {
    const clock = manualDeadlines();
    const running = start(discovered(target), { clock });
    await using world = running.world;
    running.platform.state = { kind: "delayed", ms: 100_000 };
    const player = await world.player(login({ protocol: 47, host, name: "Steve" }));
    await until("a look", () => running.platform.looks > 0);
    await until("its time is longer", () => running.wakes.endsAt(target, 0) === 120_000);
    running.platform.state = { kind: "starting", word: "without a running task" };
    clock.advance(120_000);
    expect(world.count("session-ended")).toBe(0);
    clock.advance(1_000);
    expect(disconnectText((await waitThroughHold(player)).frame)).toContain(
      "Lobby is still starting.",
    );
    expect((await world.ended()).outcome).toMatchObject({ answer: "wake-failed" });
  });

  test("that goes down again and again is not waited for without end", async () => {
    const clock = manualDeadlines();
    const running = start(discovered(target), { clock });
    await using world = running.world;
    running.platform.state = { kind: "delayed", ms: 10_000 };
    await world.player(login({ protocol: 47, host, name: "Steve" }));
    await until("a look", () => running.platform.looks > 0);
    for (let rounds = 0; world.count("session-ended") === 0; rounds += 1) {
      const { looks } = running.platform;
      clock.advance(20_000);
      await until(
        "a look or the end",
        () => running.platform.looks > looks || world.count("session-ended") > 0,
      );
      expect(rounds).toBeLessThan(60);
    }
    expect((await world.ended()).outcome).toMatchObject({ answer: "wake-failed" });
    expect(clock.now()).toBeGreaterThan(120_000);
  });
});

test("a login to a backend that has an address and may not be woken goes straight there", async () => {
  using backend = startBackend(sending(greeting));
  const running = start(discovered(unwakeable, undefined, makeAddress("127.0.0.1", backend.port)));
  await using world = running.world;
  const player = await world.player(login({ host, name: "Steve" }));
  expect((await player.readFrame()).raw).toEqual(greeting);
  expect(running.platform.looks).toBe(0);
});
