import { expect, test } from "bun:test";
import { join } from "node:path";
import { pageWith } from "../bench/page.ts";
import type { Result } from "../bench/report.ts";
import type { Row } from "../bench/row.ts";

const page = await Bun.file(join(import.meta.dir, "../../docs/performance.md")).text();

const packets: Row = {
  id: "packets",
  scenario: "packets of a test",
  unit: "CPU µs per packet",
  ours: 10,
  others: { HAProxy: { value: 12.5, ratio: 0.8 } },
  goal: { kind: "ratio", of: ["HAProxy"], atMost: 1 },
};
const change: Row = {
  id: "rows-change",
  scenario: "a change of a test",
  unit: "ms",
  ours: 51.4,
  others: {},
  goal: { kind: "value", atMost: 50 },
};
const memory: Row = { ...change, id: "rows-memory", unit: "MB RSS", goal: { kind: "none" } };

const resultOf = (...rows: readonly Row[]): Result => ({
  machine: "2 × test, 8 GB, Linux 6.1",
  programs: "HAProxy 2.6",
  commit: "0123456789ab",
  date: "2026-01-02T03:04:05.000Z",
  mode: "full",
  seconds: 840,
  rows,
});

/** The page without what stands between its marks. */
const frame = (text: string): string =>
  text.replace(/<!-- (result|cost) -->.*?<!-- \/\1 -->/gs, "");

test("a run of the bench puts its table and what it costs into the page, and leaves the rest alone", () => {
  const written = pageWith(page, resultOf(packets, change, memory));
  expect(frame(written)).toBe(frame(page));
  expect(written).toContain("commit 0123456789ab; 2026-01-02, full run of 14 minutes.");
  const cells = (line: string): string[] => line.split("|").map((cell) => cell.trim());
  const lines = written.split("\n").filter((line) => line.includes("of a test"));
  expect(lines.map((line) => cells(line).slice(3, -1))).toEqual([
    ["10", "12.5 (0.80)", "≤ 1 × HAProxy", "yes"],
    ["51.4", "", "≤ 50", "**no**"],
    ["51.4", "", "", ""],
  ]);
  expect(written).toContain("One core carries about 2,500 players; HAProxy 2,000.");
});

test("of what was not measured nothing is said", () => {
  const written = pageWith(page, resultOf(packets));
  expect(written).toContain("2,500 players");
  expect(written).not.toContain("pings a second");
  expect(pageWith(written, resultOf(packets))).toBe(written);
});

test("a page that has lost its marks is no place for a result", () => {
  expect(() => pageWith(frame(page), resultOf(packets))).toThrow("the mark result is missing");
});
