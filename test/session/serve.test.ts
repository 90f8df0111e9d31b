import { describe, expect, test } from "bun:test";
import { disconnectText } from "../support/minecraft/player.ts";
import {
  frame,
  handshake,
  intents,
  legacyPing,
  login,
  loginDisconnect,
  loginStart,
  readLegacyAnswer,
  statusRequest,
  string,
  varint,
} from "../support/minecraft/wire.ts";
import { echo, sending, silent, startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { route, startSessions } from "../support/session/session-world.ts";

const uuid = "5627dd98-e6be-3c21-b8a8-e92344183641";

describe("a login to a server that is there", () => {
  test("reaches it byte for byte, with all that follows in both directions", async () => {
    using backend = startBackend(echo);
    await using world = startSessions({ routes: [route("a.example.com", backend.address)] });
    const opening = login({ host: "A.Example.com.\0FML3\0", name: "Steve" });
    const later = frame(0x01, Buffer.alloc(5_000, 7));
    const player = await world.player(Buffer.concat([opening, later]));
    const whole = Buffer.concat([opening, later]);
    await player.waitForLength(whole.length);
    player.finish();
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received()).toEqual(whole);
    const { session, outcome } = await world.ended();
    expect(session).toEqual({
      id: 1,
      client: { ip: "127.0.0.1", port: player.localPort },
      intent: "login",
      protocol: 774,
      rawHost: "A.Example.com.",
      hostname: "a.example.com",
      route: "a.example.com",
      row: "a.example.com",
      backend: backend.address,
      player: { name: "Steve", uuid },
      waitedMs: null,
    });
    expect(outcome).toEqual({
      kind: "relayed",
      end: {
        toBackend: whole.length,
        toClient: whole.length,
        endedBy: "client",
        ending: "fin",
      },
    });
    expect(world.events).toEqual([
      { kind: "session-accepted", client: session.client },
      { kind: "session-relaying", session },
      expect.objectContaining({ kind: "session-ended", session }),
    ]);
  });

  test("ends when the server ends it, and the player reads its last words", async () => {
    const kick = loginDisconnect("You are banned");
    using backend = startBackend({
      async data(connection) {
        await connection.send(kick);
        connection.close();
      },
    });
    await using world = startSessions({ routes: [route("a.example.com", backend.address)] });
    const player = await world.player(login({ host: "a.example.com", name: "Steve" }));
    expect((await player.readFrame()).raw).toEqual(kick);
    expect(await player.waitForEnd()).toBe("finished");
    player.close();
    expect((await world.ended()).outcome).toMatchObject({
      kind: "relayed",
      end: { endedBy: "backend", ending: "fin", toClient: kick.length },
    });
  });

  const claims: readonly { name: string; host: string; route: string }[] = [
    { name: "its own hostname", host: "lobby.example.com", route: "lobby.example.com" },
    { name: "the longest wildcard", host: "x.eu.example.com", route: "*.eu.example.com" },
    { name: "a shorter wildcard", host: "x.example.com", route: "*.example.com" },
    { name: "the default route", host: "192.0.2.7", route: "*" },
  ];
  for (const { name, host, route: expected } of claims) {
    test(`is routed by ${name}`, async () => {
      const patterns = ["lobby.example.com", "*.eu.example.com", "*.example.com", null];
      const backends = patterns.map(() => startBackend(silent));
      const routes = patterns.map((pattern, index) =>
        route(pattern, backends[index]?.address ?? ""),
      );
      await using world = startSessions({ routes });
      const opening = login({ host, name: "Steve" });
      await world.player(opening);
      await world.waitForEvent("session-relaying");
      expect(world.events[1]).toMatchObject({ session: { route: expected, hostname: host } });
      const chosen = backends[patterns.indexOf(expected === "*" ? null : expected)];
      const connection = await chosen?.waitForConnection(0);
      await connection?.waitForLength(opening.length);
      for (const backend of backends) {
        expect(backend.connections.length).toBe(backend === chosen ? 1 : 0);
        backend.stop();
      }
    });
  }
});

test("a login of a later version reaches its backend with fields that are not known yet", async () => {
  using backend = startBackend(silent);
  await using world = startSessions({ routes: [route("a.example.com", backend.address)] });
  const later = Buffer.alloc(300, 7);
  const shake = frame(
    0x00,
    varint(778),
    string("a.example.com"),
    Buffer.from([0x63, 0xdd, intents.login]),
    later,
  );
  const start = frame(0x00, string("Steve"), Buffer.from(uuid.replaceAll("-", ""), "hex"), later);
  const bytes = Buffer.concat([shake, start]);
  await world.player(bytes);
  const connection = await backend.waitForConnection(0);
  await connection.waitForLength(bytes.length);
  expect(connection.received()).toEqual(bytes);
  expect(world.events[1]).toMatchObject({ session: { player: { name: "Steve", uuid } } });
});

