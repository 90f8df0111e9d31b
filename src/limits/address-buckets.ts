import { type IpPrefix, readIpPrefix } from "./ip-prefix.ts";

/**
 * How fast tokens of one kind come back to an address, and how many it has at most. `perSecond` 0: no limit.
 */
export interface TokenRate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * What is counted for each client address and for the network around it: IPv4 /32 and /24, IPv6 /64 and /48.
 * An address that is unknown, or has been forgotten to make room, has all its tokens. Text that is no IP
 * literal is never limited.
 */
export interface AddressBuckets {
  /**
   * Takes a token of this kind from the address and one from its network; false, and takes none, when either
   * has none left.
   */
  take(ip: string, kind: number): boolean;
  /** Gives back what a successful `take` took. */
  giveBack(ip: string, kind: number): void;
  /** Whether one more client may be connected from this address and from its network. */
  hasRoom(ip: string): boolean;
  /** Counts one more connected client. */
  enter(ip: string): void;
  /** Takes back one `enter`. */
  leave(ip: string): void;
}

/** What buckets need. */
export interface AddressBucketsDeps {
  /** One for each kind of token. */
  readonly rates: readonly TokenRate[];
  /** How many clients may be connected at a time from one address; 0: no limit. */
  readonly liveLimit: number;
  /** How many addresses and networks are remembered: a power of two from 16. */
  readonly entries: number;
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now?: () => number;
}

/** A network has so many times what a single address has. */
export const networkFactor = 4;

/**
 * An entry may stand in this many places, all next to each other; the least useful entry there makes room.
 */
const ways = 16;

/** What an entry counts for; 0 is a free place. */
const tags = { ipv4: 1, ipv4Network: 2, ipv6: 3, ipv6Network: 4 } as const;

/**
 * A table of fixed size: typed arrays of 21 bytes, and 8 for each kind of token, for each entry. Where an
 * entry stands depends on a number drawn at start, so that an attacker cannot choose addresses that crowd one
 * place.
 */
