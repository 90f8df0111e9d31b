/** A map of limited size: the entry that was set longest ago makes room for a new one. */
interface Recent<Key, Value> {
  /** Null when there is none, or none any more. */
  get(key: Key): Value | null;
  /** Sets an entry, which is the newest from now on. */
  set(key: Key, value: Value): void;
  delete(key: Key): boolean;
  /** Oldest first. */
  entries(): Iterable<readonly [Key, Value]>;
}

/** An empty map for at most `limit` entries. */
export function createRecent<Key, Value>(limit: number): Recent<Key, Value> {
  const kept = new Map<Key, Value>();
  return {
    get: (key) => kept.get(key) ?? null,
    set(key, value) {
      // Deleted first, so that the map's order is that of setting.
      kept.delete(key);
      kept.set(key, value);
      if (kept.size <= limit) return;
      const [oldest] = kept.keys();
      if (oldest !== undefined) kept.delete(oldest);
    },
    delete: (key) => kept.delete(key),
    entries: () => kept.entries(),
  };
}
