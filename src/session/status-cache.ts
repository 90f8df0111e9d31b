import type { Deadlines } from "../base/deadlines.ts";
import { ok, type Result } from "../base/result.ts";
import type { Handshake } from "../protocol/handshake.ts";
import type { Address } from "../routing/address.ts";
import type { Hostname } from "../routing/hostname.ts";

/** A status response's frame, or one readable phrase why there is none. */
export type CachedStatus = Result<Uint8Array, string>;

/** What running backends last answered to pings. */
export interface StatusCache {
  /**
   * The answer under this key, asked for by `refresh` unless a fresh one is there. Later calls wait for the
   * same refresh, but for half a second at most where an older answer is there. A failure is not kept.
   * `refresh` settles in bounded time and must not depend on the client that happens to be first.
   */
  status(key: string, refresh: () => Promise<CachedStatus>): Promise<CachedStatus>;
}

/** What a cache needs. */
export interface StatusCacheDeps {
  /** How old an answer may be, ms. */
  readonly maxAgeMs: number;
  readonly deadlines: Deadlines;
}

interface Entry {
  /** The last answer; null before there is one. */
  frame: Uint8Array | null;
  answeredAt: number;
  refreshing: Promise<CachedStatus> | null;
}

/** How long a client waits for a newer answer when there is an older one, ms. */
const patienceMs = 500;
/** Answers that are kept, and bytes of them; those asked for longest ago make room. */
const entryLimit = 1_000;
const byteLimit = 32 * 1024 * 1024;

/**
 * What a client's mod loader appends to the hostname (`\0FML\0`, `\0FML2\0`, ...), to which servers answer
 * differently.
 */
const modLoader = /\0(FML\d?)\0/;

/**
 * One key for all clients that a backend answers alike. The hostname is part of it since a backend may be a
 * proxy; what else a client has put behind it is not, or each client could make a key of its own.
 */
export function statusKey(address: Address, handshake: Handshake, hostname: Hostname): string {
  const [, loader = ""] = modLoader.exec(handshake.rawHost) ?? [];
  return [address.text, handshake.protocol, loader, hostname].join(" ");
}

/** A cache that is empty at first. */
export function createStatusCache({ maxAgeMs, deadlines }: StatusCacheDeps): StatusCache {
  /** In the order in which they were last asked for. */
  const entries = new Map<string, Entry>();
  let bytes = 0;

  function status(key: string, refresh: () => Promise<CachedStatus>): Promise<CachedStatus> {
    const entry = entries.get(key) ?? { frame: null, answeredAt: 0, refreshing: null };
    entries.delete(key);
    entries.set(key, entry);
    makeRoom();
    const { frame } = entry;
    if (frame !== null && deadlines.now() - entry.answeredAt < maxAgeMs) {
      return Promise.resolve(ok(frame));
    }
    entry.refreshing ??= renew(key, entry, refresh);
    if (frame === null) return entry.refreshing;
    return soon(entry.refreshing, ok(frame));
  }

  async function renew(
    key: string,
    entry: Entry,
    refresh: () => Promise<CachedStatus>,
  ): Promise<CachedStatus> {
    try {
      const renewed = await refresh();
      keep(key, entry, renewed.ok ? renewed.value : null);
      return renewed;
    } catch (thrown) {
      keep(key, entry, null);
      throw thrown;
    } finally {
      entry.refreshing = null;
    }
  }

  /** Null forgets: a server that has gone is not shown as running. */
  function keep(key: string, entry: Entry, frame: Uint8Array | null): void {
    // The entry may have made room for others meanwhile.
    if (entries.get(key) !== entry) return;
    bytes += (frame?.length ?? 0) - (entry.frame?.length ?? 0);
    entry.frame = frame;
    entry.answeredAt = deadlines.now();
    if (frame === null) entries.delete(key);
    makeRoom();
  }

  function makeRoom(): void {
    for (const [key, entry] of entries) {
      if (entries.size <= entryLimit && bytes <= byteLimit) return;
      entries.delete(key);
      bytes -= entry.frame?.length ?? 0;
    }
  }

  /** The promise's value, or `otherwise` when it takes its time. */
  function soon(promise: Promise<CachedStatus>, otherwise: CachedStatus): Promise<CachedStatus> {
    return new Promise((resolve, reject) => {
      const deadline = deadlines.after(patienceMs, () => resolve(otherwise));
      promise.then(resolve, reject).finally(() => deadline.cancel());
    });
  }

  return { status };
}
