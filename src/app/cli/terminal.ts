import type { ReadFile, Variables } from "../../config/setting.ts";

/** What a command sees of the process that runs it. */
export interface Terminal {
  readonly variables: Variables;
  readonly readFile: ReadFile;
  /** True for a file that every user of this machine may read. */
  isWorldReadable(path: string): boolean;
  /** True when a person reads what is printed. */
  readonly isTty: boolean;
  /** Writes to the standard output. */
  print(text: string): void;
  /** Writes to the standard error. */
  complain(text: string): void;
}

/** The process's exit codes: `yes` is also "done", `no` also "failed". */
export const exitCodes = { yes: 0, no: 1, configuration: 2, defects: 70 } as const;

/** How many columns a table may have. */
const width = 80;

/**
 * A table with a heading and aligned columns, of at most 80 columns: the last one is cut. A column is aligned
 * to the right where its heading begins with a space.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const isRight = headings.map((heading) => heading.startsWith(" "));
  const all = [headings.map((heading) => heading.trim()), ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? "").length)),
  );
  const lines = all.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0, isRight[column] === true))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.map(cut).join("\n")}\n`;
}

const pad = (cell: string, size: number, right: boolean): string =>
  right ? cell.padStart(size) : cell.padEnd(size);

/** The line, cut to the width of a terminal. */
export const cut = (line: string): string =>
  line.length <= width ? line : `${line.slice(0, width - 3)}...`;

/** Text for a terminal: what would move its cursor or change its colours is left out. */
export const plain = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, " ");

/** A time for a narrow column: `8s`, `12m`, `3h12m`, `5d`. */
export function shortTime(ms: number | null): string {
  if (ms === null) return "-";
  const seconds = Math.round(ms / 1_000);
  if (seconds < 100) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours}h${String(minutes % 60).padStart(2, "0")}m`
    : `${Math.floor(hours / 24)}d`;
}
