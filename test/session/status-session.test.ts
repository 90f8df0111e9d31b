import { describe, expect, test } from "bun:test";
import {
  handshake,
  intents,
  ping,
  statusRequest,
  statusResponse,
} from "../support/minecraft/wire.ts";
import { reserveBackend, status } from "../support/net/backend.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import {
  route,
  type SessionWorldOptions,
  startSessions,
} from "../support/session/session-world.ts";

const json =
  '{"version":{"name":"Paper","protocol":774},"description":"up","players":{"max":60,"online":3},"favicon":"data:image/png;base64,AAAA"}';
const pinging = (host: string): Buffer =>
  Buffer.concat([
    handshake({ protocol: 774, host, port: 25565, intent: intents.status }),
    statusRequest,
    ping(7n),
  ]);
const answer = (text: string): Buffer => Buffer.concat([statusResponse(text), ping(7n)]);

/** A server that runs, and can go to sleep. */
async function town(options: SessionWorldOptions = {}) {
  const sleeper = await reserveBackend();
  const backend = sleeper.listen(status(json));
  const plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
  const routes = [route("a.example.com", backend.address, "a")];
  const world = startSessions({ routes, plane, ...options });
  return {
    world,
    backend,
    async ping(host = "a.example.com"): Promise<Buffer> {
      const player = await world.player(pinging(host));
      await player.waitForLength(20);
      await player.waitForLength(answerLength(player.received()));
      player.close();
      return player.received();
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await plane[Symbol.asyncDispose]();
      sleeper[Symbol.dispose]();
    },
  };
}

/** The response's own length and the pong's. */
function answerLength(bytes: Buffer): number {
  const [low = 0, high = 0] = bytes;
  return low < 0x80 ? 1 + low + 10 : 2 + ((high << 7) | (low & 0x7f)) + 10;
}

describe("a server that was seen running", () => {
  test("keeps icon, version and player limit while it sleeps", async () => {
    await using place = await town({ asleepText: "Zzz" });
    expect(await place.ping()).toEqual(answer(json));
    expect(await place.ping("A.Example.com.\0FML2\0")).toEqual(answer(json));
    place.backend.stop();
    expect(await place.ping()).toEqual(
      answer(json.replace('"up"', '{"text":"Zzz"}').replace('"online":3', '"online":0')),
    );
    expect((await place.world.ended(2)).outcome).toMatchObject({ answer: "asleep" });
  });

  test("keeps its own description where no text is set", async () => {
    await using place = await town();
    await place.ping();
    place.backend.stop();
    expect(await place.ping()).toEqual(answer(json.replace('"online":3', '"online":0')));
  });
});

describe("with a cache", () => {
  test("a flood of pings costs the server one, and each gets its answer and pong", async () => {
    await using place = await town({ statusMaxAgeMs: 60_000, asleepText: "Zzz" });
    const answers = await Promise.all(Array.from({ length: 200 }, () => place.ping()));
    for (const each of answers) expect(each).toEqual(answer(json));
    expect(place.backend.connections).toHaveLength(1);
    const { session, outcome } = await place.world.ended();
    expect(outcome).toEqual({ kind: "answered", answer: "running", reason: null });
    expect(session.backend).toBe(place.backend.address);
  });

  test("a server that does not answer is asleep, and what it said last is remembered", async () => {
    await using place = await town({ statusMaxAgeMs: 1, asleepText: "Zzz" });
    await place.ping();
    place.backend.stop();
    await Bun.sleep(5);
    expect((await place.ping()).toString()).toContain('"description":{"text":"Zzz"}');
    expect((await place.world.ended(1)).outcome).toEqual({
      kind: "answered",
      answer: "asleep",
      reason: "refuses connections",
    });
  });
});
