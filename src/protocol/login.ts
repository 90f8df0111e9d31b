import { type Cursor, createCursor, encodeString } from "./cursor.ts";
import { frame, openFrame } from "./frame.ts";
import type { Parsed } from "./parsed.ts";
import { encodeVarInt } from "./varint.ts";

/** Who wants to join, as the client claims it: nothing of this is proven. */
export interface Player {
  /** 1 to 16 characters, any of them. */
  readonly name: string;
  /** Dashed lower case; null when the client's version sends none or it cannot be found. */
  readonly uuid: string | null;
}

/** The client's answer to a login plugin request. */
export interface LoginPluginResponse {
  readonly id: number;
  /** False is every unmodified client's answer. */
  readonly understood: boolean;
}

/** Reads the fields that follow the name, and gives the UUID if it is among them. */
type Layout = (fields: Cursor) => string | null;

const nameOnly: Layout = () => null;

const uuid: Layout = (fields) => fields.uuid();

const optionalUuid: Layout = (fields) => (fields.bool() ? fields.uuid() : null);

const optionalKey: Layout = (fields) => {
  if (!fields.bool()) return null;
  fields.skip(8); // when the key expires
  fields.skip(fields.length()); // the key
  fields.skip(fields.length()); // Mojang's signature of it
  return null;
};

const optionalKeyAndUuid: Layout = (fields) => {
  optionalKey(fields);
  return optionalUuid(fields);
};

interface LoginStartFormat {
  /** The first release that uses it. */
  readonly since: number;
  readonly layout: Layout;
  /** With a name of 16 characters of four bytes, and keys as long as the game accepts them. */
  readonly maxPayload: number;
}

/**
 * Newest first.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Start and its older revisions
 */
const releases: readonly LoginStartFormat[] = [
  { since: 764, layout: uuid, maxPayload: 82 }, // 1.20.2
  { since: 761, layout: optionalUuid, maxPayload: 83 }, // 1.19.3
  { since: 760, layout: optionalKeyAndUuid, maxPayload: 4700 }, // 1.19.1
  { since: 759, layout: optionalKey, maxPayload: 4700 }, // 1.19
  { since: 0, layout: nameOnly, maxPayload: 66 }, // 1.7.2
];

const longestPayload = 4700;

/** Set in the protocol numbers of all snapshots since 1.16.4; lower bits count snapshots, not releases. */
const snapshotBit = 0x40000000;

/** The first release whose client answers login plugin requests: 1.13. */
const firstWithPluginRequest = 393;

/** Far more than the answer to our own requests takes, which carry no data. */
const maxPluginResponse = 32 * 1024;

/**
 * The Login Start that begins at `start`, sent by a client of this protocol. Bad without a name of 1 to 16 characters.
 * What follows the name is for the backend to judge: where it is not what the version sends, the UUID is null.
 */
export function readLoginStart(bytes: Uint8Array, start: number, protocol: number): Parsed<Player> {
  const format = releaseFormat(protocol);
  const packet = openFrame(bytes, start, format?.maxPayload ?? longestPayload);
  if (packet.varInt() !== 0x00) packet.fail("the second packet is not a login start");

  const name = packet.string(16);
  if (name === "") packet.fail("the player's name is empty");

  const fieldsStart = packet.at;
  packet.skip(packet.remaining);

  return packet.finish(() => {
    const fields = bytes.subarray(fieldsStart, packet.at);
    return {
      name,
      uuid: format === null ? uuidByShape(fields) : uuidByLayout(fields, format.layout),
    };
  });
}

/** How a release writes its Login Start; null for every number that no release has. */
function releaseFormat(protocol: number): LoginStartFormat | null {
  if (protocol >= snapshotBit) return null;
  return releases.find(({ since }) => protocol >= since) ?? null;
}

/** Fields that stop too early give null; bytes behind the last known one are a newer version's and ignored. */
function uuidByLayout(fields: Uint8Array, layout: Layout): string | null {
  const cursor = createCursor(fields, 0, fields.length);
  const found = layout(cursor);
  return cursor.isStopped ? null : found;
}

/** A snapshot's number does not tell its layout, so it is the one that fits to the last byte. */
function uuidByShape(fields: Uint8Array): string | null {
  for (const { layout } of releases) {
    const cursor = createCursor(fields, 0, fields.length);
    const found = layout(cursor);
    if (!cursor.isStopped && cursor.remaining === 0) return found;
  }

  return null;
}

/** True when a client of this protocol may be kept waiting in the login: negative numbers are no client's. */
export const canBeHeld = (protocol: number): boolean => protocol >= 0;

/**
 * What keeps a waiting login alive, by the client's protocol. Clients drop a connection after 20 or 30 s without a byte.
 * Before 1.13 there is no packet that could be sent, but an empty frame is read and ignored. Since 26.1 an empty frame
 * is an error that disconnects, so it goes only to numbers that are surely older than 1.13; the login plugin request is
 * answered by all newer clients, snapshots included, without leaving the login.
 */
export function keepAliveKind(protocol: number): "plugin-request" | "empty-frame" {
  return protocol >= 0 && protocol < firstWithPluginRequest ? "empty-frame" : "plugin-request";
}

/** A frame of length 0: see `keepAliveKind` for who may get it. */
export const emptyFrame: Uint8Array = Uint8Array.of(0x00);

/**
 * Ends a login and shows `text`. In this packet it is JSON in every version, also where later ones have gone to NBT.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Disconnect_(login)
 */
export const loginDisconnect = (text: string): Uint8Array =>
  frame(0x00, encodeString(JSON.stringify({ text })));

/**
 * Asks the client something, without data, on a channel such as `automc:hold`. Clients of 1.13 and newer answer.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Plugin_Request
 */
export const loginPluginRequest = (id: number, channel: string): Uint8Array =>
  frame(0x04, encodeVarInt(id), encodeString(channel));

/**
 * The Login Plugin Response that begins at `start`; any other packet is bad. Data that follows it is passed over.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Plugin_Response
 */
export function readLoginPluginResponse(
  bytes: Uint8Array,
  start: number,
): Parsed<LoginPluginResponse> {
  const packet = openFrame(bytes, start, maxPluginResponse);
  if (packet.varInt() !== 0x02) packet.fail("the packet is not a login plugin response");

  const id = packet.varInt();
  const understood = packet.bool();
  packet.skip(packet.remaining);

  return packet.finish(() => ({ id, understood }));
}
