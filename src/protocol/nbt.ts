import { concat } from "./cursor.ts";

/**
 * A value that has a form in NBT: text, a flag (a byte), a whole number (an int), a list of one kind, a
 * compound.
 */
export type Nbt = string | boolean | number | readonly Nbt[] | { readonly [name: string]: Nbt };

const endTag = 0x00;
const byteTag = 0x01;
const intTag = 0x03;
const stringTag = 0x08;
const listTag = 0x09;
const compoundTag = 0x0a;

/**
 * A value as packets carry it since 1.20.2: its tag and its payload, without a name.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Type:NBT
 */
export const encodeNbt = (value: Nbt): Uint8Array =>
  concat([Uint8Array.of(tagOf(value)), payloadOf(value)]);

function tagOf(value: Nbt): number {
  if (typeof value === "string") return stringTag;
  if (typeof value === "boolean") return byteTag;
  if (typeof value === "number") return intTag;
  return isList(value) ? listTag : compoundTag;
}

function payloadOf(value: Nbt): Uint8Array {
  if (typeof value === "string") return text(value);
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (typeof value === "number") return int32(value);
  if (isList(value)) {
    const [first] = value;
    const tag = first === undefined ? endTag : tagOf(first);
    return concat([Uint8Array.of(tag), int32(value.length), ...value.map(payloadOf)]);
  }
  const members = Object.entries(value).flatMap(([name, member]) => [
    Uint8Array.of(tagOf(member)),
    text(name),
    payloadOf(member),
  ]);
  return concat([...members, Uint8Array.of(endTag)]);
}

const isList = (value: Nbt): value is readonly Nbt[] => Array.isArray(value);

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

/** The longest string that a length of two bytes allows, bytes. */
const longestText = 0xffff;

/**
 * A length of two bytes and Java's modified UTF-8: NUL takes two bytes, and each half of a surrogate pair
 * three. Text beyond the longest that fits is cut.
 */
function text(value: string): Uint8Array {
  const bytes: number[] = [];
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    const encoded = encodeUnit(unit);
    if (bytes.length + encoded.length > longestText) break;
    bytes.push(...encoded);
  }
  return Uint8Array.of(bytes.length >> 8, bytes.length & 0xff, ...bytes);
}

function encodeUnit(unit: number): readonly number[] {
  if (unit !== 0 && unit < 0x80) return [unit];
  if (unit < 0x800) return [0xc0 | (unit >> 6), 0x80 | (unit & 0x3f)];
  return [0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)];
}
