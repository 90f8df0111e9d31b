import { bad, needMore, type Parsed, parsed } from "./parsed.ts";
import { encodeVarInt, lengthBytes, numberBytes, readVarInt } from "./varint.ts";

/** Why a cursor reads no further. */
export type Stop = Exclude<Parsed<never>, { kind: "ok" }>;

/**
 * Reads fields one after the other out of bytes that may still be arriving.
 *
 * The first read that cannot be served stops the cursor: as `bad` when the field cannot fit where it must
 * fit, which is known before its bytes are there, else as `need-more`. A stopped cursor stays where it is,
 * and every further read gives 0, "" or false. So a parser reads all its fields, says `fail` where one is
 * wrong, and asks once, by `finish`.
 */
export interface Cursor {
  /** Offset of the next byte. */
  readonly at: number;
  /** Bytes left up to the limit, arrived or not; infinite while no limit is known. */
  readonly remaining: number;
  readonly isStopped: boolean;
  /** From here on, reading beyond the next `count` bytes is bad. */
  limitTo(count: number): void;
  /**
   * Stops as bad, unless it has stopped before; gives why it stopped first. `reason` is a constant phrase.
   */
  fail(reason: string): Stop;
  /** The value that `make` builds when every read was served, else why not. */
  finish<T>(make: () => T): Parsed<T>;

  skip(count: number): void;
  /** Moves over bytes that must be exactly these; bad at the first that differs. */
  literal(expected: Uint8Array): void;
  /** One byte, unsigned. */
  uint8(): number;
  /** Two bytes, unsigned, high byte first. */
  uint16(): number;
  /** One byte that must be 0 or 1. */
  bool(): boolean;
  /** A VarInt of up to five bytes, signed. */
  varInt(): number;
  /** A VarInt of up to three bytes, which is never negative. */
  length(): number;
  /** A `length` of bytes, then valid UTF-8 that is at most `maxUnits` UTF-16 units long. */
  string(maxUnits: number): string;
  /**
   * A `uint16` of units, at most `maxUnits`, then UTF-16, high byte first: the strings of the game before
   * 1.7.
   */
  utf16(maxUnits: number): string;
  /** Sixteen bytes as dashed lower case. */
  uuid(): string;
}

// The byte order mark is kept: what a client sends is passed on as it is.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf16BigEndian = new TextDecoder("utf-16be", { ignoreBOM: true });

/** A cursor whose next byte is `start`; nothing at or behind the offset `limit` may be read. */
export function createCursor(
  bytes: Uint8Array,
  start: number,
  limit = Number.POSITIVE_INFINITY,
): Cursor {
  let at = start;
  let end = limit;
  let stop: Stop | null = null;

  function fail(reason: string): Stop {
    stop ??= bad(reason);
    return stop;
  }

  /** Moves over `count` bytes and gives the offset of the first, or null when the cursor has stopped. */
  function take(count: number): number | null {
    if (count > end - at) fail("a field runs past the end of its packet");
    if (count > bytes.length - at) stop ??= needMore;
    if (stop !== null) return null;

    at += count;
    return at - count;
  }

  function takeVarInt(maxBytes: number): number {
    if (stop !== null) return 0;
    const result = readVarInt(bytes, at, maxBytes, end);
    if (result.kind !== "ok") {
      stop = result.kind === "bad" ? result : needMore;
      return 0;
    }

    at = result.end;
    return result.value;
  }

  function uint8(): number {
    const from = take(1);
    return from === null ? 0 : (bytes[from] ?? 0);
  }

  function uint16(): number {
    const from = take(2);
    return from === null ? 0 : ((bytes[from] ?? 0) << 8) | (bytes[from + 1] ?? 0);
  }

  function bool(): boolean {
    const byte = uint8();
    if (byte > 1) fail("a boolean is neither 0 nor 1");
    return byte === 1;
  }

  function literal(expected: Uint8Array): void {
    if (stop !== null) return;
    const fits = expected.length <= end - at;
    const differs = expected.some((byte, index) => (bytes[at + index] ?? byte) !== byte);
    if (fits && differs) fail("fixed bytes differ");
    take(expected.length);
  }

  function string(maxUnits: number): string {
    const length = takeVarInt(lengthBytes);
    // The most that the game accepts: four bytes for each unit.
    if (length > maxUnits * 4) fail("a string is too long");
    const from = take(length);
    if (from === null) return "";

    const text = decodeUtf8(bytes.subarray(from, at));
    if (text === null) fail("a string is not UTF-8");
    if (text !== null && text.length > maxUnits) fail("a string is too long");
    return text ?? "";
  }

  function utf16(maxUnits: number): string {
    const units = uint16();
    if (units > maxUnits) fail("a string is too long");
    const from = take(units * 2);
    return from === null ? "" : utf16BigEndian.decode(bytes.subarray(from, at));
  }

  function uuid(): string {
    const from = take(16);
    if (from === null) return "";
    return uuidText(bytes, from);
  }

  return {
    get at() {
      return at;
    },
    get remaining() {
      return end - at;
    },
    get isStopped() {
      return stop !== null;
    },
    limitTo: (count) => {
      if (stop === null) end = at + count;
    },
    fail,
    finish: (make) => stop ?? parsed(make(), at),
    skip: take,
    literal,
    uint8,
    uint16,
    bool,
    varInt: () => takeVarInt(numberBytes),
    length: () => takeVarInt(lengthBytes),
    string,
    utf16,
    uuid,
  };
}

/** A string as packets carry it: its length in bytes as a VarInt, then UTF-8. */
export function encodeString(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return concat([encodeVarInt(bytes.length), bytes]);
}

/** All parts, one behind the other, in one new array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;

  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }

  return whole;
}

const hexDigits = new TextEncoder().encode("0123456789abcdef");
const dash = 0x2d;
const uuidBytes = new Uint8Array(36);

/** One flat string: slices that are put together would stay in memory for as long as the player plays. */
function uuidText(bytes: Uint8Array, from: number): string {
  let to = 0;
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) uuidBytes[to++] = dash;
    const byte = bytes[from + index] ?? 0;
    uuidBytes[to++] = hexDigits[byte >> 4] ?? 0;
    uuidBytes[to++] = hexDigits[byte & 15] ?? 0;
  }
  return utf8.decode(uuidBytes);
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
