import { ipBytes, mappedPrefix, withoutZone } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type IpPrefix, readIpPrefix } from "./ip-prefix.ts";

/**
 * Neighbouring addresses, by their first and last place on one line for both families: IPv6
 * addresses have their value as their place, IPv4 addresses follow behind the last of them. So
 * `::/0` holds no IPv4 address, as operators expect.
 */
export interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** The addresses of some ranges. */
export interface AddressSet {
  /** True when the IP literal is in one of the ranges; text that is none is in no range. */
  has(ip: string): boolean;
}

/** Ranges of clients, as `CLIENTS_TO_ALLOW` and `CLIENTS_TO_DENY` hold them. */
export interface ClientFilterRanges {
  readonly allow: readonly AddressRange[];
  readonly deny: readonly AddressRange[];
}

/** Decides by a client's address whether it is served. */
export interface ClientFilter {
  admits(ip: string): boolean;
}

const ipv4Bits = 32;
const ipv6Bits = 128;

/** Where IPv4 addresses begin on the line. */
const behindIpv6 = 1n << 128n;

/** What an IPv4 address holds above its last 32 bits when it is written as one of IPv6. */
const mappedHigh = BigInt(`0x${mappedPrefix.toHex()}`);

/**
 * Range from an IP literal, which stands for itself, or from what `parseCidr` takes. A literal may
 * have a zone, which is not compared: a client's address need not come with its own. The error
 * completes "the entry ..." and never holds the input.
 */
export function parseAddressRange(text: string): Result<AddressRange, string> {
  if (text.includes("/")) return parseCidr(text);
  const place = placeOf(text, 0);
  if (place === null) return err("is neither an IP address nor a range such as 10.0.0.0/8");
  return ok({ first: place, last: place });
}

/**
 * Range from `address/length`, strictly written, in which bits behind the prefix need not be zero.
 * An IPv4-mapped prefix of at least 96 bits means the IPv4 addresses. The error completes "the
 * entry ..." and never holds the input.
 */
export function parseCidr(text: string): Result<AddressRange, string> {
  const slash = text.indexOf("/");
  if (slash === -1) return err("has no prefix length, expected a range such as 10.0.0.0/8");
  const ip = text.slice(0, slash);
  const digits = text.slice(slash + 1);
  const bits = ip.includes(":") ? ipv6Bits : ipv4Bits;
  const length = /^(0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY;
  const hostBits = bits - length;

  const place = placeOf(ip, hostBits);
  if (place === null) return err("has no IP address before its slash");
  if (ip.includes("%")) return err("has a zone, which only a single address may have");
  if (length > bits) return err(`has no prefix length from 0 to ${bits} behind its slash`);

  const hosts = (1n << BigInt(hostBits)) - 1n;
  return ok({ first: place & ~hosts, last: place | hosts });
}

/**
 * A set whose look-up is a binary search, however the ranges overlap. For an IPv4 address it
 * allocates nothing.
 */
export function createAddressSet(ranges: readonly AddressRange[]): AddressSet {
  const apart = withoutOverlaps(ranges);
  const ipv4 = apart.filter(({ last }) => last >= behindIpv6);
  const firsts = Float64Array.from(ipv4, ({ first }) => Math.max(0, Number(first - behindIpv6)));
  const lasts = Float64Array.from(ipv4, ({ last }) => Number(last - behindIpv6));
  const ipv6Firsts = apart.map(({ first }) => first);
  const ipv6Lasts = apart.map(({ last }) => last);
  const prefix: IpPrefix = { family: 4, high: 0, low: 0 };

  function has(ip: string): boolean {
    if (!readIpPrefix(ip, prefix)) return false;
    if (prefix.family === 4) return isWithin(prefix.high, firsts, lasts);
    const place = placeOf(ip, 0);
    return place !== null && isWithin(place, ipv6Firsts, ipv6Lasts);
  }

  return { has };
}

/** Binary search in sorted, disjoint ranges. */
function isWithin<Place extends number | bigint>(
  place: Place,
  firsts: ArrayLike<Place>,
  lasts: ArrayLike<Place>,
): boolean {
  // Ranges before `low` end before the place, ranges from `high` on begin behind it.
  let low = 0;
  let high = firsts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const first = firsts[middle];
    const last = lasts[middle];
    if (first === undefined || last === undefined) return false;
    if (place < first) high = middle;
    else if (place > last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Admits what is on the allow list, or every client where that is empty, unless it is on the deny list. */
export function createClientFilter({ allow, deny }: ClientFilterRanges): ClientFilter {
  // Without any range no address need be read.
  if (allow.length === 0 && deny.length === 0) return { admits: () => true };
  const allowed = createAddressSet(allow);
  const denied = createAddressSet(deny);
  return { admits: (ip) => (allow.length === 0 || allowed.has(ip)) && !denied.has(ip) };
}

/** The same addresses in ascending ranges of which no two share one. */
function withoutOverlaps(ranges: readonly AddressRange[]): readonly AddressRange[] {
  const ascending = ranges.toSorted((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first)));
  const apart: AddressRange[] = [];
  for (const range of ascending) {
    const before = apart.at(-1);
    if (before === undefined || range.first > before.last) apart.push(range);
    else if (range.last > before.last) apart.splice(-1, 1, { ...before, last: range.last });
  }
  return apart;
}

/**
 * Where an address is on the line, or where a prefix is that leaves so many bits to its hosts; null
 * for what is no IP literal.
 */
function placeOf(ip: string, hostBits: number): bigint | null {
  const bytes = ipBytes(withoutZone(ip));
  if (bytes === null) return null;
  const value = BigInt(`0x${bytes.toHex()}`);
  const isIpv4 = value >> 32n === mappedHigh && hostBits <= ipv4Bits;
  return isIpv4 ? behindIpv6 + BigInt.asUintN(ipv4Bits, value) : value;
}
