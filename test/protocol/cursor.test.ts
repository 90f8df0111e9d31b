import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Cursor, concat, createCursor, encodeString } from "../../src/protocol/cursor.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import { hex } from "../fixtures/vectors.ts";

/** What a single read gives, over bytes that end where nothing more may be read. */
function readAll<T>(bytes: Uint8Array, read: (cursor: Cursor) => T) {
  const cursor = createCursor(bytes, 0, bytes.length);
  const value = read(cursor);
  return cursor.finish(() => value);
}

interface Field {
  readonly name: string;
  readonly bytes: string;
  readonly read: (cursor: Cursor) => unknown;
}

const fields: readonly (Field & { readonly value: unknown })[] = [
  { name: "uint8", bytes: "ff", read: (cursor) => cursor.uint8(), value: 255 },
  { name: "uint16", bytes: "ddc7", read: (cursor) => cursor.uint16(), value: 0xddc7 },
  { name: "false", bytes: "00", read: (cursor) => cursor.bool(), value: false },
  { name: "true", bytes: "01", read: (cursor) => cursor.bool(), value: true },
  { name: "VarInt", bytes: "ffffffff0f", read: (cursor) => cursor.varInt(), value: -1 },
  { name: "length", bytes: "ffff7f", read: (cursor) => cursor.length(), value: 2_097_151 },
  { name: "string", bytes: "03e282ac", read: (cursor) => cursor.string(1), value: "€" },
  { name: "no string", bytes: "00", read: (cursor) => cursor.string(0), value: "" },
  {
    name: "string with a byte order mark and a NUL",
    bytes: "05efbbbf0061",
    read: (cursor) => cursor.string(3),
    value: "\ufeff\u0000a",
  },
  { name: "UTF-16", bytes: "000100a7", read: (cursor) => cursor.utf16(1), value: "§" },
  {
    name: "UTF-16 with half a pair",
    bytes: "0002d83d0061",
    read: (cursor) => cursor.utf16(2),
    value: "\ufffda",
  },
  {
    name: "UUID",
    bytes: "00FFa9f444e94726a5befca90e38aaf5",
    read: (cursor) => cursor.uuid(),
    value: "00ffa9f4-44e9-4726-a5be-fca90e38aaf5",
  },
  {
    name: "literal",
    bytes: "0102",
    read: (cursor) => cursor.literal(hex("0102")),
    value: undefined,
  },
  { name: "skip", bytes: "0102", read: (cursor) => void cursor.skip(2), value: undefined },
];

const wrongFields: readonly Field[] = [
  { name: "a boolean of 2", bytes: "02", read: (cursor) => cursor.bool() },
  { name: "a length of four bytes", bytes: "80808000", read: (cursor) => cursor.length() },
  { name: "a number of six bytes", bytes: "808080808000", read: (cursor) => cursor.varInt() },
  { name: "a string of too many units", bytes: "026162", read: (cursor) => cursor.string(1) },
  {
    name: "a string with a pair for one unit",
    bytes: "04f09f9880",
    read: (cursor) => cursor.string(1),
  },
  {
    name: "a string with a byte that is no UTF-8",
    bytes: "02c328",
    read: (cursor) => cursor.string(9),
  },
  { name: "a string with an overlong NUL", bytes: "02c080", read: (cursor) => cursor.string(9) },
  { name: "a string with half a pair", bytes: "03eda080", read: (cursor) => cursor.string(9) },
  {
    name: "a string cut inside of a character",
    bytes: "02e282",
    read: (cursor) => cursor.string(9),
  },
  {
    name: "a UTF-16 string that is too long",
    bytes: "000200610062",
    read: (cursor) => cursor.utf16(1),
  },
  {
    name: "other bytes than those fixed",
    bytes: "0103",
    read: (cursor) => cursor.literal(hex("0102")),
  },
];

describe("a cursor", () => {
  test.each([...fields])("reads: $name", ({ bytes, read, value }) => {
    const all = hex(bytes);
    expect(readAll(all, read)).toEqual({ kind: "ok", value, end: all.length });

    const behindAnother = createCursor(concat([hex("7f"), all, hex("7f")]), 1);
    expect(read(behindAnother)).toEqual(value);
    expect(behindAnother.at).toBe(1 + all.length);
  });

  test.each([...fields])(
    "waits for each byte within its limit, and for none beyond: $name",
    (field) => {
      const all = hex(field.bytes);
      for (let cut = 0; cut < all.length; cut += 1) {
        const waiting = createCursor(all.subarray(0, cut), 0, all.length);
        field.read(waiting);
        expect(waiting.finish(() => null)).toEqual(needMore);

        expect(readAll(all.subarray(0, cut), field.read).kind).toBe("bad");
      }
    },
  );

  test.each([...wrongFields])("finds bad: $name", ({ bytes, read }) => {
    expect(readAll(hex(bytes), read).kind).toBe("bad");
  });

  test.each([
    { name: "a string", bytes: "05", read: (cursor: Cursor) => cursor.string(1) },
    { name: "a UTF-16 string", bytes: "0002", read: (cursor: Cursor) => cursor.utf16(1) },
  ])("refuses $name by its length, before its bytes are there", ({ bytes, read }) => {
    const cursor = createCursor(hex(bytes), 0);
    read(cursor);
    expect(cursor.finish(() => null).kind).toBe("bad");
  });

  test("refuses fixed bytes beyond its limit for that reason, whatever lies there", () => {
    const reasons = ["0102", "0103", "01"].map((bytes) => {
      const cursor = createCursor(hex(bytes), 0, 1);
      cursor.literal(hex("0102"));
      return cursor.finish(() => null);
    });
    const reason = "a field runs past the end of its packet";
    expect(reasons).toEqual(Array(3).fill({ kind: "bad", reason }));
  });

  test("stays where it stopped, keeps the first reason and gives nothing more", () => {
    const cursor = createCursor(hex("0502"), 0);
    expect(cursor.uint8()).toBe(5);
    cursor.limitTo(1);
    expect(cursor.isStopped).toBe(false);
    cursor.bool();

    expect(cursor.isStopped).toBe(true);
    const stop = cursor.fail("another reason");
    expect(stop).toMatchObject({ kind: "bad", reason: "a boolean is neither 0 nor 1" });

    const at = cursor.at;
    cursor.limitTo(99);
    expect([cursor.uint8(), cursor.uint16(), cursor.varInt(), cursor.length()]).toEqual([
      0, 0, 0, 0,
    ]);
    expect([cursor.string(9), cursor.utf16(9), cursor.uuid()]).toEqual(["", "", ""]);
    expect([cursor.at, cursor.remaining]).toEqual([at, 0]);
    expect(cursor.finish(() => null)).toEqual(stop);
  });

  test("does not build the value of a read that was not served", () => {
    const cursor = createCursor(hex(""), 0);
    cursor.uint8();
    const build = (): never => {
      throw new Error("built");
    };
    expect(cursor.finish(build)).toEqual(needMore);
  });

  test("gives back every string that was encoded, by its own length in units and no less", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        const bytes = encodeString(text);
        expect(readAll(bytes, (cursor) => cursor.string(text.length))).toEqual({
          kind: "ok",
          value: text,
          end: bytes.length,
        });

        if (text === "") return;
        expect(readAll(bytes, (cursor) => cursor.string(text.length - 1)).kind).toBe("bad");
      }),
    );
  });
});
