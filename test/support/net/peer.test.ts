import { describe, expect, test } from "bun:test";
import { connectPlayer, disconnectText, waitThroughHold } from "../minecraft/player.ts";
import {
  handshake,
  intents,
  legacyPing,
  login,
  loginDisconnect,
  loginStart,
  offlineUuid,
  ping,
  pluginNotUnderstood,
  pluginRequest,
  readHandshake,
  readLegacyAnswer,
  readVarint,
  statusRequest,
  statusResponse,
  varint,
} from "../minecraft/wire.ts";
import {
  closing,
  echo,
  reserveBackend,
  resetting,
  sending,
  startBackend,
  status,
} from "./backend.ts";

const uuid = "069a79f4-44e9-4726-a5be-fca90e38aaf5";
const steveUuid = "5627dd98-e6be-3c21-b8a8-e92344183641";

/** Vectors that were made by hand from the protocol's documentation. */
const vectors = [
  {
    name: "handshake of 758, status",
    bytes: handshake({
      protocol: 758,
      host: "mc.example.com",
      port: 25565,
      intent: intents.status,
    }),
    hex: "1500f6050e6d632e6578616d706c652e636f6d63dd01",
  },
  {
    name: "handshake with a Forge marker",
    bytes: handshake({
      protocol: 758,
      host: "mc.example.com\u0000FML2\u0000",
      port: 25565,
      intent: 2,
    }),
    hex: "1b00f605146d632e6578616d706c652e636f6d00464d4c320063dd02",
  },
  {
    name: "handshake of a snapshot",
    bytes: handshake({ protocol: 0x40000152, host: "a", port: 25565, intent: 2 }),
    hex: "0b00d282808004016163dd02",
  },
  { name: "status request", bytes: statusRequest, hex: "0100" },
  { name: "ping", bytes: ping(1234567890123n), hex: "09010000011f71fb04cb" },
  { name: "login start of 758", bytes: loginStart(758, "Steve"), hex: "0700055374657665" },
  { name: "login start of 759", bytes: loginStart(759, "Steve"), hex: "080005537465766500" },
  {
    name: "login start of 760",
    bytes: loginStart(760, "Steve"),
    hex: "190005537465766500015627dd98e6be3c21b8a8e92344183641",
  },
  {
    name: "login start of 761",
    bytes: loginStart(761, "Steve", uuid),
    hex: "180005537465766501069a79f444e94726a5befca90e38aaf5",
  },
  {
    name: "login start of 764",
    bytes: loginStart(764, "Steve", uuid),
    hex: "1700055374657665069a79f444e94726a5befca90e38aaf5",
  },
  {
    name: "login plugin request",
    bytes: pluginRequest(1, "wake:hold", Buffer.alloc(0)),
    hex: "0c04010977616b653a686f6c64",
  },
  { name: "its answer", bytes: pluginNotUnderstood(1), hex: "03020100" },
  {
    name: "login disconnect",
    bytes: loginDisconnect("Starting, rejoin in 30 s"),
    hex: "2500237b2274657874223a225374617274696e672c2072656a6f696e20696e2033302073227d",
  },
  {
    name: "legacy ping of 1.6",
    bytes: legacyPing.withHost("mc.example.com", 25565),
    hex:
      "fe01fa000b004d0043007c00500069006e00670048006f007300740023" +
      "4a000e006d0063002e006500780061006d0070006c0065002e0063006f006d000063dd",
  },
  { name: "VarInt of -1", bytes: varint(-1), hex: "ffffffff0f" },
];

describe("bytes that the tests write", () => {
  for (const { name, bytes, hex } of vectors) {
    test(name, () => expect(bytes.toString("hex")).toBe(hex));
  }

  test("an offline UUID is the one that vanilla gives", () => {
    expect(offlineUuid("Steve")).toBe(steveUuid);
  });

  test("a handshake is read as it was written, and not before it is whole", () => {
    const written = { protocol: 774, host: "a\u0000FML\u0000", port: 1, intent: 2 };
    const bytes = handshake(written);
    expect(readHandshake(Buffer.concat([bytes, statusRequest]))).toEqual({
      handshake: written,
      end: bytes.length,
    });
    for (let end = 0; end < bytes.length; end++) {
      expect(readHandshake(bytes.subarray(0, end))).toBeNull();
    }
  });

  test("a VarInt of six bytes is refused", () => {
    expect(() => readVarint(Buffer.from("ffffffffff0f", "hex"), 0)).toThrow("5 bytes");
  });

  test("a legacy answer is split into its fields", () => {
    const answer =
      "ff001300a70031000000310032003700000031002e0037002b0000005a007a007a0000003000000031";
    expect(readLegacyAnswer(Buffer.from(answer, "hex"))).toEqual([
      "§1",
      "127",
      "1.7+",
      "Zzz",
      "0",
      "1",
    ]);
  });
});

