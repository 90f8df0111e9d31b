import { describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { peek } from "../../src/net/conn.ts";
import { disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import { frame, login, pluginNotUnderstood, readVarint } from "../support/minecraft/wire.ts";
import { type Behaviour, sending, silent, startBackend } from "../support/net/backend.ts";
import type { Frame, Peer } from "../support/net/peer.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import {
  realDialer,
  realWakes,
  route,
  type SessionWorldOptions,
  sleepingBackend,
  startSessions,
} from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

const opening = login({ host: "a.example.com", name: "Steve" });
const later = frame(0x01, Buffer.from("what the client says to its backend"));
const greeting = frame(0x01, Buffer.from("what the backend says first"));

/** A router, on a clock that the test moves, with one server `a` that is asleep until the control plane is told otherwise. */
function asleep(own = "127.0.0.1:1", options: SessionWorldOptions = {}) {
  const clock = manualDeadlines();
  const plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
  const world = startSessions({
    routes: [route("a.example.com", own, "a")],
    plane,
    deadlines: clock,
    ...options,
  });
  return {
    ...world,
    clock,
    plane,
    polls: () => plane.requests.filter(({ kind }) => kind === "state").length,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await plane[Symbol.asyncDispose]();
    },
  };
}

/** Connections that said something: those that only see whether the port is open do not count. */
const spoken = (connections: readonly Peer[]): Peer[] =>
  connections.filter(({ receivedLength }) => receivedLength > 0);

/** What each connection that speaks meets, in turn; the last behaviour is for all that follow. */
function inTurn(...answers: readonly ((connection: Peer) => void)[]): Behaviour {
  const met = new Set<Peer>();
  return {
    data(connection) {
      if (met.has(connection)) return;
      met.add(connection);
      answers[Math.min(met.size, answers.length) - 1]?.(connection);
    },
  };
}

describe("a login to a sleeping server", () => {
  for (const { name, protocol, keepalive, least } of [
    { name: "1.8.8", protocol: 47, keepalive: null, least: 2 },
    { name: "1.20.4", protocol: 765, keepalive: 0x04, least: 8 },
    { name: "26.1", protocol: 775, keepalive: 0x04, least: 8 },
  ]) {
    test(`${name}: is held, joins when the server is up, and its backend sees what it said and nothing of the wait`, async () => {
      using backend = startBackend(sending(greeting));
      await using world = asleep();
      const player = await world.player(login({ host: "a.example.com", name: "Steve", protocol }));
      const held = waitThroughHold(player);
      await world.waitForEvent("session-holding");
      expect(world.events.find(({ kind }) => kind === "session-holding")).toMatchObject({
        session: { hostname: "a.example.com", waitedMs: null, player: { name: "Steve" } },
      });
      await advanceUntil(world.clock, "45 s", () => world.clock.now() >= 45_000);
      expect(backend.connections).toEqual([]);
      world.plane.setRunning("a", backend.address);
      await advanceUntil(world.clock, "the join", () => world.count("session-relaying") === 1);
      const { keepalives, frame: first } = await held;
      expect(first.raw).toEqual(greeting);
      expect(new Set(keepalives.map(({ id }) => id))).toEqual(new Set([keepalive]));
      expect(keepalives.length).toBeGreaterThanOrEqual(least);

      await player.send(later);
      const expected = Buffer.concat([
        login({ host: "a.example.com", name: "Steve", protocol }),
        later,
      ]);
      const [connection] = spoken(backend.connections);
      if (connection === undefined) throw new Error("no login has arrived");
      await connection.waitForLength(expected.length);
      expect(connection.received()).toEqual(expected);
      expect(spoken(backend.connections).length).toBe(1);
      expect(world.plane.starts("a")).toBe(1);

      player.close();
      await connection.waitForEnd();
      connection.close();
      const { session, outcome } = await world.ended();
      expect(outcome).toMatchObject({
        kind: "relayed",
        end: { toBackend: expected.length, endedBy: "client" },
      });
      expect(session).toMatchObject({ backend: backend.address, row: "a" });
      expect(session.waitedMs).toBeGreaterThanOrEqual(45_000);
      expect(session.waitedMs).toBeLessThanOrEqual(60_000);
    });
  }

  test("is let in at once where it runs already, and hears nothing but its backend", async () => {
    using backend = startBackend(sending(greeting));
    await using world = asleep();
    world.plane.setRunning("a", backend.address);
    const player = await world.player(Buffer.concat([opening, later]));
    expect((await player.readFrame()).raw).toEqual(greeting);
    const connection = await backend.waitForConnection(0);
    await connection.waitForLength(opening.length + later.length);
    expect(connection.received()).toEqual(Buffer.concat([opening, later]));
    expect(world.clock.now()).toBe(0);
  });

  test("answers to the hold that come late are kept from the backend, and the client's own words are not", async () => {
    using backend = startBackend(sending(greeting));
    await using world = asleep();
    const player = await world.player(opening);
    await until("the first look", () => world.polls() >= 1);
    await advanceUntil(world.clock, "two requests", () => world.clock.now() >= 8_000);
    world.plane.setRunning("a", backend.address);
    await advanceUntil(
      world.clock,
      "the backend has spoken",
      () => spoken(backend.connections).length === 1,
    );
    const requests: Frame[] = [];
    const asked = player.receivedLength;
    for (let read = 0; read < asked; ) {
      const request = await player.readFrame();
      requests.push(request);
      read += request.raw.length;
    }
    expect(new Set(requests.map(({ id }) => id))).toEqual(new Set([0x04]));
    expect(requests.length).toBeGreaterThanOrEqual(2);
    expect(world.count("session-relaying")).toBe(0);
    const ids = requests.map(({ body }) => readVarint(body, 0)?.value ?? -1);
    await player.send(Buffer.concat([...ids.map(pluginNotUnderstood), later]));
    expect((await player.readFrame()).raw).toEqual(greeting);
    const expected = Buffer.concat([opening, later]);
    const [connection] = spoken(backend.connections);
    await connection?.waitForLength(expected.length);
    expect(connection?.received()).toEqual(expected);
  });

  test("without the hold it waits in silence, and joins as well", async () => {
    using backend = startBackend(sending(greeting));
    await using world = asleep(undefined, { keepAlive: false });
    const player = await world.player(opening);
    await advanceUntil(world.clock, "20 s", () => world.clock.now() >= 20_000);
    world.plane.setRunning("a", backend.address);
    await advanceUntil(world.clock, "the join", () => player.receivedLength > 0);
    expect((await player.readFrame()).raw).toEqual(greeting);
  });
});

