import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concat, encodeString } from "../../src/protocol/cursor.ts";
import { frame } from "../../src/protocol/frame.ts";
import {
  emptyFrame,
  keepAliveFor,
  loginDisconnect,
  loginPluginRequest,
  readLoginPluginResponse,
  readLoginStart,
} from "../../src/protocol/login.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import { encodeVarInt } from "../../src/protocol/varint.ts";
import { hex, toHex } from "../fixtures/vectors.ts";

const snapshot = 0x40000000;
const uuid = "5627dd98-e6be-3c21-b8a8-e92344183641";
const uuidHex = "5627dd98e6be3c21b8a8e92344183641";
const steve = "055374657665";

/** A Login Start by Steve with these bytes behind the name. */
const loginStart = (behindName: string): Uint8Array => frame(0x00, hex(`${steve} ${behindName}`));

/** A public key and its signature, as long as the game's are. */
const key = `01 0000011f71fb04cb ${toHex(encodeVarInt(294))} ${"ab".repeat(294)} ${toHex(encodeVarInt(512))} ${"cd".repeat(512)}`;

describe("a Login Start", () => {
  test.each([
    {
      name: "1.7.2 to 1.18.2",
      protocols: [4, 47, 340, 393, 758],
      bytes: "0700055374657665",
      found: null,
    },
    { name: "1.19, no key", protocols: [759], bytes: "080005537465766500", found: null },
    {
      name: "1.19.3 to 1.20.1, no UUID",
      protocols: [761, 763],
      bytes: "080005537465766500",
      found: null,
    },
    {
      name: "1.19.1, no key, UUID",
      protocols: [760],
      bytes: `19000553746576650001${uuidHex}`,
      found: uuid,
    },
    {
      name: "1.19.3 to 1.20.1, UUID",
      protocols: [761, 762, 763],
      bytes: `180005537465766501${uuidHex}`,
      found: uuid,
    },
    {
      name: "1.20.2 and newer",
      protocols: [764, 777, 778, 5000],
      bytes: `1700055374657665${uuidHex}`,
      found: uuid,
    },
  ])("is read by its version: $name", ({ protocols, bytes, found }) => {
    const all = hex(bytes);
    for (const protocol of protocols) {
      const whole = { kind: "ok", value: { name: "Steve", uuid: found }, end: all.length } as const;
      expect(readLoginStart(all, 0, protocol)).toEqual(whole);
      expect(readLoginStart(hex(`${bytes} ff`), 0, protocol)).toEqual(whole);
    }
  });

  test("carries keys as long as the game's", () => {
    const withUuid = loginStart(`${key} 01 ${uuidHex}`);
    expect(readLoginStart(loginStart(key), 0, 759)).toMatchObject({
      kind: "ok",
      value: { uuid: null },
    });
    expect(readLoginStart(withUuid, 0, 760)).toMatchObject({ kind: "ok", value: { uuid } });
  });

  test.each([
    { name: "no field at all", protocol: 759, behindName: "" },
    { name: "no field at all", protocol: 760, behindName: "" },
    { name: "no field at all", protocol: 761, behindName: "" },
    { name: "no field at all", protocol: 764, behindName: "" },
    { name: "the key's flag alone", protocol: 760, behindName: "00" },
    { name: "the key's flag alone, set", protocol: 759, behindName: "01" },
    { name: "a key and no UUID's flag", protocol: 760, behindName: key },
    { name: "the UUID's flag alone, set", protocol: 761, behindName: "01" },
    { name: "a UUID one byte short", protocol: 764, behindName: uuidHex.slice(2) },
    { name: "a flag that is no boolean", protocol: 761, behindName: `02${uuidHex}` },
    {
      name: "a key longer than the packet",
      protocol: 760,
      behindName: "010000011f71fb04cbffff7f00",
    },
    { name: "a negative key length", protocol: 760, behindName: "010000011f71fb04cbffffffff0f00" },
  ])("keeps the name when $protocol has $name", ({ protocol, behindName }) => {
    const bytes = loginStart(behindName);
    expect(readLoginStart(bytes, 0, protocol)).toEqual({
      kind: "ok",
      value: { name: "Steve", uuid: null },
      end: bytes.length,
    });
  });

  test.each([
    { protocol: 758, behindName: "00", found: null },
    { protocol: 761, behindName: `01${uuidHex}ff`, found: uuid },
    { protocol: 800, behindName: `${uuidHex}0102`, found: uuid },
  ])("passes over what a newer version may add: $protocol", ({ protocol, behindName, found }) => {
    const bytes = loginStart(behindName);
    expect(readLoginStart(bytes, 0, protocol)).toEqual({
      kind: "ok",
      value: { name: "Steve", uuid: found },
      end: bytes.length,
    });
  });

  test.each([
    { name: "nothing", behindName: "", found: null },
    { name: "a UUID", behindName: uuidHex, found: uuid },
    { name: "an optional UUID", behindName: `01${uuidHex}`, found: uuid },
    { name: "an optional UUID that is not there", behindName: "00", found: null },
    { name: "no key and a UUID", behindName: `0001${uuidHex}`, found: uuid },
    { name: "no key and no UUID", behindName: "0000", found: null },
    { name: "a key", behindName: key, found: null },
    { name: "a key and a UUID", behindName: `${key}01${uuidHex}`, found: uuid },
    { name: "a key and no UUID", behindName: `${key}00`, found: null },
    { name: "something not known", behindName: "0203040506", found: null },
    { name: "a UUID and something not known", behindName: `${uuidHex}07`, found: null },
  ])("of a number that no release has is told by its shape: $name", ({ behindName, found }) => {
    const bytes = loginStart(behindName);
    for (const protocol of [snapshot, snapshot + 1, snapshot + 0x152, 0x7fffffff, -1, -764]) {
      expect(readLoginStart(bytes, 0, protocol)).toEqual({
        kind: "ok",
        value: { name: "Steve", uuid: found },
        end: bytes.length,
      });
    }
  });

  test.each([4, 758, 759, 760, 761, 763, 764, 777, 778, 5_000, snapshot + 1, -1])(
    "of %d may be 4,700 bytes long and no longer",
    (protocol) => {
      const limit = 4_700;
      const padded = (size: number) => loginStart("00".repeat(size - 7));
      expect(readLoginStart(padded(limit), 0, protocol).kind).toBe("ok");
      expect(readLoginStart(padded(limit + 1), 0, protocol).kind).toBe("bad");

      const lengthAlone = encodeVarInt(limit + 1);
      expect(readLoginStart(lengthAlone, 0, protocol).kind).toBe("bad");
      expect(readLoginStart(encodeVarInt(limit), 0, protocol)).toEqual(needMore);
    },
  );

  test.each([
    { name: "1 letter", player: "a" },
    { name: "16 letters", player: "a".repeat(16) },
    { name: "16 letters of three bytes", player: "€".repeat(16) },
    { name: "8 characters of two units", player: "😀".repeat(8) },
    { name: "Floodgate's prefix and a blank", player: ".Steve 1" },
    { name: "17 letters", player: "a".repeat(17) },
    { name: "9 characters of two units", player: "😀".repeat(9) },
    { name: "4,000 letters", player: "a".repeat(4_000) },
  ])("takes a name of $name", ({ player }) => {
    expect(readLoginStart(frame(0x00, encodeString(player)), 0, 758)).toMatchObject({
      kind: "ok",
      value: { name: player },
    });
  });

  test.each([
    { name: "no letter", field: "00" },
    { name: "bytes that are no UTF-8", field: "02c328" },
    { name: "more bytes than the packet has", field: "066162" },
  ])("refuses a name of $name", ({ field }) => {
    expect(readLoginStart(frame(0x00, hex(field)), 0, 758).kind).toBe("bad");
  });

  test("is whole only when its last byte is there, though the name is known before", () => {
    const bytes = loginStart(`01${uuidHex}`);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      expect(readLoginStart(bytes.subarray(0, cut), 0, snapshot + 9)).toEqual(needMore);
    }
  });

  test("refuses any other packet", () => {
    expect(readLoginStart(hex("0701"), 0, 758).kind).toBe("bad");
    expect(readLoginStart(hex("00"), 0, 758).kind).toBe("bad");
  });
});

