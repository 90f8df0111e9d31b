import { ipBytes, withoutZone } from "../base/ip.ts";
import { encodeString } from "./cursor.ts";
import { frame, openFrame } from "./frame.ts";
import type { Parsed } from "./parsed.ts";
import { isLaterThanKnown } from "./versions.ts";

const intents: Readonly<Record<number, Intent>> = { 1: "status", 2: "login", 3: "transfer" };

const statusIntent = 1;
const loginIntent = 2;

/** Protocol -1, which pingers send that do not know the server's version. */
const anyVersion = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f);

/**
 * The longest name, up to the first NUL. What mods and proxies append (BungeeCord a skin, Floodgate an
 * account) is longer.
 */
const longestName = 255;
const longestHost = 8_192;
const maxPayload = 16 * 1024;

/** What a client wants: the server list's entry, to join, or to join because another server sent it here. */
export type Intent = "status" | "login" | "transfer";

/** The first packet of every client since 1.7. */
export interface Handshake {
  /** Signed; some pingers send -1. Snapshots since 1.16.4 have bit 30 set: never compare those by size. */
  readonly protocol: number;
  /** The name the client asks for as it was sent, with whatever mods and proxies have appended to it. */
  readonly rawHost: string;
  readonly port: number;
  readonly intent: Intent;
}

/**
 * The handshake that begins at `start`. Of the versions that are known it must end behind its intent; later
 * ones may have added fields there.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Handshake
 */
export function readHandshake(bytes: Uint8Array, start: number): Parsed<Handshake> {
  const packet = openFrame(bytes, start, maxPayload);
  if (packet.varInt() !== 0x00) packet.fail("the first packet is not a handshake");

  const protocol = packet.varInt();
  const rawHost = packet.string(longestHost);
  if (nameLength(rawHost) > longestName) packet.fail("the hostname is too long");
  const port = packet.uint16();

  const intent = intents[packet.varInt()];
  if (intent === undefined) return packet.fail("the handshake's intent is unknown");
  if (!isLaterThanKnown(protocol) && packet.remaining > 0) {
    packet.fail("the handshake goes on behind its intent");
  }
  packet.skip(packet.remaining);

  return packet.finish(() => ({ protocol, rawHost, port, intent }));
}

/** True when the bytes begin with a whole frame of another packet than a handshake. */
export function isOtherPacket(bytes: Uint8Array): boolean {
  const packet = openFrame(bytes, 0, maxPayload);
  const id = packet.varInt();
  packet.skip(packet.remaining);
  return !packet.isStopped && id !== 0x00;
}

/**
 * True when a proxy has put the player's address and id behind the hostname, as BungeeCord's ip_forward does.
 */
export function carriesProxyData({ rawHost }: Pick<Handshake, "rawHost">): boolean {
  const [, ip = "", uuid = ""] = rawHost.split("\0");
  return ipBytes(withoutZone(ip)) !== null && /^[\da-f]{32}$/i.test(uuid.replaceAll("-", ""));
}

/**
 * A copy of a valid handshake frame that asks for a login instead of a transfer; every other byte stays as it
 * was.
 */
export function loginInsteadOfTransfer(handshake: Uint8Array): Uint8Array {
  const packet = openFrame(handshake, 0, maxPayload);
  packet.varInt();
  packet.varInt();
  packet.string(longestHost);
  packet.uint16();

  // The intent need not be the last byte alone: a longer encoding keeps its length, and so the frame keeps
  // its own.
  const copy = new Uint8Array(handshake);
  copy[packet.at] = ((copy[packet.at] ?? 0) & 0x80) | loginIntent;
  return copy;
}

function nameLength(rawHost: string): number {
  const end = rawHost.indexOf("\0");
  return end < 0 ? rawHost.length : end;
}

/**
 * A handshake that asks for the status of a server of any version.
 * Wire format: https://minecraft.wiki/w/Java_Edition_protocol/Packets#Handshake
 */
export function statusHandshake(host: string, port: number): Uint8Array {
  const portBytes = Uint8Array.of(port >> 8, port & 0xff);
  return frame(0x00, anyVersion, encodeString(host), portBytes, Uint8Array.of(statusIntent));
}
