import { longestStatus, statusFrame, statusResponse } from "../protocol/status.ts";
import type { Route } from "../routing/route.ts";
import { type Icon, isIcon, toIcon } from "./icon.ts";

/**
 * What the server list showed for each backend while it ran, for when it sleeps. A backend goes by any text
 * that is its own.
 */
export interface StatusMemory {
  /**
   * True when this ping's answer should be looked at; then false for 30 s for the same backend and protocol.
   */
  mayLook(backend: string, protocol: number): boolean;
  /**
   * Keeps the JSON text of a backend's own answer to a client of this protocol; text that no client could
   * read is ignored.
   */
  remember(backend: string, protocol: number, json: string): void;
  /**
   * The status response for a backend that does not answer: its last one with no player online and, unless
   * `text` is empty, that text as its description. Where nothing is remembered it is mc-router's answer, or
   * null when there is no text either.
   */
  asleepStatus(backend: string, status: { protocol: number; text: string }): Uint8Array | null;
  /** The backend's last icon; null where it had none, or none that a client shows. */
  icon(backend: string): Icon | null;
  /** Everything remembered as plain JSON values, one for each backend, the one longest unheard of first. */
  save(): readonly SavedStatus[];
  /**
   * Takes in what `save` gave in an earlier run, before anything newer; gives how many of the values could
   * not be used.
   */
  restore(saved: readonly unknown[]): number;
}

/** One backend's answers, as a file keeps them. */
export interface SavedStatus {
  readonly version: typeof savedVersion;
  readonly backend: string;
  readonly favicon: string | null;
  readonly answers: readonly Answer[];
}

/** What a memory needs. */
export interface StatusMemoryDeps {
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** Something was remembered that was not known before. */
  changed(): void;
}

/**
 * One answer: its JSON text with no player online and without the favicon, which is the same for all
 * protocols.
 */
interface Answer {
  readonly protocol: number;
  readonly json: string;
}

interface Backend {
  favicon: string | null;
  /** What the favicon holds. */
  icon: Icon | null;
  /** Grows whenever something is remembered. */
  version: number;
  /** By protocol, the latest last. */
  readonly answers: Map<number, Answer>;
  /** By protocol: when its answer was looked at. */
  readonly looks: Map<number, number>;
}

type Members = Readonly<Record<string, unknown>>;

const savedVersion = 1;
const lookEveryMs = 30_000;
/**
 * Backends in all, and protocols of each, that are remembered; the oldest make room. An answer takes 64 KiB
 * at most.
 */
const backendLimit = 1_000;
const protocolLimit = 8;
/** Frames that are kept ready, and bytes of them; which versions there are is for clients to say. */
const frameLimit = 512;
const frameBytes = 4 * 1024 * 1024;

/** A memory that knows nothing yet. */
export function createStatusMemory(deps: StatusMemoryDeps): StatusMemory {
  /** The one heard of last is the last. */
  const backends = new Map<string, Backend>();
  const ready = createReadyFrames();

  /** The backend's place, which is now the last to be given up. */
  function placeOf(name: string): Backend {
    const known = backends.get(name);
    const place = known ?? {
      favicon: null,
      icon: null,
      version: 0,
      answers: new Map(),
      looks: new Map(),
    };
    setLast(backends, name, place, backendLimit);
    return place;
  }

  function mayLook(name: string, protocol: number): boolean {
    const lookedAt = backends.get(name)?.looks.get(protocol);
    if (lookedAt !== undefined && deps.now() - lookedAt < lookEveryMs) return false;
    setLast(placeOf(name).looks, protocol, deps.now(), protocolLimit);
    return true;
  }

  function remember(name: string, protocol: number, json: string): void {
    const seen = digest(json);
    if (seen === null) return;
    const place = placeOf(name);
    const isKnown =
      place.favicon === seen.favicon && place.answers.get(protocol)?.json === seen.json;
    setFavicon(place, seen.favicon);
    place.version += 1;
    setLast(place.answers, protocol, { protocol, json: seen.json }, protocolLimit);
    if (!isKnown) deps.changed();
  }

  function asleepStatus(
    name: string,
    status: { protocol: number; text: string },
  ): Uint8Array | null {
    const place = backends.get(name);
    if (place === undefined) {
      if (status.text === "") return null;
      return ready.frame(`${status.protocol} ${status.text}`, () => statusResponse(status));
    }
    const key = `${name} ${place.version} ${status.protocol} ${status.text}`;
    return ready.frame(key, () => {
      const answer = place.answers.get(status.protocol) ?? [...place.answers.values()].at(-1);
      const json = answer && render(answer, place.favicon, status);
      if (json) return statusFrame(json);
      return status.text === "" ? null : statusResponse(status);
    });
  }

  function save(): readonly SavedStatus[] {
    return [...backends]
      .filter(([, { answers }]) => answers.size > 0)
      .map(([backend, { favicon, answers }]) => ({
        version: savedVersion,
        backend,
        favicon,
        answers: [...answers.values()],
      }));
  }

  function restore(saved: readonly unknown[]): number {
    const usable = saved.filter(isSaved);
    for (const { backend, favicon, answers } of usable) {
      const place = placeOf(backend);
      setFavicon(place, favicon);
      place.version += 1;
      for (const { protocol, json } of answers) {
        setLast(place.answers, protocol, { protocol, json }, protocolLimit);
      }
    }
    return saved.length - usable.length;
  }

  const icon = (name: string): Icon | null => backends.get(name)?.icon ?? null;

  return { mayLook, remember, asleepStatus, icon, save, restore };
}

