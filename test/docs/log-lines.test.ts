import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** A log message that a page quotes. */
interface Quote {
  readonly page: string;
  readonly message: string;
}

const isRow = (line: string): boolean => /^ *\|/.test(line);

const cellsOf = (row: string): readonly string[] =>
  row
    .trim()
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The messages in a cell: its code, up to the word "with", which names fields. */
function messagesOf(cell: string): readonly string[] {
  const [before = ""] = cell.split(/(?:^|\s)with(?:\s|$)(?=[^`]*(?:`[^`]*`[^`]*)*$)/);
  return [...before.matchAll(/`([^`]+)`/g)].map(([, message = ""]) => message);
}

/** What the tables of a page quote in their columns of log lines. */
function quotesOf(page: string, text: string): readonly Quote[] {
  const quotes: Quote[] = [];
  let column: number | null = null;
  for (const line of text.split("\n")) {
    if (!isRow(line)) {
      column = null;
    } else if (column === null) {
      column = cellsOf(line).findIndex((cell) => /^(?:log )?line$/.test(cell));
    } else {
      const messages = messagesOf(cellsOf(line)[column] ?? "");
      quotes.push(...messages.map((message) => ({ page, message })));
    }
  }
  return quotes;
}

/** The text of a source file without its comments. */
const withoutComments = (text: string): string =>
  text.replace(/^ *(?:\/\*\*[\s\S]*?\*\/|\/\/.*)$/gm, "");

/** A message as it stands in a literal: whole, but for what `…` stands for. */
function literalOf(message: string): RegExp {
  const inside = message
    .split("…")
    .map((part) => part.trim().replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`["\`]${inside.join("[^\\n]*?")}["\`]`);
}

function textsOf(pattern: string): Promise<readonly (readonly [string, string])[]> {
  const paths = [...new Bun.Glob(pattern).scanSync(root)].toSorted();
  return Promise.all(
    paths.map(async (path) => [path, await Bun.file(join(root, path)).text()] as const),
  );
}

const sources = (await textsOf("src/**/*.ts")).map(([, text]) => withoutComments(text));
const pages = [...(await textsOf("README.md")), ...(await textsOf("docs/*.md"))];
const quotes = pages.flatMap(([page, text]) => quotesOf(page, text));

const isLogged = (message: string): boolean => {
  const literal = literalOf(message);
  return sources.some((text) => literal.test(text));
};

describe("a log line", () => {
  test.each([...quotes])("that $page quotes is in the source: $message", ({ message }) => {
    // With fewer letters of its own, a quotation would be found anywhere.
    expect(message.replace(/[^a-z]/gi, "").length).toBeGreaterThanOrEqual(7);
    // The names of events are for programs.
    expect(message).not.toMatch(/^[a-z]+(?:-[a-z]+)+$/);
    expect(isLogged(message)).toBe(true);
  });

  test("is quoted by the page of troubles", () => {
    const page = "docs/troubleshooting.md";
    expect(quotes.filter((quote) => quote.page === page).length).toBeGreaterThan(40);
  });

  test.each([
    { name: "of another wording", message: "the control plane does not answer as it should" },
    { name: "of which half is quoted", message: "two routes claim one hostname" },
    {
      name: "that only a comment has",
      message: "The log's entries for an event of a source of routes.",
    },
  ])("$name is not found", ({ message }) => {
    expect(isLogged(message)).toBe(false);
  });

  test("is read from its column alone, without its fields", () => {
    const table = "| seen | log line |\n| --- | --- |\n| `a` | `b …` or `c` with `d=1` |\n\n`e`\n";
    expect(quotesOf("p", table).map(({ message }) => message)).toEqual(["b …", "c"]);
  });
});
