import { describe, expect, test } from "bun:test";
import {
  type JoinOutcome,
  join,
  pingServer,
  protocolOf,
  startMinecraftServer,
  versions,
} from "../support/minecraft/minecraft.ts";
import { startSessionService } from "../support/minecraft/online-mode.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import {
  handshake,
  intents,
  legacyPing,
  login,
  loginStart,
  offlineUuid,
  ping,
  statusRequest,
  statusResponse,
} from "../support/minecraft/wire.ts";
import { sendBot, startWorld } from "../support/minecraft/world.ts";
import { echo, startBackend, status } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { complaints, noQueue, sessionEnd } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

/** The session of somebody who must have joined. */
function inGame(outcome: JoinOutcome) {
  if (outcome.kind !== "joined") throw new Error(JSON.stringify(outcome));
  return outcome.session;
}

const unreachable = "This server cannot be reached right now. Please try again in a moment.";

/** What a client may write for `play.example.com`, and a byte or two that it sends without waiting. */
const spellings = [
  { name: "the name itself", host: "play.example.com" },
  { name: "upper case", host: "Play.EXAMPLE.com" },
  { name: "a root dot", host: "play.example.com." },
  { name: "Forge 1.7 to 1.12", host: "play.example.com\u0000FML\u0000" },
  { name: "Forge 1.13 to 1.17", host: "play.example.com\u0000FML2\u0000" },
  { name: "Forge 1.18 and newer", host: "play.example.com\u0000FML3\u0000" },
  { name: "Forge 1.20.2 and newer, behind a root dot", host: "play.example.com.\u0000FORGE" },
  {
    name: "BungeeCord's player data",
    host: "play.example.com\u0000203.0.113.9\u00005627dd98e6be3c21b8a8e92344183641\u0000[]",
  },
  { name: "TCPShield's real address", host: "play.example.com///203.0.113.9:5000///1700000000" },
];

describe("routes of MAPPING and DEFAULT", () => {
  const mapped = [
    { name: "an exact hostname", host: "play.example.com", answer: "exact" },
    { name: "a hostname below a wildcard", host: "a.b.wild.example.com", answer: "wildcard" },
    { name: "a longer wildcard", host: "x.deep.wild.example.com", answer: "deeper" },
    { name: "an exact name below a wildcard", host: "one.wild.example.com", answer: "exact" },
    { name: "the wildcard's own suffix", host: "wild.example.com", answer: "default" },
    { name: "any other hostname", host: "203.0.113.5", answer: "default" },
    { name: "no hostname at all", host: "", answer: "default" },
  ];

  test("each ping gets the answer of its own backend, byte for byte", async () => {
    const answers = new Map(
      ["exact", "wildcard", "deeper", "default"].map((text) => {
        // Spaces, escapes and letters that any rewriting of the JSON would change.
        const json = `{ "description" : "\\u003c${text} § ☃", "version":{"protocol":1,"name":"x"}}`;
        const backend = startBackend({ ...status(json), end: (connection) => connection.finish() });
        return [text, { json, backend }] as const;
      }),
    );
    const at = (text: string) => answers.get(text)?.backend.address ?? "";
    await using router = await startRouter({
      env: {
        ...noQueue,
        MAPPING: [
          `play.example.com=${at("exact")}`,
          `one.wild.example.com=${at("exact")}`,
          `*.wild.example.com=${at("wildcard")}\n*.deep.wild.example.com=${at("deeper")}`,
        ].join(","),
        DEFAULT: at("default"),
      },
    });

    for (const { name, host, answer } of mapped) {
      using player = await connectPlayer({ port: router.port });
      const said = Buffer.concat([
        handshake({ protocol: 774, host, port: 25565, intent: intents.status }),
        statusRequest,
        ping(0x0123456789abcdefn),
      ]);
      await player.send(said);
      const expected = Buffer.concat([
        statusResponse(answers.get(answer)?.json ?? ""),
        ping(0x0123456789abcdefn),
      ]);
      expect({ name, heard: await player.read(expected.length) }).toEqual({
        name,
        heard: expected,
      });
      const connection = answers.get(answer)?.backend.connections.at(-1);
      expect({ name, said: connection?.received() }).toEqual({ name, said });
      player.finish();
      await player.waitForEnd();
      expect(player.receivedLength).toBe(expected.length);
    }
    expect(complaints(router)).toEqual([]);
    for (const { backend } of answers.values()) backend.stop();
  });

  for (const version of versions) {
    test(`${version}: a real client sees the status, joins, and reads why it is kicked`, async () => {
      await using server = await startMinecraftServer({ version, motd: "Zzz" });
      await using router = await startRouter({
        env: { ...noQueue, MAPPING: `play.example.com=${server.address}` },
      });
      const asked = { port: router.port, host: "play.example.com", version };

      const direct = await pingServer({ ...asked, port: server.port });
      expect((await pingServer(asked)).status).toEqual(direct.status);

      using session = inGame(await join({ ...asked, username: "Steve" }));
      expect(session).toMatchObject({ username: "Steve", uuid: offlineUuid("Steve") });
      expect(server.players()).toEqual(["Steve"]);
      expect(server.connections.at(-1)?.handshake).toEqual({
        protocol: protocolOf(version),
        host: "play.example.com",
        port: router.port,
        intent: intents.login,
      });
      server.kick("Steve", "See you");
      expect(await session.ended).toBe("See you");
      expect(server.errors).toEqual([]);
      expect(complaints(router)).toEqual([]);
    });

    test(`${version}: an encrypted login is the backend's own business`, async () => {
      await using service = startSessionService();
      await using server = await startMinecraftServer({ version, onlineMode: service.onlineMode });
      await using router = await startRouter({ env: { ...noQueue, DEFAULT: server.address } });
      const account = service.account("Alex");
      using session = inGame(
        await join({ port: router.port, host: "a.example", version, username: "Alex", account }),
      );
      expect(session.uuid.replaceAll("-", "")).toBe(account.id);
      expect([session.isEncrypted, server.connections[0]?.isEncrypted]).toEqual([true, true]);
      expect(service.vouchedFor).toEqual(["Alex"]);
    });
  }

  for (const version of ["1.8.8", "1.21.4"]) {
    test(`a bot spawns in a ${version} world, knows the ground and is heard`, async () => {
      await using world = await startWorld(version);
      await using router = await startRouter({
        env: { ...noQueue, MAPPING: `play.example.com=${world.address}` },
      });
      await using bot = await sendBot({
        port: router.port,
        host: "play.example.com",
        version,
        username: "Robin",
        timeoutMs: 30_000,
      });
      expect(bot.standsOn).toStartWith("grass");
      bot.chat("good morning");
      expect(await world.hear()).toMatchObject({ username: "Robin", message: "good morning" });
    }, 60_000);
  }
});

