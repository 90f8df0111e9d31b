import { describe, expect, test } from "bun:test";
import { createDeadlines, type Deadlines } from "../../src/base/deadlines.ts";
import { type Conn, peek, take } from "../../src/net/conn.ts";
import { listen } from "../../src/net/listen.ts";
import {
  createWaitingLogins,
  type HoldEnd,
  holdLogin,
  proveHold,
  releaseHold,
  stopHold,
} from "../../src/session/hold.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import {
  frame,
  pluginNotUnderstood,
  pluginRequest,
  readVarint,
  varint,
} from "../support/minecraft/wire.ts";
import type { Peer } from "../support/net/peer.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";
import { until } from "../support/until.ts";

const firstId = 0x4000_0000;
const channel = "automc:hold";
const limitMs = 90_000;

/** A client and the server's end of its connection, both open. */
async function connection(): Promise<{ player: Peer; client: Conn } & Disposable> {
  const accepted = Promise.withResolvers<Conn>();
  const listener = listen({
    bind: "127.0.0.1",
    port: 0,
    accept(client) {
      accepted.resolve(client);
      return true;
    },
    fault: accepted.reject,
  });
  if (!listener.ok) throw new Error(listener.error);
  const player = await connectPlayer({ port: listener.value.port });
  const client = await accepted.promise;
  listener.value.stop();
  return {
    player,
    client,
    [Symbol.dispose]() {
      player.reset();
      if (!client.closed) client.socket.terminate();
    },
  };
}

interface HeldOptions {
  readonly protocol?: number;
  readonly rawHost?: string;
  readonly keepAlive?: boolean;
  readonly stopping?: AbortController;
  /** When it has waited for long enough, where that is not `limitMs`. */
  readonly endsAt?: () => number;
  /** What the client has sent before the hold begins. */
  readonly pipelined?: Uint8Array;
}

/** A login that is held, on a clock that the test moves. Dispose cuts the connection. */
async function held(options: HeldOptions = {}) {
  const { protocol = 774, rawHost = "a.example.com", keepAlive = true } = options;
  const { stopping = new AbortController() } = options;
  const ends = await connection();
  const { player, client } = ends;
  if (options.pipelined) {
    const { length } = options.pipelined;
    await player.send(options.pipelined);
    await until("the pipelined bytes", () => peek(client).length === length);
  }
  const clock = manualDeadlines();
  const hold = holdLogin(
    client,
    { protocol, rawHost },
    {
      deadlines: clock,
      keepAlive,
      leftMs: () => (options.endsAt?.() ?? limitMs) - clock.now(),
      waitingLogins: createWaitingLogins(stopping.signal),
      firstId,
    },
  );
  let arrivals = 0;
  const told = client.waiting;
  if (told !== null) {
    client.waiting = (arrival) => {
      told(arrival);
      arrivals += 1;
    };
  }
  return {
    player,
    client,
    clock,
    hold,
    stopping,
    /** Sends, and resolves when the hold has looked at it and waits for more. */
    async sendSeen(bytes: Uint8Array): Promise<void> {
      const before = arrivals;
      await player.send(bytes);
      await until("the hold has read it", () => arrivals > before);
    },
    /** The next request's id, as the client reads it. */
    async request(): Promise<number> {
      const request = await player.readFrame();
      const id = readVarint(request.body, 0)?.value ?? -1;
      expect(request.raw).toEqual(pluginRequest(id, channel, Buffer.alloc(0)));
      return id;
    },
    /** Resolves with why the hold has ended. */
    async ended(): Promise<HoldEnd | null> {
      await until("the hold ends", () => hold.control.signal.aborted);
      return hold.end;
    },
    [Symbol.dispose]: () => ends[Symbol.dispose](),
  };
}

/** Times on the clock at which the client was sent something, up to `untilMs`. */
function sendTimes(
  client: Conn,
  clock: ReturnType<typeof manualDeadlines>,
  untilMs: number,
): number[] {
  const times: number[] = [];
  while (clock.now() < untilMs) {
    const before = client.sent;
    clock.advance(10);
    if (client.sent > before) times.push(clock.now());
  }
  return times;
}

