import { cpus, release } from "node:os";
import type { MicroRow } from "./micro.ts";
import { isMet, type Row } from "./row.ts";

/** What was measured, on what. */
export interface Result {
  readonly machine: string;
  readonly commit: string;
  readonly date: string;
  readonly mode: "full" | "quick";
  readonly seconds: number;
  readonly rows: readonly Row[];
}

/** Processor, cores and kernel in one phrase. */
export function machineText(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model.trim() ?? "unknown"}, Linux ${release()}`;
}

/** The rows as a Markdown table: ours, the others with the ratio of ours to theirs, and the goal. */
export function tableText(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ others }) => Object.keys(others)))];
  const lines = rows.map((row) => [
    row.scenario,
    row.unit,
    figure(row.ours),
    ...names.map((name) => {
      const other = row.others[name];
      return other === undefined ? "" : `${figure(other.value)} (${other.ratio.toFixed(2)})`;
    }),
    goalText(row),
    isMet(row) ? "yes" : "**no**",
  ]);
  return markdown([["scenario", "unit", "automc-router", ...names, "goal", "met"], ...lines]);
}

/** The calls as a Markdown table. */
export const microText = (rows: readonly MicroRow[]): string =>
  markdown([["call", "ns"], ...rows.map(({ call, nanoseconds }) => [call, figure(nanoseconds)])]);

/** Rows of cells as an aligned Markdown table; the first one is its head. */
export function markdown(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const lines = rows.map(
    (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`,
  );
  lines.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return lines.join("\n");
}

function goalText({ goal }: Row): string {
  return goal.kind === "value"
    ? `≤ ${figure(goal.atMost)}`
    : `≤ ${goal.atMost.toFixed(1)} × ${goal.of.join(", ")}`;
}

/** Three significant digits, large figures in full. */
function figure(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
