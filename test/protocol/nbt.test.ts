import { describe, expect, test } from "bun:test";
import { encodeNbt, type Nbt } from "../../src/protocol/nbt.ts";
import { toHex } from "../fixtures/vectors.ts";

describe("NBT without a name", () => {
  const rows: readonly { readonly name: string; readonly value: Nbt; readonly bytes: string }[] = [
    { name: "text", value: "Ready", bytes: "08 0005 5265616479" },
    { name: "a flag", value: true, bytes: "01 01" },
    { name: "a whole number", value: -2, bytes: "03 fffffffe" },
    { name: "an empty list", value: [], bytes: "09 00 00000000" },
    { name: "a list of texts", value: ["a", "b"], bytes: "09 08 00000002 000161 000162" },
    { name: "an empty compound", value: {}, bytes: "0a 00" },
    {
      name: "a compound in a compound",
      value: { a: { b: 1 } },
      bytes: "0a 0a 000161 03 000162 00000001 00 00",
    },
    { name: "NUL, in two bytes", value: "\u0000", bytes: "08 0002 c080" },
    { name: "é, in two bytes", value: "é", bytes: "08 0002 c3a9" },
    { name: "☕, in three bytes", value: "☕", bytes: "08 0003 e29895" },
    { name: "🎮, each half in three bytes", value: "🎮", bytes: "08 0006 eda0bcedbeae" },
  ];
  test.each([...rows])("$name", ({ value, bytes }) => {
    expect(toHex(encodeNbt(value))).toBe(bytes.replaceAll(" ", ""));
  });

  test("text that no length of two bytes can tell is cut between characters", () => {
    const bytes = encodeNbt("☕".repeat(30_000));
    expect(toHex(bytes.subarray(0, 3))).toBe("08ffff");
    expect(bytes.length).toBe(3 + 0xffff);
  });
});
