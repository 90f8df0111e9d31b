import { describe, expect, test } from "bun:test";
import { createHints } from "../../src/sources/hints.ts";

describe("hints", () => {
  test("are collected by name, each once, until they are taken", () => {
    const hints = createHints();
    expect(hints.take()).toBeNull();
    expect(["a", "b", "a"].map(hints.note)).toEqual([true, false, false]);
    expect(hints.since()).not.toBeNull();
    expect(hints.take()).toEqual({ kind: "names", names: ["a", "b"] });
    expect(hints.since()).toBeNull();
    expect(hints.take()).toBeNull();
  });

  test("mean everything as soon as one is empty", () => {
    const hints = createHints();
    for (const payload of ["a", "", "b"]) hints.note(payload);
    expect(hints.take()).toEqual({ kind: "all" });
    expect(hints.note("c")).toBe(true);
    expect(hints.take()).toEqual({ kind: "names", names: ["c"] });
  });

  const sizes = [
    { name: "200 names are read one by one", count: 200, kind: "names" },
    { name: "more than 200 names mean everything", count: 201, kind: "all" },
  ] as const;
  test.each([...sizes])("$name", ({ count, kind }) => {
    const hints = createHints();
    for (let i = 0; i < count; i += 1) hints.note(`server-${i}`);
    expect(hints.take()?.kind).toBe(kind);
  });
});