describe("what a waiting client hears", () => {
  const proxied = ["a.example.com", "203.0.113.7", "069a79f444e94726a5befca90e38aaf5"].join("\0");
  const rows: readonly {
    name: string;
    protocol: number;
    rawHost?: string;
    kind: "request" | "empty" | "nothing";
    firstMs?: number;
  }[] = [
    { name: "1.7.2", protocol: 4, kind: "empty", firstMs: 13_000 },
    { name: "the last snapshot before 1.8", protocol: 46, kind: "empty", firstMs: 13_000 },
    { name: "1.8.9", protocol: 47, kind: "empty", firstMs: 22_000 },
    { name: "1.12.2", protocol: 340, kind: "empty", firstMs: 22_000 },
    { name: "the last snapshot before 1.13", protocol: 392, kind: "empty", firstMs: 22_000 },
    { name: "protocol 0", protocol: 0, kind: "empty", firstMs: 13_000 },
    {
      name: "1.12.2 with Forge",
      protocol: 340,
      rawHost: "a.example.com\0FML\0",
      kind: "empty",
      firstMs: 22_000,
    },
    { name: "1.7.10 behind BungeeCord", protocol: 5, rawHost: proxied, kind: "nothing" },
    { name: "1.12.2 behind BungeeCord", protocol: 340, rawHost: proxied, kind: "nothing" },
    {
      name: "1.8 behind BungeeCord, with a skin",
      protocol: 47,
      rawHost: `${proxied}\0[{"name":"textures"}]`,
      kind: "nothing",
    },
    { name: "1.20.4 behind BungeeCord", protocol: 765, rawHost: proxied, kind: "request" },
    { name: "1.13", protocol: 393, kind: "request" },
    { name: "1.20.4", protocol: 765, kind: "request" },
    { name: "26.1", protocol: 775, kind: "request" },
    { name: "a release of the future", protocol: 5_000, kind: "request" },
    { name: "a snapshot", protocol: 0x4000_0001, kind: "request" },
    { name: "the largest number", protocol: 0x7fff_ffff, kind: "request" },
    { name: "-1", protocol: -1, kind: "nothing" },
    { name: "the smallest number", protocol: -0x8000_0000, kind: "nothing" },
  ];
  for (const { name, kind, firstMs = 2_000, ...client } of rows) {
    test(`${name}: ${kind} after ${firstMs} ms, not sooner`, async () => {
      using waiting = await held(client);
      waiting.clock.advance(firstMs - 1);
      expect(waiting.client.sent).toBe(0);
      waiting.clock.advance(1);
      if (kind === "request") expect(await waiting.request()).toBe(firstId);
      if (kind === "empty") expect(await waiting.player.read(1)).toEqual(Buffer.of(0));
      if (kind === "nothing") waiting.clock.advance(60_000);
      expect(waiting.client.sent).toBe(waiting.player.receivedLength);
    });
  }

  for (const { protocol, everyMs } of [
    { protocol: 46, everyMs: 13_000 },
    { protocol: 47, everyMs: 22_000 },
  ]) {
    test(`protocol ${protocol}: then something every ${everyMs} ms, give or take half a second and not always the same`, async () => {
      using waiting = await held({ protocol, endsAt: () => 600_000 });
      const times = sendTimes(waiting.client, waiting.clock, 590_000);
      const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      expect(gaps.length).toBeGreaterThan(10);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(everyMs - 500);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(everyMs + 510);
      expect(new Set(gaps).size).toBeGreaterThan(1);
    });
  }

  test("a client of 1.13 or newer never waits longer than 5.5 s for a word", async () => {
    using waiting = await held();
    let before = 0;
    while (waiting.clock.now() < limitMs - 6_000) {
      const { sent } = waiting.client;
      while (waiting.client.sent === sent) waiting.clock.advance(10);
      expect(waiting.clock.now() - before).toBeLessThanOrEqual(5_510);
      before = waiting.clock.now();
      await waiting.sendSeen(pluginNotUnderstood(await waiting.request()));
    }
    expect(waiting.hold.answered).toBeGreaterThan(14);
  });

  test("a client that answers is asked to the end of its wait, with a new id each time", async () => {
    using waiting = await held();
    const ids: number[] = [];
    waiting.clock.advance(2_000);
    for (let asked = 0; asked < 10; asked++) {
      const id = await waiting.request();
      ids.push(id);
      await waiting.sendSeen(pluginNotUnderstood(id));
      waiting.clock.advance(8_500);
    }
    expect(ids).toEqual(Array.from({ length: 10 }, (_, index) => firstId + index));
    expect(waiting.hold.end).toBeNull();
  });

  test("a client that does not answer for 15 s is left alone", async () => {
    using waiting = await held();
    const times = sendTimes(waiting.client, waiting.clock, limitMs - 1_000);
    expect(times.length).toBeGreaterThanOrEqual(3);
    expect(times.length).toBeLessThanOrEqual(4);
    expect(times.at(-1)).toBeLessThanOrEqual(17_010);
    expect(waiting.hold.end).toBeNull();
  });

  test("with keepalives off it hears nothing, and its leaving is noticed all the same", async () => {
    using waiting = await held({ keepAlive: false });
    waiting.clock.advance(60_000);
    expect(waiting.client.sent).toBe(0);
    waiting.player.finish();
    expect(await waiting.ended()).toBe("left");
    expect(waiting.clock.pending).toBe(0);
  });

  test("in real time nothing comes before 2 s, and then it does", async () => {
    using ends = await connection();
    const deadlines: Deadlines = createDeadlines();
    const since = performance.now();
    const waitingLogins = createWaitingLogins(new AbortController().signal);
    const hold = holdLogin(
      ends.client,
      { protocol: 774, rawHost: "a.example.com" },
      {
        deadlines,
        keepAlive: true,
        leftMs: () => limitMs,
        waitingLogins,
      },
    );
    const request = await ends.player.readFrame();
    expect(performance.now() - since).toBeGreaterThanOrEqual(2_000);
    expect(request.id).toBe(0x04);
    stopHold(hold);
  });
});

