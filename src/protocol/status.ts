import { escapeLikeGo } from "../base/json.ts";
import { encodeString } from "./cursor.ts";
import { frame, openFrame } from "./frame.ts";
import type { Parsed } from "./parsed.ts";

/** What a client may send after a handshake with the intent "status": once each, or only one of the two. */
export type StatusPacket =
  | { readonly kind: "status-request" }
  /** `payload` is a view of the eight bytes to send back. */
  | { readonly kind: "ping-request"; readonly payload: Uint8Array };

const pingPayload = 8;

/** The longest status or ping request, bytes; later versions may add fields to them. */
const maxRequestPayload = 1_024;

/**
 * The longest status that clients read, UTF-16 units. Its frame then takes 128 KiB and four bytes at most.
 */
export const longestStatus = 32_767;

/** Id 1, the string's length 3, four bytes for each unit. */
const maxResponsePayload = 4 + longestStatus * 4;

/** A client's request for its entry of the server list. */
export const statusRequest: Uint8Array = Uint8Array.of(0x01, 0x00);

/**
 * The status packet that begins at `start`; a packet with another id is bad. Fields behind those that are
 * known are passed over.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Status
 */
export function readStatusPacket(bytes: Uint8Array, start: number): Parsed<StatusPacket> {
  const packet = openFrame(bytes, start, maxRequestPayload);

  switch (packet.varInt()) {
    case 0x00:
      packet.skip(packet.remaining);
      return packet.finish(() => ({ kind: "status-request" }));

    case 0x01: {
      const from = packet.at;
      packet.skip(pingPayload);
      packet.skip(packet.remaining);
      const payload = bytes.subarray(from, from + pingPayload);
      return packet.finish(() => ({ kind: "ping-request", payload }));
    }

    default:
      return packet.fail("the packet is no status packet");
  }
}

/** The answer to a ping request: its eight bytes. */
export const pong = (payload: Uint8Array): Uint8Array => frame(0x01, payload);

/**
 * The JSON text of the status response that begins at `start`, as a backend sends it; it need not be JSON at
 * all.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Status_Response
 */
export function readStatusResponse(bytes: Uint8Array, start: number): Parsed<string> {
  const packet = openFrame(bytes, start, maxResponsePayload);
  if (packet.varInt() !== 0x00) packet.fail("the packet is no status response");
  const json = packet.string(longestStatus);
  packet.skip(packet.remaining);
  return packet.finish(() => json);
}

/** A status response with this JSON text. */
export const statusFrame = (json: string): Uint8Array => frame(0x00, encodeString(json));

/**
 * The server list's entry for a backend that cannot answer itself: `text` as its description, no players of
 * one online. A client whose own protocol is not `protocol` shows it as incompatible. Key order and escapes
 * are mc-router's.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Server_List_Ping#Status_Response
 */
export function statusResponse(status: { protocol: number; text: string }): Uint8Array {
  const json = JSON.stringify({
    version: { name: "1.7+", protocol: status.protocol },
    players: { max: 1, online: 0 },
    description: { text: status.text },
  });

  return statusFrame(escapeLikeGo(json));
}
