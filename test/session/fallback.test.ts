import { describe, expect, test } from "bun:test";
import { toHostname } from "../../src/routing/hostname.ts";
import type { Route } from "../../src/routing/route.ts";
import { disconnectText } from "../support/minecraft/player.ts";
import { handshake, intents, login, statusRequest } from "../support/minecraft/wire.ts";
import { echo, sending, startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import {
  route,
  type SessionWorldOptions,
  startSessions,
} from "../support/session/session-world.ts";

const joining = login({ host: "a.example.com", name: "Steve" });
const lobby = toHostname("lobby.example.com");

/** Sessions with a route to a backend that is down, and a fallback. */
async function start(
  lobbyAddress: string,
  options: SessionWorldOptions & { own?: Partial<Route> } = {},
) {
  const stack = new AsyncDisposableStack();
  const closed = stack.use(await reserveClosedPort());
  const down = { ...route("a.example.com", `127.0.0.1:${closed.port}`), ...options.own };
  const world = stack.use(
    startSessions({
      fallback: lobby,
      ...options,
      routes: [down, route("lobby.example.com", lobbyAddress)],
    }),
  );
  return { world, closed, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("a login to a backend that is down", () => {
  test("goes to the fallback's backend, byte for byte", async () => {
    using backend = startBackend(echo);
    await using town = await start(backend.address);
    const player = await town.world.player(joining);
    await player.waitForLength(joining.length);
    expect(player.received()).toEqual(joining);
    player.finish();
    const { session, outcome } = await town.world.ended();
    expect(session).toMatchObject({ route: "a.example.com", backend: backend.address });
    expect(outcome.kind).toBe("relayed");
  });

  test("goes to the fallback that its own route names", async () => {
    using backend = startBackend(echo);
    await using town = await start(backend.address, {
      fallback: toHostname("none.example.com"),
      own: { fallback: lobby },
    });
    await (await town.world.player(joining)).waitForLength(joining.length);
  });

  test("begins there with the PROXY protocol header that the other backend wants", async () => {
    using backend = startBackend(echo);
    await using town = await start(backend.address, { own: { proxyProtocol: true } });
    const player = await town.world.player(joining);
    await player.waitForLength(joining.length);
    expect(player.received()).toEqual(joining);
  });

  for (const { name, fallback } of [
    { name: "is not there either", fallback: lobby },
    { name: "has no route", fallback: toHostname("none.example.com") },
    { name: "is its own route", fallback: toHostname("a.example.com") },
  ]) {
    test(`is refused in words when the fallback ${name}`, async () => {
      using other = await reserveClosedPort();
      await using town = await start(`127.0.0.1:${other.port}`, { fallback });
      const player = await town.world.player(joining);
      expect(disconnectText(await player.readFrame())).toContain("cannot be reached");
      expect((await town.world.ended()).session.backend).toBe(`127.0.0.1:${town.closed.port}`);
    });
  }

  test("that waited goes to the fallback when the start has failed", async () => {
    using backend = startBackend(echo);
    await using plane = await startControlPlane();
    await using town = await start(backend.address, {
      plane,
      wake: { timeoutMs: 300, pollMs: 50 },
      own: { wake: { kind: "control-plane", server: "a" } },
    });
    const player = await town.world.player(joining);
    await player.waitForLength(joining.length);
    expect(player.received()).toEqual(joining);
    expect(town.world.events.findLast(({ kind }) => kind === "session-relaying")).toMatchObject({
      session: { backend: backend.address },
    });
  });
});

test("a ping never goes to the fallback", async () => {
  using backend = startBackend(sending(Buffer.from("hello")));
  await using town = await start(backend.address);
  const opening = handshake({
    protocol: 774,
    host: "a.example.com",
    port: 25565,
    intent: intents.status,
  });
  await town.world.player(Buffer.concat([opening, statusRequest]));
  expect((await town.world.ended()).outcome).toMatchObject({ kind: "dropped", why: "no-answer" });
  expect(backend.connections).toHaveLength(0);
});

test("what a running backend says itself is never exchanged for the fallback", async () => {
  using lobbyBackend = startBackend(echo);
  using full = startBackend(sending(Buffer.from("server is full")));
  await using world = startSessions({
    fallback: lobby,
    routes: [
      route("a.example.com", full.address),
      route("lobby.example.com", lobbyBackend.address),
    ],
  });
  const player = await world.player(joining);
  await player.waitForLength("server is full".length);
  expect(lobbyBackend.connections).toHaveLength(0);
});
