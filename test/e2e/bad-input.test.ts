import { expect, test } from "bun:test";
import { connectPlayer } from "../support/minecraft/player.ts";
import {
  frame,
  handshake,
  intents,
  legacyPing,
  login,
  string,
  u16,
  varint,
} from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { complaints, linesOf, noQueue } from "../support/process/e2e-network.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** Numbers that are the same in each run (mulberry32), so that a failure can be run again. */
function randomBytes(seed: number, length: number): Buffer {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) & 0xff;
  };
  return Buffer.from(Array.from({ length }, next));
}

const longHost = "h".repeat(32_767);
const shakeFor = (host: string): Buffer =>
  handshake({ protocol: 774, host, port: 25565, intent: intents.login });

/** The one that a real player might send by mistake is refused in words. */
const told = "a player's name of 1,000 letters";

/** What comes along on an open port, and a well-meant thing or two gone wrong. */
const wrong: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: "a length of 0", bytes: hex("00") },
  { name: "a length of 2^21", bytes: hex("80 80 80 01") },
  { name: "a length that never ends", bytes: Buffer.alloc(64, 0xff) },
  { name: "a negative length", bytes: hex("ff ff ff ff 0f") },
  { name: "a length over the limit, and all its bytes", bytes: frame(0x00, Buffer.alloc(40_000)) },
  { name: "a hostname of negative length", bytes: frame(0x00, varint(774), varint(-1)) },
  { name: "a hostname longer than its packet", bytes: frame(0x00, varint(774), varint(200)) },
  { name: "a hostname of 32,767 letters", bytes: shakeFor(longHost) },
  {
    name: "a hostname of bad UTF-8",
    bytes: frame(
      0x00,
      varint(774),
      varint(4),
      hex("c3 28 f0 80"),
      u16(25565),
      varint(intents.login),
    ),
  },
  {
    name: "a handshake with bytes left over",
    bytes: frame(0x00, varint(774), string("play.x"), u16(1), varint(1), Buffer.of(0)),
  },
  {
    name: "an intent of 4",
    bytes: frame(0x00, varint(774), string("play.x"), u16(1), varint(4)),
  },
  { name: "another packet first", bytes: frame(0x05, string("play.x")) },
  {
    name: told,
    bytes: Buffer.concat([shakeFor("play.x"), frame(0x00, string("n".repeat(1_000)))]),
  },
  {
    name: "a Login Start of another id",
    bytes: Buffer.concat([shakeFor("play.x"), frame(0x07, string("Steve"))]),
  },
  {
    name: "a TLS ClientHello",
    bytes: Buffer.concat([hex("16 03 01 02 00 01 00 01 fc 03 03"), randomBytes(1, 506)]),
  },
  { name: "HTTP", bytes: Buffer.from("GET / HTTP/1.1\r\nHost: play.x\r\n\r\n") },
  { name: "SSH", bytes: Buffer.from("SSH-2.0-OpenSSH_9.6\r\n") },
  { name: "a PROXY protocol header", bytes: Buffer.from("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n") },
  { name: "RDP", bytes: hex("03 00 00 13 0e e0 00 00 00 00 00 01 00 08 00 00 00 00 00") },
  { name: "a legacy ping cut short", bytes: legacyPing.withHost("play.x", 25565).subarray(0, 20) },
  { name: "a legacy ping that lies about its length", bytes: hex("fe 01 fa 00 0b ff ff ff ff") },
  { name: "a legacy ping of an unknown host", bytes: legacyPing.withHost("stranger.x", 25565) },
  { name: "the oldest ping", bytes: legacyPing.beta },
  { name: "a ping of 1.4", bytes: legacyPing.release },
  { name: "half a handshake", bytes: shakeFor("play.x").subarray(0, 9) },
  { name: "a handshake and no login", bytes: shakeFor("play.x") },
  {
    name: "control characters and colours",
    bytes: login({ host: "\u001b[31m\r\n§cerror\u202e.x", name: "a\nb\u0007" }),
  },
  { name: "nothing", bytes: Buffer.alloc(0) },
  ...Array.from({ length: 40 }, (_, seed) => ({
    name: `random bytes of seed ${seed}`,
    bytes: randomBytes(seed, 1 + ((seed * 37) % 900)),
  })),
];

