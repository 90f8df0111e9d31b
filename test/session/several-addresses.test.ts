import { describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { disconnectText } from "../support/minecraft/player.ts";
import { handshake, intents, legacyPing, login, statusRequest } from "../support/minecraft/wire.ts";
import { type Behaviour, closing, echo, silent, startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { realDialer, route, startSessions } from "../support/session/session-world.ts";

const host = "a.example.com";
const joining = login({ host, name: "Steve" });
const pinging = Buffer.concat([
  handshake({ protocol: 774, host, port: 25565, intent: intents.status }),
  statusRequest,
]);

/** Sessions with one route to these addresses, each of which gets its share of a second. */
function start(...addresses: readonly string[]) {
  const deadlines = createDeadlines();
  const dialer = realDialer(deadlines, 1_000);
  return startSessions({ deadlines, dialer, routes: [route(host, addresses.join("|"))] });
}

const openings: readonly { name: string; bytes: Buffer }[] = [
  { name: "a login", bytes: joining },
  { name: "a ping", bytes: pinging },
  { name: "a ping from before Minecraft 1.7", bytes: legacyPing.withHost(host, 25565) },
];
const dead: readonly { name: string; behaviour: Behaviour }[] = [
  { name: "says nothing", behaviour: silent },
  { name: "closes", behaviour: closing },
];

describe("a route with several addresses", () => {
  for (const { name, bytes } of openings) {
    for (const { name: how, behaviour } of dead) {
      test(`brings ${name} to the second one when the first ${how}`, async () => {
        using first = startBackend(behaviour);
        using second = startBackend(echo);
        await using world = start(first.address, second.address);
        const player = await world.player(bytes);
        await player.waitForLength(bytes.length);
        expect(player.received()).toEqual(bytes);
        player.finish();
        expect((await world.ended()).session.backend).toBe(second.address);
      });
    }

    test(`brings ${name} to the second one when the first refuses`, async () => {
      using first = await reserveClosedPort();
      using second = startBackend(echo);
      await using world = start(`127.0.0.1:${first.port}`, second.address);
      const player = await world.player(bytes);
      await player.waitForLength(bytes.length);
      player.finish();
      expect((await world.ended()).session.backend).toBe(second.address);
    });
  }

  test("brings pings to where it brings logins", async () => {
    using first = startBackend(silent);
    using second = startBackend(echo);
    await using world = start(first.address, second.address);
    await (await world.player(joining)).waitForLength(joining.length);
    await (await world.player(pinging)).waitForLength(pinging.length);
    expect([first.connections.length, second.connections.length]).toEqual([1, 2]);
  });

  test("brings a login that a control plane was asked for to the one that answers", async () => {
    using first = startBackend(silent);
    using second = startBackend(echo);
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    plane.setRunning("a", `${first.address}|${second.address}`);
    const deadlines = createDeadlines();
    await using world = startSessions({
      deadlines,
      dialer: realDialer(deadlines, 1_000),
      plane,
      routes: [route(host, "127.0.0.1:1", "a")],
    });
    const player = await world.player(joining);
    await player.waitForLength(joining.length);
    player.finish();
    expect((await world.ended()).session.backend).toBe(second.address);
  });

  test("tells the player when all of them are down", async () => {
    using first = await reserveClosedPort();
    using second = startBackend(closing);
    await using world = start(`127.0.0.1:${first.port}`, second.address);
    const player = await world.player(joining);
    expect(disconnectText(await player.readFrame())).toContain("cannot be reached");
    const { session, outcome } = await world.ended();
    expect(session.backend).toBe(`127.0.0.1:${first.port}|${second.address}`);
    expect(outcome).toMatchObject({ answer: "unreachable", reason: "closes without an answer" });
  });
});
