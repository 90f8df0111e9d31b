import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { codeOf } from "../base/thrown.ts";
import { withinOr } from "../base/wait.ts";

/** Where the host's own files are. */
export interface HostFilesDeps {
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now: () => number;
  /** By default where the system keeps them. */
  readonly hostsPath?: string;
  readonly resolvConfPath?: string;
}

/** What the host's own files say of names: hosts(5) and resolv.conf(5). */
interface HostFiles {
  /** The addresses of a name in lower case, IPv4 first; null when the host keeps none. */
  addressesOf(name: string): Promise<readonly string[] | null>;
  /** The full names that a name may stand for, in the order in which resolv.conf(5) tries them. */
  candidates(name: string): Promise<readonly string[]>;
}

/**
 * How often the host's files are looked at, and how long a look-up waits for the disk before it
 * uses what it knows.
 */
const recheckMs = 1_000;
const diskPatienceMs = 100;

const searchLimit = 6;

/** The files as they are at each question, or were when the disk last answered. */
export function createHostFiles(deps: HostFilesDeps): HostFiles {
  const { now, hostsPath = defaultHostsPath(), resolvConfPath = "/etc/resolv.conf" } = deps;
  const hosts = createWatchedFile(hostsPath, parseHosts, now);
  const resolvConf = createWatchedFile(resolvConfPath, parseResolvConf, now);
  return {
    addressesOf: async (name) => (await hosts.read()).get(name) ?? null,
    candidates: async (name) => candidates(name, await resolvConf.read()),
  };
}

interface WatchedFile<T> {
  /** What the file says now, or said when the disk last answered. */
  read(): Promise<T>;
}

/** A small file of the host that may change at any time. An absent one reads like an empty one. */
function createWatchedFile<T>(
  path: string,
  parse: (text: string) => T,
  now: () => number,
): WatchedFile<T> {
  let value = parse("");
  let stamp = "";
  let nextCheck = Number.NEGATIVE_INFINITY;
  let checking: Promise<T> | null = null;

  async function check(): Promise<T> {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const seen = `${mtimeMs} ${size} ${ino}`;
      if (seen !== stamp) value = parse(await readFile(path, "utf8"));
      stamp = seen;
    } catch (cause) {
      // Any other failure (no file descriptors left, say) tells nothing about the content.
      if (codeOf(cause) === "ENOENT") {
        value = parse("");
        stamp = "";
      }
    } finally {
      checking = null;
    }
    return value;
  }

  function read(): Promise<T> {
    if (checking !== null) return checking;
    if (now() < nextCheck) return Promise.resolve(value);
    nextCheck = now() + recheckMs;
    // The pool that reads files may be blocked by another getaddrinfo: then what is known must do.
    checking = withinOr(diskPatienceMs, check(), () => value);
    return checking;
  }

  return { read };
}

/** Where the host keeps its own names. */
const defaultHostsPath = (): string =>
  process.platform === "win32" ? "C:\\Windows\\System32\\drivers\\etc\\hosts" : "/etc/hosts";

/** hosts(5): names in lower case, each with all its addresses, IPv4 first. */
function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [ip = "", ...names] of fields(text)) {
    if (isIP(ip) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const ips = found.get(key) ?? [];
      if (!ips.includes(ip)) ips.push(ip);
      found.set(key, ips);
    }
  }
  for (const ips of found.values()) ips.sort((a, b) => isIP(a) - isIP(b));
  return found;
}

interface SearchRules {
  readonly search: readonly string[];
  /** A name with this many dots is first tried as it is. */
  readonly dotsEnough: number;
}

/** resolv.conf(5): the last `search` or `domain` line, and `ndots`. c-ares reads the rest. */
function parseResolvConf(text: string): SearchRules {
  let search: readonly string[] = [];
  let dotsEnough = 1;
  for (const [keyword, ...values] of fields(text)) {
    if (keyword === "search") search = values;
    if (keyword === "domain") search = values.slice(0, 1);
    if (keyword !== "options") continue;
    for (const option of values) {
      const dots = /^ndots:(\d+)$/.exec(option)?.[1];
      if (dots !== undefined) dotsEnough = Math.min(15, Number(dots));
    }
  }
  const domains = search.map((domain) => domain.replace(/^\.|\.$/g, "").toLowerCase());
  return { search: domains.filter((domain) => domain !== "").slice(0, searchLimit), dotsEnough };
}

/** The words of each line, without comments. */
const fields = (text: string): string[][] =>
  text.split("\n").map((line) =>
    line
      .replace(/[#;].*/, "")
      .split(/\s+/)
      .filter((word) => word !== ""),
  );

function candidates(name: string, { search, dotsEnough }: SearchRules): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const expanded = search.map((domain) => `${name}.${domain}`);
  const dots = name.split(".").length - 1;
  return dots >= dotsEnough ? [name, ...expanded] : [...expanded, name];
}
