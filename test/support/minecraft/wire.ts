/**
 * Minecraft bytes as the tests write and read them. Written apart from the router's own protocol room, from the
 * protocol page of minecraft.wiki ("Java Edition protocol/Packets"), so that one can find the other's mistakes.
 */

/** The intents of a handshake. */
export const intents = { status: 1, login: 2, transfer: 3 } as const;

/** The first packet of every connection, as a client fills it in. */
export interface Handshake {
  readonly protocol: number;
  /** Exactly as on the wire: markers, upper case and trailing dots included. */
  readonly host: string;
  readonly port: number;
  readonly intent: number;
}

/** A VarInt of a 32-bit two's complement value, in its shortest form. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value >>> 0;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** The VarInt at `start` and the offset behind it; null while it is unfinished. Throws past five bytes. */
export function readVarint(bytes: Buffer, start: number): { value: number; end: number } | null {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return null;
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  throw new Error("VarInt longer than 5 bytes");
}

/** A string: its UTF-8 length as a VarInt, then the bytes. */
export function string(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** A number as two big-endian bytes. */
export const u16 = (value: number): Buffer => Buffer.from([(value >> 8) & 0xff, value & 0xff]);

/** A whole packet: length, id, body. */
export function frame(id: number, ...body: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat([varint(id), ...body]);
  return Buffer.concat([varint(payload.length), payload]);
}

/** The handshake packet. */
export const handshake = ({ protocol, host, port, intent }: Handshake): Buffer =>
  frame(0x00, varint(protocol), string(host), u16(port), varint(intent));

/** The newest release whose packets are known, 26.3. */
const newestKnown = 777;

/** The handshake that `bytes` begin with and the offset behind it; null while it is unfinished. Throws when they begin with something else. */
export function readHandshake(bytes: Buffer): { handshake: Handshake; end: number } | null {
  const length = readVarint(bytes, 0);
  if (length === null || bytes.length < length.end + length.value) return null;
  const end = length.end + length.value;

  const id = readVarint(bytes, length.end);
  const protocol = id && readVarint(bytes, id.end);
  const hostLength = protocol && readVarint(bytes, protocol.end);
  if (id?.value !== 0 || !protocol || !hostLength) throw new Error("not a handshake");

  const hostEnd = hostLength.end + hostLength.value;
  const intent = readVarint(bytes, hostEnd + 2);
  // A version that does not exist yet may have more fields.
  const isWhole =
    intent?.end === end || (protocol.value > newestKnown && (intent?.end ?? end) < end);
  if (!intent || !isWhole) throw new Error("a handshake with bytes missing or left over");
  return {
    handshake: {
      protocol: protocol.value,
      host: bytes.toString("utf8", hostLength.end, hostEnd),
      port: bytes.readUInt16BE(hostEnd),
      intent: intent.value,
    },
    end,
  };
}

/** The 16 bytes of a UUID, dashes or none. */
export const uuidBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll("-", ""), "hex");

/** The UUID that an offline-mode server gives a player: version 3 over `OfflinePlayer:name`. */
export function offlineUuid(name: string): string {
  const hash = new Bun.CryptoHasher("md5").update(`OfflinePlayer:${name}`).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x30;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return hash.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Login Start as a client of that protocol sends it, without a chat signing key. Snapshots (bit 30 set) are written as the newest form. */
export function loginStart(protocol: number, name: string, uuid = offlineUuid(name)): Buffer {
  if (protocol <= 758) return frame(0x00, string(name));
  if (protocol === 759) return frame(0x00, string(name), Buffer.of(0));
  if (protocol === 760) return frame(0x00, string(name), Buffer.of(0, 1), uuidBytes(uuid));
  if (protocol <= 763) return frame(0x00, string(name), Buffer.of(1), uuidBytes(uuid));
  return frame(0x00, string(name), uuidBytes(uuid));
}

/** Handshake and Login Start of one player, as they arrive when a client sends both at once. */
export function login(
  player: { readonly host: string; readonly name: string } & Partial<Handshake>,
): Buffer {
  const { name, protocol = 774, port = 25565, intent = intents.login, host } = player;
  return Buffer.concat([handshake({ protocol, host, port, intent }), loginStart(protocol, name)]);
}

/** The request that a server list sends behind its handshake. */
export const statusRequest = frame(0x00);

/** The server's answer to it. */
export const statusResponse = (json: string): Buffer => frame(0x00, string(json));

/** Ping and pong alike: eight bytes that come back as they were. */
export function ping(payload: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(payload);
  return frame(0x01, bytes);
}

/** The answer "not understood" that every vanilla client gives to a Login Plugin Request it does not know. */
export const pluginNotUnderstood = (messageId: number): Buffer =>
  frame(0x02, varint(messageId), Buffer.of(0));

/** A Login Plugin Request as a server sends it. */
export const pluginRequest = (messageId: number, channel: string, body: Uint8Array): Buffer =>
  frame(0x04, varint(messageId), string(channel), body);

/** A Login Disconnect with a plain text. */
export const loginDisconnect = (text: string): Buffer =>
  frame(0x00, string(JSON.stringify({ text })));

/** The pings of clients before 1.7 (minecraft.wiki, "Server list ping"). */
export const legacyPing = {
  /** Beta 1.8 to 1.3. */
  beta: Buffer.from("fe", "hex"),
  /** 1.4 and 1.5. */
  release: Buffer.from("fe01", "hex"),
  /** 1.6, and what a modern client tries after a failed ping. */
  withHost(host: string, port: number, protocol = 74): Buffer {
    const channel = utf16("MC|PingHost");
    const name = utf16(host);
    const rest = Buffer.concat([Buffer.of(protocol), u16(host.length), name, u16(0), u16(port)]);
    return Buffer.concat([Buffer.from("fe01fa", "hex"), u16(11), channel, u16(rest.length), rest]);
  },
} as const;

/** The fields of a legacy answer: `motd, online, max` to the oldest ping, `§1, protocol, version, motd, online, max` to the others. Throws when it is none. */
export function readLegacyAnswer(bytes: Buffer): string[] {
  if (bytes[0] !== 0xff || bytes.length !== 3 + 2 * bytes.readUInt16BE(1)) {
    throw new Error(`not a whole legacy answer: ${bytes.toString("hex")}`);
  }
  const text = Buffer.from(bytes.subarray(3)).swap16().toString("utf16le");
  return text.startsWith("§1\u0000") ? text.split("\u0000") : text.split("§");
}

/** Text as UTF-16BE, two bytes a unit. */
const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();
