import { encodeString } from "./cursor.ts";
import { frame, openFrame } from "./frame.ts";
import type { Player } from "./login.ts";
import { encodeNbt } from "./nbt.ts";
import type { Parsed } from "./parsed.ts";
import { encodeVarInt } from "./varint.ts";

/**
 * The packet ids of one version's configuration phase, those to the client.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Configuration
 */
export interface ConfigurationFormat {
  readonly disconnect: number;
  readonly keepAlive: number;
  readonly ping: number;
  readonly transfer: number;
  readonly clearDialog: number;
  readonly showDialog: number;
  /** Login Success ends with a UUID of the session. */
  readonly hasSessionId: boolean;
}

const since771: ConfigurationFormat = {
  disconnect: 0x02,
  keepAlive: 0x04,
  ping: 0x05,
  transfer: 0x0b,
  clearDialog: 0x11,
  showDialog: 0x12,
  hasSessionId: false,
};

/** The versions with dialogs, 1.21.6 to 26.3. A closed list: the ids have moved before and may move again. */
const formats: ReadonlyMap<number, ConfigurationFormat> = new Map([
  ...[771, 772, 773, 774, 775].map((protocol) => [protocol, since771] as const),
  [776, { ...since771, hasSessionId: true }],
  [777, { ...since771, transfer: 0x0c, clearDialog: 0x12, showDialog: 0x13, hasSessionId: true }],
]);

/**
 * How the configuration phase of this version is spoken; null for a version that has no dialogs or that is
 * not known.
 */
export const configurationFormat = (protocol: number): ConfigurationFormat | null =>
  formats.get(protocol) ?? null;

/**
 * Ends the login without encryption; the client answers with Login Acknowledged and is in the configuration
 * phase. `sessionId` is 16 random bytes.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Success
 */
export function loginSuccess(
  format: ConfigurationFormat,
  player: Player & { readonly uuid: string },
  sessionId: Uint8Array,
): Uint8Array {
  const noProperties = encodeVarInt(0);
  const session = format.hasSessionId ? [sessionId] : [];
  return frame(0x02, uuidBytes(player.uuid), encodeString(player.name), noProperties, ...session);
}

const uuidBytes = (uuid: string): Uint8Array => Uint8Array.fromHex(uuid.replaceAll("-", ""));

/** True for the packet by which a client accepts Login Success. The packet has no fields. */
export function readLoginAcknowledged(bytes: Uint8Array, start: number): Parsed<true> {
  const packet = openFrame(bytes, start, 1);
  if (packet.varInt() !== 0x03) packet.fail("the packet is not a login acknowledgement");
  return packet.finish(() => true);
}

/** A dialog of lines of text and one button. */
export interface Dialog {
  readonly title: string;
  readonly lines: readonly string[];
  /** The button's text, and the id that the client sends when it is pressed. */
  readonly button: string;
  readonly buttonId: string;
}

/**
 * Shows a dialog, in the place of one that is shown already. The game goes on, and Escape does not close it.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Show_Dialog_(configuration), a dialog
 * of the type `minecraft:notice`: https://minecraft.wiki/w/Dialog
 */
export const showDialog = (format: ConfigurationFormat, dialog: Dialog): Uint8Array =>
  frame(
    format.showDialog,
    encodeNbt({
      type: "minecraft:notice",
      title: dialog.title,
      can_close_with_escape: false,
      pause: false,
      after_action: "none",
      body: dialog.lines.map((contents) => ({
        type: "minecraft:plain_message",
        contents,
        width: 300,
      })),
      action: {
        label: dialog.button,
        width: 150,
        action: { type: "minecraft:custom", id: dialog.buttonId },
      },
    }),
  );

/** Takes the dialog away. */
export const clearDialog = (format: ConfigurationFormat): Uint8Array => frame(format.clearDialog);

/** Asks for an answer with the same number, from 0 up to 2^32 - 1. */
export const configurationKeepAlive = (format: ConfigurationFormat, id: number): Uint8Array =>
  frame(format.keepAlive, uint32(0), uint32(id));

/** Asks for a pong with the same number, which the client gives when everything before it has been shown. */
export const configurationPing = (format: ConfigurationFormat, id: number): Uint8Array =>
  frame(format.ping, uint32(id));

/** Sends the client to another address, where it connects with the intent of a transfer. */
export const transfer = (format: ConfigurationFormat, host: string, port: number): Uint8Array =>
  frame(format.transfer, encodeString(host), encodeVarInt(port));

/** Ends the connection and shows `text`. */
export const configurationDisconnect = (format: ConfigurationFormat, text: string): Uint8Array =>
  frame(format.disconnect, encodeNbt(text));

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** What a client says in the configuration phase, as far as it matters while it waits. */
export type ConfigurationPacket =
  | { readonly kind: "keep-alive"; readonly id: number }
  | { readonly kind: "pong"; readonly id: number }
  /** A button of a dialog. */
  | { readonly kind: "click"; readonly id: string }
  /** Its brand, its settings, answers to what was not asked. */
  | { readonly kind: "other" };

/** The longest packet that a waiting client may send, bytes. */
const longestPacket = 32 * 1024;

const keepAliveId = 0x04;
const pongId = 0x05;
const clickId = 0x08;

/** The packet that begins at `start`. These ids are the same in all versions of the list above. */
export function readConfigurationPacket(
  bytes: Uint8Array,
  start: number,
): Parsed<ConfigurationPacket> {
  const packet = openFrame(bytes, start, longestPacket);
  const id = packet.varInt();
  if (id === keepAliveId) {
    const isOurs = packet.uint16() + packet.uint16() === 0;
    const low = packet.uint16() * 0x1_0000 + packet.uint16();
    return packet.finish(() => ({ kind: "keep-alive", id: isOurs ? low : -1 }));
  }
  if (id === pongId) {
    const number = packet.uint16() * 0x1_0000 + packet.uint16();
    return packet.finish(() => ({ kind: "pong", id: number }));
  }
  if (id === clickId) {
    const button = packet.string(255);
    packet.skip(packet.remaining);
    return packet.finish(() => ({ kind: "click", id: button }));
  }
  packet.skip(packet.remaining);
  return packet.finish(() => ({ kind: "other" }));
}