describe("a login that waits", () => {
  test.each([
    { protocol: 0, kind: "empty-frame" },
    { protocol: 4, kind: "empty-frame" },
    { protocol: 47, kind: "empty-frame" },
    { protocol: 340, kind: "empty-frame" },
    { protocol: 392, kind: "empty-frame" },
    { protocol: 393, kind: "plugin-request" },
    { protocol: 775, kind: "plugin-request" },
    { protocol: 99_999, kind: "plugin-request" },
    { protocol: snapshot, kind: "plugin-request" },
    { protocol: snapshot + 4, kind: "plugin-request" },
    { protocol: 0x7fffffff, kind: "plugin-request" },
    { protocol: -1, kind: null },
    { protocol: -0x80000000, kind: null },
  ] as const)("is kept alive by $kind for $protocol", ({ protocol, kind }) => {
    expect(keepAliveFor({ protocol, rawHost: "a.example.com" })?.kind ?? null).toBe(kind);
  });

  test("is sent the bytes that clients know", () => {
    expect(toHex(emptyFrame)).toBe("00");
    expect(toHex(loginPluginRequest(1, "wake:hold"))).toBe("0c04010977616b653a686f6c64");
    expect(toHex(loginPluginRequest(0x40000000, "automc:hold"))).toBe(
      "1204 8080808004 0b6175746f6d633a686f6c64".replaceAll(" ", ""),
    );
    expect(toHex(loginDisconnect("Starting, rejoin in 30 s"))).toBe(
      "2500237b2274657874223a225374617274696e672c2072656a6f696e20696e2033302073227d",
    );
  });

  test("is ended with any text, framed right for any length", () => {
    const texts = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.nat(20_000).map((length) => "x".repeat(length)),
    );

    fc.assert(
      fc.property(texts, (text) => {
        const json = JSON.stringify({ text });
        expect(toHex(loginDisconnect(text))).toBe(
          toHex(frame(0x00, encodeVarInt(Buffer.byteLength(json)), Buffer.from(json))),
        );
      }),
    );
  });
});

