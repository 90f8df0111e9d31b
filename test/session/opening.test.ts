import { describe, expect, test } from "bun:test";
import {
  frame,
  handshake,
  legacyPing,
  login,
  loginStart,
  readLegacyAnswer,
  string,
  varint,
} from "../support/minecraft/wire.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import { route, startSessions } from "../support/session/session-world.ts";

const shake = (intent: number, host = "a.example.com"): Buffer =>
  handshake({ protocol: 774, host, port: 25565, intent });

describe("what is no Minecraft is closed at once, without a byte", () => {
  const rows: readonly { name: string; bytes: Buffer }[] = [
    { name: "HTTP", bytes: Buffer.from("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n") },
    { name: "a TLS ClientHello", bytes: Buffer.from("16030100c8010000c40303", "hex") },
    { name: "SSH", bytes: Buffer.from("SSH-2.0-OpenSSH_9.2p1\r\n") },
    { name: "random bytes", bytes: Buffer.from("9f8e7d6c5b4a39281706f5e4d3c2b1a0", "hex") },
    { name: "an empty frame", bytes: Buffer.of(0) },
    { name: "a negative length", bytes: Buffer.from("ffffffff0f00", "hex") },
    { name: "a length of 2 MiB", bytes: Buffer.concat([varint(0x1fffff), Buffer.of(0)]) },
    { name: "a hostname of 32,767 characters", bytes: shake(2, "h".repeat(32_767)) },
    { name: "a hostname of 256 characters", bytes: shake(2, "h".repeat(256)) },
    {
      name: "a hostname that is no UTF-8",
      bytes: frame(0, varint(774), Buffer.from("02c328", "hex"), Buffer.of(0, 0, 2)),
    },
    { name: "intent 0", bytes: shake(0) },
    { name: "intent 4", bytes: shake(4) },
    { name: "intent -1", bytes: shake(-1) },
    {
      name: "a handshake that goes on",
      bytes: frame(0, varint(774), string("a"), Buffer.of(0, 0, 1, 9)),
    },
    { name: "a login without a name", bytes: Buffer.concat([shake(2), loginStart(774, "")]) },
    {
      name: "a login of another packet",
      bytes: Buffer.concat([shake(2), frame(0x01, Buffer.of(1))]),
    },
    {
      name: "a transfer with another packet",
      bytes: Buffer.concat([shake(3), frame(0x02, Buffer.of(1))]),
    },
  ];
  for (const { name, bytes } of rows) {
    test(name, async () => {
      using backend = startBackend(silent);
      await using world = startSessions({ routes: [route(null, backend.address)] });
      const player = await world.player(bytes);
      await player.waitForEnd();
      expect(player.receivedLength).toBe(0);
      expect((await world.ended()).outcome).toMatchObject({
        kind: "dropped",
        why: "not-minecraft",
        reason: expect.stringMatching(/^[a-z]/),
      });
      expect(backend.connections).toEqual([]);
    });
  }
});

