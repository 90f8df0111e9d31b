import type { Dice } from "../support/dice.ts";
import { malformed, wellFormed } from "../support/minecraft/malformed.ts";
import {
  frame,
  handshake,
  legacyPing,
  loginStart,
  readVarint,
  string,
  u16,
  varint,
} from "../support/minecraft/wire.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

/** What a corpus begins with. */
export const seeds: readonly Buffer[] = [
  ...wellFormed,
  ...Object.values(malformed),
  bytes("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 65535\r\n"),
  bytes("PROXY UNKNOWN\r\n"),
  bytes("PROXY UNKNOWN any thing at all\r\n"),
  Buffer.concat([signature, Buffer.from("20000000", "hex")]),
  Buffer.concat([signature, Buffer.from("21210024", "hex"), Buffer.alloc(36, 7)]),
  Buffer.concat([Buffer.from("02", "hex"), u16(5), utf16("Steve")]),
  Buffer.concat([Buffer.of(2, 61), u16(5), utf16("Steve"), u16(4), utf16("host"), Buffer.alloc(4)]),
];

/** Bytes and pieces that mean something to one of the parsers. */
const telling = [
  0x00, 0x01, 0x02, 0x03, 0x09, 0x0a, 0x0d, 0x20, 0x21, 0x7f, 0x80, 0xfa, 0xfe, 0xff,
];
const pieces: readonly Buffer[] = [
  bytes("\0FML3\0"),
  bytes("///127.0.0.1"),
  bytes("PROXY "),
  bytes("TCP4 "),
  bytes("UNKNOWN"),
  bytes("\r\n"),
  bytes("1.2.3.4 "),
  signature,
  utf16("MC|PingHost"),
  Buffer.from("c328", "hex"),
  Buffer.from("f09f9880", "hex"),
  Buffer.from("efbbbf", "hex"),
  varint(-1),
  varint(0x1f_ffff),
];
const protocols = [-1, 0, 4, 47, 758, 759, 760, 761, 763, 764, 774, 0x4000_00f0, 0x7fff_ffff];

/** An opening by the grammar of openings, with fields that are right more often than not. */
function generate(dice: Dice): Buffer {
  const protocol = dice.pick(protocols);
  const host = dice.pick([
    "a",
    "play.example.org",
    "x".repeat(dice.below(300)),
    "\0FML\0",
    "ü😀",
    "",
  ]);
  const port = dice.below(65_536);
  switch (dice.below(6)) {
    case 0:
      return handshake({ protocol, host, port, intent: dice.below(5) });
    case 1:
      return legacyPing.withHost(host, port, dice.below(256));
    case 2:
      return Buffer.concat([
        handshake({ protocol, host, port, intent: 2 + dice.below(2) }),
        frame(dice.below(2), string("N".repeat(dice.below(20))), randomBytes(dice, 40)),
      ]);
    case 3:
      return Buffer.concat([
        handshake({ protocol, host, port, intent: 2 }),
        signedLoginStart(dice),
        randomBytes(dice, 4),
      ]);
    default:
      return Buffer.concat([
        handshake({ protocol, host, port, intent: 2 + dice.below(2) }),
        loginStart(protocol, "N".repeat(1 + dice.below(16))),
      ]);
  }
}

/** A Login Start with a key, as clients of 1.19 to 1.19.2 send it. */
const signedLoginStart = (dice: Dice): Buffer =>
  frame(
    0x00,
    string("Steve"),
    Buffer.of(1),
    Buffer.alloc(8),
    ...[dice.below(600), dice.below(4_200)].flatMap((length) => [
      varint(length),
      Buffer.alloc(length),
    ]),
    Buffer.of(dice.below(3)),
    randomBytes(dice, 17),
  );

const randomBytes = (dice: Dice, most: number): Buffer =>
  Buffer.from(Array.from({ length: dice.below(most + 1) }, () => dice.below(256)));

/** One change. `others` is what else there is to take pieces from. */
function change(input: Buffer, others: readonly Buffer[], dice: Dice): Buffer {
  const at = dice.below(input.length + 1);
  const before = input.subarray(0, at);
  const behind = input.subarray(at);
  switch (dice.below(9)) {
    case 0:
      return Buffer.concat([before, Buffer.of(dice.pick(telling)), behind.subarray(1)]);
    case 1:
      return Buffer.concat([
        before,
        Buffer.of((behind[0] ?? 0) ^ (1 << dice.below(8))),
        behind.subarray(1),
      ]);
    case 2:
      return Buffer.concat([before, randomBytes(dice, 4), behind]);
    case 3:
      return Buffer.concat([before, behind.subarray(1 + dice.below(8))]);
    case 4:
      return Buffer.concat([before, dice.pick(pieces), behind]);
    case 5:
      return Buffer.concat([before, varint(dice.below(2 ** 32) >>> dice.below(32)), behind]);
    case 6: {
      const other = dice.pick(others);
      return Buffer.concat([before, other.subarray(dice.below(other.length + 1))]);
    }
    case 7:
      return before;
    default:
      return withLengthMended(input);
  }
}

/** The same with a first length that fits the rest, so that what is inside is looked at. */
function withLengthMended(input: Buffer): Buffer {
  if (input.length > 1 && input.subarray(0, 5).some((byte) => byte < 0x80)) {
    const length = readVarint(input, 0);
    if (length !== null) {
      const rest = input.subarray(length.end);
      return Buffer.concat([varint(rest.length), rest]);
    }
  }
  return input;
}

/** An input that nobody has thought of: one by the grammar, or one of the corpus with a few changes. */
export function nextInput(corpus: readonly Buffer[], dice: Dice): Buffer {
  let input = dice.below(8) === 0 ? generate(dice) : dice.pick(corpus);
  for (let changes = dice.below(5); changes > 0; changes--) input = change(input, corpus, dice);
  return input.subarray(0, 24_000);
}
