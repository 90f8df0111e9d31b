import { type Handshake, readHandshake } from "./handshake.ts";
import {
  type LegacyLogin,
  type LegacyPing,
  readLegacyLogin,
  readLegacyPing,
} from "./legacy-ping.ts";
import { type Player, readLoginStart } from "./login.ts";
import { needMore, type Parsed, parsed } from "./parsed.ts";

/** What a client's first bytes mean. */
export type Opening =
  | {
      readonly kind: "status";
      readonly handshake: Handshake;
    }
  | {
      readonly kind: "login";
      /** Its intent tells a login from a transfer. */
      readonly handshake: Handshake;
      readonly player: Player;
    }
  | LegacyPing
  | LegacyLogin;

/**
 * What the bytes that a client has sent so far mean. Called on every arrival with all of them: nothing is
 * kept between two calls. A wrong length, id or field is bad as soon as it is there, so that no more is
 * waited for. Bytes behind the opening are not read.
 */
export function parseOpening(bytes: Uint8Array): Parsed<Opening> {
  switch (bytes[0]) {
    case undefined:
      return needMore;
    case 0x02:
      return readLegacyLogin(bytes);
    case 0xfe:
      return readLegacyPing(bytes) ?? readModern(bytes);
    default:
      return readModern(bytes);
  }
}

function readModern(bytes: Uint8Array): Parsed<Opening> {
  const first = readHandshake(bytes, 0);
  if (first.kind === "bad") return first;
  if (first.kind === "need-more") return needMore;

  const handshake = first.value;
  if (handshake.intent === "status") {
    return parsed({ kind: "status", handshake }, first.end);
  }

  const second = readLoginStart(bytes, first.end, handshake.protocol);
  if (second.kind === "bad") return second;
  if (second.kind === "need-more") return needMore;
  return parsed({ kind: "login", handshake, player: second.value }, second.end);
}
