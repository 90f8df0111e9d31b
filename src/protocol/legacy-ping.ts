import { createCursor } from "./cursor.ts";
import type { Parsed } from "./parsed.ts";

/**
 * The server list's ping of a client before 1.7, or of a newer one whose own ping has failed. `form` is named
 * after the first version that sends it: FE, FE 01, or FE 01 FA with the protocol and the hostname.
 */
export type LegacyPing =
  | {
      readonly kind: "legacy-ping";
      readonly form: "beta-1.8" | "1.4";
      readonly protocol: null;
      readonly rawHost: null;
    }
  | {
      readonly kind: "legacy-ping";
      readonly form: "1.6";
      readonly protocol: number;
      readonly rawHost: string;
    };

/** A client before 1.7 that wants to join. No backend behind a hostname can be found for it. */
export interface LegacyLogin {
  readonly kind: "legacy-login";
}

const betaPing = {
  kind: "legacy-ping",
  form: "beta-1.8",
  protocol: null,
  rawHost: null,
} as const satisfies LegacyPing;

const ping14 = { ...betaPing, form: "1.4" } as const satisfies LegacyPing;

/**
 * FE 01, then the plugin message FA on the channel `MC|PingHost`, whose length is counted in UTF-16 units.
 */
const pingHostStart = Uint8Array.of(
  ...[0xfe, 0x01, 0xfa, 0x00, 0x0b],
  ...Array.from("MC|PingHost", (character) => [0x00, character.charCodeAt(0)]).flat(),
);

const maxHostUnits = 255;

/** Protocol 1, the hostname's length 2, port 4. */
const pingHostFixed = 7;

/** Clients before 1.7 refuse a longer text as a whole. */
const maxReplyUnits = 256;

/**
 * The legacy ping that begins at the first byte, which must be FE; null when a modern frame begins like that.
 * The pings of different ages are prefixes of each other: `ifQuiet` says which one it is when nothing
 * follows.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Server_List_Ping#1.6 and the sections behind it
 */
export function readLegacyPing(bytes: Uint8Array): Parsed<LegacyPing> | null {
  if (bytes.length === 1) return { kind: "need-more", ifQuiet: betaPing };
  // A modern handshake of 382, 510, ... bytes: its length begins with FE.
  if (bytes[1] !== 0x01) return null;

  if (bytes.length === 2) return { kind: "need-more", ifQuiet: ping14 };
  // A modern handshake of 254 bytes: FE 01 is its length, and the packet's id follows.
  if (bytes[2] !== 0xfa) return null;

  const ping = createCursor(bytes, 0);
  ping.literal(pingHostStart);

  const rest = ping.uint16();
  if (rest > pingHostFixed + maxHostUnits * 2) ping.fail("the legacy ping is too long");
  ping.limitTo(rest);

  const protocol = ping.uint8();
  const rawHost = ping.utf16(maxHostUnits);
  ping.skip(4); // the port
  ping.skip(ping.remaining);

  const seen = ping.finish(
    () => ({ kind: "legacy-ping", form: "1.6", protocol, rawHost }) as const,
  );
  // Some pingers send no more than its beginning.
  return seen.kind === "need-more" ? { kind: "need-more", ifQuiet: ping14 } : seen;
}

/**
 * The login of a client before 1.7, whose first byte must be 02. A modern frame of two bytes begins like that
 * too; it cannot be a handshake.
 * Wire format: packet 02 in the protocol's revisions 17 to 78; strings are UTF-16 with a length of two bytes.
 */
export function readLegacyLogin(bytes: Uint8Array): Parsed<LegacyLogin> {
  const login = createCursor(bytes, 1);

  // Up to 1.2 the only field is "name" or "name;host:port", and its length's high byte is 0.
  // Since 1.3 the protocol's number comes first: 39 in 1.3, some less in its snapshots, and 78 in 1.6.4.
  const isBefore13 = bytes[1] === 0x00;
  if (isBefore13) {
    if (login.utf16(maxHostUnits) === "") login.fail("the player's name is empty");
    return login.finish(() => ({ kind: "legacy-login" }));
  }

  const protocol = login.uint8();
  if (protocol < 30 || protocol > 79) login.fail("the first packet is not a handshake");
  if (login.utf16(16) === "") login.fail("the player's name is empty");
  login.utf16(maxHostUnits);
  login.skip(4); // the port
  return login.finish(() => ({ kind: "legacy-login" }));
}

/**
 * The reply to a legacy ping: as much of `motd` as these clients take, nobody of one online. Fields are
 * mc-router's.
 */
export function legacyPingReply(form: LegacyPing["form"], motd: string): Uint8Array {
  switch (form) {
    case "beta-1.8":
      // The section sign separates the fields here, so formatting codes have to go.
      return disconnectAround("", motd.replace(/§[0-9a-fk-orx]?/gi, ""), "§0§1");
    case "1.4":
    case "1.6":
      // 127 is no version's protocol: the client shows the entry as incompatible, as it must.
      return disconnectAround(
        "§1\u0000127\u00001.7+\u0000",
        motd.replaceAll("\u0000", ""),
        "\u00000\u00001",
      );
  }
}

/** Ends the connection of a client before 1.7 and shows `text`, up to 256 UTF-16 units of it. */
export const legacyDisconnect = (text: string): Uint8Array => disconnectAround("", text, "");

function disconnectAround(before: string, text: string, after: string): Uint8Array {
  // A cut must not leave half of a character that takes two units.
  const room = maxReplyUnits - before.length - after.length;
  const whole = before + text.slice(0, room).replace(/[\ud800-\udbff]$/, "") + after;

  const packet = new DataView(new ArrayBuffer(3 + whole.length * 2));
  packet.setUint8(0, 0xff);
  packet.setUint16(1, whole.length);
  for (let index = 0; index < whole.length; index += 1) {
    packet.setUint16(3 + index * 2, whole.charCodeAt(index));
  }
  return new Uint8Array(packet.buffer);
}