describe("answers are eaten, and what follows them is the backend's", () => {
  const answers = Buffer.concat([pluginNotUnderstood(firstId), pluginNotUnderstood(firstId + 1)]);
  const later = frame(0x01, Buffer.from("for the backend"));
  const whole = Buffer.concat([answers, later]);

  for (let cut = 1; cut <= whole.length; cut++) {
    test(`two answers and what is behind them, cut after byte ${cut} of ${whole.length}`, async () => {
      using waiting = await held();
      waiting.clock.advance(2_000);
      waiting.clock.advance(8_500);
      await waiting.player.waitForLength(
        2 * pluginRequest(firstId, channel, Buffer.alloc(0)).length,
      );
      await waiting.sendSeen(whole.subarray(0, cut));
      if (cut < whole.length) await waiting.sendSeen(whole.subarray(cut));
      expect(waiting.hold.end).toBeNull();
      expect(await releaseHold(waiting.hold)).toBe(true);
      expect(peek(waiting.client)).toEqual(later);
    });
  }

  test("an answer that pretends to understand, with data, is eaten as well", async () => {
    using waiting = await held();
    waiting.clock.advance(2_000);
    const id = await waiting.request();
    await waiting.sendSeen(frame(0x02, varint(id), Buffer.of(1), Buffer.alloc(300, 7)));
    expect(await releaseHold(waiting.hold)).toBe(true);
    expect(peek(waiting.client).length).toBe(0);
  });

  for (const protocol of [47, 774]) {
    test(`protocol ${protocol}: bytes sent right behind the Login Start stay untouched, and their sender is asked nothing`, async () => {
      const pipelined = Buffer.concat([pluginNotUnderstood(firstId), later]);
      using waiting = await held({ protocol, pipelined });
      waiting.clock.advance(60_000);
      if (protocol === 774) expect(waiting.client.sent).toBe(0);
      else expect(waiting.client.sent).toBe(2);
      expect(waiting.hold.end).toBeNull();
      expect(await releaseHold(waiting.hold)).toBe(true);
      expect(peek(waiting.client)).toEqual(pipelined);
    });
  }

  test("what it sends unasked is kept for the backend, however much it is", async () => {
    const most = Buffer.alloc(200 * 1024, 7);
    using waiting = await held({ pipelined: most.subarray(0, 20_000) });
    await waiting.player.send(most.subarray(20_000));
    await until("the socket is paused", () => waiting.client.isPaused);
    waiting.clock.advance(60_000);
    expect(waiting.hold.end).toBeNull();
    expect(waiting.client.sent).toBe(0);
    expect(await releaseHold(waiting.hold)).toBe(true);
    let seen = 0;
    await until("all of it has come", () => {
      const { length } = peek(waiting.client);
      expect(peek(waiting.client)).toEqual(most.subarray(seen, seen + length));
      take(waiting.client, length);
      seen += length;
      return seen === most.length;
    });
  });

  const foreign: readonly { name: string; bytes: Buffer }[] = [
    { name: "an answer to something else", bytes: pluginNotUnderstood(firstId + 1) },
    { name: "an answer to a backend's request", bytes: pluginNotUnderstood(1) },
    { name: "an encryption response", bytes: frame(0x01, varint(4), Buffer.alloc(4)) },
    { name: "a login acknowledgement", bytes: frame(0x03) },
    { name: "an empty frame", bytes: Buffer.of(0) },
    { name: "an answer without its flag", bytes: frame(0x02, varint(firstId)) },
    { name: "an answer that is too long", bytes: Buffer.concat([varint(40_000), Buffer.of(2)]) },
    { name: "a negative length", bytes: Buffer.from("ffffffff0f", "hex") },
    { name: "random bytes", bytes: Buffer.from("deadbeefdeadbeef", "hex") },
  ];
  for (const { name, bytes } of foreign) {
    test(`${name}, instead of the answer, is out of turn`, async () => {
      using waiting = await held();
      waiting.clock.advance(2_000);
      await waiting.request();
      await waiting.player.send(bytes);
      expect(await waiting.ended()).toBe("out-of-turn");
      expect(await releaseHold(waiting.hold)).toBe(false);
      expect(waiting.clock.pending).toBe(0);
    });
  }
});

