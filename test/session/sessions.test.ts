import { describe, expect, test } from "bun:test";
import { createAcceptQueue } from "../../src/limits/accept-queue.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import type { SessionEvent } from "../../src/session/event.ts";
import { disconnectText } from "../support/minecraft/player.ts";
import { handshake, intents, login, statusRequest } from "../support/minecraft/wire.ts";
import { echo, silent, startBackend } from "../support/net/backend.ts";
import type { Frame, Peer } from "../support/net/peer.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";
import { route, startSessions } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

const opening = login({ host: "a.example.com", name: "Steve" });
const statusOpening = Buffer.concat([
  handshake({ protocol: 774, host: "a.example.com", port: 25565, intent: intents.status }),
  statusRequest,
]);
const never = new AbortController().signal;

describe("a router that is full", () => {
  test("tells a player so, says nothing to others, and takes players again when there is room", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      limit: 1,
      asleepText: "zzz",
    });
    const inside = await world.player(opening);
    await world.waitForEvent("session-relaying");

    const player = await world.player(opening);
    expect(JSON.parse(disconnectText(await player.readFrame()))).toEqual({
      text: "All places are taken right now. Please try again in a few minutes.",
    });
    player.close();
    expect((await world.ended(0)).outcome).toMatchObject({ kind: "answered", answer: "full" });

    const unknown = login({ host: "unknown.example.org", name: "Steve" });
    const quiet = [
      { bytes: statusOpening, why: "no-answer" },
      { bytes: unknown, why: "unknown-host" },
    ];
    for (const [index, { bytes, why }] of quiet.entries()) {
      const other = await world.player(bytes);
      expect(await other.waitForEnd()).toBe("finished");
      expect(other.receivedLength).toBe(0);
      expect((await world.ended(index + 1)).outcome).toMatchObject({ kind: "dropped", why });
    }
    expect(backend.connections.length).toBe(1);

    inside.reset();
    await until("it is empty", () => world.sessions.count() === 0);
    await world.player(opening);
    await world.waitForEvent("session-relaying", 2);
  });

  test("keeps 64 places to say so, and refuses whoever comes then", async () => {
    await using world = startSessions({ limit: 1, deadlines: manualDeadlines() });
    for (let count = 0; count < 65; count++) await world.player();
    await until("all are there", () => world.sessions.count() === 65);
    const refused = await world.player();
    expect(await refused.waitForEnd()).toBe("reset");
    expect(world.sessions.count()).toBe(65);
    expect(world.events.filter(({ kind }) => kind === "clients-refused")).toEqual([
      { kind: "clients-refused", why: "total", count: 1, lastIp: "127.0.0.1" },
    ]);
  });

  test("says so at once, though others wait for their turn", async () => {
    using backend = startBackend(echo);
    // On a clock that stands still the third of them waits.
    const queue = createAcceptQueue({ perSecond: 1, now: () => 0 });
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      limit: 3,
      queue,
    });
    for (let count = 0; count < 3; count += 1) await world.player();
    await until("three are there", () => world.sessions.count() === 3);
    const fourth = await world.player(opening);
    expect(disconnectText(await fourth.readFrame())).toContain("All places are taken");
  });

  test("gives those who are too many a second to say what they want, and others five", async () => {
    const deadlines = manualDeadlines();
    await using world = startSessions({ limit: 1, deadlines });
    await world.player();
    await until("the first is there", () => world.sessions.count() === 1);
    const second = await world.player();
    await until("both are there", () => world.sessions.count() === 2);
    deadlines.advance(1_000);
    expect(await second.waitForEnd()).toBe("finished");
    expect(world.sessions.count()).toBe(1);
    deadlines.advance(4_000);
    await until("nobody is left", () => world.sessions.count() === 0);
  });

  test("refuses exactly those beyond a thousand, leaves these alone, and takes others in when they go", async () => {
    const deadlines = manualDeadlines();
    using backend = startBackend(echo);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      limit: 1_000,
      deadlines,
    });
    const inside: Peer[] = [];
    for (let count = 0; count < 1_000; count += 1) inside.push(await world.player());
    const outside: Peer[] = [];
    for (let count = 0; count < 500; count += 1) outside.push(await world.player());
    deadlines.advance(1_000);
    await until("they are gone", () => world.sessions.count() === 1_000);
    await until("they know", () => outside.every((player) => player.ending !== "open"));
    expect(inside.filter((player) => player.ending !== "open")).toEqual([]);
    for (const player of inside.slice(0, 10)) player.reset();
    await until("ten have left", () => world.sessions.count() === 990);
    const [, ...others] = inside.slice(10);
    const next = await world.player(opening);
    await next.waitForLength(opening.length);
    for (const player of others.slice(0, 10)) {
      await player.send(opening);
      await player.waitForLength(opening.length);
    }
  });
});

