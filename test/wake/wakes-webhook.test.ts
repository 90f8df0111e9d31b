import { describe, expect, test } from "bun:test";
import { createWebhook } from "../../src/providers/webhook/waker.ts";
import { type Address, parseAddress } from "../../src/routing/address.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import type { WakeableBackend } from "../../src/wake/waker.ts";
import { createWakes, type Woken } from "../../src/wake/wakes.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { advanceUntil, manualDeadlines, until } from "../support/session/session-clock.ts";
import {
  freeBudget,
  realDialer,
  sleepingBackend,
  starter,
} from "../support/session/session-world.ts";
import { startReceiver } from "./receiver.ts";

const never = new AbortController().signal;

function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

/** A backend that a route places there. */
const at = (backend: string, serverAddress = "a.example.com"): WakeableBackend => ({
  target: { kind: "webhook", serverAddress, backend },
  address: addressOf(backend),
});

const awakeAt = (text: string): Woken => ({ kind: "awake", address: addressOf(text) });

/** A fleet with a real webhook, on a clock that the test moves. */
function bench(options: { readonly wakeTimeoutMs?: number } = {}) {
  const receiver = startReceiver();
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const emit = (event: BackendEvent): void => void events.push(event);
  const webhook = createWebhook({
    url: receiver.url,
    headers: {},
    timeoutMs: 30_000,
    wakeTimeoutMs: options.wakeTimeoutMs ?? 60_000,
    attemptMs: 2_000,
    deadlines: clock,
    emit,
  });
  const dialer = realDialer(clock);
  let attempts = 0;
  const fleet = createWakes({
    wakers: { "control-plane": null, webhook },
    budget: freeBudget(clock),
    dialer: {
      async accepts(target, signal) {
        const accepted = await dialer.accepts(target, signal);
        attempts += 1;
        return accepted;
      },
    },
    deadlines: clock,
    emit,
  });
  return {
    ...fleet,
    receiver,
    clock,
    events,
    /** How many attempts to connect are over. */
    attempts: () => attempts,
    wake: (sleeper: WakeableBackend) => fleet.wake(sleeper, starter(true), never),
    wakeProven: (sleeper: WakeableBackend, prove: () => Promise<boolean>) =>
      fleet.wake(sleeper, { ...starter(true), prove }, never),
    wakeIfStarted: (sleeper: WakeableBackend) => fleet.wake(sleeper, starter(false), never),
    kinds: () => events.map(({ kind }) => kind),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

/** "pending" unless the promise has settled. */
async function stateOf(woken: Promise<Woken>): Promise<Woken | "pending"> {
  await Bun.sleep(20);
  return await Promise.race([woken, Promise.resolve("pending" as const)]);
}

describe("a backend that a webhook starts", () => {
  test("is called for at each login, though it is up, but for those within 5 s", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    expect(await town.wake(at(backend.address))).toEqual(awakeAt(backend.address));
    town.clock.advance(4_999);
    expect(await town.wake(at(backend.address))).toEqual(awakeAt(backend.address));
    expect(town.receiver.calls.length).toBe(1);
    town.clock.advance(1);
    expect(await town.wake(at(backend.address))).toEqual(awakeAt(backend.address));
    expect(town.receiver.calls.length).toBe(2);
    expect(town.events.slice(0, 2)).toEqual([
      { kind: "wake-started", server: backend.address },
      {
        kind: "wake-done",
        server: backend.address,
        address: backend.address,
        by: "webhook",
        waiters: 1,
        tookMs: 0,
      },
    ]);
  });

  test("is called for once, however many wait and by whatever hostname, and all get the address that was told", async () => {
    using sleeping = await sleepingBackend();
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: sleeping.address }));
    const configured = "127.0.0.1:1";
    const waiting = Array.from({ length: 100 }, (_, i) =>
      town.wake(at(configured, `${i % 3}.example.com`)),
    );
    await until("the first attempt", () => town.isWaking(at(configured).target));
    using _backend = sleeping.listen(silent);
    town.clock.advance(500);
    expect(await Promise.all(waiting)).toEqual(Array(100).fill(awakeAt(sleeping.address)));
    expect(town.receiver.actions()).toEqual([
      { action: "up", serverAddress: "0.example.com", backend: configured },
    ]);
    expect(town.addressOf(at(configured)).text).toBe(sleeping.address);
    expect(town.isWaking(at(configured).target)).toBe(false);
  });

  test("is tried after 500 ms, and then each second, until it accepts", async () => {
    using sleeping = await sleepingBackend();
    await using town = bench();
    const woken = town.wake(at(sleeping.address));
    for (const [index, pauseMs] of [500, 1_000, 1_000].entries()) {
      await until("an attempt", () => town.attempts() === index + 1);
      town.clock.advance(pauseMs - 1);
      expect(await stateOf(woken)).toBe("pending");
      expect(town.attempts()).toBe(index + 1);
      town.clock.advance(1);
    }
    await until("an attempt", () => town.attempts() === 4);
    using _backend = sleeping.listen(silent);
    town.clock.advance(1_000);
    expect(await woken).toEqual(awakeAt(sleeping.address));
    expect(town.receiver.calls.length).toBe(1);
  });

  test("has its whole time from the answer on, however long that took", async () => {
    await using town = bench();
    const held = Promise.withResolvers<Response>();
    town.receiver.answer(() => held.promise);
    const woken = town.wake(at("127.0.0.1:1"));
    await until("the call", () => town.receiver.calls.length === 1);
    town.clock.advance(29_000);
    held.resolve(new Response());
    await until("the first attempt", () => town.isWaking(at("127.0.0.1:1").target));
    town.clock.advance(59_999);
    expect(await stateOf(woken)).toBe("pending");
    town.clock.advance(1);
    expect(await woken).toEqual({
      kind: "failed",
      reason: "127.0.0.1:1 takes no connection",
    });
    expect(town.events.at(-1)).toMatchObject({ kind: "wake-failed", tookMs: 89_000 });
    expect(town.endsAt(at("127.0.0.1:1").target, 1_000)).toBe(91_000);
  });

  test("is tried once even if it has no time at all", async () => {
    using backend = startBackend(silent);
    await using town = bench({ wakeTimeoutMs: 0 });
    expect(await town.wake(at(backend.address))).toEqual(awakeAt(backend.address));
  });

  test("that takes no player is tried again, without another call", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    await town.wake(at(backend.address));
    town.refused(at(backend.address), addressOf(backend.address), null);
    expect(town.isWaking(at(backend.address).target)).toBe(true);
    const woken = town.wake(at(backend.address));
    expect(await stateOf(woken)).toBe("pending");
    town.clock.advance(500);
    expect(await woken).toEqual(awakeAt(backend.address));
    expect(town.receiver.calls.length).toBe(1);
    expect(town.kinds()).toEqual(["wake-started", "wake-done"]);
  });
});

