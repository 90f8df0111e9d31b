import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { frame, openFrame } from "../../src/protocol/frame.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import { hex, toHex } from "../fixtures/vectors.ts";

/** What opening a frame alone tells, without reading its payload. */
const open = (bytes: string, maxPayload: number) =>
  openFrame(hex(bytes), 0, maxPayload).finish(() => "open");

describe("a frame", () => {
  test.each([
    { name: "length 0", bytes: "00", maxPayload: 10 },
    { name: "length 0 in three bytes", bytes: "808000", maxPayload: 10 },
    { name: "one byte over", bytes: "0b", maxPayload: 10 },
    { name: "a length of four bytes", bytes: "808080", maxPayload: 10 },
    { name: "a negative length", bytes: "ffffff", maxPayload: 2_097_151 },
  ])("is bad by its length alone: $name", ({ bytes, maxPayload }) => {
    expect(open(bytes, maxPayload).kind).toBe("bad");
  });

  test.each([
    { name: "at the limit", bytes: "0a", maxPayload: 10, end: 1 },
    { name: "the smallest", bytes: "01", maxPayload: 10, end: 1 },
    { name: "longer encoding than needed", bytes: "8a8000", maxPayload: 10, end: 3 },
    { name: "the longest of all", bytes: "ffff7f", maxPayload: 2_097_151, end: 3 },
  ])("opens as soon as its length is there: $name", ({ bytes, maxPayload, end }) => {
    expect(open(bytes, maxPayload)).toEqual({ kind: "ok", value: "open", end });
    expect(openFrame(hex(bytes), 0, maxPayload).remaining).toBeGreaterThan(0);
  });

  test.each([{ bytes: "" }, { bytes: "8a" }, { bytes: "8a80" }])(
    "waits for the rest of its length: '$bytes'",
    ({ bytes }) => {
      expect(open(bytes, 10)).toEqual(needMore);
    },
  );

  test("ends where its length says, whatever follows", () => {
    const packet = openFrame(hex("ff 02 0001 77"), 1, 10);
    packet.uint16();
    expect(packet.remaining).toBe(0);
    expect(packet.finish(() => "read")).toEqual({ kind: "ok", value: "read", end: 4 });

    packet.uint8();
    expect(packet.finish(() => "read").kind).toBe("bad");
  });

  test("carries an id and its fields", () => {
    expect(toHex(frame(0x04, hex("0102"), hex(""), hex("03")))).toBe("0404010203");
    expect(toHex(frame(0x00))).toBe("0100");
  });

  test.each([0, 125, 126, 127, 128, 16_381, 16_382, 16_383, 70_000, 2_097_150])(
    "comes back whole from its own encoding with %d bytes behind the id",
    (size) => {
      const fields = new Uint8Array(size).fill(0xa5);
      const bytes = frame(0x01, fields);

      const packet = openFrame(bytes, 0, size + 1);
      expect(packet.varInt()).toBe(0x01);
      const from = packet.at;
      packet.skip(packet.remaining);
      expect(packet.finish(() => null)).toEqual({ kind: "ok", value: null, end: bytes.length });
      expect(Bun.deepEquals(bytes.subarray(from), fields)).toBe(true);
    },
  );

  test("comes back with every id", () => {
    fc.assert(
      fc.property(fc.integer(), fc.uint8Array({ maxLength: 300 }), (id, fields) => {
        const bytes = frame(id, fields);
        const packet = openFrame(bytes, 0, 400);
        expect(packet.varInt()).toBe(id);
        expect(packet.remaining).toBe(fields.length);
        expect(bytes.subarray(packet.at)).toEqual(fields);
      }),
    );
  });
});