describe("what the backend gets", () => {
  test("is the client's own bytes, whatever its hostname carries and however much comes behind", async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({
      env: { ...noQueue, MAPPING: `play.example.com=${backend.address}` },
    });
    for (const { name, host } of spellings) {
      using player = await connectPlayer({ port: router.port });
      const said = Buffer.concat([
        login({ host, name: "Steve", protocol: 763 }),
        // What a mod might send without waiting for anything.
        Buffer.from("07020005deadbeef", "hex"),
        Buffer.alloc(16_000, "pipelined "),
      ]);
      await player.send(said);
      player.finish();
      const heard = await player.read(said.length);
      expect({ name, isExact: heard.equals(said) }).toEqual({ name, isExact: true });
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.receivedLength).toBe(said.length);
    }
    expect(backend.connections.length).toBe(spellings.length);
  });

  test("is a transfer as the client sent it, or a plain login where that is wanted", async () => {
    using backend = startBackend(echo);
    const transfer = login({ host: "a.example", name: "Steve", intent: intents.transfer });
    const plain = login({ host: "a.example", name: "Steve", intent: intents.login });
    for (const [setting, expected] of [
      ["false", transfer],
      ["true", plain],
    ] as const) {
      await using router = await startRouter({
        env: { ...noQueue, DEFAULT: backend.address, AUTOMC_TRANSFER_AS_LOGIN: setting },
      });
      using player = await connectPlayer({ port: router.port });
      await player.sendByteByByte(transfer, 0);
      expect(await player.read(expected.length)).toEqual(expected);
      player.finish();
      await player.waitForEnd();
      expect(await sessionEnd(router, "Steve")).toMatchObject({ intent: "transfer" });
    }
  });

  test("is a legacy ping too, by its hostname where it has one and else by the default route", async () => {
    using named = startBackend(echo);
    using fallback = startBackend(echo);
    await using router = await startRouter({
      env: { ...noQueue, MAPPING: `play.example.com=${named.address}`, DEFAULT: fallback.address },
    });
    const pings = [
      { bytes: legacyPing.beta, backend: fallback },
      { bytes: legacyPing.release, backend: fallback },
      { bytes: legacyPing.withHost("PLAY.example.com", 25565), backend: named },
    ];
    for (const { bytes, backend } of pings) {
      using player = await connectPlayer({ port: router.port });
      await player.send(bytes);
      expect(await player.read(bytes.length)).toEqual(bytes);
      expect(backend.connections.at(-1)?.received()).toEqual(bytes);
    }
    expect([named.connections.length, fallback.connections.length]).toEqual([1, 2]);
  });
});