describe("an opening has 5 s, however it spreads", () => {
  const whole = login({ host: "a.example.com", name: "Steve" });
  const rows: readonly { name: string; bytes: Buffer; why: string }[] = [
    { name: "nothing at all", bytes: Buffer.alloc(0), why: "silent" },
    { name: "half a handshake", bytes: whole.subarray(0, 9), why: "too-slow" },
    {
      name: "a packet that begins like an old login",
      bytes: Buffer.from([0x02, 0x27, 0x78]),
      why: "other-packet",
    },
    { name: "a handshake without a login", bytes: shake(2), why: "too-slow" },
    { name: "all but the last byte", bytes: whole.subarray(0, -1), why: "too-slow" },
  ];
  for (const { name, bytes, why } of rows) {
    test(`${name} is dropped then, and not before`, async () => {
      const deadlines = manualDeadlines();
      await using world = startSessions({ routes: [], deadlines });
      const player = await world.player(bytes);
      await advanceUntil(deadlines, "the end", () => world.count("session-ended") === 1);
      const { outcome, durationMs } = await world.ended();
      expect(outcome).toMatchObject({ kind: "dropped", why });
      expect(durationMs).toBeGreaterThanOrEqual(5_000);
      expect(durationMs).toBeLessThanOrEqual(5_100);
      await player.waitForEnd();
      expect(player.receivedLength).toBe(0);
      expect(deadlines.pending).toBe(0);
    });
  }

  test("a byte at a time does not lengthen it", async () => {
    const deadlines = manualDeadlines();
    await using world = startSessions({ routes: [], deadlines });
    const player = await world.player();
    let sent = 0;
    await advanceUntil(deadlines, "the end", () => {
      if (player.ending === "open" && sent < whole.length - 1) {
        void player.send(whole.subarray(sent, sent + 1)).catch(() => {});
        sent += 1;
      }
      return world.count("session-ended") === 1;
    });
    expect((await world.ended()).outcome).toMatchObject({ kind: "dropped", why: "too-slow" });
    expect(deadlines.now()).toBeLessThan(6_000);
  });

  for (const [name, leave] of [
    ["FIN", "finish"],
    ["RST", "reset"],
  ] as const) {
    test(`a client that leaves by ${name} in the middle of it is let go at once`, async () => {
      const deadlines = manualDeadlines();
      await using world = startSessions({ routes: [], deadlines });
      const player = await world.player(whole.subarray(0, 9));
      await Bun.sleep(20);
      player[leave]();
      expect((await world.ended()).outcome).toMatchObject({ kind: "dropped", why: "left" });
      expect(deadlines.pending).toBe(0);
    });
  }

  test("a health check that only connects is silent, not an error", async () => {
    await using world = startSessions({ routes: [] });
    const player = await world.player();
    player.close();
    expect(await world.ended()).toMatchObject({
      session: { intent: null, hostname: null, player: null },
      outcome: { kind: "dropped", why: "silent", reason: null },
    });
  });
});

test("a login cut at every byte is read as if it came whole", async () => {
  using backend = startBackend(silent);
  await using world = startSessions({ routes: [route("a.example.com", backend.address)] });
  const whole = login({ host: "a.example.com", name: "Steve" });
  for (let cut = 1; cut < whole.length; cut++) {
    const player = await world.player(whole.subarray(0, cut));
    await Bun.sleep(1);
    await player.send(whole.subarray(cut));
  }
  for (let index = 0; index < whole.length - 1; index++) {
    const connection = await backend.waitForConnection(index);
    await connection.waitForLength(whole.length);
    expect(connection.received()).toEqual(whole);
  }
});

describe("a client from before 1.7", () => {
  test("that joins is told that it is too old, whatever the routes are", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({ routes: [route(null, backend.address)] });
    const name = Buffer.from("Steve", "utf16le").swap16();
    const host = Buffer.from("a.example.com", "utf16le").swap16();
    const player = await world.player(
      Buffer.concat([
        Buffer.from("024e0005", "hex"),
        name,
        Buffer.from("000d", "hex"),
        host,
        Buffer.from("000063dd", "hex"),
      ]),
    );
    expect(await player.waitForEnd()).toBe("finished");
    expect(readLegacyAnswer(player.received())).toEqual([
      "This network needs Minecraft 1.7 or newer.",
    ]);
    expect(await world.ended()).toMatchObject({
      session: { intent: "legacy-login" },
      outcome: { kind: "answered", answer: "too-old" },
    });
    expect(backend.connections).toEqual([]);
  });

  test("that pings and half-closes is not made to wait", async () => {
    const deadlines = manualDeadlines();
    using backend = startBackend(silent);
    await using world = startSessions({ routes: [route(null, backend.address)], deadlines });
    const player = await world.player(legacyPing.release);
    player.finish();
    const connection = await backend.waitForConnection(0);
    await connection.waitForLength(2);
    expect(connection.received()).toEqual(legacyPing.release);
  });

  test("a modern handshake of 254 bytes is none, though it begins with FE 01", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({ routes: [route(null, backend.address)] });
    const bytes = shake(1, "x".repeat(246));
    expect(bytes.subarray(0, 2).toString("hex")).toBe("fe01");
    await world.player(bytes);
    const connection = await backend.waitForConnection(0);
    await connection.waitForLength(bytes.length);
    expect(connection.received()).toEqual(bytes);
  });
});
