/** What the table's notifications say has to be read again. */
export type Reread =
  | { readonly kind: "all" }
  | { readonly kind: "names"; readonly names: readonly string[] };

/** Collects notifications until it is time to read. */
export interface Hints {
  /** Notes one notification: a server's name, or "" for everything. True when it is the first since `take`. */
  note(payload: string): boolean;
  /** When the first one came, on the clock of `performance.now`; null when there is none. */
  since(): number | null;
  /** What to read, and starts anew. Null when there is nothing. */
  take(): Reread | null;
}

/** From here on it is cheaper to read everything. */
const mostNames = 200;

/** An empty collection. Equal names count once, so that it stays small in any storm. */
export function createHints(): Hints {
  let names = new Set<string>();
  let isAll = false;
  let firstAt: number | null = null;
  return {
    note(payload) {
      const isFirst = firstAt === null;
      firstAt ??= performance.now();
      if (isAll) return isFirst;
      names.add(payload);
      if (payload === "" || names.size > mostNames) {
        isAll = true;
        names = new Set();
      }
      return isFirst;
    },
    since: () => firstAt,
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