describe("a login plugin response", () => {
  test.each([
    { name: "not understood", bytes: "03020100", id: 1 },
    { name: "understood, with data", bytes: "0502010199ff", id: 1 },
    { name: "id of ours", bytes: "0702808080800400", id: 0x40000000 },
    { name: "negative id", bytes: "0702ffffffff0f00", id: -1 },
  ])("is read, however it is cut and whatever follows: $name", ({ bytes, id }) => {
    const all = hex(bytes);
    for (let cut = 0; cut < all.length; cut += 1) {
      expect(readLoginPluginResponse(all.subarray(0, cut), 0)).toEqual(needMore);
    }

    expect(readLoginPluginResponse(all, 0)).toEqual({ kind: "ok", value: id, end: all.length });
    const surrounded = hex(`ff ${bytes} ff`);
    expect(readLoginPluginResponse(surrounded, 1)).toEqual({
      kind: "ok",
      value: id,
      end: all.length + 1,
    });
  });

  test.each([
    { name: "an encryption response", bytes: "0301" },
    { name: "a login acknowledged", bytes: "0103" },
    { name: "a cookie response", bytes: "0304" },
    { name: "an empty frame", bytes: "00" },
    { name: "no id", bytes: "0102" },
    { name: "no answer", bytes: "020201" },
    { name: "an answer that is no boolean", bytes: "03020102" },
    { name: "an id of six bytes", bytes: "090280808080808000" },
  ])("is bad as soon as it is told: $name", ({ bytes }) => {
    expect(readLoginPluginResponse(hex(bytes), 0).kind).toBe("bad");
  });

  test("may be 32 KiB long and no longer, which its length tells", () => {
    const whole = frame(0x02, hex("0101"), new Uint8Array(32 * 1024 - 3));
    expect(readLoginPluginResponse(whole, 0)).toMatchObject({ kind: "ok", end: whole.length });
    expect(readLoginPluginResponse(encodeVarInt(32 * 1024 + 1), 0).kind).toBe("bad");
  });

  test("comes back from every encoding", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.boolean(),
        fc.uint8Array({ maxLength: 50 }),
        (id, understood, data) => {
          const flag = Uint8Array.of(understood ? 1 : 0);
          const bytes = concat([frame(0x02, encodeVarInt(id), flag, data), hex("0302")]);
          expect(readLoginPluginResponse(bytes, 0)).toEqual({
            kind: "ok",
            value: id,
            end: bytes.length - 2,
          });
        },
      ),
    );
  });
});