describe("limits of a client's address", () => {
  test("connections at a time: one more is cut at once, and let in when another has gone", async () => {
    await using world = startSessions({ clientLimits: { connections: 2 } });
    const first = await world.player();
    await world.player();
    await until("two are there", () => world.sessions.count() === 2);
    const third = await world.player();
    expect(await third.waitForEnd()).toBe("reset");
    expect(world.count("session-accepted")).toBe(2);
    first.reset();
    await until("one is left", () => world.sessions.count() === 1);
    await world.player();
    await until("two are there again", () => world.sessions.count() === 2);
  });

  test("connections each second: those beyond are cut before anything is made of them", async () => {
    await using world = startSessions({
      deadlines: manualDeadlines(),
      clientLimits: { perSecond: 1 },
    });
    for (let count = 0; count < 10; count += 1) await world.player();
    await until("ten are there", () => world.sessions.count() === 10);
    const late = await world.player();
    expect(await late.waitForEnd()).toBe("reset");
    expect(world.count("session-accepted")).toBe(10);
    expect(world.count("clients-refused")).toBe(1);
  });

  test("logins are refused in words, pings without any, and neither by the other", async () => {
    using backend = startBackend(echo);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      deadlines: manualDeadlines(),
      clientLimits: { loginsPerSecond: 1 },
    });
    for (let count = 0; count < 10; count += 1) {
      await (await world.player(opening)).waitForLength(opening.length);
    }
    const refused = await world.player(opening);
    expect(disconnectText(await refused.readFrame())).toContain("joining from your network");
    refused.close();
    expect((await world.ended(0)).outcome).toMatchObject({ answer: "throttled" });
    const pinging = await world.player(statusOpening);
    await pinging.waitForLength(statusOpening.length);
    const unknown = await world.player(login({ host: "unknown.example.org", name: "Steve" }));
    expect(await unknown.waitForEnd()).toBe("finished");
    expect(unknown.receivedLength).toBe(0);
  });

  test("pings beyond it get no answer", async () => {
    using backend = startBackend(echo);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      deadlines: manualDeadlines(),
      clientLimits: { perSecond: 2 },
    });
    for (let count = 0; count < 10; count += 1) {
      const pinging = await world.player(statusOpening);
      await pinging.waitForLength(statusOpening.length);
    }
    const refused = await world.player(statusOpening);
    expect(await refused.waitForEnd()).toBe("finished");
    expect(refused.receivedLength).toBe(0);
    expect((await world.ended(0)).outcome).toMatchObject({ kind: "dropped", why: "throttled" });
    await (await world.player(opening)).waitForLength(opening.length);
  });
});

test("clients that reset before they have said a word do not lock their address out", async () => {
  using backend = startBackend(echo);
  await using world = startSessions({
    routes: [route("a.example.com", backend.address)],
    behindProxies: true,
    clientLimits: { connections: 2 },
  });
  for (let count = 0; count < 20; count += 1) (await world.player()).reset();
  await world.waitForEvent("session-ended", 20);
  for (const player of [await world.player(opening), await world.player(opening)]) {
    await player.waitForLength(opening.length);
  }
});