describe("what the player gets when there is no backend", () => {
  test("is nothing for a hostname that nobody claims, and the log keeps it to itself", async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({
      env: { ...noQueue, MAPPING: `play.example.com=${backend.address}` },
    });
    const strangers = [
      login({ host: "other.example.com", name: "Steve" }),
      login({ host: "xplay.example.com", name: "Steve", protocol: 47 }),
      Buffer.concat([
        handshake({ protocol: 774, host: "1.2.3.4", port: 25565, intent: intents.status }),
        statusRequest,
      ]),
      legacyPing.withHost("example.com", 25565),
      legacyPing.beta,
    ];
    for (const bytes of strangers) {
      using player = await connectPlayer({ port: router.port });
      await player.send(bytes);
      await player.waitForEnd();
      expect(player.receivedLength).toBe(0);
    }
    expect(backend.connections.length).toBe(0);
    expect(router.lines.filter(({ event }) => event === "session-ended")).toEqual([]);
  });

  test("is a text that a real client shows, of every version; and a ping gets no bytes", async () => {
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using router = await startRouter({
      // A sleeping server's text is for servers that somebody can start, not for broken ones.
      env: { ...noQueue, DEFAULT: address, AUTO_SCALE_ASLEEP_MOTD: "Zzz" },
    });
    const outcomes = await Promise.all(
      versions.map((version, index) =>
        join({ port: router.port, host: "a.example", version, username: `Player${index}` }),
      ),
    );
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ kind: "disconnected", text: unreachable, state: "login" });
    }
    expect(await sessionEnd(router, "Player0")).toMatchObject({
      level: "warn",
      msg: "refused: the server cannot be reached",
      server: "a.example",
      route: "*",
      backendHostPort: address,
      reason: "refuses connections",
    });

    using player = await connectPlayer({ port: router.port });
    await player.send(
      handshake({ protocol: 774, host: "a.example", port: 25565, intent: intents.status }),
    );
    await player.send(statusRequest);
    await player.waitForEnd();
    expect(player.receivedLength).toBe(0);
  });
});

test("one listener takes players by IPv4 and by IPv6, and the log names their plain addresses", async () => {
  using backend = startBackend(echo);
  await using router = await startRouter({
    env: { ...noQueue, AUTOMC_BIND: "::", DEFAULT: backend.address },
  });
  for (const [hostname, client] of [
    ["127.0.0.1", "127.0.0.1:"],
    ["::1", "[::1]:"],
  ] as const) {
    using player = await connectPlayer({ port: router.port, hostname });
    const said = login({ host: "a.example", name: hostname === "::1" ? "Six" : "Four" });
    await player.send(said);
    expect(await player.read(said.length)).toEqual(said);
    player.finish();
    await player.waitForEnd();
    const line = await sessionEnd(router, hostname === "::1" ? "Six" : "Four");
    expect(line["client"]).toBe(`${client}${player.localPort}`);
  }
});

test("CONNECTION_RATE_LIMIT takes connections up in order and refuses none", async () => {
  using backend = startBackend(echo);
  await using router = await startRouter({
    env: { DEFAULT: backend.address, CONNECTION_RATE_LIMIT: "1" },
  });
  const names = Array.from({ length: 6 }, (_, index) => `Player${index}`);
  const startedAt = performance.now();
  const players: Peer[] = [];
  for (const name of names) {
    const player = await connectPlayer({ port: router.port });
    players.push(player);
    await player.send(loginOf(name));
  }
  await Promise.all(
    players.map((player, index) => player.read(loginOf(names[index]).length, 20_000)),
  );
  const tookMs = performance.now() - startedAt;

  // Three get in after an idle time, at most; the other three wait for a token each.
  expect(tookMs).toBeGreaterThan(1_900);
  const inOrder = backend.connections.map((connection) => connection.received());
  expect(inOrder).toEqual(names.map(loginOf));
  for (const player of players) player.reset();
  await until("all sessions are told", () =>
    names.every((name) => router.log().includes(`"player":"${name}/`)),
  );
}, 30_000);

/** A login of somebody; the test above compares whole openings. */
function loginOf(name = ""): Buffer {
  return Buffer.concat([
    handshake({ protocol: 774, host: "a.example", port: 25565, intent: intents.login }),
    loginStart(774, name),
  ]);
}