test("what a client sends behind its login reaches the backend whole, however much it is and however long that takes", async () => {
  using backend = startBackend(sending(greeting));
  await using world = asleep();
  // More than the kernel keeps for a socket that is not read.
  const much = Buffer.alloc(16 * 1024 * 1024, "what a client says before it is asked ");
  const player = await world.player(opening);
  await world.waitForEvent("session-holding");
  const sent = player.send(much);
  await advanceUntil(world.clock, "20 s", () => world.clock.now() >= 20_000);
  expect(world.count("session-ended")).toBe(0);
  world.plane.setRunning("a", backend.address);
  await advanceUntil(world.clock, "the join", () => world.count("session-relaying") === 1);
  const [connection] = spoken(backend.connections);
  if (connection === undefined) throw new Error("no login has arrived");
  await connection.waitForLength(opening.length + much.length, 20_000);
  await sent;
  expect(connection.received().equals(Buffer.concat([opening, much]))).toBe(true);
}, 30_000);

describe("a name that no game sends", () => {
  const named = (name: string) => login({ host: "a.example.com", name });

  test("is for a backend that runs to judge, and starts none", async () => {
    using backend = startBackend(sending(greeting));
    await using world = asleep();
    const early = await world.player(named("x".repeat(17)));
    expect(disconnectText(await early.readFrame())).toContain("you may not start it");
    expect(world.plane.starts("a")).toBe(0);

    await using other = startSessions({ routes: [route("a.example.com", backend.address)] });
    for (const length of [17, 255]) {
      const said = named("x".repeat(length));
      const player = await other.player(said);
      expect((await player.readFrame()).raw).toEqual(greeting);
      const connection = backend.connections.at(-1);
      await connection?.waitForLength(said.length);
      expect(connection?.received()).toEqual(said);
    }
  });

  test("is refused in words where it is longer than any backend allows", async () => {
    await using world = startSessions({ routes: [route("a.example.com", "127.0.0.1:1")] });
    const player = await world.player(named("x".repeat(256)));
    expect(disconnectText(await player.readFrame())).toContain("name is too long");
    expect((await world.ended()).outcome).toMatchObject({ kind: "answered", answer: "bad-name" });
  });
});

