import { type Cursor, createCursor, encodeString } from "./cursor.ts";
import { frame, openFrame } from "./frame.ts";
import { carriesProxyData, type Handshake } from "./handshake.ts";
import type { Parsed } from "./parsed.ts";
import { encodeVarInt } from "./varint.ts";
import { isSnapshot } from "./versions.ts";

/** The player as the client names him: nothing of this is proven. */
export interface Player {
  /** Not empty; any characters. A game sends 16 at most. */
  readonly name: string;
  /** Dashed lower case; null when the client's version sends none or it cannot be found. */
  readonly uuid: string | null;
}

/** What keeps a waiting login alive, and how often, ms. */
export interface KeepAlive {
  readonly kind: "plugin-request" | "empty-frame";
  readonly firstMs: number;
  readonly everyMs: number;
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
}

/**
 * Newest first.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Start and its older revisions
 */
const releases: readonly LoginStartFormat[] = [
  { since: 764, layout: uuid }, // 1.20.2
  { since: 761, layout: optionalUuid }, // 1.19.3
  { since: 760, layout: optionalKeyAndUuid }, // 1.19.1
  { since: 759, layout: optionalKey }, // 1.19
  { since: 0, layout: nameOnly }, // 1.7.2
];

/**
 * The longest Login Start, bytes: a name of 16 characters of four bytes, a UUID, and keys as long as the game
 * accepts them. One limit for all versions, as longer names and fields of later versions are for the backend
 * to judge.
 */
const longestPayload = 4_700;

/** The longest name that a game sends. */
export const longestVanillaName = 16;

/** The first release whose client answers login plugin requests: 1.13. */
const firstWithPluginRequest = 393;

/** The first release whose client waits 30 s for a byte, and not 20 s: 1.8. */
const firstWithLongTimeout = 47;

/** Far more than the answer to our own requests takes, which carry no data. */
const maxPluginResponse = 32 * 1024;

/**
 * The Login Start that begins at `start`, sent by a client of this protocol. Bad without a name. How long the
 * name is, and what follows it, is for the backend to judge: where that is not what the version sends, the
 * UUID is null.
 */
export function readLoginStart(bytes: Uint8Array, start: number, protocol: number): Parsed<Player> {
  const format = releaseFormat(protocol);
  const packet = openFrame(bytes, start, longestPayload);
  if (packet.varInt() !== 0x00) packet.fail("the second packet is not a login start");

  const name = packet.string(longestPayload);
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
  if (isSnapshot(protocol)) return null;
  return releases.find(({ since }) => protocol >= since) ?? null;
}

/**
 * Null where the fields end too early. Bytes behind the last known field are a later version's and ignored.
 */
function uuidByLayout(fields: Uint8Array, layout: Layout): string | null {
  const cursor = createCursor(fields, 0, fields.length);
  const found = layout(cursor);
  return cursor.isStopped ? null : found;
}

/** A snapshot's number does not tell its layout, so the one that fits to the last byte is taken. */
function uuidByShape(fields: Uint8Array): string | null {
  for (const { layout } of releases) {
    const cursor = createCursor(fields, 0, fields.length);
    const found = layout(cursor);
    if (!cursor.isStopped && cursor.remaining === 0) return found;
  }

  return null;
}

/**
 * What keeps a waiting login alive; null for a client that bears nothing. Clients drop a connection without
 * a byte for 20 s (before 1.8) or 30 s, and proxies may do so after 6 s.
 *
 * From 1.13 on, snapshots included, clients answer a login plugin request without leaving the login. Before,
 * there is no packet that could be sent, but an empty frame is read and ignored by the game. BungeeCord and
 * other strict decoders end the login at one, so it is sent as late as the game can bear, and never to a
 * client whose host carries a proxy's data. Since 26.1 the game itself disconnects at an empty frame, so it
 * goes only to numbers that are surely older than 1.13. Negative numbers are no game's.
 */
export function keepAliveFor(handshake: Pick<Handshake, "protocol" | "rawHost">): KeepAlive | null {
  const { protocol } = handshake;
  if (protocol < 0) return null;
  if (protocol >= firstWithPluginRequest) {
    return { kind: "plugin-request", firstMs: 2_000, everyMs: 5_000 };
  }
  if (carriesProxyData(handshake)) return null;
  const everyMs = protocol < firstWithLongTimeout ? 13_000 : 22_000;
  return { kind: "empty-frame", firstMs: everyMs, everyMs };
}

/** A frame of length 0: see `keepAliveFor` for the clients that may get it. */
export const emptyFrame: Uint8Array = Uint8Array.of(0x00);

/**
 * Ends a login and shows `text`. In this packet it is JSON in every version, also where later ones have gone
 * to NBT.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Disconnect_(login)
 */
export const loginDisconnect = (text: string): Uint8Array =>
  frame(0x00, encodeString(JSON.stringify({ text })));

/**
 * Asks the client something, without data, on a channel such as `automc:hold`. Clients of 1.13 and newer
 * answer.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Plugin_Request
 */
export const loginPluginRequest = (id: number, channel: string): Uint8Array =>
  frame(0x04, encodeVarInt(id), encodeString(channel));

/**
 * The number of the request that the Login Plugin Response at `start` answers; any other packet is bad.
 * Whether the client knew the channel, and data that follows, is passed over.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Login_Plugin_Response
 */
export function readLoginPluginResponse(bytes: Uint8Array, start: number): Parsed<number> {
  const packet = openFrame(bytes, start, maxPluginResponse);
  if (packet.varInt() !== 0x02) packet.fail("the packet is not a login plugin response");

  const id = packet.varInt();
  packet.bool();
  packet.skip(packet.remaining);

  return packet.finish(() => id);
}
