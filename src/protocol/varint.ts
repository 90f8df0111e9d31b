import { bad, needMore, type Parsed, parsed } from "./parsed.ts";

/** Most bytes of a VarInt that holds a length: 21 bits, as the game's own frame reader has it. */
export const lengthBytes = 3;

/** Most bytes of any other VarInt: 32 bits. */
export const numberBytes = 5;

/**
 * One VarInt as a signed 32-bit number: seven bits a byte, lowest first, the top bit set on all bytes but the
 * last. `limit` is the offset it must end by. As in the game, longer encodings than needed pass and bits
 * beyond 32 are dropped.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Data_types#VarInt_and_VarLong
 */
export function readVarInt(
  bytes: Uint8Array,
  start: number,
  maxBytes: number,
  limit = Number.POSITIVE_INFINITY,
): Parsed<number> {
  let value = 0;

  for (let index = 0; index < maxBytes; index += 1) {
    if (start + index >= limit) return bad("a number runs past the end of its packet");
    const byte = bytes[start + index];
    if (byte === undefined) return needMore;

    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return parsed(value, start + index + 1);
  }

  return bad("a number has too many bytes");
}

/** The shortest VarInt for a signed 32-bit number: one to five bytes. */
export function encodeVarInt(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value >>> 0;

  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }

  return Uint8Array.of(...bytes, rest);
}
