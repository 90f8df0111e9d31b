import { hostPort, ipBytes, ipv6Text, withoutZone } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";
import { hostFault, textFault } from "./fault.ts";
import { toAscii } from "./hostname.ts";

/** The port that Minecraft clients and servers use when none is named. */
export const defaultPort = 25565;

/**
 * One place to dial. `host` is what is dialled: a name in lower case or an IP literal without
 * brackets. `text` is printed and spells the name as the operator does.
 */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly text: string;
}

/**
 * Where a backend listens: one place, or several of which any will do; `text` then names them all. Addresses
 * are compared by `sameAddress`.
 */
export interface Address extends Place {
  /** The places behind the first one; left out, there is none. */
  readonly others?: readonly Place[];
}

/** What stands between the places of an address. */
const separator = "|";
/** How many places an address may have: each gets its share of the dial timeout. */
const mostPlaces = 16;

/** The addresses that mean every address of a machine where it listens, and what is dialled for them. */
const wildcards: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);

/** The longest name DNS can carry, written with dots (RFC 1035, section 2.3.4, less the length octets). */
const longestHost = 253;

/** All places of an address, at least one. */
export const placesOf = (address: Address): readonly Place[] => [
  address,
  ...(address.others ?? []),
];

/**
 * Address from `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 literal, or from several of them with
 * `|` between; without a port it is 25565. Outer whitespace is dropped, and IPv6 literals take their shortest
 * form. `0.0.0.0` and `[::]` are this machine, as for other programs that dial them. Hosts that no resolver
 * knows are taken too: see `addressFault`. The error completes "the address ...".
 */
export function parseAddress(text: string): Result<Address, string> {
  return text.includes(separator) ? parseSeveral(text.split(separator)) : parsePlace(text);
}

function parseSeveral(texts: readonly string[]): Result<Address, string> {
  const places = new Map<string, Place>();
  for (const [index, text] of texts.entries()) {
    const place = parsePlace(text);
    if (!place.ok) return err(`${place.error} (part ${index + 1} of ${texts.length})`);
    places.set(placeKey(place.value), place.value);
  }
  if (places.size > mostPlaces) return err(`has more than ${mostPlaces} places`);
  const [first, ...others] = places.values();
  if (first === undefined) return err("is empty, expected host:port");
  const all = [...places.values()].map((place) => place.text).join(separator);
  return ok(others.length === 0 ? first : { ...first, text: all, others });
}

function parsePlace(text: string): Result<Place, string> {
  const trimmed = text.trim();
  if (trimmed === "") return err("is empty, expected host:port");
  if (/[\s\p{Cc}]/u.test(trimmed)) return err("has whitespace or a control character inside");
  if (trimmed.startsWith("[")) return parseBracketed(trimmed);

  const colon = trimmed.indexOf(":");
  if (colon === -1) return parseNamed(trimmed, "");
  if (colon === trimmed.lastIndexOf(":")) {
    return parseNamed(trimmed.slice(0, colon), trimmed.slice(colon));
  }
  const literal = ipv6Literal(trimmed);
  if (literal !== null) return ok(makeAddress(literal, defaultPort));
  return err("has more than one colon, expected host:port or [IPv6 address]:port");
}

/**
 * Address from its two parts, which must have been checked: a name or an IP literal without brackets, and a
 * port from 1 to 65535.
 */
export function makeAddress(host: string, port: number): Address {
  const name = host.includes(":") ? host : toAscii(host.toLowerCase());
  return { host: wildcards.get(host) ?? name, port, text: hostPort(host, port) };
}

/** Why that text can never be dialled, to complete "the address ..."; null when it can. */
export function addressFault(text: string): string | null {
  const fault = textFault(text);
  if (fault !== null) return fault;
  const address = parseAddress(text);
  if (!address.ok) return address.error;
  const faults = placesOf(address.value).map(({ host }) => hostFault(withoutZone(host)));
  return faults.find((each) => each !== null) ?? null;
}

/** The address of a text that can be dialled; else the error completes "the address ...". */
export function dialableAddress(text: string): Result<Address, string> {
  const fault = addressFault(text);
  return fault === null ? parseAddress(text) : err(fault);
}

/** What is odd about a place that can be dialled, as a clause that follows it; null for nothing. */
export function placeRemark({ host, port, text }: Place): string | null {
  const isListening = [...wildcards.keys()].some((bind) => text === hostPort(bind, port));
  return isListening ? `means every address of this machine; it is dialled as ${host}` : null;
}

/**
 * The address of a backend that has none while it sleeps. Nothing can be dialled there, and its text is
 * empty, as mc-router shows it.
 */
export const nowhere: Address = { host: "", port: 0, text: "" };

/** True for the address of a backend that has none. */
export const isNowhere = ({ text }: Address): boolean => text === "";

/** True when both name the same places in the same order, however they are spelled. */
export function sameAddress(a: Address, b: Address): boolean {
  const others = placesOf(b).map(placeKey);
  const places = placesOf(a).map(placeKey);
  return places.length === others.length && places.every((key, i) => key === others[i]);
}

const placeKey = ({ host, port }: Place): string => `${host} ${port}`;

function parseBracketed(text: string): Result<Place, string> {
  const close = text.indexOf("]");
  if (close === -1) return err("has no closing bracket, expected [IPv6 address]:port");
  const literal = ipv6Literal(text.slice(1, close));
  if (literal === null) return err("has no IPv6 address between its brackets");
  return withPort(literal, text.slice(close + 1));
}

function parseNamed(host: string, portPart: string): Result<Place, string> {
  if (host === "") return err("has no host, expected host:port");
  if (host.length > longestHost) return err(`has a host longer than ${longestHost} characters`);
  // Left of these, a URL or a mistyped literal would become a name that no resolver knows.
  if (/[[\]/\\]/.test(host)) return err("has a bracket or slash in its host, expected host:port");
  return withPort(host, portPart);
}

/** `portPart` is what follows the host: empty, or a colon and the port. */
function withPort(host: string, portPart: string): Result<Place, string> {
  if (portPart === "") return ok(makeAddress(host, defaultPort));
  const port = /^:\d{1,5}$/.test(portPart) ? Number(portPart.slice(1)) : 0;
  if (port < 1 || port > 65535) return err("has no valid port, expected a number from 1 to 65535");
  return ok(makeAddress(host, port));
}

/** The literal's shortest form, its zone as written; null when the text is none. */
function ipv6Literal(text: string): string | null {
  const bare = withoutZone(text);
  const bytes = bare.includes(":") ? ipBytes(bare) : null;
  return bytes === null ? null : ipv6Text(bytes) + text.slice(bare.length);
}