describe("a player and a backend, without a router", () => {
  test("the backend remembers every byte, in whatever pieces it came", async () => {
    using backend = startBackend(echo);
    using player = await connectPlayer({ port: backend.port });
    const sent = login({ host: "Play.Example.com.", name: "Steve" });
    await player.sendByteByByte(sent, 0);
    player.finish();

    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received()).toEqual(sent);
    expect(backend.connections[0]?.received()).toEqual(sent);
    expect(backend.handshakes()).toEqual([
      { protocol: 774, host: "Play.Example.com.", port: 25565, intent: intents.login },
    ]);
  });

  test("status and ping are answered, pipelined or one by one", async () => {
    using backend = startBackend(status('{"a":"ä"}'));
    const opening = handshake({ protocol: 774, host: "a", port: 1, intent: intents.status });
    for (const requests of [
      [opening, statusRequest, ping(7n)],
      [Buffer.concat([opening, statusRequest, ping(7n)])],
    ]) {
      using player = await connectPlayer({ port: backend.port });
      for (const bytes of requests) await player.sendByteByByte(bytes, 0);
      expect((await player.readFrame()).raw).toEqual(statusResponse('{"a":"ä"}'));
      expect((await player.readFrame()).raw).toEqual(ping(7n));
    }
  });

  test("closing and resetting look different to the player", async () => {
    using backend = startBackend(closing);
    using first = await connectPlayer({ port: backend.port });
    expect(await first.waitForEnd()).toBe("finished");
    backend.behave(resetting);
    using second = await connectPlayer({ port: backend.port });
    expect(await second.waitForEnd()).toBe("reset");
  });

  test("a player's reset and half-close look different to the backend", async () => {
    using backend = startBackend({});
    const resetter = await connectPlayer({ port: backend.port });
    const first = await backend.waitForConnection(0);
    resetter.reset();
    expect(await first.waitForEnd()).toBe("reset");

    using finisher = await connectPlayer({ port: backend.port });
    finisher.finish();
    const second = await backend.waitForConnection(1);
    expect(await second.waitForEnd()).toBe("finished");
    await second.send(Buffer.from("late"));
    expect((await finisher.read(4)).toString()).toBe("late");
  });

  test("a paused player holds the backend up, and loses nothing", async () => {
    const bytes = Buffer.from(new Uint8Array(32 * 1024 * 1024).map((_, index) => index % 251));
    const hash = new Bun.CryptoHasher("sha256");
    using backend = startBackend({});
    using player = await connectPlayer({ port: backend.port, onData: (part) => hash.update(part) });
    player.pause();
    const connection = await backend.waitForConnection(0);
    let isSent = false;
    const sent = connection.send(bytes).then(() => {
      isSent = true;
    });
    await Bun.sleep(50);
    expect(isSent).toBe(false);
    player.resume();
    await sent;
    await player.waitForLength(bytes.length);
    expect(hash.digest("hex")).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
  });

  test("a sleeping backend refuses until it listens", async () => {
    using sleeping = await reserveBackend();
    await expect(connectPlayer({ port: sleeping.port })).rejects.toThrow();
    const backend = sleeping.listen(sending(Buffer.from("up")));
    expect(backend.address).toBe(sleeping.address);
    using player = await connectPlayer({ port: sleeping.port });
    expect((await player.read(2)).toString()).toBe("up");
    backend.stop();
    await expect(connectPlayer({ port: sleeping.port })).rejects.toThrow();
  });

  for (const answers of [true, false]) {
    test(`a held player ${answers ? "answers" : "ignores"} plugin requests and reads past empty frames`, async () => {
      const held = Buffer.concat([
        Buffer.of(0),
        pluginRequest(5, "a:b", Buffer.of(1)),
        pluginRequest(300, "a:b", Buffer.alloc(0)),
        loginDisconnect("later"),
      ]);
      using backend = startBackend(sending(held));
      using player = await connectPlayer({ port: backend.port });
      const { keepalives, frame } = await waitThroughHold(player, { answers });
      expect(keepalives.map(({ id }) => id)).toEqual([null, 4, 4]);
      expect(disconnectText(frame)).toBe('{"text":"later"}');

      player.finish();
      const connection = await backend.waitForConnection(0);
      await connection.waitForEnd();
      expect(connection.received()).toEqual(
        answers
          ? Buffer.concat([pluginNotUnderstood(5), pluginNotUnderstood(300)])
          : Buffer.alloc(0),
      );
    });
  }

  test("the largest silence is seen at the beginning, in the middle and at the end", async () => {
    using backend = startBackend({});
    using player = await connectPlayer({ port: backend.port });
    const connection = await backend.waitForConnection(0);
    await Bun.sleep(60);
    expect(player.largestSilenceMs()).toBeGreaterThanOrEqual(55);
    await connection.send(Buffer.of(1));
    await player.waitForLength(1);
    const before = player.largestSilenceMs();
    await Bun.sleep(before + 60);
    expect(player.largestSilenceMs()).toBeGreaterThanOrEqual(before + 55);
  });

  test("waiting for what does not come says what did", async () => {
    using backend = startBackend(sending(Buffer.from("abc")));
    using player = await connectPlayer({ port: backend.port });
    await expect(player.read(4, 50)).rejects.toThrow("no 4 bytes within 50 ms: 3 bytes received");
    (await backend.waitForConnection(0)).close();
    await expect(player.read(4)).rejects.toThrow("ended before 4 bytes");
  });
});