/** Sends all of it at once from one client each, and 200 that send a login at one byte a second; resolves when the router has closed each. */
async function misbehave(
  router: Router,
): Promise<readonly { name: string; peer: Peer; openMs: number }[]> {
  const slow = Array.from({ length: 200 }, (_, index) => ({
    name: `a slow login ${index}`,
    bytes: login({ host: "play.x", name: "Slow" }),
    pauseMs: 1_000,
  }));
  const clients = [...wrong.map((entry) => ({ ...entry, pauseMs: 0 })), ...slow];
  return await Promise.all(
    clients.map(async ({ name, bytes, pauseMs }) => {
      const peer = await connectPlayer({ port: router.port });
      // The router may close in the middle of it, which is the point.
      const sending = pauseMs === 0 ? peer.send(bytes) : peer.sendByteByByte(bytes, pauseMs);
      void sending.catch(() => {});
      await peer.waitForEnd(20_000).catch((cause) => {
        throw new Error(`${name} is still connected`, { cause });
      });
      return { name, peer, openMs: performance.now() - peer.openedAtMs };
    }),
  );
}

for (const level of ["info", "debug"] as const) {
  test.concurrent(`bad input at LOG_LEVEL=${level} is closed soon and silently, and troubles nobody`, async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({
      env: { ...noQueue, MAPPING: `play.x=${backend.address}`, LOG_LEVEL: level },
    });
    const hello = login({ host: "play.x", name: "Steve" });
    {
      // The first relay opens descriptors that its thread keeps.
      using player = await connectPlayer({ port: router.port });
      await player.send(hello);
      expect(await player.read(hello.length)).toEqual(hello);
      player.finish();
      await player.waitForEnd();
    }
    const ends = () =>
      linesOf(router, "session-ended").filter(({ player }) => String(player).startsWith("Steve/"));
    await until("the first player is gone", () => ends().length === 1);
    const quietly = router.lines.length;
    const atRest = router.fds();

    const misbehaving = misbehave(router);
    // Somebody plays meanwhile: the slow ones have their places now.
    await until("they are connected", () => router.fds() >= atRest + 200);
    {
      using player = await connectPlayer({ port: router.port });
      await player.send(hello);
      expect(await player.read(hello.length)).toEqual(hello);
      player.finish();
      expect(await player.waitForEnd()).toBe("finished");
    }
    const closed = await misbehaving;

    for (const { name, peer, openMs } of closed) {
      const isTold = peer.receivedLength > 0;
      expect({ name, isTold }).toEqual({ name, isTold: name === told });
      // The router's limit is 5 s; the rest is room for a busy machine.
      expect({ name, isSoon: openMs < 15_000 }).toEqual({ name, isSoon: true });
      peer.reset();
    }
    // The runtime opens an epoll descriptor or two of its own when it is first busy, and keeps them.
    await until("the clients' file descriptors are free again", () => router.fds() <= atRest + 4);
    expect(backend.connections.length).toBe(2);

    using player = await connectPlayer({ port: router.port });
    await player.send(hello);
    expect(await player.read(hello.length)).toEqual(hello);
    player.finish();
    await player.waitForEnd();
    await until("both players are told", () => ends().length === 3);

    const about = router.lines.slice(quietly).filter(({ player }) => player === undefined);
    // Unknown hostnames have one line for all of them.
    const noisy = about.filter(({ level }) => level !== "debug");
    expect(noisy.map(({ event }) => event)).toEqual(["hostnames-unknown"]);
    expect(complaints(router)).toEqual([]);
    if (level === "info") {
      // The players, the login that is refused in words, and the hostnames.
      expect(router.lines.length - quietly).toBe(6);
    } else {
      const ended = linesOf(router, "session-ended").filter(({ level }) => level === "debug");
      expect(ended.length).toBe(closed.length - 1);
      // What a client chose is escaped, so that it steers no terminal and makes no lines of its own.
      expect(router.log()).not.toMatch(/[^\n\x20-\x7e…]/);
      expect(router.log()).toContain("\\u001b[31m");
    }
    expect(await router.stop()).toBe(0);
  }, 60_000);
}
