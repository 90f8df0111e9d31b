import { expect, test } from "bun:test";
import { createBackoff } from "../../src/base/backoff.ts";

test("pauses double up to the longest one, less up to a half by chance", () => {
  const backoff = createBackoff({ backoffMs: 100, backoffMaxMs: 1_000 });
  for (const grownMs of [100, 200, 400, 800, 1_000, 1_000]) {
    const ms = backoff.next();
    expect(ms).toBeGreaterThanOrEqual(grownMs / 2);
    expect(ms).toBeLessThanOrEqual(grownMs);
  }
  expect(backoff.failures()).toBe(6);
});

test("pauses begin anew after a success", () => {
  const backoff = createBackoff({ backoffMs: 100, backoffMaxMs: 1_000 });
  backoff.next();
  backoff.next();
  backoff.reset();
  expect(backoff.failures()).toBe(0);
  expect(backoff.next()).toBeLessThanOrEqual(100);
});
