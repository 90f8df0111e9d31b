import { err, ok } from "../../base/result.ts";
import type { CycleDeps } from "./cycle.ts";
import type { PublishChanges } from "./publish.ts";
import type { ServerRows } from "./rows.ts";
import { filterProblem, judgeHearing, type TableFacts } from "./table.ts";

/** What applying a read needs. */
interface RefreshDeps {
  readonly rows: ServerRows;
  readonly apply: PublishChanges;
  /** A table that has lost most of its routes is believed when it still has after this time, ms. */
  readonly confirmMs: number;
  readonly warn: (message: string) => void;
}

/** Up to so many lost routes are never held back. */
const fewLosses = 10;

/**
 * Reads what has changed, or everything, and applies it. Two things are not believed at once: a table that
 * has lost most of its routes, because a TRUNCATE and a refill are often two transactions, and one that row
 * level security may have emptied.
 */
export function createRefresh({ rows, apply, confirmMs, warn }: RefreshDeps): CycleDeps["refresh"] {
  const tellOnce = createTeller(warn);
  let doubtedAt: number | null = null;
  const isDoubtful = (losses: number): boolean =>
    losses > fewLosses && losses * 2 > rows.routeCount();

  /** How long to wait for a second read that agrees; 0: the losses are believed. */
  function doubtMs(losses: number): number {
    if (!isDoubtful(losses)) return 0;
    const now = performance.now();
    if (doubtedAt === null) {
      warn(
        `${losses} of ${rows.routeCount()} routes are gone from the table; they stay until a second read in ${confirmMs / 1_000} s agrees`,
      );
    }
    doubtedAt ??= now;
    return Math.max(0, doubtedAt + confirmMs - now);
  }

  return async (reader, reload) => {
    if (reload.kind === "names") {
      const named = await reader.readNamed(reload.names);
      if (!named.ok && !isAboutData(named.error.code)) return named;
      if (named.ok && !isDoubtful(rows.lossesAmong(reload.names, named.value))) {
        await apply(rows.applyNamed(reload.names, named.value));
        return ok({ againMs: null, hearing: null });
      }
      // The payload was no name, or most routes are gone: reading everything finds out.
    }
    const full = rows.beginFull();
    let found = 0;
    const read = await reader.readAll((piece) => {
      found += piece.length;
      full.add(piece);
    });
    if (!read.ok) return read;
    const facts = read.value;
    const hearing = judgeHearing(facts);
    const filtered = filterProblem(facts);
    if (filtered !== null && found === 0) {
      return err({ kind: "refused", code: null, reason: `the table reads as empty: ${filtered}` });
    }
    tellOnce(filtered);
    tellOnce(optionalProblem(facts));
    const againMs = doubtMs(full.losses());
    if (againMs > 0) return ok({ againMs, hearing });
    doubtedAt = null;
    await apply(await full.commit());
    return ok({ againMs: null, hearing });
  };
}

/** Data exceptions, and errors of syntax and access (PostgreSQL, appendix A: classes 22 and 42). */
const isAboutData = (code: string | null): boolean => /^(22|42)/.test(code ?? "");

/** Why an optional column that the table has is not used; null when each is. */
function optionalProblem({ columns, role }: TableFacts): string | null {
  for (const { name, type, isReadable } of columns) {
    if (name !== "proxy_protocol" && name !== "fallback") continue;
    const without = `the column ${name} of the table servers has no effect`;
    if (!isReadable) return `${without}: role "${role}" may not read it`;
    if (name === "proxy_protocol" && type !== "bool")
      return `${without}: its type is ${type}, not boolean`;
  }
  return null;
}

/** Warns of each problem once. */
function createTeller(warn: (message: string) => void): (problem: string | null) => void {
  const told = new Set<string>();
  return (problem) => {
    if (problem === null || told.has(problem)) return;
    told.add(problem);
    warn(problem);
  };
}