describe("places", () => {
  test("for those who have said nothing: one more is cut, until one speaks or goes", async () => {
    using backend = startBackend(echo);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      openingLimit: 2,
    });
    const [first, second] = [await world.player(), await world.player()];
    await until("two are there", () => world.sessions.count() === 2);
    expect(await (await world.player()).waitForEnd()).toBe("reset");
    await first.send(opening);
    await first.waitForLength(opening.length);
    const third = await world.player();
    await until("three are there", () => world.sessions.count() === 3);
    expect(await (await world.player()).waitForEnd()).toBe("reset");
    second.reset();
    await until("two are left", () => world.sessions.count() === 2);
    await third.send(opening);
    await third.waitForLength(opening.length);
  });

  test("to wait at: a player who finds none is told so, unless the server runs", async () => {
    using backend = startBackend(echo);
    await using plane = startControlPlane({
      servers: ["a", "b", "c"].map((name) => ({ name, startMs: null })),
    });
    await using world = startSessions({
      routes: [
        route("a.example.com", "127.0.0.1:1", "a"),
        route("b.example.com", "127.0.0.1:1", "b"),
        route("c.example.com", backend.address, "c"),
      ],
      holdingLimit: 1,
      plane,
    });
    const join = (host: string) => world.player(login({ host, name: "Steve" }));
    const waiting = await join("a.example.com");
    await world.waitForEvent("session-holding");
    await until("the start", () => plane.starts("a") === 1);
    const refused = await join("b.example.com");
    expect(disconnectText(await refused.readFrame())).toContain("All places are taken");
    refused.close();
    expect(plane.starts("b")).toBe(0);
    const second = await join("a.example.com");
    expect(disconnectText(await second.readFrame())).toContain("A is still starting. Please join");
    const running = await join("c.example.com");
    await running.waitForLength(opening.length);
    waiting.reset();
    await world.waitForEvent("wake-abandoned");
    await join("b.example.com");
    await until("the start", () => plane.starts("b") === 1);
  });
});

test("a client that leaves the queue makes room in it", async () => {
  // On a clock that stands still two are let in, the third waits, and with it the queue is full.
  const queue = createAcceptQueue({ perSecond: 1, now: () => 0, waitingLimit: 1 });
  await using world = startSessions({ queue });
  const [, , waiting] = [await world.player(), await world.player(), await world.player()];
  await until("all are there", () => world.sessions.count() === 3);
  const refused = await world.player();
  expect(await refused.waitForEnd()).toBe("reset");
  waiting.reset();
  await until("it has left", () => world.sessions.count() === 2);
  await world.player();
  await until("the next one waits", () => world.sessions.count() === 3);
});