describe("the end of a hold", () => {
  const leaving: readonly { name: string; leave: (player: Peer) => void }[] = [
    { name: "FIN", leave: (player) => player.finish() },
    { name: "RST", leave: (player) => player.reset() },
    { name: "close", leave: (player) => player.close() },
  ];
  for (const { name, leave } of leaving) {
    for (const isAsked of [false, true]) {
      test(`a client's ${name} is noticed at once, ${isAsked ? "with" : "without"} an answer owed`, async () => {
        using waiting = await held();
        if (isAsked) waiting.clock.advance(2_000);
        leave(waiting.player);
        expect(await waiting.ended()).toBe("left");
        expect(waiting.clock.pending).toBe(0);
        expect(await releaseHold(waiting.hold)).toBe(false);
      });
    }
  }

  test("its limit", async () => {
    using waiting = await held({ protocol: 47 });
    waiting.clock.advance(limitMs - 1);
    expect(waiting.hold.end).toBeNull();
    waiting.clock.advance(1);
    expect(waiting.hold.end).toBe("late");
    expect(waiting.hold.control.signal.aborted).toBe(true);
    expect(waiting.clock.pending).toBe(0);
  });

  test("its limit, where that has moved meanwhile", async () => {
    let endsAt = limitMs;
    using waiting = await held({ protocol: 47, endsAt: () => endsAt });
    waiting.clock.advance(limitMs - 1);
    endsAt = limitMs + 30_000;
    waiting.clock.advance(30_000);
    expect(waiting.hold.end).toBeNull();
    waiting.clock.advance(1);
    expect(waiting.hold.end).toBe("late");
    expect(waiting.clock.pending).toBe(0);
  });

  test("the router stops", async () => {
    using waiting = await held();
    waiting.stopping.abort();
    expect(waiting.hold.end).toBe("stopping");
    expect(waiting.hold.control.signal.aborted).toBe(true);
    expect(waiting.clock.pending).toBe(0);
  });

  test("a router that stops already holds nobody, and leaves nothing behind", async () => {
    const stopping = new AbortController();
    stopping.abort();
    using waiting = await held({ stopping });
    expect(waiting.hold.end).toBe("stopping");
    expect(waiting.hold.control.signal.aborted).toBe(true);
    expect(waiting.clock.pending).toBe(0);
  });

  test("only the first reason counts", async () => {
    using waiting = await held();
    waiting.stopping.abort();
    waiting.player.reset();
    await until("the client is gone", () => waiting.client.closed);
    expect(waiting.hold.end).toBe("stopping");
  });

  test("stopped without a word it is quiet, and its end is none", async () => {
    using waiting = await held();
    stopHold(waiting.hold);
    stopHold(waiting.hold);
    expect(waiting.clock.pending).toBe(0);
    waiting.stopping.abort();
    expect(waiting.hold.end).toBeNull();
    expect(waiting.client.sent).toBe(0);
  });

  test("who was released, stopped or has left is kept no longer", async () => {
    const stopping = new AbortController();
    using released = await held({ stopping });
    await releaseHold(released.hold);
    using stopped = await held({ stopping });
    stopHold(stopped.hold);
    using left = await held({ stopping });
    left.player.close();
    await left.ended();
    for (const { hold } of [released, stopped, left])
      expect(hold.deps.waitingLogins.waiting.size).toBe(0);
  });
});

