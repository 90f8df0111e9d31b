import { expect, test } from "bun:test";
import type { Reader } from "../../src/base/go-text.ts";

/** Rows of texts that a reader takes; undefined marks those it refuses. */
export function rows<T>(
  reader: Reader<T>,
  expected: Readonly<Record<string, T | undefined>>,
): void {
  for (const [text, value] of Object.entries(expected)) {
    const verdict = value === undefined ? "is refused" : `is ${value}`;
    test(`${JSON.stringify(text)} ${verdict}`, () => {
      const read = reader(text);
      if (value === undefined) expect(read.ok).toBe(false);
      else expect(read).toEqual({ ok: true, value });
    });
  }
}

/** Each of them refuses a text by saying what it expects, and never the text. */
export function tellsWithoutText(readers: Readonly<Record<string, Reader<unknown>>>): void {
  for (const [name, reader] of Object.entries(readers)) {
    test(name, () => {
      const read = reader("hunter2");
      expect(read.ok ? "" : read.error).toMatch(/^(an? |true|error)/);
      expect(read.ok ? "" : read.error).not.toContain("hunter2");
    });
  }
}