describe("a drain", () => {
  test("tells those who wait, lets those who play go on until they leave, and counts nobody cut", async () => {
    using backend = startBackend(echo);
    await using plane = startControlPlane({ servers: [{ name: "s", startMs: null }] });
    await using world = startSessions({
      routes: [route("a.example.com", backend.address), route("s.example.com", "127.0.0.1:1", "s")],
      plane,
    });
    const playing = await world.player(opening);
    await playing.waitForLength(opening.length);
    const waiting = await world.player(login({ host: "s.example.com", name: "Alex" }));
    await world.waitForEvent("session-holding");

    world.stop();
    const drained = world.sessions.drain(60_000, never);
    expect(disconnectText(await waiting.readFrame())).toContain("being restarted");
    waiting.close();
    await playing.send(Buffer.from("still there"));
    await playing.waitForLength(opening.length + 11);
    playing.close();
    expect(await drained).toBe(0);
    expect(world.sessions.count()).toBe(0);
  });

  test("cuts those who are left when its time is over, and counts them", async () => {
    const deadlines = manualDeadlines();
    using backend = startBackend(echo);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      deadlines,
    });
    const players = [await world.player(opening), await world.player(opening)];
    await world.waitForEvent("session-relaying", 2);
    const drained = world.sessions.drain(30_000, never);
    deadlines.advance(29_999);
    expect(world.sessions.count()).toBe(2);
    deadlines.advance(1);
    expect(await drained).toBe(2);
    for (const player of players) await player.waitForEnd();
    await world.ended(1);
  });

  test("tells the end of each session that it cuts, though its backend goes on for ever", async () => {
    const deadlines = manualDeadlines();
    using backend = startBackend(silent);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      deadlines,
    });
    const players = [await world.player(opening), await world.player(statusOpening)];
    await world.waitForEvent("session-relaying", 2);
    const left = await world.player(opening);
    await world.waitForEvent("session-relaying", 3);
    left.reset();
    await until("one has left", () => world.sessions.count() === 2);
    expect(world.count("session-ended")).toBe(0);
    const drained = world.sessions.drain(1_000, never);
    deadlines.advance(1_000);
    expect(await drained).toBe(2);
    expect(world.count("session-ended")).toBe(3);
    expect(world.events.filter(({ kind }) => kind === "session-ended")).toMatchObject(
      Array.from({ length: 3 }, () => ({ outcome: { kind: "relayed" } })),
    );
    for (const player of players) await player.waitForEnd();
  });

  for (const when of ["before", "during"]) {
    test(`is over at once when the signal aborts ${when} it, and leaves nothing behind`, async () => {
      const deadlines = manualDeadlines();
      using backend = startBackend(echo);
      await using world = startSessions({
        routes: [route("a.example.com", backend.address)],
        deadlines,
      });
      await world.player(opening);
      await world.waitForEvent("session-relaying");
      const now = new AbortController();
      if (when === "before") now.abort();
      const drained = world.sessions.drain(600_000, now.signal);
      now.abort();
      expect(await drained).toBe(1);
      await until("no deadline is left", () => deadlines.pending === 0);
      expect(await world.sessions.drain(600_000, never)).toBe(0);
    });
  }

  test("tells or closes all that wait for their turn, and lets no other client in", async () => {
    using backend = startBackend(silent);
    // On a clock that stands still two are let in, and the others would wait for ever.
    const queue = createAcceptQueue({ perSecond: 1, now: () => 0 });
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      queue,
    });
    const inside = [await world.player(), await world.player()];
    await until("two are inside", () => world.sessions.count() === 2);
    const queued = [
      await world.player(opening),
      await world.player(opening.subarray(0, 9)),
      await world.player(statusOpening),
      await world.player(),
    ];
    await until("all are there", () => world.sessions.count() === 6);
    world.stop();
    const drained = world.sessions.drain(60_000, never);
    const [joining, slow, pinging, mute] = queued;
    expect(disconnectText((await joining?.readFrame()) as Frame)).toContain("being restarted");
    expect(await pinging?.waitForEnd()).toBe("finished");
    expect(await mute?.waitForEnd()).toBe("finished");
    await slow?.send(opening.subarray(9));
    expect(disconnectText((await slow?.readFrame()) as Frame)).toContain("being restarted");
    const late = await world.player();
    expect(await late.waitForEnd()).toBe("reset");
    for (const player of [...inside, ...queued]) player.close();
    expect(await drained).toBe(0);
    expect(backend.connections).toEqual([]);
  });

  test("a login that is complete only now is told so too, and reaches no server", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({ routes: [route("a.example.com", backend.address)] });
    const player = await world.player(opening.subarray(0, 10));
    // Whoever comes later and is served shows that the first one's bytes have been read.
    const scanner = await world.player(Buffer.from("GET / HTTP/1.1"));
    await scanner.waitForEnd();
    await until("the first one is left", () => world.sessions.count() === 1);
    world.stop();
    const drained = world.sessions.drain(60_000, never);
    await player.send(opening.subarray(10));
    expect(disconnectText(await player.readFrame())).toContain("being restarted");
    player.close();
    expect(await drained).toBe(0);
    expect((await world.ended(1)).outcome).toMatchObject({ kind: "answered", answer: "stopping" });
    expect(backend.connections).toEqual([]);
  });

  test("a client that has said nothing is dropped", async () => {
    await using world = startSessions({});
    const player = await world.player(Buffer.alloc(0));
    await until("it is there", () => world.sessions.count() === 1);
    world.stop();
    expect(await world.sessions.drain(60_000, never)).toBe(0);
    await player.waitForEnd();
    expect(player.receivedLength).toBe(0);
  });
});

