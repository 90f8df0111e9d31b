import { describe, expect, test } from "bun:test";
import { createRequire } from "node:module";
import {
  type ConfigurationFormat,
  clearDialog,
  configurationDisconnect,
  configurationFormat,
  configurationKeepAlive,
  configurationPing,
  loginSuccess,
  readConfigurationPacket,
  readLoginAcknowledged,
  showDialog,
  transfer,
} from "../../src/protocol/configuration.ts";
import { concat, encodeString } from "../../src/protocol/cursor.ts";
import { frame } from "../../src/protocol/frame.ts";
import { hex, toHex } from "../fixtures/vectors.ts";
import { protocolOf } from "../support/minecraft/minecraft.ts";

const uuid = "5627dd98-e6be-3c21-b8a8-e92344183641";
const player = { name: "Steve", uuid };
const sessionId = new Uint8Array(16).fill(0xab);

/** The versions of the list that a client library exists for. */
const versions = ["1.21.6", "1.21.8", "1.21.9", "1.21.11", "26.1"] as const;

function formatOf(protocol: number): ConfigurationFormat {
  const format = configurationFormat(protocol);
  if (format === null) throw new Error(`protocol ${protocol} has no format`);
  return format;
}

/** What the library has and its types leave out: packets of the configuration phase. */
interface PacketReader {
  createDeserializer(options: { state: string; isServer: boolean; version: string }): {
    parsePacketBuffer(packet: Buffer): { data: { name: string; params: unknown } };
  };
}

const library: PacketReader = createRequire(import.meta.url)("minecraft-protocol");

/** A frame as a client of that version reads it. */
function readBy(version: string, state: "login" | "configuration", framed: Uint8Array) {
  const deserializer = library.createDeserializer({
    state,
    isServer: false,
    version,
  });
  // The length takes one or two bytes in front of the packet.
  const body = framed.subarray((framed[0] ?? 0) < 0x80 ? 1 : 2);
  return deserializer.parsePacketBuffer(Buffer.from(body)).data;
}

describe("what the router says", () => {
  test.each(versions)("%s reads every packet as it was meant", (version) => {
    const format = formatOf(protocolOf(version));
    expect(readBy(version, "login", loginSuccess(format, player, sessionId))).toMatchObject({
      name: "success",
      params: { username: "Steve", uuid, properties: [] },
    });
    const shown = readBy(
      version,
      "configuration",
      showDialog(format, {
        title: "Survival",
        lines: ["about 40 s left", "2 waiting ☕"],
        button: "Leave",
        buttonId: "automc:leave",
      }),
    );
    expect(shown.name).toBe("show_dialog");
    expect(JSON.stringify(shown.params)).toContain("2 waiting ☕");
    expect(readBy(version, "configuration", clearDialog(format)).name).toBe("clear_dialog");
    expect(readBy(version, "configuration", configurationKeepAlive(format, 7))).toMatchObject({
      name: "keep_alive",
      params: { keepAliveId: [0, 7] },
    });
    expect(readBy(version, "configuration", configurationPing(format, 9))).toMatchObject({
      name: "ping",
      params: { id: 9 },
    });
    expect(
      readBy(version, "configuration", transfer(format, "play.example.org", 25_565)),
    ).toMatchObject({ name: "transfer", params: { host: "play.example.org", port: 25_565 } });
    const ended = readBy(version, "configuration", configurationDisconnect(format, "Goodbye"));
    expect(ended.name).toBe("disconnect");
    expect(JSON.stringify(ended.params)).toContain("Goodbye");
  });

  test.each([
    { name: "771", protocol: 771, session: "" },
    { name: "775", protocol: 775, session: "" },
    { name: "776", protocol: 776, session: "ab".repeat(16) },
    { name: "777", protocol: 777, session: "ab".repeat(16) },
  ])("Login Success of protocol $name", ({ protocol, session }) => {
    const body = `02${uuid.replaceAll("-", "")}055374657665 00${session}`;
    const framed = loginSuccess(formatOf(protocol), player, sessionId);
    expect(toHex(framed.subarray(1))).toBe(toHex(hex(body)));
    expect(framed[0]).toBe(framed.length - 1);
  });

  test.each([
    { protocol: 771, transfer: "0b", clear: "0111", show: 0x12 },
    { protocol: 776, transfer: "0b", clear: "0111", show: 0x12 },
    { protocol: 777, transfer: "0c", clear: "0112", show: 0x13 },
  ])("the ids of protocol $protocol", ({ protocol, transfer: id, clear, show }) => {
    const format = formatOf(protocol);
    expect(toHex(transfer(format, "play.example.com", 25_565))).toBe(
      `15${id}10706c61792e6578616d706c652e636f6dddc701`,
    );
    expect(toHex(clearDialog(format))).toBe(clear);
    expect(format.showDialog).toBe(show);
  });

  test.each([770, 778, 0x4000_0152, -1, 47])("protocol %d is not in the list", (protocol) => {
    expect(configurationFormat(protocol)).toBeNull();
  });
});

describe("what the client says", () => {
  test("it accepts Login Success by a packet without fields, and by no other", () => {
    expect(readLoginAcknowledged(hex("0103"), 0)).toEqual({ kind: "ok", value: true, end: 2 });
    expect(readLoginAcknowledged(hex("01"), 0).kind).toBe("need-more");
    expect(readLoginAcknowledged(hex("020300"), 0).kind).toBe("bad");
    expect(readLoginAcknowledged(hex("0102"), 0).kind).toBe("bad");
  });

  test.each([
    { name: "a keep-alive", bytes: "09040000000000000007", means: { kind: "keep-alive", id: 7 } },
    {
      name: "a keep-alive that is not ours",
      bytes: "09040000000100000007",
      means: { kind: "keep-alive", id: -1 },
    },
    { name: "a pong", bytes: "0505 00000009", means: { kind: "pong", id: 9 } },
    {
      name: "a click",
      bytes: "0f08 0c 6175746f6d633a6c65617665 00",
      means: { kind: "click", id: "automc:leave" },
    },
    { name: "its brand", bytes: "0302 0141", means: { kind: "other" } },
  ])("$name", ({ bytes, means }) => {
    const whole = hex(bytes);
    expect(readConfigurationPacket(whole, 0)).toMatchObject({ kind: "ok", value: means });
    for (let length = 0; length < whole.length; length += 1) {
      expect(readConfigurationPacket(whole.subarray(0, length), 0).kind).toBe("need-more");
    }
  });

  test("a packet of more than 32 KiB is refused by its length alone", () => {
    const long = frame(0x02, encodeString("minecraft:brand"), new Uint8Array(40_000));
    expect(readConfigurationPacket(long.subarray(0, 3), 0).kind).toBe("bad");
    const allowed = frame(0x02, concat([encodeString("minecraft:brand"), new Uint8Array(32_000)]));
    expect(readConfigurationPacket(allowed, 0)).toMatchObject({ kind: "ok" });
  });
});
