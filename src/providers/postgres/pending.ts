/** What the table's notifications say has to be read again. */
export type Reload =
  | { readonly kind: "all" }
  | { readonly kind: "names"; readonly names: readonly string[] };

/** PendingChanges that wait to be read. */
export interface WaitingChanges {
  readonly kind: Reload["kind"];
  readonly since: number;
}

/** Collects notifications until it is time to read. */
export interface PendingChanges {
  /**
   * Notes one notification: a server's name, or "" for everything. True when it is the first since `take`.
   */
  note(payload: string): boolean;
  /** What `take` would give, and when the first of it came (`performance.now`); null: nothing has come. */
  waiting(): WaitingChanges | null;
  /** What to read, and starts anew. Null when there is nothing. */
  take(): Reload | null;
}

/**
 * An empty collection. Equal names count once, and more than `mostNames` mean everything, so it stays small.
 */
export function createPendingChanges(mostNames: () => number): PendingChanges {
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
      const taken: Reload = isAll ? { kind: "all" } : { kind: "names", names: [...names] };
      names = new Set();
      isAll = false;
      firstAt = null;
      return taken;
    },
  };
}
