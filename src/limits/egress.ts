import { networkInterfaces } from "node:os";
import { err, ok, type Result } from "../base/result.ts";
import { type AddressRange, type AddressSet, createAddressSet, parseAddressRange } from "./cidr.ts";

/** Addresses, and the ports there. */
export interface EgressRange {
  readonly addresses: AddressRange;
  readonly firstPort: number;
  readonly lastPort: number;
  /** As the operator wrote it. */
  readonly text: string;
}

/** Where the router may connect to. */
export interface Egress {
  /**
   * Why nothing is ever sent to this IP literal and port, as a phrase to follow the address; null
   * when it may be dialled.
   */
  refusal(ip: string, port: number): string | null;
  /**
   * Tells that the router itself listens there, which no route may lead to. A wildcard means every
   * address of this machine.
   */
  listens(bind: string, port: number): void;
  /** How many dials have been refused so far. */
  refused(): number;
}

/** Where backends may be, as the operator says. */
export interface EgressRules {
  /** Nowhere else may be connected to; empty: everywhere. */
  readonly allow: readonly EgressRange[];
  /** Counts also for what is allowed. */
  readonly deny: readonly EgressRange[];
}

/** What an egress needs. */
export interface EgressDeps extends EgressRules {
  /** The IP literals of this machine; by default the system's. */
  readonly ownAddresses?: () => readonly string[];
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now?: () => number;
}

/**
 * For how long this machine's addresses are taken to stay what they are, ms: to ask takes longer
 * than to dial.
 */
const ownAddressesMs = 5_000;

/**
 * Addresses that no backend has, some of which give secrets away: RFC 3927, RFC 4291, and the
 * metadata services of clouds.
 */
const never: readonly { readonly what: string; readonly ranges: readonly string[] }[] = [
  { what: "is a link-local address", ranges: ["169.254.0.0/16", "fe80::/10"] },
  { what: "is a cloud's metadata service", ranges: ["fd00:ec2::254"] },
  { what: "is no address of a machine", ranges: ["0.0.0.0/8", "::"] },
  {
    what: "is an address of many machines",
    ranges: ["224.0.0.0/4", "255.255.255.255", "ff00::/8"],
  },
];

/** The addresses that are this machine whatever its interfaces have. */
const loopbackRanges = ["127.0.0.0/8", "::1"];

/** The rules for addresses that have been resolved: a name is judged by where it leads at that moment. */
export function createEgress(deps: EgressDeps): Egress {
  const { ownAddresses = systemAddresses, now = () => performance.now() } = deps;
  const isNever = addressSet(never.flatMap(({ ranges }) => ranges));
  const allow = deps.allow.map(matcher);
  const deny = deps.deny.map(matcher);
  const listeners: Listener[] = [];
  let own = addressSet(loopbackRanges);
  let ownSince = Number.NEGATIVE_INFINITY;
  let count = 0;

  function reasonFor(ip: string, port: number): string | null {
    if (isNever.has(ip))
      return never.find(({ ranges }) => addressSet(ranges).has(ip))?.what ?? null;
    if (isOwn(ip, port)) return "is this router itself";
    const denied = deny.find((rule) => rule.matches(ip, port));
    if (denied !== undefined) return `is in AUTOMC_BACKEND_DENY (${denied.text})`;
    if (allow.length === 0 || allow.some((rule) => rule.matches(ip, port))) return null;
    return "is not in AUTOMC_BACKEND_ALLOW";
  }

  const isOwn = (ip: string, port: number): boolean =>
    listeners.some((listener) => listener.port === port && listener.hears(ip));

  function isOfThisMachine(ip: string): boolean {
    if (now() - ownSince >= ownAddressesMs) {
      own = addressSet([...loopbackRanges, ...ownAddresses()]);
      ownSince = now();
    }
    return own.has(ip);
  }

  function hearerOf(bind: string): (ip: string) => boolean {
    if (bind === "::") return isOfThisMachine;
    if (bind === "0.0.0.0") return (ip) => isIpv4(ip) && isOfThisMachine(ip);
    const bound = addressSet([bind]);
    return (ip) => bound.has(ip);
  }

  return {
    refusal(ip, port) {
      const reason = reasonFor(ip, port);
      if (reason !== null) count += 1;
      return reason;
    },
    listens: (bind, port) => void listeners.push({ port, hears: hearerOf(bind) }),
    refused: () => count,
  };
}

/**
 * A range from `10.0.0.0/8`, `10.0.0.5:25565`, `10.0.0.0/8:25565-25600` or `[fd00::/8]:25565`. The
 * error completes "the entry ..." and never holds the input.
 */
export function parseEgressRange(text: string): Result<EgressRange, string> {
  const cut = splitPorts(text);
  const addresses = parseAddressRange(cut.addresses);
  if (!addresses.ok) return addresses;
  const everyPort = { firstPort: 1, lastPort: 65_535 };
  const ports = cut.ports === null ? everyPort : parsePorts(cut.ports);
  if (ports === null) return err("has no port from 1 to 65535, or range of them, behind its colon");
  return ok({ addresses: addresses.value, ...ports, text });
}

/** In brackets a colon belongs to the address; without them two colons do. */
function splitPorts(text: string): { readonly addresses: string; readonly ports: string | null } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) return { addresses: bracketed[1] ?? "", ports: bracketed[2] ?? null };
  const [addresses = "", ports, ...more] = text.split(":");
  if (ports === undefined || more.length > 0) return { addresses: text, ports: null };
  return { addresses, ports };
}

function parsePorts(text: string): { firstPort: number; lastPort: number } | null {
  const [, first, last = first] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text) ?? [];
  const ports = { firstPort: Number(first), lastPort: Number(last) };
  return ports.firstPort <= ports.lastPort && ports.lastPort <= 65_535 ? ports : null;
}

interface Listener {
  readonly port: number;
  hears(ip: string): boolean;
}

interface Matcher {
  readonly text: string;
  matches(ip: string, port: number): boolean;
}

function matcher({ addresses, firstPort, lastPort, text }: EgressRange): Matcher {
  const set = createAddressSet([addresses]);
  return { text, matches: (ip, port) => port >= firstPort && port <= lastPort && set.has(ip) };
}

function addressSet(ranges: readonly string[]): AddressSet {
  return createAddressSet(
    ranges.flatMap((text) => {
      const range = parseAddressRange(text);
      return range.ok ? [range.value] : [];
    }),
  );
}

const allIpv4 = addressSet(["0.0.0.0/0"]);
const isIpv4 = (ip: string): boolean => allIpv4.has(ip);

const systemAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
