import { describe, expect, test } from "bun:test";
import { createScope, createTimedScope, onAbort } from "../../src/base/abort.ts";
import { untilAborted } from "../../src/base/wait.ts";

describe("a listener for an abort", () => {
  test("is called once when the signal aborts", () => {
    const control = new AbortController();
    let calls = 0;
    onAbort(control.signal, () => (calls += 1));
    expect(calls).toBe(0);
    control.abort();
    control.abort();
    expect(calls).toBe(1);
  });

  test("is called at once for a signal that has aborted", () => {
    let calls = 0;
    onAbort(AbortSignal.abort(), () => (calls += 1));
    expect(calls).toBe(1);
  });

  test("is not called after it has been taken back", () => {
    const control = new AbortController();
    let calls = 0;
    const release = onAbort(control.signal, () => (calls += 1));
    release();
    control.abort();
    expect(calls).toBe(0);
  });
});

describe("a scope", () => {
  test("aborts with its parent", () => {
    const control = new AbortController();
    const scope = createScope(control.signal);
    expect(scope.signal.aborted).toBe(false);
    control.abort();
    expect(scope.signal.aborted).toBe(true);
  });

  test("of a parent that has aborted is aborted", () => {
    expect(createScope(AbortSignal.abort()).signal.aborted).toBe(true);
  });

  test("aborts alone, and its parent does not", () => {
    const control = new AbortController();
    const scope = createScope(control.signal);
    scope.abort();
    expect(scope.signal.aborted).toBe(true);
    expect(control.signal.aborted).toBe(false);
  });

  test("that has been released outlives its parent", () => {
    const control = new AbortController();
    const scope = createScope(control.signal);
    scope.release();
    control.abort();
    expect(scope.signal.aborted).toBe(false);
  });
});

describe("a timed scope", () => {
  const { signal: never } = new AbortController();

  test("aborts after its time and says that it was late", async () => {
    const scope = createTimedScope(1, never);
    await untilAborted(scope.signal);
    expect(scope.isLate()).toBe(true);
    scope.release();
  });

  test("is not late when its parent aborts it", () => {
    const scope = createTimedScope(60_000, AbortSignal.abort());
    expect(scope.signal.aborted).toBe(true);
    expect(scope.isLate()).toBe(false);
    scope.release();
  });

  test("has no limit any more once the limit was ended", async () => {
    const scope = createTimedScope(1, never);
    scope.endTimeout();
    const later = createTimedScope(20, never);
    await untilAborted(later.signal);
    expect(scope.signal.aborted).toBe(false);
    scope.release();
    later.release();
  });
});