test("a proxy that does not say where its client is counts as the client", async () => {
  using backend = startBackend(silent);
  await using world = startSessions({
    routes: [route("a.example.com", backend.address)],
    behindProxies: true,
  });
  const unspecified = Buffer.from(
    "0d0a0d0a000d0a515549540a 21 00 0003 010203".replaceAll(" ", ""),
    "hex",
  );
  const opening = login({ host: "a.example.com", name: "Steve" });
  const player = await world.player(Buffer.concat([unspecified, opening]));
  const connection = await backend.waitForConnection(0);
  await connection.waitForLength(opening.length);
  expect(connection.received()).toEqual(opening);
  expect(world.events.at(-1)).toMatchObject({
    session: { client: { ip: "127.0.0.1", port: player.localPort } },
  });
});

describe("an unknown hostname gets FIN and not one byte", () => {
  const host = "unknown.example.org";
  const rows: readonly { name: string; bytes: Buffer }[] = [
    { name: "login", bytes: login({ host, name: "Steve" }) },
    { name: "transfer", bytes: login({ host, name: "Steve", intent: intents.transfer }) },
    {
      name: "status ping",
      bytes: Buffer.concat([
        handshake({ protocol: 774, host, port: 25565, intent: intents.status }),
        statusRequest,
      ]),
    },
    { name: "legacy ping", bytes: legacyPing.withHost(host, 25565) },
    { name: "login without a hostname", bytes: login({ host: "", name: "Steve" }) },
  ];
  for (const { name, bytes } of rows) {
    test(name, async () => {
      await using world = startSessions({
        routes: [route("a.example.com", "127.0.0.1:1")],
        asleepText: "zzz",
        loadingText: "soon",
      });
      const player = await world.player(bytes);
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.receivedLength).toBe(0);
      expect((await world.ended()).outcome).toEqual({
        kind: "dropped",
        why: "unknown-host",
        reason: null,
      });
    });
  }
});

describe("an unknown hostname that the operator has words for", () => {
  const host = "Gone.example.org";
  const unknownTexts = { motd: "§cNo server {server}", kick: "§cThere is no {server} here." };
  const start = () =>
    startSessions({ routes: [route("a.example.com", "127.0.0.1:1")], unknownTexts });

  test("lets a login go with them", async () => {
    await using world = start();
    const player = await world.player(login({ host, name: "Steve" }));
    expect(JSON.parse(disconnectText(await player.readFrame()))).toEqual({
      text: "§cThere is no gone.example.org here.",
    });
    expect(await player.waitForEnd()).toBe("finished");
    expect(await world.ended()).toMatchObject({
      session: { route: null, hostname: "gone.example.org" },
      outcome: { kind: "answered", answer: "unknown-host" },
    });
  });

  test("shows them in the server list, of every age", async () => {
    await using world = start();
    const shake = handshake({ protocol: 774, host, port: 25565, intent: intents.status });
    const player = await world.player(Buffer.concat([shake, statusRequest]));
    expect((await player.readFrame()).raw.toString()).toContain("No server gone.example.org");
    const old = await world.player(legacyPing.withHost(host, 25565));
    await old.waitForEnd();
    expect(readLegacyAnswer(old.received())[3]).toBe("§cNo server gone.example.org");
  });

  test("says nothing where only the other words are set", async () => {
    await using world = startSessions({ unknownTexts: { motd: "here" } });
    const player = await world.player(login({ host, name: "Steve" }));
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.receivedLength).toBe(0);
    expect((await world.ended()).outcome).toMatchObject({ kind: "dropped", why: "unknown-host" });
  });
});

