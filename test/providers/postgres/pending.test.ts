import { describe, expect, test } from "bun:test";
import { createPendingChanges } from "../../../src/providers/postgres/pending.ts";

describe("pending changes", () => {
  test("are collected by name, each once, until they are taken", () => {
    const pending = createPendingChanges(() => 200);
    expect(pending.take()).toBeNull();
    expect(["a", "b", "a"].map(pending.note)).toEqual([true, false, false]);
    expect(pending.waiting()).toMatchObject({ kind: "names", since: expect.any(Number) });
    expect(pending.take()).toEqual({ kind: "names", names: ["a", "b"] });
    expect(pending.waiting()).toBeNull();
    expect(pending.take()).toBeNull();
  });

  test("mean everything as soon as one is empty", () => {
    const pending = createPendingChanges(() => 200);
    for (const payload of ["a", "", "b"]) pending.note(payload);
    expect(pending.waiting()?.kind).toBe("all");
    expect(pending.take()).toEqual({ kind: "all" });
    expect(pending.note("c")).toBe(true);
    expect(pending.take()).toEqual({ kind: "names", names: ["c"] });
  });

  const sizes = [
    { name: "as many names as allowed are read one by one", most: 200, count: 200, kind: "names" },
    { name: "more names than allowed mean everything", most: 200, count: 201, kind: "all" },
    { name: "where more are allowed, more are", most: 1_000, count: 1_000, kind: "names" },
  ] as const;
  test.each([...sizes])("$name", ({ most, count, kind }) => {
    const pending = createPendingChanges(() => most);
    for (let i = 0; i < count; i += 1) pending.note(`server-${i}`);
    expect(pending.take()?.kind).toBe(kind);
  });
});
