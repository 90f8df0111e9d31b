import { describe, expect, test } from "bun:test";
import { createHints } from "../../../src/providers/postgres/pending.ts";

describe("hints", () => {
  test("are collected by name, each once, until they are taken", () => {
    const hints = createHints(() => 200);
    expect(hints.take()).toBeNull();
    expect(["a", "b", "a"].map(hints.note)).toEqual([true, false, false]);
    expect(hints.waiting()).toMatchObject({ kind: "names", since: expect.any(Number) });
    expect(hints.take()).toEqual({ kind: "names", names: ["a", "b"] });
    expect(hints.waiting()).toBeNull();
    expect(hints.take()).toBeNull();
  });

  test("mean everything as soon as one is empty", () => {
    const hints = createHints(() => 200);
    for (const payload of ["a", "", "b"]) hints.note(payload);
    expect(hints.waiting()?.kind).toBe("all");
    expect(hints.take()).toEqual({ kind: "all" });
    expect(hints.note("c")).toBe(true);
    expect(hints.take()).toEqual({ kind: "names", names: ["c"] });
  });

  const sizes = [
    { name: "as many names as allowed are read one by one", most: 200, count: 200, kind: "names" },
    { name: "more names than allowed mean everything", most: 200, count: 201, kind: "all" },
    { name: "where more are allowed, more are", most: 1_000, count: 1_000, kind: "names" },
  ] as const;
  test.each([...sizes])("$name", ({ most, count, kind }) => {
    const hints = createHints(() => most);
    for (let i = 0; i < count; i += 1) hints.note(`server-${i}`);
    expect(hints.take()?.kind).toBe(kind);
  });
});
