import { describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { ok } from "../../src/base/result.ts";
import type { DockerTarget } from "../../src/providers/docker/waker.ts";
import { nowhere } from "../../src/routing/address.ts";
import type { Motd, Route } from "../../src/routing/route.ts";
import type { Waker } from "../../src/wake/waker.ts";
import {
  handshake,
  intents,
  login,
  ping,
  statusRequest,
  statusResponse,
} from "../support/minecraft/wire.ts";
import { silent, startBackend, status } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { route, startSessions, wakesOf } from "../support/session/session-world.ts";

/** A waker of containers that never come up. */
const idleWaker: Waker<DockerTarget> = {
  kind: "docker",
  timing: { timeoutMs: () => 60_000, afterAcceptMs: null, pauseMs: () => 500 },
  start: () => Promise.resolve(ok(undefined)),
  look: () => Promise.resolve({ kind: "stopped", word: "stopped" }),
  may: ({ scaling }) => ({ start: scaling.up, stop: false }),
  stop: () => Promise.resolve(ok(undefined)),
};

/** A route as a platform's source gives it; without an address it sleeps. */
const discovered = (address: string | null, up: boolean, motd?: Motd): Route => ({
  ...route("a.example.com", address ?? "127.0.0.1:1"),
  ...(address === null && { address: nowhere }),
  wake: {
    kind: "docker",
    container: "id",
    name: "a",
    port: 25565,
    network: null,
    scaling: { up, down: true, waitMs: 60_000 },
  },
  ...(motd && { motd }),
});

function start(one: Route) {
  const deadlines = createDeadlines();
  const wakes = wakesOf({ docker: idleWaker }, deadlines, () => undefined);
  return startSessions({ routes: [one], wakes, asleepText: "zzz", loadingText: "soon" });
}

const statusPing = Buffer.concat([
  handshake({ protocol: 774, host: "a.example.com", port: 25565, intent: intents.status }),
  statusRequest,
  ping(1n),
]);

const answer = (text: string): Buffer => {
  const json = `{"version":{"name":"1.7+","protocol":774},"players":{"max":1,"online":0},"description":{"text":"${text}"}}`;
  return Buffer.concat([statusResponse(json), ping(1n)]);
};

const motd: Motd = { asleep: "mine", loading: "almost", until: null };

describe("a ping of a discovered backend", () => {
  test.each([
    ["that sleeps, may be started", discovered(null, true), "zzz"],
    ["that sleeps, may not be started", discovered(null, false), "zzz"],
    ["that sleeps, with a text of its own", discovered(null, true, motd), "mine"],
    ["that may not be started, with one", discovered(null, false, motd), "mine"],
  ])("%s", async (_, one, text) => {
    await using world = start(one);
    const player = await world.player(statusPing);
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received()).toEqual(answer(text));
  });

  test("that is being started shows its own text for that", async () => {
    const one = discovered(null, true, motd);
    await using world = start(one);
    await world.player(login({ host: "a.example.com", name: "Waiter" }));
    await world.waitForEvent("session-holding");
    const texts = new Set<string>();
    while (!texts.has(answer("almost").toString())) {
      const player = await world.player(statusPing);
      await player.waitForEnd();
      texts.add(player.received().toString());
      expect([answer("mine").toString(), answer("almost").toString()]).toContain(
        player.received().toString(),
      );
    }
  });

  test("that runs is the backend's own, whether it may be started or not", async () => {
    using backend = startBackend(status('{"description":"here"}'));
    for (const up of [true, false]) {
      await using world = start(discovered(backend.address, up, motd));
      const player = await world.player(statusPing);
      const whole = Buffer.concat([statusResponse('{"description":"here"}'), ping(1n)]);
      await player.waitForLength(whole.length);
      expect(player.received()).toEqual(whole);
    }
  });

  test("that should run, is not there and may not be started is no answer", async () => {
    using closed = await reserveClosedPort();
    await using world = start(discovered(`127.0.0.1:${closed.port}`, false, motd));
    const player = await world.player(statusPing);
    await player.waitForEnd();
    expect(player.receivedLength).toBe(0);
  });
});

describe("a login to a discovered backend that may not be started", () => {
  const opening = login({ host: "a.example.com", name: "Steve" });

  test("goes to the backend that is there", async () => {
    using backend = startBackend(silent);
    await using world = start(discovered(backend.address, false));
    await world.player(opening);
    const connection = await backend.waitForConnection(0);
    await connection.waitForLength(opening.length);
    expect(connection.received()).toEqual(opening);
    expect(world.count("session-holding")).toBe(0);
  });

  test("reads that one which sleeps cannot be reached, at once", async () => {
    await using world = start(discovered(null, false));
    const player = await world.player(opening);
    await player.waitForEnd();
    expect(player.received().toString()).toContain("This server cannot be reached right now.");
    expect((await world.ended()).outcome).toEqual({
      kind: "answered",
      answer: "unreachable",
      reason: "has no address at the moment",
    });
  });
});
