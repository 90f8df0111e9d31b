/** What the table's notifications say has to be read again. */
export type Reread =
  | { readonly kind: "all" }
  | { readonly kind: "names"; readonly names: readonly string[] };

/** Hints that wait to be read. */
export interface WaitingHints {
  readonly kind: Reread["kind"];
  readonly since: number;
}

/** Collects notifications until it is time to read. */
export interface Hints {
  /** Notes one notification: a server's name, or "" for everything. True when it is the first since `take`. */
  note(payload: string): boolean;
  /** What `take` would give by now, and when the first of it came, on the clock of `performance.now`; null when there is nothing. */
  waiting(): WaitingHints | null;
  /** What to read, and starts anew. Null when there is nothing. */
  take(): Reread | null;
}

/**
 * An empty collection. Equal names count once, and more than `mostNames` at a time mean everything, so that it stays small in any storm.
 */
export function createHints(mostNames: () => number): Hints {
  let names = new Set<string>();
  let isAll = false;
  let firstAt: number | null = null;
  return {
    note(payload) {
      const isFirst = firstAt === null;
      firstAt ??= performance.now();
      if (isAll) return isFirst;
      names.add(payload);
      if (payload === "" || names.size > mostNames()) {
        isAll = true;
        names = new Set();
      }
      return isFirst;
    },
    waiting: () => (firstAt === null ? null : { kind: isAll ? "all" : "names", since: firstAt }),
    take() {
      if (firstAt === null) return null;
      const taken: Reread = isAll ? { kind: "all" } : { kind: "names", names: [...names] };
      names = new Set();
      isAll = false;
      firstAt = null;
      return taken;
    },
  };
}