export function createAddressBuckets(deps: AddressBucketsDeps): AddressBuckets {
  const { entries, liveLimit, now = () => performance.now() } = deps;
  const kinds = deps.rates.length;
  const perMs = Float64Array.from(deps.rates, ({ perSecond }) => perSecond / 1000);
  const bursts = Float64Array.from(deps.rates, ({ burst }) => burst);
  const salt = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const sets = entries / ways;

  const tagOf = new Uint8Array(entries);
  const highOf = new Uint32Array(entries);
  const lowOf = new Uint32Array(entries);
  const liveOf = new Uint32Array(entries);
  const filledAt = new Float64Array(entries);
  const tokens = new Float64Array(entries * kinds);

  const prefix: IpPrefix = { family: 4, high: 0, low: 0 };

  /** The first of the places in which an entry may stand. */
  function placeOf(tag: number, high: number, low: number): number {
    let hash = Math.imul(high ^ salt, 0x9e37_79b1) ^ Math.imul(low + tag, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
    hash = Math.imul(hash ^ (hash >>> 12), 0x297a_2d39);
    return ((hash ^ (hash >>> 15)) & (sets - 1)) * ways;
  }

  /** The entry, or -1. */
  function find(tag: number, high: number, low: number): number {
    const first = placeOf(tag, high, low);
    for (let at = first; at < first + ways; at += 1) {
      if (highOf[at] === high && lowOf[at] === low && tagOf[at] === tag) return at;
    }
    return -1;
  }

  /** The entry with its tokens as of now, made if need be. */
  function touch(tag: number, high: number, low: number, time: number): number {
    const found = find(tag, high, low);
    if (found !== -1) {
      fill(found, time);
      return found;
    }
    const at = leastUseful(placeOf(tag, high, low), time);
    tagOf[at] = tag;
    highOf[at] = high;
    lowOf[at] = low;
    liveOf[at] = 0;
    filledAt[at] = time;
    for (let kind = 0; kind < kinds; kind += 1) tokens[at * kinds + kind] = fullOf(at, kind);
    return at;
  }

  /** The tokens that an entry has at most. */
  function fullOf(at: number, kind: number): number {
    const burst = bursts[kind] ?? 0;
    return isNetwork(at) ? burst * networkFactor : burst;
  }

  const isNetwork = (at: number): boolean =>
    tagOf[at] === tags.ipv4Network || tagOf[at] === tags.ipv6Network;

  function fill(at: number, time: number): void {
    const elapsed = Math.max(0, time - (filledAt[at] ?? 0)) * (isNetwork(at) ? networkFactor : 1);
    filledAt[at] = time;
    for (let kind = 0; kind < kinds; kind += 1) {
      const index = at * kinds + kind;
      tokens[index] = Math.min(
        fullOf(at, kind),
        (tokens[index] ?? 0) + elapsed * (perMs[kind] ?? 0),
      );
    }
  }

  /**
   * Of the places from `first` on a free one; else the one whose entry has the largest part of its tokens, as
   * a full one tells nothing, and of equal ones the oldest. Entries with connected clients go last.
   */
  function leastUseful(first: number, time: number): number {
    let best = first;
    let bestScore = Number.NEGATIVE_INFINITY;
    let bestAge = Number.NEGATIVE_INFINITY;
    for (let at = first; at < first + ways; at += 1) {
      if (tagOf[at] === 0) return at;
      const age = time - (filledAt[at] ?? 0);
      const score = (liveOf[at] ?? 0) === 0 ? fullness(at, age) : -(liveOf[at] ?? 0);
      if (score > bestScore || (score === bestScore && age > bestAge)) {
        best = at;
        bestScore = score;
        bestAge = age;
      }
    }
    return best;
  }

  /** From 0 for an entry that has used up tokens of some kind to 1 for one that has all of every kind. */
  function fullness(at: number, age: number): number {
    const share = isNetwork(at) ? networkFactor : 1;
    let least = 1;
    for (let kind = 0; kind < kinds; kind += 1) {
      const perMillisecond = perMs[kind] ?? 0;
      if (perMillisecond === 0) continue;
      const held = (tokens[at * kinds + kind] ?? 0) + age * perMillisecond * share;
      least = Math.min(least, held / fullOf(at, kind));
    }
    return least;
  }

  const networkLow = (): number => (prefix.family === 4 ? 0 : (prefix.low & 0xffff_0000) >>> 0);
  const networkHigh = (): number =>
    prefix.family === 4 ? (prefix.high & 0xffff_ff00) >>> 0 : prefix.high;
  const addressTag = (): number => (prefix.family === 4 ? tags.ipv4 : tags.ipv6);
  const networkTag = (): number => (prefix.family === 4 ? tags.ipv4Network : tags.ipv6Network);

  function take(ip: string, kind: number): boolean {
    if (perMs[kind] === 0 || !readIpPrefix(ip, prefix)) return true;
    const time = now();
    // The network first: making the address's entry must not cost the network its own.
    const network = touch(networkTag(), networkHigh(), networkLow(), time) * kinds + kind;
    if ((tokens[network] ?? 0) < 1) return false;
    const address = touch(addressTag(), prefix.high, prefix.low, time) * kinds + kind;
    if ((tokens[address] ?? 0) < 1) return false;
    tokens[network] = (tokens[network] ?? 0) - 1;
    tokens[address] = (tokens[address] ?? 0) - 1;
    return true;
  }

  function giveBack(ip: string, kind: number): void {
    if (perMs[kind] === 0 || !readIpPrefix(ip, prefix)) return;
    giveBackTo(find(networkTag(), networkHigh(), networkLow()), kind);
    giveBackTo(find(addressTag(), prefix.high, prefix.low), kind);
  }

  function giveBackTo(at: number, kind: number): void {
    const index = at * kinds + kind;
    if (at !== -1) tokens[index] = Math.min(fullOf(at, kind), (tokens[index] ?? 0) + 1);
  }

  function hasRoom(ip: string): boolean {
    if (liveLimit === 0 || !readIpPrefix(ip, prefix)) return true;
    const network = find(networkTag(), networkHigh(), networkLow());
    if (network !== -1 && (liveOf[network] ?? 0) >= liveLimit * networkFactor) return false;
    const address = find(addressTag(), prefix.high, prefix.low);
    return address === -1 || (liveOf[address] ?? 0) < liveLimit;
  }

  function enter(ip: string): void {
    if (liveLimit === 0 || !readIpPrefix(ip, prefix)) return;
    const time = now();
    // From here on the network's entry counts as used, so that the address's does not push it out.
    const network = touch(networkTag(), networkHigh(), networkLow(), time);
    liveOf[network] = (liveOf[network] ?? 0) + 1;
    const address = touch(addressTag(), prefix.high, prefix.low, time);
    liveOf[address] = (liveOf[address] ?? 0) + 1;
  }

  function leave(ip: string): void {
    if (liveLimit === 0 || !readIpPrefix(ip, prefix)) return;
    leaveFrom(find(networkTag(), networkHigh(), networkLow()));
    leaveFrom(find(addressTag(), prefix.high, prefix.low));
  }

  /** An entry that has been forgotten in between counts from 0 again, and never below. */
  function leaveFrom(at: number): void {
    if (at !== -1) liveOf[at] = Math.max(0, (liveOf[at] ?? 0) - 1);
  }

  return { take, giveBack, hasRoom, enter, leave };
}
