import { describe, expect, test } from "bun:test";
import { createDeadlines, type Deadlines } from "../../src/base/deadlines.ts";
import type { Conn } from "../../src/net/conn.ts";
import { abort } from "../../src/net/conn.ts";
import { listen } from "../../src/net/listen.ts";
import { askStatus, captureStatus } from "../../src/session/status-exchange.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { frame, ping, statusRequest, statusResponse } from "../support/minecraft/wire.ts";
import { type Behaviour, silent, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { relayed } from "../support/net/relayed.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import { realDialer } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

const never = new AbortController().signal;
const json = '{"version":{"name":"1.21","protocol":774},"description":"ä😀"}';

/** A client and a backend that has been dialled, as the router holds both between the opening and the relay. */
async function between(behaviour: Behaviour, deadlines: Deadlines = createDeadlines()) {
  const backend = startBackend(behaviour);
  const accepted = Promise.withResolvers<Conn>();
  const listener = listen({
    bind: "127.0.0.1",
    port: 0,
    accept: (conn) => {
      accepted.resolve(conn);
      return true;
    },
    fault: accepted.reject,
  });
  if (!listener.ok) throw new Error(listener.error);
  const player = await connectPlayer({ port: listener.value.port });
  const dialled = await realDialer(deadlines).dial(
    { host: "127.0.0.1", port: backend.port },
    never,
  );
  if (!dialled.ok) throw new Error(dialled.error.message);
  const client = await accepted.promise;
  const conn = dialled.value;
  return {
    deadlines,
    player,
    client,
    conn,
    server: await backend.waitForConnection(0),
    [Symbol.dispose]() {
      abort(client);
      abort(conn);
      player.reset();
      listener.value.stop();
      backend.stop();
    },
  };
}

/** A backend that sends these bytes when it is asked first. */
const answering = (bytes: Uint8Array): Behaviour => ({
  async data(connection) {
    if (connection.receivedLength === statusRequest.length) await connection.send(bytes);
  },
});

/** Longer than what is read before a relay, as only a text without ASCII can be. */
const large = statusResponse("€".repeat(32_000));
const largeStart = large.subarray(0, 70_000);

const byteByByte = (bytes: Buffer): Behaviour => ({
  data: (connection) => connection.sendByteByByte(bytes, 0),
});

const bad: readonly { name: string; behaviour: Behaviour }[] = [
  { name: "another packet", behaviour: answering(frame(0x01, Buffer.alloc(8))) },
  { name: "no Minecraft", behaviour: answering(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")) },
  { name: "no UTF-8", behaviour: answering(Buffer.from("030001ff", "hex")) },
  {
    name: "a text longer than clients read",
    behaviour: answering(statusResponse("x".repeat(32_768))),
  },
  {
    name: "FIN",
    behaviour: { data: (connection) => connection.finish() },
  },
  { name: "a reset", behaviour: { data: (connection) => connection.reset() } },
  {
    name: "half an answer and FIN",
    behaviour: {
      async data(connection) {
        await connection.send(statusResponse(json).subarray(0, 20));
        connection.finish();
      },
    },
  },
];

describe("asking a backend", () => {
  test("gives its answer: the frame as it came and its text", async () => {
    using world = await between(byteByByte(statusResponse(json)));
    const answer = await askStatus(world.conn, world.deadlines, never);
    expect(answer && Buffer.from(answer.frame).equals(statusResponse(json))).toBe(true);
    expect(answer?.json).toBe(json);
    expect(world.server.received()).toEqual(statusRequest);
  });

  test("keeps nothing of what follows the answer", async () => {
    using world = await between(
      answering(Buffer.concat([statusResponse(json), Buffer.alloc(9_000)])),
    );
    const answer = await askStatus(world.conn, world.deadlines, never);
    expect(answer?.frame.length).toBe(statusResponse(json).length);
    expect(answer?.frame.buffer.byteLength).toBe(answer?.frame.length);
  });

  test("gives the longest answer that clients read", async () => {
    const longest = `"${"x".repeat(32_765)}"`;
    using world = await between(answering(statusResponse(longest)));
    expect((await askStatus(world.conn, world.deadlines, never))?.json).toBe(longest);
  });

  for (const { name, behaviour } of bad) {
    test(`gives null for ${name}`, async () => {
      using world = await between(behaviour);
      expect(await askStatus(world.conn, world.deadlines, never)).toBeNull();
    });
  }

  test("gives null after 3 s, and for more than is read before a relay", async () => {
    const deadlines = manualDeadlines();
    using world = await between(silent, deadlines);
    let answer: unknown = "none yet";
    void askStatus(world.conn, deadlines, never).then((value) => {
      answer = value;
    });
    await advanceUntil(deadlines, "the end of the wait", () => answer === null);
    expect(deadlines.now()).toBeGreaterThanOrEqual(3_000);
    expect(deadlines.pending).toBe(0);

    using crowded = await between(answering(largeStart), deadlines);
    expect(await askStatus(crowded.conn, deadlines, never)).toBeNull();
  });

  test("gives null when the signal aborts", async () => {
    const control = new AbortController();
    using world = await between(silent);
    const answer = askStatus(world.conn, world.deadlines, control.signal);
    control.abort();
    expect(await answer).toBeNull();
  });
});

describe("overhearing", () => {
  /** Starts to overhear as the session does, then relays. */
  async function overhearAndRelay(world: Awaited<ReturnType<typeof between>>) {
    const heard = await captureStatus(world.client, world.conn, world.deadlines, never);
    void relayed(world.client, world.conn, world.deadlines);
    return heard;
  }

  const asks: readonly { name: string; ask(player: Peer): Promise<void> }[] = [
    {
      name: "asks and pings at once",
      ask: (player) => player.send(Buffer.concat([statusRequest, ping(7n)])),
    },
    {
      name: "pings when it has its answer, byte by byte",
      async ask(player) {
        await player.sendByteByByte(statusRequest, 1);
        await player.waitForLength(statusResponse(json).length);
        await player.sendByteByByte(ping(7n), 1);
      },
    },
  ];
  for (const { name, ask } of asks) {
    test(`gives the answer, and both sides see what they see without it: a client that ${name}`, async () => {
      using world = await between({
        // Without a handshake in front, a status backend would not know where the request begins.
        open: () => {},
        async data(connection) {
          const seen = connection.received();
          if (seen.equals(statusRequest)) await connection.send(statusResponse(json));
          if (seen.length === statusRequest.length + 10) await connection.send(seen.subarray(2));
        },
      });
      const heard = overhearAndRelay(world);
      await ask(world.player);
      expect((await heard)?.json).toBe(json);
      await world.player.waitForLength(statusResponse(json).length + 10);
      expect(world.player.received()).toEqual(Buffer.concat([statusResponse(json), ping(7n)]));
      expect(world.server.received()).toEqual(Buffer.concat([statusRequest, ping(7n)]));
    });
  }

  for (const { name, behaviour } of bad) {
    test(`of ${name} gives null, and the client gets it all the same`, async () => {
      using world = await between(behaviour);
      const heard = overhearAndRelay(world);
      await world.player.send(statusRequest);
      expect(await heard).toBeNull();
      await world.player.waitForLength(name === "a reset" || name === "FIN" ? 0 : 4);
      expect(world.server.received()).toEqual(statusRequest);
    });
  }

  test("of an answer that is larger than what is read before a relay loses nothing", async () => {
    using world = await between(answering(largeStart));
    const heard = overhearAndRelay(world);
    await world.player.send(statusRequest);
    expect(await heard).toBeNull();
    await world.player.waitForLength(largeStart.length);
    await world.server.send(large.subarray(largeStart.length));
    await world.player.waitForLength(large.length);
    expect(world.player.received()).toEqual(large);
  });

  test("of a client that only pings gives null, and the backend gets the ping", async () => {
    using world = await between(silent);
    const heard = overhearAndRelay(world);
    await world.player.send(ping(7n));
    expect(await heard).toBeNull();
    await world.server.waitForLength(10);
    expect(world.server.received()).toEqual(ping(7n));
  });

  test("of a client that says nothing gives null after 3 s; of one that has gone, at once", async () => {
    const deadlines = manualDeadlines();
    using world = await between(silent, deadlines);
    let heard: unknown = "none yet";
    void overhearAndRelay(world).then((value) => {
      heard = value;
    });
    await advanceUntil(deadlines, "the end of the wait", () => heard === null);
    expect(deadlines.now()).toBeGreaterThanOrEqual(3_000);

    using left = await between(silent);
    const gone = captureStatus(left.client, left.conn, left.deadlines, never);
    left.player.reset();
    expect(await gone).toBeNull();
  });

  test("of a backend that takes its time gives null when the client has gone", async () => {
    const control = new AbortController();
    using world = await between(silent);
    const heard = captureStatus(world.client, world.conn, world.deadlines, control.signal);
    await world.player.send(statusRequest);
    await until("the request", () => world.server.receivedLength === statusRequest.length);
    control.abort();
    expect(await heard).toBeNull();
  });
});