describe("the router commits late", () => {
  test("two connections that the backend drops and one that takes its time: the client notices nothing", async () => {
    const drop = (connection: Peer): void => connection.close();
    using backend = startBackend(
      inTurn(
        drop,
        (connection) => connection.reset(),
        () => {},
      ),
    );
    await using world = asleep();
    world.plane.setRunning("a", backend.address);
    const player = await world.player(opening);
    const held = waitThroughHold(player);
    await advanceUntil(
      world.clock,
      "a third login",
      () => spoken(backend.connections).length === 3,
    );
    const third = spoken(backend.connections)[2];
    await advanceUntil(world.clock, "a silent while", () => world.clock.now() >= 15_000);
    expect(player.ending).toBe("open");
    await third?.send(greeting);
    const { frame: first } = await held;
    expect(first.raw).toEqual(greeting);
    await player.send(later);
    await third?.waitForLength(opening.length + later.length);
    expect(third?.received()).toEqual(Buffer.concat([opening, later]));
    expect(spoken(backend.connections).map((each) => each.received().length)).toEqual([
      opening.length,
      opening.length,
      opening.length + later.length,
    ]);
    expect(world.plane.starts("a")).toBe(0);
    expect(world.count("session-holding")).toBe(1);
  });

  test("a server that runs with a closed port is waited for", async () => {
    using sleeping = await sleepingBackend();
    await using world = asleep();
    world.plane.setRunning("a", sleeping.address);
    const player = await world.player(opening);
    const held = waitThroughHold(player);
    await advanceUntil(world.clock, "10 s", () => world.clock.now() >= 10_000);
    using _backend = sleeping.listen(sending(greeting));
    await advanceUntil(world.clock, "the join", () => world.count("session-relaying") === 1);
    expect((await held).frame.raw).toEqual(greeting);
    expect(world.plane.starts("a")).toBe(0);
  });

  test("a backend that has spoken before anybody listened is heard", async () => {
    using backend = startBackend(sending(greeting));
    const real = realDialer(createDeadlines());
    await using world = asleep(undefined, {
      dialer: {
        ...real,
        async reach(target, opening, signal) {
          const reached = await real.reach(target, opening, signal);
          if (reached.ok)
            await until("its word is here", () => peek(reached.value.conn).length > 0);
          return reached;
        },
      },
    });
    world.plane.setRunning("a", backend.address);
    const player = await world.player(opening);
    expect((await player.readFrame()).raw).toEqual(greeting);
  });

  test("a backend that speaks and ends at once has spoken", async () => {
    using backend = startBackend({
      async open(connection) {
        await connection.send(greeting);
        connection.finish();
      },
    });
    await using world = asleep();
    world.plane.setRunning("a", backend.address);
    const player = await world.player(opening);
    expect((await player.readFrame(2_000)).raw).toEqual(greeting);
    expect(await player.waitForEnd()).toBe("finished");
    expect(backend.connections.length).toBe(1);
  });
});

