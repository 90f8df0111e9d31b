import { describe, expect, test } from "bun:test";
import { createAlarm, inChunks, sleep, within } from "../../src/base/wait.ts";

const { signal } = new AbortController();
const never = new Promise<never>(() => undefined);

describe("a wait", () => {
  test("gives the value, the failure, or why there is neither", async () => {
    const cause = new Error("no");
    expect(await within(1_000, Promise.resolve(1), signal)).toEqual({ ok: true, value: 1 });
    expect(await within(1_000, Promise.reject(cause), signal)).toEqual({
      ok: false,
      error: { kind: "rejected", cause },
    });
    expect(await within(1, never, signal)).toEqual({ ok: false, error: { kind: "late" } });
    expect(await within(1_000, never, AbortSignal.abort())).toEqual({
      ok: false,
      error: { kind: "stopped" },
    });
  });

  test("that is left behind stays handled", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    const { promise, reject } = Promise.withResolvers<never>();
    expect((await within(1, promise, signal)).ok).toBe(false);
    reject(new Error("too late"));
    await Bun.sleep(1);
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });

  test("ends at once when the signal aborts", async () => {
    const stopping = new AbortController();
    const waits = Promise.all([
      sleep(3_600_000, stopping.signal),
      within(3_600_000, never, stopping.signal),
      createAlarm().wait(3_600_000, stopping.signal),
    ]);
    stopping.abort();
    await waits;
    await sleep(3_600_000, stopping.signal);
    expect(stopping.signal.aborted).toBe(true);
  });
});

test("long work is done in pieces, all of it once and in order, with room for other work between", async () => {
  const items = Array.from({ length: 1_234 }, (_, i) => i);
  const pieces: (readonly number[])[] = [];
  let turns = 0;
  for await (const piece of inChunks(items)) {
    expect(turns).toBe(pieces.length);
    pieces.push(piece);
    setImmediate(() => {
      turns += 1;
    });
  }
  expect(pieces.flat()).toEqual(items);
  expect(pieces.length).toBeGreaterThan(1);
  for await (const piece of inChunks<number>([])) expect(piece).toHaveLength(1);
});

describe("an alarm", () => {
  test("keeps a ring that nobody waits for, once", async () => {
    const alarm = createAlarm();
    alarm.ring();
    alarm.ring();
    await alarm.wait(3_600_000, signal);
    const waiting = alarm.wait(3_600_000, signal);
    alarm.ring();
    await waiting;
    let isOver = false;
    const last = alarm.wait(3_600_000, signal).then(() => {
      isOver = true;
    });
    await Bun.sleep(1);
    expect(isOver).toBe(false);
    alarm.ring();
    await last;
  });
});
