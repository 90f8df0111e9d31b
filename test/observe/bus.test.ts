import { expect, test } from "bun:test";
import { createBus } from "../../src/observe/bus.ts";
import type { RouterEvent } from "../../src/observe/events.ts";

const event: RouterEvent = { kind: "reloading" };

test("every observer sees every event, in order", () => {
  const seen: string[] = [];
  const emit = createBus(
    [(each) => seen.push(`a ${each.kind}`), (each) => seen.push(`b ${each.kind}`)],
    () => seen.push("fault"),
  );
  emit(event);
  emit({ kind: "stopped", cut: 0 });
  expect(seen).toEqual(["a reloading", "b reloading", "a stopped", "b stopped"]);
});

test("what one observer throws harms neither the others nor whoever emits", () => {
  const faults: unknown[] = [];
  let seen = 0;
  const emit = createBus(
    [
      () => {
        throw new Error("broken");
      },
      () => {
        seen += 1;
      },
    ],
    (thrown) => faults.push(thrown),
  );
  expect(() => emit(event)).not.toThrow();
  emit(event);
  expect(seen).toBe(2);
  expect(faults).toEqual([new Error("broken"), new Error("broken")]);
});

test("without observers nothing happens", () => {
  expect(() => createBus([], () => expect.unreachable())(event)).not.toThrow();
});
