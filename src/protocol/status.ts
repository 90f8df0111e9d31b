import { encodeString } from "./cursor.ts";
import { frame, openFrame } from "./frame.ts";
import type { Parsed } from "./parsed.ts";

/** What a client may send after a handshake with the intent "status": once each, the request first, if at all. */
export type StatusPacket =
  | { readonly kind: "status-request" }
  /** `payload` is a view of the eight bytes to send back. */
  | { readonly kind: "ping-request"; readonly payload: Uint8Array };

const pingPayload = 8;

/**
 * The status packet that begins at `start`; a packet of another id or length is bad.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Status
 */
export function readStatusPacket(bytes: Uint8Array, start: number): Parsed<StatusPacket> {
  const packet = openFrame(bytes, start, 1 + pingPayload);

  // Read as a byte: an id in a longer encoding would not leave the packet its only allowed length.
  switch (packet.uint8()) {
    case 0x00:
      if (packet.remaining > 0) packet.fail("the status request has a body");
      return packet.finish(() => ({ kind: "status-request" }));

    case 0x01: {
      if (packet.remaining !== pingPayload) packet.fail("the ping request is not 9 bytes long");
      const from = packet.at;
      packet.skip(pingPayload);
      return packet.finish(() => ({
        kind: "ping-request",
        payload: bytes.subarray(from, packet.at),
      }));
    }

    default:
      return packet.fail("the packet is no status packet");
  }
}

/** The answer to a ping request: its eight bytes. */
export const pong = (payload: Uint8Array): Uint8Array => frame(0x01, payload);

/**
 * The server list's entry for a backend that cannot answer itself: `text` as its description, nobody of one online.
 * A client whose own protocol is not `protocol` shows it as incompatible. Key order and escapes are mc-router's.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Server_List_Ping#Status_Response
 */
export function statusResponse(status: { protocol: number; text: string }): Uint8Array {
  const json = JSON.stringify({
    version: { name: "1.7+", protocol: status.protocol },
    players: { max: 1, online: 0 },
    description: { text: status.text },
  });

  return frame(0x00, encodeString(json.replace(/[<>&\u2028\u2029]/g, unicodeEscape)));
}

/** For characters that in JSON can only stand inside of a string. */
const unicodeEscape = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