describe("a wait that ends without a backend", () => {
  test("fails in words when the server does not come up in time, and the operator hears why", async () => {
    await using world = asleep(undefined, { wake: { timeoutMs: 20_000 } });
    const player = await world.player(opening);
    const held = waitThroughHold(player);
    await advanceUntil(world.clock, "the end", () => world.count("session-ended") === 1);
    expect(JSON.parse(disconnectText((await held).frame))).toEqual({
      text: "This server did not start in time. Please try again in a few minutes.",
    });
    expect(await player.waitForEnd()).toBe("finished");
    expect(await world.ended()).toMatchObject({
      session: { backend: "127.0.0.1:1" },
      outcome: { kind: "answered", answer: "wake-failed" },
    });
    expect(world.events.map(({ kind }) => kind)).toEqual([
      "session-accepted",
      "session-holding",
      "wake-started",
      "wake-failed",
      "session-ended",
    ]);
    expect(world.events[3]).toMatchObject({ waiters: 1, reason: 'its state stayed "starting"' });
  });

  test("fails in words, and in time, when the backend takes the login and never says a word", async () => {
    using backend = startBackend(silent);
    await using world = asleep(undefined, { wake: { timeoutMs: 20_000 } });
    world.plane.setRunning("a", backend.address);
    const player = await world.player(opening);
    const held = waitThroughHold(player);
    await advanceUntil(world.clock, "the end", () => world.count("session-ended") === 1, 30_000);
    expect(disconnectText((await held).frame)).toContain("did not start in time");
    expect((await world.ended()).session.waitedMs).toBeLessThanOrEqual(22_000);
    await backend.connections[0]?.waitForEnd();
    expect(world.plane.starts("a")).toBe(0);
  });

  for (const leave of ["finish", "reset"] as const) {
    test(`by the client's ${leave === "finish" ? "FIN" : "RST"}: the session is over at once, and the start goes on`, async () => {
      await using world = asleep();
      const player = await world.player(opening);
      await until("the start", () => world.plane.starts("a") === 1);
      player[leave]();
      const { session, outcome } = await world.ended();
      expect(outcome).toEqual({ kind: "dropped", why: "left", reason: null });
      expect(session.waitedMs).toBe(0);
      expect(world.count("wake-abandoned")).toBe(1);
      expect(world.wakes?.isStarting({ kind: "control-plane", server: "a" })).toBe(true);
      expect(world.sessions.count()).toBe(0);
      expect(world.plane.starts("a")).toBe(1);
    });
  }

  test("by a client that leaves while its backend makes it wait: the backend is let go", async () => {
    using backend = startBackend(silent);
    await using world = asleep();
    world.plane.setRunning("a", backend.address);
    const player = await world.player(opening);
    const connection = await backend.waitForConnection(0);
    await connection.waitForLength(opening.length);
    player.reset();
    await connection.waitForEnd();
    expect((await world.ended()).outcome).toMatchObject({ why: "left" });
    expect(world.plane.starts("a")).toBe(0);
    // It is no word against the backend, which may have been about to speak.
    expect(world.wakes?.isStarting({ kind: "control-plane", server: "a" })).toBe(false);
  });

  test("by a client that speaks out of turn: no word", async () => {
    await using world = asleep();
    const player = await world.player(opening);
    await until("the first look", () => world.polls() >= 1);
    world.clock.advance(2_000);
    const request = await player.readFrame();
    await player.send(frame(0x01, Buffer.from("encryption")));
    await player.waitForEnd();
    expect(player.receivedLength).toBe(request.raw.length);
    expect((await world.ended()).outcome).toMatchObject({ kind: "dropped", why: "out-of-turn" });
  });

  test("by a client that no longer answers when its server is up: it is asked to join again", async () => {
    using backend = startBackend(sending(greeting));
    await using world = asleep();
    const player = await world.player(opening);
    await until("the first look", () => world.polls() >= 1);
    await advanceUntil(world.clock, "40 s", () => world.clock.now() >= 40_000);
    world.plane.setRunning("a", backend.address);
    await advanceUntil(world.clock, "the end", () => world.count("session-ended") === 1);
    const { keepalives, frame: last } = await waitThroughHold(player, { answers: false });
    expect(keepalives.length).toBeLessThanOrEqual(4);
    expect(JSON.parse(disconnectText(last))).toEqual({
      text: "The server is ready now. Please join again.",
    });
    expect((await world.ended()).outcome).toMatchObject({ kind: "answered", answer: "mute" });
    expect(backend.connections[0]?.ending).not.toBe("open");
  });

  test("by the router's stop: each waiting player is told so", async () => {
    await using world = asleep();
    const players = [await world.player(opening), await world.player(opening)];
    await until("the start", () => world.plane.starts("a") === 1);
    await world.waitForEvent("session-holding", 2);
    world.stop();
    for (const [index, player] of players.entries()) {
      expect(JSON.parse(disconnectText(await player.readFrame()))).toEqual({
        text: "The network is being restarted. Please join again in a moment.",
      });
      expect((await world.ended(index)).outcome).toMatchObject({ answer: "stopping" });
      player.close();
    }
    expect(world.count("wake-abandoned")).toBe(1);
  });
});

test("the operator's words tell what is known of the server", async () => {
  const clock = manualDeadlines();
  await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
  const wakes = realWakes(plane, clock, () => {}, { timeoutMs: 20_000 });
  await using world = startSessions({
    routes: [route("a.example.com", "127.0.0.1:1", "a")],
    wakes: { ...wakes, view: (of) => ({ ...wakes.view(of), usualStartMs: 47_200, waiting: 3 }) },
    deadlines: clock,
    texts: { "wake-failed": "{server}: usually {eta}, {waiting} wait" },
  });
  const held = waitThroughHold(await world.player(opening));
  await advanceUntil(clock, "the end", () => world.count("session-ended") === 1);
  expect(JSON.parse(disconnectText((await held).frame))).toEqual({
    text: "a: usually 48 s, 3 wait",
  });
});

test("a dead control plane locks nobody out: the row's own address takes the player", async () => {
  using backend = startBackend(sending(greeting));
  await using world = asleep(backend.address);
  world.plane.misbehave({ kind: "answer", status: 500 });
  const player = await world.player(opening);
  expect((await player.readFrame()).raw).toEqual(greeting);
});

test("500 logins at once on one sleeping server cost one start, and all get in", async () => {
  using backend = startBackend({ data: (connection) => connection.send(greeting) });
  await using plane = startControlPlane({
    servers: [{ name: "a", address: backend.address, startMs: 300 }],
  });
  await using world = startSessions({
    routes: [route("a.example.com", "127.0.0.1:1", "a")],
    plane,
    wake: { pollMs: 50 },
  });
  const players = await Promise.all(
    Array.from({ length: 500 }, (_, index) =>
      world.player(login({ host: "a.example.com", name: `Player${index}` })),
    ),
  );
  const first = await Promise.all(players.map((player) => player.readFrame(20_000)));
  expect(first.every(({ raw }) => raw.equals(greeting))).toBe(true);
  expect(plane.starts("a")).toBe(1);
  expect(backend.handshakes().length).toBe(500);
  expect(backend.handshakes().every(({ intent }) => intent === 2)).toBe(true);
}, 30_000);
