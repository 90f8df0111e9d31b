import { describe, expect, test } from "bun:test";
import { GameDig } from "gamedig";
import minestat from "minestat";
import { startBackend, status } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { route, startSessions } from "../support/session/session-world.ts";

/** A router whose only server, by any hostname, sleeps. */
async function sleepingServer() {
  const stack = new AsyncDisposableStack();
  const closed = stack.use(await reserveClosedPort());
  const plane = stack.use(startControlPlane({ servers: [{ name: "a", startMs: null }] }));
  const routes = [route(null, `127.0.0.1:${closed.port}`, "a")];
  const world = stack.use(startSessions({ routes, plane, asleepText: "Asleep. Join to start." }));
  return { world, plane, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("a checker of servers reads of one that sleeps", () => {
  test("gamedig: its text and that nobody plays", async () => {
    await using place = await sleepingServer();
    const state = await GameDig.query({
      type: "minecraft",
      host: "127.0.0.1",
      port: place.world.port,
      givenPortOnly: true,
    });
    expect(state).toMatchObject({ name: "Asleep. Join to start.", maxplayers: 1, numplayers: 0 });
    expect(place.plane.requests).toEqual([]);
  });

  test("minestat, whose ping is that of 1.4", async () => {
    await using place = await sleepingServer();
    const { port } = place.world;
    expect(await minestat.init({ address: "127.0.0.1", port })).toMatchObject({
      online: true,
      motd: "Asleep. Join to start.",
      current_players: 0,
      max_players: 1,
    });
  });
});

test("gamedig reads what a running server says of itself", async () => {
  const json =
    '{"version":{"name":"Paper 1.21.4","protocol":769},"description":"up","players":{"max":60,"online":3}}';
  using backend = startBackend(status(json));
  await using world = startSessions({ routes: [route(null, backend.address)] });
  const { port } = world;
  const asked = { type: "minecraft", host: "127.0.0.1", port, givenPortOnly: true };
  expect(await GameDig.query(asked)).toMatchObject({ name: "up", maxplayers: 60, numplayers: 3 });
});