describe("a known server that cannot be reached", () => {
  test("lets a login go with the operator's words, and with what stands in the way", async () => {
    using closed = await reserveClosedPort();
    await using world = startSessions({
      routes: [route("a.example.com", `127.0.0.1:${closed.port}`)],
      texts: { unreachable: "{server} is down ({reason}). {eta}{waiting}{other}" },
    });
    const player = await world.player(login({ host: "a.example.com", name: "Steve" }));
    expect(JSON.parse(disconnectText(await player.readFrame()))).toEqual({
      text: "a.example.com is down (refuses connections). {other}",
    });
  });

  test("lets a login go with words", async () => {
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using world = startSessions({ routes: [route("a.example.com", address)] });
    const player = await world.player(login({ host: "a.example.com", name: "Steve" }));
    expect(JSON.parse(disconnectText(await player.readFrame()))).toEqual({
      text: "This server cannot be reached right now. Please try again in a moment.",
    });
    expect(await player.waitForEnd()).toBe("finished");
    expect(await world.ended()).toMatchObject({
      session: { backend: address, player: { name: "Steve" }, waitedMs: null },
      outcome: { kind: "answered", answer: "unreachable", reason: "refuses connections" },
    });
  });

  test("and the words arrive although the client goes on talking", async () => {
    using closed = await reserveClosedPort();
    await using world = startSessions({
      routes: [route("a.example.com", `127.0.0.1:${closed.port}`)],
    });
    const player = await world.player(
      Buffer.concat([login({ host: "a.example.com", name: "Steve" }), Buffer.alloc(12_000, 1)]),
    );
    await player.send(Buffer.alloc(12_000, 2));
    expect(disconnectText(await player.readFrame())).toContain("cannot be reached");
    expect(await player.waitForEnd()).toBe("finished");
  });

  test("is no longer dialled once the client is gone", async () => {
    const dialling = Promise.withResolvers<void>();
    await using world = startSessions({
      routes: [route("a.example.com", "192.0.2.1:1")],
      dialer: {
        accepts: () => Promise.resolve(false),
        dial: () => Promise.reject(new Error("a login is brought to its backend by reach")),
        reach(_target, _opening, signal) {
          dialling.resolve();
          const failure = { kind: "aborted", message: "no longer wanted" } as const;
          return new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve({ ok: false, error: failure }));
          });
        },
      },
    });
    const player = await world.player(login({ host: "a.example.com", name: "Steve" }));
    await dialling.promise;
    player.reset();
    expect((await world.ended()).outcome).toEqual({ kind: "dropped", why: "left", reason: null });
  });

  test("and a name that does not resolve says so to the operator only", async () => {
    await using world = startSessions({
      routes: [route("a.example.com", "no-such-host.invalid:1")],
    });
    const player = await world.player(login({ host: "a.example.com", name: "Steve" }));
    expect(disconnectText(await player.readFrame())).not.toContain("invalid");
    expect((await world.ended()).outcome).toMatchObject({
      answer: "unreachable",
      reason: expect.stringMatching(/name/),
    });
  });
});

describe("a transfer", () => {
  const opening = login({ host: "a.example.com", name: "Steve", intent: intents.transfer });

  test("is handed over unchanged", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({ routes: [route("a.example.com", backend.address)] });
    await world.player(opening);
    const connection = await backend.waitForConnection(0);
    await connection.waitForLength(opening.length);
    expect(connection.received()).toEqual(opening);
    expect(world.events[1]).toMatchObject({
      session: { intent: "transfer", player: { name: "Steve", uuid } },
    });
  });

  test("is handed over as a login where that is wanted, with nothing else changed", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      transferAsLogin: true,
    });
    await world.player(Buffer.concat([opening, Buffer.from("later")]));
    const connection = await backend.waitForConnection(0);
    const expected = Buffer.concat([
      login({ host: "a.example.com", name: "Steve" }),
      Buffer.from("later"),
    ]);
    await connection.waitForLength(expected.length);
    expect(connection.received()).toEqual(expected);
  });

  test("a plain login and a ping stay what they are", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({
      routes: [route("a.example.com", backend.address)],
      transferAsLogin: true,
    });
    const plain = [
      login({ host: "a.example.com", name: "Steve" }),
      handshake({ protocol: 774, host: "a.example.com", port: 3, intent: intents.status }),
    ];
    for (const [index, bytes] of plain.entries()) {
      await world.player(bytes);
      const connection = await backend.waitForConnection(index);
      await connection.waitForLength(bytes.length);
      expect(connection.received()).toEqual(bytes);
    }
  });

  test("wakes a sleeping server as a login does", async () => {
    using backend = startBackend(sending(Buffer.from("hello")));
    await using plane = startControlPlane({ servers: [{ name: "a", address: backend.address }] });
    await using world = startSessions({
      routes: [route("a.example.com", "127.0.0.1:1", "a")],
      plane,
      wake: { pollMs: 20 },
    });
    const player = await world.player(opening);
    expect((await player.read(5)).toString()).toBe("hello");
    expect(plane.starts("a")).toBe(1);
  });
});

test("each version's player is known by name, and by the id that it sends", async () => {
  using backend = startBackend(silent);
  await using world = startSessions({ routes: [route(null, backend.address)] });
  const rows = [
    { protocol: 5, id: null },
    { protocol: 47, id: null },
    { protocol: 759, id: null },
    { protocol: 760, id: uuid },
    { protocol: 761, id: uuid },
    { protocol: 774, id: uuid },
    { protocol: 0x40000120, id: uuid },
  ];
  for (const [index, { protocol, id }] of rows.entries()) {
    const opening = Buffer.concat([
      handshake({ protocol, host: "any", port: 1, intent: intents.login }),
      loginStart(protocol, "Steve"),
    ]);
    await world.player(opening);
    await world.waitForEvent("session-relaying", index + 1);
    expect(world.events.at(-1)).toMatchObject({
      session: { protocol, player: { name: "Steve", uuid: id } },
    });
  }
});
