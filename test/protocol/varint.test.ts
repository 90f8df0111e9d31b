import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { needMore } from "../../src/protocol/parsed.ts";
import { encodeVarInt, readVarInt } from "../../src/protocol/varint.ts";
import { hex, toHex } from "../fixtures/vectors.ts";

const numbers = [
  { name: "0", bytes: "00", value: 0 },
  { name: "127", bytes: "7f", value: 127 },
  { name: "128", bytes: "8001", value: 128 },
  { name: "513", bytes: "8104", value: 0x201 },
  { name: "25565", bytes: "ddc701", value: 25565 },
  { name: "the longest frame", bytes: "ffff7f", value: 2_097_151 },
  { name: "a snapshot", bytes: "d282808004", value: 0x40000152 },
  { name: "the greatest", bytes: "ffffffff07", value: 2_147_483_647 },
  { name: "the smallest", bytes: "8080808008", value: -2_147_483_648 },
  { name: "-1", bytes: "ffffffff0f", value: -1 },
];

describe("a VarInt", () => {
  test.each(numbers)("is read and written: $name", ({ bytes, value }) => {
    expect(readVarInt(hex(bytes), 0, 5)).toEqual({ kind: "ok", value, end: bytes.length / 2 });
    expect(toHex(encodeVarInt(value))).toBe(bytes);
  });

  test.each([
    { name: "two bytes for 122", bytes: "fa00", value: 0x7a },
    { name: "five bytes for 0", bytes: "8080808000", value: 0 },
    { name: "bits beyond the 32nd, which the game drops", bytes: "ffffffff7f", value: -1 },
  ])("may be longer than needed: $name", ({ bytes, value }) => {
    expect(readVarInt(hex(bytes), 0, 5)).toEqual({ kind: "ok", value, end: bytes.length / 2 });
  });

  test.each([
    { name: "the fourth byte of three", bytes: "80808000", maxBytes: 3, provedBy: 3 },
    { name: "the sixth byte of five", bytes: "808080808000", maxBytes: 5, provedBy: 5 },
  ])("is bad before it reaches $name", ({ bytes, maxBytes, provedBy }) => {
    const all = hex(bytes);
    expect(readVarInt(all.subarray(0, provedBy - 1), 0, maxBytes)).toEqual(needMore);
    expect(readVarInt(all.subarray(0, provedBy), 0, maxBytes).kind).toBe("bad");
  });

  test("must end by its limit, whether further bytes are there or not", () => {
    expect(readVarInt(hex("8001"), 0, 5, 2).kind).toBe("ok");
    expect(readVarInt(hex("8001"), 0, 5, 1).kind).toBe("bad");
    expect(readVarInt(hex("80"), 0, 5, 1).kind).toBe("bad");
    expect(readVarInt(hex("80"), 0, 5, 2)).toEqual(needMore);
    expect(readVarInt(hex(""), 0, 5, 0).kind).toBe("bad");
  });

  test("comes back from its own encoding, and needs every byte of it", () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(3), (value, start) => {
        const encoded = encodeVarInt(value);
        const bytes = Uint8Array.of(...new Uint8Array(start).fill(0xff), ...encoded, 0xff);
        const end = start + encoded.length;

        expect(readVarInt(bytes, start, 5)).toEqual({ kind: "ok", value, end });
        for (let cut = start; cut < end; cut += 1) {
          expect(readVarInt(bytes.subarray(0, cut), start, 5)).toEqual(needMore);
        }
      }),
    );
  });
});