describe("a webhook that fails", () => {
  test("keeps nobody from a backend that is up", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    town.receiver.answer(() => new Response(null, { status: 503 }));
    expect(await town.wake(at(backend.address))).toEqual(awakeAt(backend.address));
    expect(town.events).toContainEqual(expect.objectContaining({ kind: "wake-done", by: "row" }));
    expect(town.receiver.calls.length).toBe(1);
  });

  test("keeps nobody from a backend that it once told the address of", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: backend.address }));
    await town.wake(at("127.0.0.1:1"));
    town.clock.advance(5_000);
    town.receiver.answer(() => new Response(null, { status: 503 }));
    expect(await town.wake(at("127.0.0.1:1"))).toEqual(awakeAt(backend.address));
  });

  test("ends the wake at once where nothing is up, with its reason, and is called again by the next login only", async () => {
    await using town = bench();
    town.receiver.answer(() => new Response(null, { status: 500 }));
    const waiting = [town.wake(at("127.0.0.1:1")), town.wake(at("127.0.0.1:1"))];
    const reason = 'the webhook\'s "up": status 500';
    expect(await Promise.all(waiting)).toEqual(Array(2).fill({ kind: "failed", reason }));
    expect(town.clock.pending).toBe(0);
    expect(town.receiver.calls.length).toBe(1);
    await town.wake(at("127.0.0.1:1"));
    expect(town.receiver.calls.length).toBe(2);
    expect(town.kinds().filter((kind) => kind === "webhook-lost")).toHaveLength(1);
  });
});

