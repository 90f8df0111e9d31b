import { describe, expect, test } from "bun:test";
import { createWebhook } from "../../src/providers/webhook/waker.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import type { Woken } from "../../src/wake/waiters.ts";
import type { WakeableBackend } from "../../src/wake/waker.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import { sleepingBackend, starter, wakesOf } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";
import { startReceiver } from "./receiver.ts";
import { addressOf, never, passTo } from "./wakes-bench.ts";

/** A backend that a route places there. */
const at = (backend: string, serverAddress = "a.example.com"): WakeableBackend => ({
  target: { kind: "webhook", serverAddress, backend },
  address: addressOf(backend),
});

/** Wakes with a real webhook, on a clock that the test moves. */
function bench() {
  const receiver = startReceiver();
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const emit = (event: BackendEvent): void => void events.push(event);
  const webhook = createWebhook({
    url: receiver.url,
    headers: () => ({}),
    timeoutMs: 30_000,
    wakeTimeoutMs: 60_000,
    attemptMs: 2_000,
    deadlines: clock,
    emit,
  });
  const wakes = wakesOf({ webhook }, clock, emit);
  return {
    ...wakes,
    receiver,
    clock,
    events,
    join: (backend: WakeableBackend) => wakes.wake(backend, starter(true), never),
    kinds: () => events.map(({ kind }) => kind),
    async whileTimePasses(woken: Promise<Woken>): Promise<Woken> {
      let isSettled = false;
      const settle = (): void => {
        isSettled = true;
      };
      woken.then(settle, settle);
      await advanceUntil(clock, "the wait is over", () => isSettled);
      return woken;
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

describe("a backend that a webhook starts", () => {
  test("is dialled without a call while it is up", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    passTo(await town.join(at(backend.address)), backend.address).arrived();
    expect(town.receiver.calls).toEqual([]);
    expect(town.events).toEqual([]);
  });

  test("is called for once, however many wait and by whatever hostname, and all get the address that was told", async () => {
    using sleeping = await sleepingBackend();
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: sleeping.address }));
    const configured = "127.0.0.1:1";
    const waiting = Array.from({ length: 100 }, async (_, i) => {
      const woken = await town.join(at(configured, `${i % 3}.example.com`));
      passTo(woken, sleeping.address).arrived();
    });
    await until("the call", () => town.receiver.calls.length === 1);
    using _backend = sleeping.listen(silent);
    await advanceUntil(town.clock, "it is up", () => town.kinds().includes("wake-done"));
    await Promise.all(waiting);
    expect(town.receiver.actions()).toEqual([
      { action: "up", serverAddress: "0.example.com", backend: configured },
    ]);
    expect(town.addressOf(at(configured)).text).toBe(sleeping.address);
  });

  test("is called for again when it is gone from where it was", async () => {
    using first = startBackend(silent);
    using second = startBackend(silent);
    await using town = bench();
    const addresses = [first.address, second.address];
    town.receiver.answer(() => Response.json({ backend: addresses.shift() }));
    const backend = at("127.0.0.1:1");
    passTo(await town.whileTimePasses(town.join(backend)), first.address).arrived();
    first.stop();
    town.unreachable(backend, addressOf(first.address));
    passTo(await town.whileTimePasses(town.join(backend)), second.address).arrived();
    expect(town.receiver.calls).toHaveLength(2);
  });

  test("has its whole time from the answer on, however long that took", async () => {
    await using town = bench();
    const held = Promise.withResolvers<Response>();
    town.receiver.answer(() => held.promise);
    const woken = town.join(at("127.0.0.1:1"));
    await until("the call", () => town.receiver.calls.length === 1);
    town.clock.advance(29_000);
    held.resolve(new Response());
    expect(await town.whileTimePasses(woken)).toEqual({
      kind: "failed",
      reason: "127.0.0.1:1 takes no connection",
      message: null,
    });
    expect(town.clock.now()).toBeGreaterThanOrEqual(89_000);
  });
});

describe("a webhook that fails", () => {
  test("keeps no client from a backend that is up", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    town.receiver.answer(() => new Response(null, { status: 503 }));
    passTo(await town.join(at(backend.address)), backend.address).arrived();
  });

  test("ends the wake where nothing is up, with its reason, and is called again by the next login only", async () => {
    await using town = bench();
    town.receiver.answer(() => new Response(null, { status: 500 }));
    const waiting = [town.join(at("127.0.0.1:1")), town.join(at("127.0.0.1:1"))];
    const failed = { kind: "failed", reason: 'the webhook\'s "up": status 500', message: null };
    expect(await Promise.all(waiting)).toEqual([failed, failed] as never);
    expect(town.receiver.calls.length).toBe(1);
    await town.join(at("127.0.0.1:1"));
    expect(town.receiver.calls.length).toBe(2);
    expect(town.kinds().filter((kind) => kind === "webhook-lost")).toHaveLength(1);
  });
});

describe("an address that was told", () => {
  test('is forgotten by "down"', async () => {
    using backend = startBackend(silent);
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: backend.address }));
    const configured = at("127.0.0.1:1");
    passTo(await town.whileTimePasses(town.join(configured)), backend.address).arrived();
    expect(await town.stop(configured.target, never)).toEqual({ ok: true, value: undefined });
    expect(town.addressOf(configured).text).toBe("127.0.0.1:1");
    expect(town.isJoinable(configured.target)).toBe(false);
  });

  test("gives way to the configured one when the next call names none and only that one is up", async () => {
    using before = startBackend(silent);
    using after = await sleepingBackend();
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: before.address }));
    passTo(await town.whileTimePasses(town.join(at(after.address))), before.address).arrived();
    town.receiver.answer(() => new Response());
    before.stop();
    town.unreachable(at(after.address), addressOf(before.address));
    const woken = town.join(at(after.address));
    await until("the second call", () => town.receiver.calls.length === 2);
    using _backend = after.listen(silent);
    passTo(await town.whileTimePasses(woken), after.address).arrived();
  });
});