describe("a release", () => {
  test("hands over at once when nothing is owed, and nothing more is sent", async () => {
    using waiting = await held();
    expect(await releaseHold(waiting.hold)).toBe(true);
    expect(waiting.clock.pending).toBe(0);
    waiting.clock.advance(60_000);
    expect(waiting.client.sent).toBe(0);
    expect(waiting.client.waiting).toBeNull();
  });

  test("waits for the answers that are owed", async () => {
    using waiting = await held();
    waiting.clock.advance(2_000);
    const id = await waiting.request();
    const released = releaseHold(waiting.hold);
    const later = frame(0x01, Buffer.from("later"));
    await waiting.player.send(Buffer.concat([pluginNotUnderstood(id), later]));
    expect(await released).toBe(true);
    expect(peek(waiting.client)).toEqual(later);
    expect(waiting.clock.pending).toBe(0);
  });

  test("gives up on a mute client after 5 s, which is no end of the hold's own", async () => {
    using waiting = await held();
    waiting.clock.advance(2_000);
    const released = releaseHold(waiting.hold);
    waiting.clock.advance(4_999);
    expect(await Promise.race([released, Bun.sleep(20).then(() => "pending")])).toBe("pending");
    waiting.clock.advance(1);
    expect(await released).toBe(false);
    expect(waiting.hold.end).toBeNull();
    expect(waiting.clock.pending).toBe(0);
  });

  test("is over when the client leaves instead", async () => {
    using waiting = await held();
    waiting.clock.advance(2_000);
    const released = releaseHold(waiting.hold);
    waiting.player.reset();
    expect(await released).toBe(false);
    expect(waiting.hold.end).toBe("left");
  });

  test("is over when the client says something else instead", async () => {
    using waiting = await held();
    waiting.clock.advance(2_000);
    const released = releaseHold(waiting.hold);
    await waiting.player.send(frame(0x01, Buffer.of(1)));
    expect(await released).toBe(false);
    expect(waiting.hold.end).toBe("out-of-turn");
  });
});

describe("a client that is to prove that it is a game", () => {
  test("is asked at once and but once, and has proved it with its answer", async () => {
    using waiting = await held({ keepAlive: false });
    const proofs = [proveHold(waiting.hold), proveHold(waiting.hold)];
    await waiting.sendSeen(pluginNotUnderstood(await waiting.request()));
    expect(await Promise.all(proofs)).toEqual([true, true]);
    expect(await proveHold(waiting.hold)).toBe(true);
    expect(waiting.client.sent).toBe(pluginRequest(firstId, channel, Buffer.alloc(0)).length);
    expect(waiting.hold.end).toBeNull();
  });

  test("has proved it already when it has answered a keep-alive", async () => {
    using waiting = await held();
    waiting.clock.advance(2_000);
    await waiting.sendSeen(pluginNotUnderstood(await waiting.request()));
    expect(await proveHold(waiting.hold)).toBe(true);
  });

  test("has 10 s for it", async () => {
    using waiting = await held({ keepAlive: false });
    const proof = proveHold(waiting.hold);
    waiting.clock.advance(9_999);
    expect(waiting.clock.pending).toBe(2);
    waiting.clock.advance(1);
    expect(await proof).toBe(false);
    expect(waiting.hold.end).toBeNull();
  });

  const unable: readonly {
    readonly name: string;
    readonly options: HeldOptions;
  }[] = [
    { name: "older than 1.13", options: { protocol: 340 } },
    { name: "of no version", options: { protocol: -1 } },
    {
      name: "that has said more than its login",
      options: { pipelined: pluginNotUnderstood(firstId) },
    },
  ];
  test.each(unable)("but not one $name", async ({ options }) => {
    using waiting = await held(options);
    expect(await proveHold(waiting.hold)).toBe(false);
    expect(waiting.client.sent).toBe(0);
  });

  test("has not when it leaves, or says something else", async () => {
    using leaving = await held({ keepAlive: false });
    const proof = proveHold(leaving.hold);
    leaving.player.reset();
    expect(await proof).toBe(false);
    using babbling = await held({ keepAlive: false });
    const other = proveHold(babbling.hold);
    await babbling.player.send(pluginNotUnderstood(firstId + 7));
    expect(await other).toBe(false);
    expect(babbling.hold.end).toBe("out-of-turn");
  });

  test("cannot guess the question's number", async () => {
    const ids = new Set<number>();
    for (let round = 0; round < 5; round += 1) {
      using ends = await connection();
      const clock = manualDeadlines();
      const hold = holdLogin(
        ends.client,
        { protocol: 774, rawHost: "a.example.com" },
        {
          deadlines: clock,
          keepAlive: false,
          leftMs: () => limitMs,
          waitingLogins: createWaitingLogins(new AbortController().signal),
        },
      );
      const proof = proveHold(hold);
      const request = await ends.player.readFrame();
      ids.add(readVarint(request.body, 0)?.value ?? -1);
      stopHold(hold);
      expect(await proof).toBe(false);
    }
    expect(ids.size).toBe(5);
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(0x4000_0000);
    expect(Math.max(...ids)).toBeLessThan(0x5000_0000);
  });
});