describe("a defect ends the session that it happens in, and no other", () => {
  const kinds: readonly SessionEvent["kind"][] = [
    "session-accepted",
    "session-holding",
    "session-relaying",
    "session-ended",
  ];
  for (const kind of kinds) {
    test(`a throw out of ${kind}`, async () => {
      let armed = false;
      using backend = startBackend(echo);
      await using plane = startControlPlane({
        servers: [{ name: "a", state: "running", address: backend.address }],
      });
      await using world = startSessions({
        routes: [route("a.example.com", backend.address, "a")],
        plane,
        onEvent(event) {
          if (armed && event.kind === kind) {
            armed = false;
            throw new Error("a broken observer");
          }
        },
      });
      const other = await world.player(opening);
      await other.waitForLength(opening.length);
      armed = true;
      const player = await world.player();
      // A client that is cut before it has spoken cannot speak.
      await player.send(opening).catch(() => null);
      if (kind === "session-ended") {
        await player.waitForLength(opening.length);
        player.close();
      }
      await world.waitForEvent("fault");
      await player.waitForEnd().catch(() => null);
      await until("one is left", () => world.sessions.count() === 1);
      expect(world.events.findLast((event) => event.kind === "fault")).toMatchObject({
        error: { message: "a broken observer" },
      });
      await other.send(Buffer.from("still there"));
      await other.waitForLength(opening.length + 11);
      await world.player(opening);
      await until("the next is in", () => world.sessions.count() === 2);
    });
  }

  test("a throw out of the routing table", async () => {
    const table = createRouteTable();
    using backend = startBackend(echo);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      table: {
        ...table,
        resolve(hostname) {
          if (hostname === "bad.example.com") throw new TypeError("a broken table");
          return table.resolve(hostname);
        },
      },
    });
    const player = await world.player(login({ host: "bad.example.com", name: "Steve" }));
    expect(await player.waitForEnd()).toBe("reset");
    await world.waitForEvent("fault");
    const good = await world.player(opening);
    await good.waitForLength(opening.length);
  });
});

test("each session that is served ends with one event, whatever its client does", async () => {
  using backend = startBackend(echo);
  await using plane = startControlPlane({ servers: [{ name: "s", startMs: null }] });
  await using world = startSessions({
    routes: [
      route("a.example.com", backend.address),
      route("s.example.com", "127.0.0.1:1", "s"),
      route("gone.example.com", "127.0.0.1:1"),
    ],
    plane,
    asleepText: "zzz",
  });
  const openings = [
    opening,
    statusOpening,
    opening.subarray(0, 12),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    login({ host: "s.example.com", name: "WakeableBackend" }),
    login({ host: "gone.example.com", name: "Lost" }),
    login({ host: "unknown.example.org", name: "Nobody" }),
  ];
  const leave = ["finish", "close", "reset"] as const;
  let count = 0;
  for (const bytes of openings) {
    for (const way of leave) {
      for (const pauseMs of [0, 15]) {
        const player = await world.player(bytes);
        await Bun.sleep(pauseMs);
        player[way]();
        count += 1;
      }
    }
  }
  // A client that half-closed is let go by the backend's own end, or by the router.
  await until("the backend has all it gets", () => backend.connections.length >= 1);
  await world.ended(count - 1);
  await until("nobody is left", () => world.sessions.count() === 0);
  expect(world.count("session-ended")).toBe(count);
  const ids = world.events.flatMap((event) =>
    event.kind === "session-ended" ? [event.session.id] : [],
  );
  expect(new Set(ids).size).toBe(count);
  expect(Math.max(...ids)).toBe(count);
  expect(world.count("fault")).toBe(0);
});

test("what an event tells stays as it was, though the session goes on", async () => {
  using backend = startBackend(echo);
  await using plane = startControlPlane({
    servers: [{ name: "a", state: "running", address: backend.address }],
  });
  await using world = startSessions({
    routes: [route("a.example.com", "127.0.0.1:1", "a")],
    plane,
  });
  const player = await world.player(opening);
  await player.waitForLength(opening.length);
  player.close();
  await world.ended();
  const backends = world.events.flatMap((event) =>
    "session" in event ? [[event.kind, event.session.backend]] : [],
  );
  expect(backends).toEqual([
    ["session-holding", null],
    ["session-relaying", backend.address],
    ["session-ended", backend.address],
  ]);
});