describe("a backend that may not be started at once", () => {
  test("is looked for where it may be, and the webhook is not called", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    const prove = () => Promise.reject(new Error("nobody is asked"));
    expect(await town.wakeProven(at(backend.address), prove)).toEqual(awakeAt(backend.address));
    expect(town.receiver.calls).toEqual([]);
  });

  test("is started as soon as somebody has proved to be a game", async () => {
    await using town = bench();
    using sleeping = await sleepingBackend();
    const proof = Promise.withResolvers<boolean>();
    const woken = town.wakeProven(at(sleeping.address), () => proof.promise);
    expect(await stateOf(woken)).toBe("pending");
    expect(town.receiver.calls).toEqual([]);
    proof.resolve(true);
    await until("the call", () => town.receiver.calls.length === 1);
    using backend = sleeping.listen(silent);
    await advanceUntil(town.clock, "it is up", () => town.kinds().includes("wake-done"));
    expect(await woken).toEqual(awakeAt(backend.address));
  });

  test("is not called for by those who have not", async () => {
    await using town = bench();
    const woken = town.wakeProven(at("127.0.0.1:1"), () => Promise.resolve(false));
    expect(await woken).toMatchObject({ kind: "refused", why: "proof" });
    expect(town.receiver.calls).toEqual([]);
    await until("nothing is left", () => town.clock.pending === 0);
  });
});

describe("an address that was told", () => {
  const configured = at("127.0.0.1:1");

  /** A town that was told of this address at a login. */
  async function told(address: string) {
    const town = bench();
    town.receiver.answer(() => Response.json({ backend: address }));
    await town.wake(configured);
    town.clock.advance(5_000);
    return town;
  }

  test("is left when nothing answers there", async () => {
    using backend = startBackend(silent);
    await using town = await told(backend.address);
    town.unreachable(configured, addressOf("127.0.0.1:7009"));
    expect(town.addressOf(configured).text).toBe(backend.address);
    town.unreachable(configured, addressOf(backend.address));
    expect(town.addressOf(configured).text).toBe("127.0.0.1:1");
  });

  test("is not left for a ping that finds it closed while it starts, which is known to be so then", async () => {
    using sleeping = await sleepingBackend();
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: sleeping.address }));
    const woken = town.wake(configured);
    await until("the first attempt", () => town.isWaking(configured.target));
    town.unreachable(configured, addressOf(sleeping.address));
    expect(town.addressOf(configured).text).toBe(sleeping.address);
    using _backend = sleeping.listen(silent);
    town.clock.advance(500);
    expect(await woken).toEqual(awakeAt(sleeping.address));
  });

  test("gives way to the configured one when the next call names none and only that one is up", async () => {
    using before = startBackend(silent);
    using after = await sleepingBackend();
    await using town = bench();
    town.receiver.answer(() => Response.json({ backend: before.address }));
    await town.wake(at(after.address));
    town.clock.advance(5_000);
    town.receiver.answer(() => new Response());
    before.stop();
    using _backend = after.listen(silent);
    expect(await town.wake(at(after.address))).toEqual(awakeAt(after.address));
    expect(town.addressOf(at(after.address)).text).toBe(after.address);
  });

  test('is forgotten with the last route, after a wake that failed, and by "down"', async () => {
    using backend = startBackend(silent);
    await using town = await told(backend.address);
    town.forget(configured.target);
    expect(town.addressOf(configured).text).toBe("127.0.0.1:1");

    await town.wake(configured);
    expect(await town.stop(configured.target, never)).toEqual({ ok: true, value: undefined });
    expect(town.addressOf(configured).text).toBe("127.0.0.1:1");
    expect(town.isJoinable(configured.target)).toBe(false);

    backend.stop();
    const woken = town.wake(configured);
    await advanceUntil(town.clock, "the failure", () => town.kinds().includes("wake-failed"));
    await woken;
    expect(town.addressOf(configured).text).toBe("127.0.0.1:1");
  });
});

describe("who may not start a backend", () => {
  test("is denied when nobody starts it, and nobody is called", async () => {
    await using town = bench();
    const sleeper = at("127.0.0.1:1");
    expect(await town.wakeIfStarted(sleeper)).toEqual({ kind: "denied" });
    expect(town.receiver.calls).toEqual([]);
    expect(town.events).toEqual([]);
  });

  test("joins a wake that others have started, and gets its result", async () => {
    using backend = startBackend(silent);
    await using town = bench();
    const held = Promise.withResolvers<Response>();
    town.receiver.answer(() => held.promise);
    const first = town.wake(at(backend.address));
    expect(town.isJoinable(at(backend.address).target)).toBe(true);
    const second = town.wakeIfStarted(at(backend.address));
    held.resolve(new Response());
    const awake = awakeAt(backend.address);
    expect(await Promise.all([first, second])).toEqual([awake, awake]);
    expect(await town.wakeIfStarted(at(backend.address))).toEqual(awakeAt(backend.address));
    town.clock.advance(5_000);
    expect(await town.wakeIfStarted(at(backend.address))).toEqual({ kind: "denied" });
  });
});
