import { isDeepStrictEqual } from "node:util";
import type { parseOpening } from "../../src/protocol/opening.ts";
import type { Parsed } from "../../src/protocol/parsed.ts";
import type { readProxyHeader } from "../../src/protocol/proxy-header.ts";
import { readHandshake } from "../support/minecraft/wire.ts";

/**
 * The parsers of what a client says first; given as they are, since the fuzzer imports them in a way of its
 * own.
 */
export interface Parsers {
  readonly parseOpening: typeof parseOpening;
  readonly readProxyHeader: typeof readProxyHeader;
}

/** The longest handshake and Login Start, each with its length. */
const longestOpening = 3 + 16 * 1024 + 3 + 4_700;
/** A signature, four bytes and the longest block. */
const longestHeader = 16 + 4_096;

/**
 * What must be true of any bytes, whoever sends them; throws with what is not. Each parser gives one
 * verdict, which no further byte changes, at the byte that decides it; and reads nothing but the bytes that
 * it is given.
 */
export function check(bytes: Uint8Array, { parseOpening, readProxyHeader }: Parsers): void {
  const opening = settle("opening", bytes, parseOpening, longestOpening);
  settle("PROXY header", bytes, readProxyHeader, longestHeader);
  if (opening.kind !== "ok" || !("handshake" in opening.value)) return;

  const { handshake } = opening.value;
  const other = readHandshake(Buffer.from(bytes));
  const same =
    other !== null &&
    (opening.value.kind === "login" || other.end === opening.end) &&
    other.handshake.host === handshake.rawHost &&
    other.handshake.port === handshake.port &&
    other.handshake.protocol === handshake.protocol;
  if (!same) throw new Error("another reader finds another handshake");
}

/** The verdict on all bytes, after a look at those on each of their beginnings. */
function settle<T>(
  what: string,
  bytes: Uint8Array,
  parse: (bytes: Uint8Array) => Parsed<T>,
  longest: number,
): Parsed<T> {
  const whole = parse(bytes);
  // Long ones are looked at where something may be decided: near both ends and here and there between.
  const step = bytes.length > 512 ? 97 : 1;
  for (let cut = 0; cut < bytes.length; cut += cut < 256 ? 1 : step) {
    const verdict = parse(bytes.subarray(0, cut));
    if (verdict.kind === "need-more") continue;
    if (!isDeepStrictEqual(verdict, whole)) {
      throw new Error(`${what}: ${cut} bytes are ${verdict.kind}, all of them ${whole.kind}`);
    }
    break;
  }
  if (whole.kind === "need-more" && bytes.length > longest) {
    throw new Error(`${what}: ${bytes.length} bytes decide nothing`);
  }
  if (whole.kind === "ok" && whole.end > Math.min(bytes.length, longest)) {
    throw new Error(`${what}: it ends behind its last byte`);
  }

  const around = new Uint8Array(bytes.length + 64).fill(0xa5);
  around.set(bytes, 32);
  if (!isDeepStrictEqual(parse(around.subarray(32, 32 + bytes.length)), whole)) {
    throw new Error(`${what}: the bytes around it change it`);
  }
  return whole;
}
