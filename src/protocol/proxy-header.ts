import { ipBytes, ipv6Text, mappedPrefix } from "../base/ip.ts";
import { type Cursor, concat, createCursor } from "./cursor.ts";
import { type Parsed, parsed } from "./parsed.ts";

/**
 * One end of a proxied connection. `ip` is a literal in its shortest form, without a zone; IPv4-mapped ones
 * are plain IPv4.
 */
export interface ProxyEndpoint {
  readonly ip: string;
  readonly port: number;
}

/**
 * What a proxy says about the client before the first byte of the connection that it passes on: nothing, as
 * there is no header; that the connection is its own or the client's address is not known (the socket's
 * addresses hold); or both real ends.
 */
export type ProxyHeader =
  | { readonly kind: "none" }
  | { readonly kind: "local" }
  | {
      readonly kind: "proxied";
      readonly source: ProxyEndpoint;
      readonly destination: ProxyEndpoint;
    };

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const version1Start = ascii("PROXY");
const version2Start = Uint8Array.fromHex("0d0a0d0a000d0a515549540a");

/** The longest line of version 1 with its CR LF. */
const maxLine = 107;

/** The longest block behind the fixed part of version 2: go-proxyproto's limit, and so mc-router's. */
const maxBlock = 4096;

/** Version 2 in the high half of the byte, the command in the low one. */
const localCommand = 0x20;
const proxyCommand = 0x21;

/** The address family in the high half of the byte, the transport (1: stream) in the low one. */
const tcp4 = 0x11;
const tcp6 = 0x21;
/** A family that the proxy does not know or does not support. */
const unspecified = 0x0;

const space = 0x20;
const carriageReturn = 0x0d;
const upperU = 0x55;

/**
 * The PROXY protocol header, version 1 or 2, that a connection begins with. The first byte that differs from
 * both beginnings means "none", which ends at 0; a header that goes on wrongly is bad. No Minecraft packet
 * begins like a header.
 * Wire format: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt sections 2.1 and 2.2
 */
export function readProxyHeader(bytes: Uint8Array): Parsed<ProxyHeader> {
  // No bytes at all begin like either.
  if (mayBegin(bytes, version1Start)) return readVersion1(bytes);
  if (mayBegin(bytes, version2Start)) return readVersion2(bytes);
  return parsed({ kind: "none" }, 0);
}

/**
 * A version 2 header that says PROXY over TCP, without further fields: 28 bytes when both ends are IPv4,
 * otherwise 52, with an IPv4 end as IPv4-mapped. Zones are left out. Text that is no IP literal is the
 * caller's bug and throws.
 */
export function proxyHeaderV2(source: ProxyEndpoint, destination: ProxyEndpoint): Uint8Array {
  const ips = [literalBytes(source.ip), literalBytes(destination.ip)];
  const isIpv4 = ips.every(isMapped);
  const addresses = isIpv4 ? ips.map((ip) => ip.subarray(mappedPrefix.length)) : ips;
  const block = concat([...addresses, portBytes(source.port), portBytes(destination.port)]);
  const fixed = Uint8Array.of(proxyCommand, isIpv4 ? tcp4 : tcp6, 0, block.length);
  return concat([version2Start, fixed, block]);
}

/** True while every byte that is there is the one that `start` has in its place. */
const mayBegin = (bytes: Uint8Array, start: Uint8Array): boolean =>
  start.every((byte, index) => (bytes[index] ?? byte) === byte);

function readVersion1(bytes: Uint8Array): Parsed<ProxyHeader> {
  const line = createCursor(bytes, 0, maxLine);
  line.literal(ascii("PROXY "));
  if (bytes[line.at] === upperU) return readUnknown(bytes, line);

  line.literal(ascii("TCP"));
  const family = String.fromCharCode(line.uint8());
  if (family !== "4" && family !== "6") line.fail("the PROXY line's protocol is unknown");
  line.literal(Uint8Array.of(space));

  const sourceIp = readIpText(line, family);
  const destinationIp = readIpText(line, family);
  const sourcePort = readPortText(line, " ");
  const destinationPort = readPortText(line, "\r");
  line.literal(ascii("\n"));

  return line.finish(() => ({
    kind: "proxied",
    source: { ip: sourceIp, port: sourcePort },
    destination: { ip: destinationIp, port: destinationPort },
  }));
}

