import { join } from "node:path";

/** Which turns the parsers have taken since they were last asked. */
export interface Coverage {
  /** How many turns there are: each condition both ways, each case. */
  readonly turns: number;
  /** Forgets what was taken. */
  reset(): void;
  /**
   * The turns that were taken since, and in what order and how often, as numbers that stand for each pair
   * in a row.
   */
  taken(): { readonly turns: ReadonlySet<number>; readonly pairs: ReadonlySet<number> };
}

/** What the instrumented code calls. */
interface Seer {
  see<T>(turn: number, condition: T): T;
}

const name = "__seen";

/**
 * Has every parser that is imported from now on say which way it goes. To be called before the first import
 * of one, once in a process.
 */
export function watchParsers(): Coverage {
  let turns = 0;
  let previous = 0;
  const seen = new Set<number>();
  const counts = new Map<number, number>();
  const seer: Seer = {
    see(turn, condition) {
      const taken = condition ? turn : turn + 1;
      seen.add(taken);
      const pair = previous * 4_096 + taken;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
      previous = taken;
      return condition;
    },
  };
  Object.assign(globalThis, { [name]: seer });
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const next = (): number => {
    turns += 2;
    return turns;
  };
  Bun.plugin({
    name: "coverage of the parsers",
    setup(build) {
      build.onLoad({ filter: /\/src\/protocol\/[a-z-]+\.ts$/ }, async ({ path }) => ({
        contents: instrument(transpiler.transformSync(await Bun.file(path).text()), next),
        loader: "js",
      }));
    },
  });
  return {
    get turns() {
      return turns;
    },
    reset() {
      seen.clear();
      counts.clear();
      previous = 0;
    },
    taken: () => ({
      turns: new Set(seen),
      // Once, twice, a few times, many times: a loop that runs once more is no news for ever.
      pairs: new Set(
        Array.from(counts, ([pair, count]) => pair * 8 + Math.min(7, 32 - Math.clz32(count))),
      ),
    }),
  };
}

/** JavaScript in which each `if`, `while` and `?:` test and each `case` tells which way it went. */
function instrument(code: string, next: () => number): string {
  const conditions = /\b(if|while) \(/g;
  let text = "";
  let from = 0;
  for (const match of code.matchAll(conditions)) {
    const start = match.index + match[0].length;
    const end = closingBracket(code, start);
    text += `${code.slice(from, start)}${name}.see(${next()}, ${code.slice(start, end)})`;
    from = end;
  }
  text += code.slice(from);
  return text
    .replace(
      /^(\s*(?:case [^:\n]+|default):)/gm,
      (label) => `${label} ${name}.see(${next()}, true);`,
    )
    .replace(
      /(return|=|=>) ((?:(?!=>)[^?;{}\n])+) \? /g,
      (_, before, test) => `${before} ${name}.see(${next()}, ${test}) ? `,
    );
}

/** Where the bracket closes that was opened just before `start`. Strings may hold brackets. */
function closingBracket(code: string, start: number): number {
  let depth = 1;
  let quote: string | null = null;
  for (let at = start; at < code.length; at++) {
    const character = code[at] ?? "";
    if (quote !== null) {
      if (character === "\\") at += 1;
      else if (character === quote) quote = null;
    } else if (character === '"' || character === "'" || character === "`") quote = character;
    else if (character === "(") depth += 1;
    else if (character === ")") {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw new Error("a bracket is not closed");
}

/** The folder of the parsers, for whoever imports them late. */
export const parsers = join(import.meta.dir, "../../src/protocol");