/** The name of a route's backend in a memory: no other route has it, and it outlives a change of address. */
export const rememberedAs = ({ source, id }: Route): string => `${source} ${id}`;

function setFavicon(place: Backend, favicon: string | null): void {
  if (place.favicon === favicon) return;
  place.favicon = favicon;
  place.icon = favicon === null ? null : toIcon(favicon);
}

/**
 * Frames that are ready to be sent: the answers of sleeping servers are the same for all clients of one
 * version.
 */
function createReadyFrames() {
  /** The one made last is the last. */
  const frames = new Map<string, Uint8Array | null>();
  let bytes = 0;

  function forgetOldest(): void {
    for (const [key, frame] of frames) {
      if (frames.size <= frameLimit && bytes <= frameBytes) return;
      frames.delete(key);
      bytes -= frame?.length ?? 0;
    }
  }

  return {
    /** The frame that goes by this key, made where it is not there. */
    frame(key: string, make: () => Uint8Array | null): Uint8Array | null {
      const known = frames.get(key);
      if (known !== undefined) return known;
      const made = make();
      frames.set(key, made);
      bytes += made?.length ?? 0;
      forgetOldest();
      return made;
    },
  };
}

/** Puts an entry last; those that have been in the map for longest go, down to `limit` entries. */
function setLast<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, limit: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) return;
    map.delete(oldest);
  }
}

/** What is kept of a backend's answer; null when it is none that a client could read. */
function digest(json: string): { readonly favicon: string | null; readonly json: string } | null {
  const entry = json.length > longestStatus ? null : toMembers(json);
  if (entry === null) return null;
  const { favicon, ...others } = entry;
  const { players, version } = others;
  if (![players, version].every((member) => member === undefined || isMembers(member))) return null;
  const kept = players === undefined ? others : { ...others, players: withoutPlayers(players) };
  const text = toText(kept);
  return text === null ? null : { favicon: isIcon(favicon) ? favicon : null, json: text };
}

function withoutPlayers(players: unknown): Members {
  const { sample: _, ...others } = isMembers(players) ? players : {};
  return { ...others, online: 0 };
}

/** The answer for a client; null when it would be longer than clients read. */
function render(
  answer: Answer,
  favicon: string | null,
  status: { readonly protocol: number; readonly text: string },
): string | null {
  const entry = toMembers(answer.json);
  if (entry === null) return null;
  const json = toText({
    ...entry,
    ...versionFor(entry["version"], answer.protocol, status.protocol),
    ...(status.text === "" ? {} : { description: { text: status.text } }),
    ...(favicon === null ? {} : { favicon }),
  });
  return json === null || json.length > longestStatus ? null : json;
}

/**
 * A backend that echoed its client's protocol, as those do that speak several, is taken to do so for this
 * client too.
 */
function versionFor(version: unknown, asked: number, asking: number): { version?: Members } {
  if (!isMembers(version) || version["protocol"] !== asked || asked === asking) return {};
  return { version: { ...version, protocol: asking } };
}

function toMembers(json: string): Members | null {
  try {
    const value: unknown = JSON.parse(json);
    return isMembers(value) ? value : null;
  } catch {
    // No JSON, or nested beyond what the runtime bears: no client could read it either.
    return null;
  }
}

function toText(members: Members): string | null {
  try {
    return JSON.stringify(members);
  } catch {
    // Nested beyond what the runtime bears.
    return null;
  }
}

const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isSaved = (value: unknown): value is SavedStatus =>
  isMembers(value) &&
  value["version"] === savedVersion &&
  typeof value["backend"] === "string" &&
  (value["favicon"] === null || (isIcon(value["favicon"]) && isShort(value["favicon"]))) &&
  Array.isArray(value["answers"]) &&
  value["answers"].every(isAnswer);

const isAnswer = (value: unknown): value is Answer =>
  isMembers(value) &&
  Number.isInteger(value["protocol"]) &&
  typeof value["json"] === "string" &&
  isShort(value["json"]) &&
  digest(value["json"])?.json === value["json"];

const isShort = (text: string): boolean => text.length <= longestStatus;