/** What stands between UNKNOWN and the end of the line is to be ignored. */
function readUnknown(bytes: Uint8Array, line: Cursor): Parsed<ProxyHeader> {
  line.literal(ascii("UNKNOWN"));
  if (bytes[line.at] !== carriageReturn) line.literal(Uint8Array.of(space));
  readText(line, /[^\n]/, "\r");
  line.literal(ascii("\n"));
  return line.finish(() => ({ kind: "local" }));
}

function readIpText(line: Cursor, family: string): string {
  const text = readText(line, /[\da-f:.]/i, " ");
  const ip = ipBytes(text);
  const isOfFamily = text.includes(":") === (family === "6");
  if (ip !== null && isOfFamily) return ipText(ip);

  line.fail("the PROXY line has an address that is none of its family");
  return "";
}

function readPortText(line: Cursor, delimiter: string): number {
  const text = readText(line, /\d/, delimiter);
  const isPlain = /^(0|[1-9]\d{0,4})$/.test(text);
  if (!isPlain || Number(text) > 65_535) line.fail("the PROXY line has a wrong port");
  return Number(text);
}

/**
 * Text of the characters allowed up to the delimiter, which is moved over; bad at the first other character.
 */
function readText(line: Cursor, allowed: RegExp, delimiter: string): string {
  let text = "";
  for (;;) {
    const character = String.fromCharCode(line.uint8());
    if (line.isStopped || character === delimiter) return text;
    if (!allowed.test(character)) line.fail("the PROXY line has a character out of place");
    text += character;
  }
}

function readVersion2(bytes: Uint8Array): Parsed<ProxyHeader> {
  const header = createCursor(bytes, 0);
  header.literal(version2Start);
  const command = header.uint8();
  if (command !== localCommand && command !== proxyCommand) {
    header.fail("the PROXY header's version or command is unknown");
  }

  const family = header.uint8();
  // The family of a LOCAL header is to be ignored together with its block, which may be of any kind. Of an
  // unspecified family the block is to be ignored as well, and the socket's own addresses hold.
  const isUnaddressed = command === localCommand || family >> 4 === unspecified;
  const ipSize = isUnaddressed ? 0 : ipSizeOf(family);
  if (ipSize === null) header.fail("the PROXY header is not for TCP over IPv4 or IPv6");

  const length = header.uint16();
  if (length > maxBlock) header.fail("the PROXY header is too long");
  if (isUnaddressed || ipSize === null) {
    header.skip(length);
    return header.finish(() => ({ kind: "local" }));
  }

  if (length < ipSize * 2 + 4) header.fail("the PROXY header is too short for its addresses");
  header.limitTo(length);
  const sourceIp = readIp(bytes, header, ipSize);
  const destinationIp = readIp(bytes, header, ipSize);
  const sourcePort = header.uint16();
  const destinationPort = header.uint16();
  // Type-length-value fields: nothing in them is used here.
  header.skip(header.remaining);

  return header.finish(() => ({
    kind: "proxied",
    source: { ip: ipText(sourceIp), port: sourcePort },
    destination: { ip: ipText(destinationIp), port: destinationPort },
  }));
}

/** Bytes of an address of the family; null for datagrams and Unix sockets, which carry no player. */
function ipSizeOf(family: number): 4 | 16 | null {
  switch (family) {
    case tcp4:
      return 4;
    case tcp6:
      return 16;
    default:
      return null;
  }
}

function readIp(bytes: Uint8Array, header: Cursor, size: number): Uint8Array {
  const from = header.at;
  header.skip(size);
  return bytes.subarray(from, header.at);
}

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff);

function literalBytes(ip: string): Uint8Array {
  const bytes = ipBytes(ip.replace(/%.*$/, ""));
  if (bytes === null) throw new Error("an end of a connection is no IP literal");
  return bytes;
}

const isMapped = (ip: Uint8Array): boolean =>
  mappedPrefix.every((byte, index) => ip[index] === byte);

/**
 * The text of four bytes, or of sixteen: those of a mapped address as IPv4, others in their shortest form.
 */
function ipText(ip: Uint8Array): string {
  if (ip.length === 4) return ip.join(".");
  return isMapped(ip) ? ip.subarray(mappedPrefix.length).join(".") : ipv6Text(ip);
}
