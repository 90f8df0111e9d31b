import { type Cursor, concat, createCursor } from "./cursor.ts";
import { encodeVarInt } from "./varint.ts";

/**
 * A cursor over the payload of the frame that begins at `start`: a VarInt of one to three bytes that tells
 * the payload's length, then the payload, which is the packet's id and its fields. Length 0 and a length
 * beyond `maxPayload` are bad, known from the length alone. The payload may still be arriving.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Without_compression
 */
export function openFrame(bytes: Uint8Array, start: number, maxPayload: number): Cursor {
  const cursor = createCursor(bytes, start);
  const length = cursor.length();

  if (length === 0) cursor.fail("a packet is empty");
  if (length > maxPayload) cursor.fail("a packet is too long");
  cursor.limitTo(length);
  return cursor;
}

/** A packet, framed: its id, then its fields, which take at most 2,097,146 bytes. */
export function frame(id: number, ...fields: readonly Uint8Array[]): Uint8Array {
  const payload = concat([encodeVarInt(id), ...fields]);
  return concat([encodeVarInt(payload.length), payload]);
}
