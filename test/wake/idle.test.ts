import { describe, expect, test } from "bun:test";
import { err, ok, type Result } from "../../src/base/result.ts";
import { makeAddress, nowhere } from "../../src/routing/address.ts";
import { parsePattern } from "../../src/routing/pattern.ts";
import type { Route, WakeTarget } from "../../src/routing/route.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import type { BackendEvent } from "../../src/wake/event.ts";
import { createIdle, type IdleDeps } from "../../src/wake/idle.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";

const afterMs = 600_000;

const target = (port = 1, serverAddress = "a.example.com"): WakeTarget => ({
  kind: "webhook",
  serverAddress,
  backend: `127.0.0.1:${port}`,
});

/** A fixed route that a webhook scales; null is the default route. */
function route(hostname: string | null, port = 1): Route {
  const pattern = hostname === null ? ok({ kind: "default" } as const) : parsePattern(hostname);
  if (!pattern.ok) throw new Error(pattern.error);
  return {
    source: "file",
    id: hostname ?? "*",
    patterns: [pattern.value],
    address: makeAddress("127.0.0.1", port),
    wake: target(port, hostname ?? ""),
  };
}

/**
 * Idle backends behind a real table, on a clock that the test moves; what is put to sleep is noted, and
 * succeeds unless told otherwise.
 */
function bench(options: Partial<Pick<IdleDeps, "afterMs" | "counts">> = {}) {
  const clock = manualDeadlines();
  const table = createRouteTable();
  const events: BackendEvent[] = [];
  const stopped: WakeTarget[] = [];
  let answer: (signal: AbortSignal) => Promise<Result<void, string>> = () =>
    Promise.resolve(ok(undefined));
  let occupancy: IdleDeps["occupancy"] = () => Promise.resolve({ at: null, online: null });
  const idle = createIdle({
    deadlines: clock,
    afterMs,
    counts: "all",
    canStop: ({ kind }) => kind === "webhook",
    occupancy: (backend, signal) => occupancy(backend, signal),
    stop(each, signal) {
      stopped.push(each);
      return answer(signal);
    },
    emit: (event) => void events.push(event),
    fault(error) {
      throw error;
    },
    ...options,
  });
  return {
    ...idle,
    clock,
    events,
    stopped,
    kinds: () => events.map(({ kind }) => kind),
    publish: (...routes: Route[]) => idle.routesChanged(table.replace("file", routes)),
    answer(next: typeof answer) {
      answer = next;
    },
    /** What the server says of itself from now on; it is reached where its route says. */
    says(online: number | null) {
      const at = { ip: "127.0.0.1", port: 1 };
      occupancy = () => Promise.resolve({ at, online });
    },
    /** The server takes its time to say that it is empty. */
    occupiedAfter(asked: Promise<void>) {
      occupancy = async () => {
        await asked;
        return { at: null, online: 0 };
      };
    },
    /** Moves the clock and lets what was put to sleep be told. */
    async pass(ms: number) {
      clock.advance(ms);
      await Bun.sleep(0);
    },
    /** A client's visit that has begun; gives its end. */
    enter(port = 1, isLogin = true) {
      const visit = idle.visit(target(port), isLogin);
      visit.begin();
      return visit.end;
    },
  };
}

describe("a backend is put to sleep", () => {
  test("when no client came since the start", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    await town.pass(afterMs - 1);
    expect(town.stopped).toEqual([]);
    await town.pass(1);
    expect(town.stopped).toEqual([target()]);
    expect(town.events).toEqual([
      { kind: "idle-armed", server: "127.0.0.1:1", afterMs },
      { kind: "sleep-started", server: "127.0.0.1:1" },
      { kind: "sleep-done", server: "127.0.0.1:1", tookMs: 0 },
    ]);
    await town.pass(10 * afterMs);
    expect(town.stopped.length).toBe(1);
  });

  test("when the last visitor has been gone for the whole time", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    const [first, second] = [town.enter(), town.enter()];
    await town.pass(afterMs);
    first();
    await town.pass(afterMs);
    expect(town.stopped).toEqual([]);
    second();
    second();
    await town.pass(afterMs - 1);
    expect(town.stopped).toEqual([]);
    await town.pass(1);
    expect(town.stopped.length).toBe(1);
  });

  test("again after each visit, and not between", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    await town.pass(afterMs);
    for (let round = 2; round < 5; round++) {
      town.enter()();
      await town.pass(afterMs);
      expect(town.stopped.length).toBe(round);
    }
  });

  test("by the hostname that comes first, and by the default route only when it has no other", async () => {
    const town = bench();
    town.publish(
      route("b.example.com"),
      route(null),
      route("*.example.com", 2),
      route("a.example.com"),
    );
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target(1, "a.example.com"), target(2, "*.example.com")]);
    town.publish(route(null));
    town.enter()();
    await town.pass(afterMs);
    expect(town.stopped.at(-1)).toEqual(target(1, ""));
  });

  test("at once, but never during a visit, when the delay is nothing", async () => {
    const town = bench({ afterMs: 0 });
    const end = town.enter();
    town.publish(route("a.example.com"));
    await town.pass(60_000);
    expect(town.stopped).toEqual([]);
    end();
    await town.pass(0);
    expect(town.stopped.length).toBe(1);
  });
});

describe("routes that change", () => {
  test("a route that is published again unchanged during a visit arms nothing", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    const end = town.enter();
    const armed = town.kinds().length;
    town.publish(route("a.example.com"));
    town.publish(route("a.example.com"), route("b.example.com"), route(null));
    await town.pass(2 * afterMs);
    expect(town.kinds().length).toBe(armed);
    end();
    await town.pass(afterMs);
    expect(town.stopped.length).toBe(1);
  });

  test("a route that comes back, or leads elsewhere, arms anew", async () => {
    const town = bench();
    town.publish(route("a.example.com", 1));
    await town.pass(afterMs / 2);
    town.publish(route("a.example.com", 2));
    await town.pass(afterMs - 1);
    expect(town.stopped).toEqual([]);
    await town.pass(1);
    expect(town.stopped).toEqual([target(2)]);
  });

  test("one of two hostnames that goes leaves the timer alone; the last one takes it along", async () => {
    const town = bench();
    town.publish(route("a.example.com"), route("b.example.com"));
    await town.pass(afterMs / 2);
    town.publish(route("b.example.com"));
    await town.pass(afterMs / 2);
    expect(town.stopped).toEqual([target(1, "b.example.com")]);
    town.enter()();
    town.publish();
    await town.pass(2 * afterMs);
    expect(town.stopped.length).toBe(1);
    expect(town.clock.pending).toBe(0);
  });

  test("a hostname that takes another's place keeps the backend and its timer", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    await town.pass(afterMs / 2);
    town.publish(route("b.example.com"));
    await town.pass(afterMs / 2);
    expect(town.stopped).toEqual([target(1, "b.example.com")]);
  });

  test("a backend whose routes went during a visit is left alone when that ends", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    const end = town.enter();
    town.publish();
    end();
    await town.pass(2 * afterMs);
    expect(town.stopped).toEqual([]);
    expect(town.clock.pending).toBe(0);
  });

  test("backends are told apart by their address, and others than fixed ones are never put to sleep", async () => {
    const town = bench();
    const row: Route = {
      ...route("row.example.com", 3),
      wake: { kind: "control-plane", server: "row" },
    };
    town.publish(route("a.example.com", 1), route("b.example.com", 2), row);
    const end = town.enter(1);
    const visit = town.visit({ kind: "control-plane", server: "row" }, true);
    visit.begin();
    visit.end();
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target(2, "b.example.com")]);
    end();
  });
});

describe("whose visits count", () => {
  for (const { counts, asleep } of [
    { counts: "all", asleep: 0 },
    { counts: "logins", asleep: 1 },
  ] as const) {
    test(`${counts}: a ping ${asleep === 0 ? "puts the sleep off" : "changes nothing"}`, async () => {
      const town = bench({ counts });
      town.publish(route("a.example.com"));
      await town.pass(afterMs / 2);
      town.enter(1, false)();
      await town.pass(afterMs / 2);
      expect(town.stopped.length).toBe(asleep);
    });
  }

  test("a visit that never began is none", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    await town.pass(afterMs / 2);
    const visit = town.visit(target(), true);
    visit.end();
    visit.begin();
    await town.pass(afterMs / 2);
    expect(town.stopped.length).toBe(1);
  });
});

describe("a backend that cannot be put to sleep", () => {
  for (const { name, after, retryMs } of [
    { name: "after the same time", after: 60_000, retryMs: 60_000 },
    { name: "no sooner than after 30 s", after: 0, retryMs: 30_000 },
  ]) {
    test(`is asked again ${name}, until it is`, async () => {
      const town = bench({ afterMs: after });
      town.answer(() => Promise.resolve(err("status 500")));
      town.publish(route("a.example.com"));
      await town.pass(after);
      expect(town.events).toContainEqual({
        kind: "sleep-failed",
        server: "127.0.0.1:1",
        reason: "status 500",
        retryMs,
      });
      await town.pass(retryMs - 1);
      expect(town.stopped.length).toBe(1);
      await town.pass(1);
      expect(town.stopped.length).toBe(2);
      town.answer(() => Promise.resolve(ok(undefined)));
      await town.pass(retryMs);
      expect(town.kinds().at(-1)).toBe("sleep-done");
      await town.pass(10 * retryMs);
      expect(town.stopped.length).toBe(3);
    });
  }

  test("is not asked again while a client is there", async () => {
    const town = bench();
    const held = Promise.withResolvers<Result<void, string>>();
    town.answer(() => held.promise);
    town.publish(route("a.example.com"));
    await town.pass(afterMs);
    const end = town.enter();
    held.resolve(err("status 500"));
    await town.pass(10 * afterMs);
    expect(town.stopped.length).toBe(1);
    end();
    await town.pass(afterMs);
    expect(town.stopped.length).toBe(2);
  });
});

test("a visit that comes and goes while the backend is being put to sleep arms for the next time", async () => {
  const town = bench();
  const held = Promise.withResolvers<Result<void, string>>();
  town.answer(() => held.promise);
  town.publish(route("a.example.com"));
  await town.pass(afterMs);
  town.enter()();
  held.resolve(ok(undefined));
  await Bun.sleep(0);
  await town.pass(afterMs);
  expect(town.stopped.length).toBe(2);
});

test("after the stop nothing is put to sleep any more, and what is under way is taken back without a word", async () => {
  const town = bench();
  town.answer(
    (signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(err("aborted")))),
  );
  town.publish(route("a.example.com"), route("b.example.com", 2));
  const end = town.enter(2);
  await town.pass(afterMs);
  town.stop();
  end();
  await town.pass(10 * afterMs);
  expect(town.stopped).toEqual([target()]);
  expect(town.kinds().at(-1)).toBe("sleep-started");
  expect(town.clock.pending).toBe(0);
});

describe("a backend whose route says that it sleeps", () => {
  const asleep: Route = { ...route("a.example.com"), address: nowhere };

  test("is not put to sleep, and is when it has been up for a while", async () => {
    const town = bench();
    town.publish(asleep);
    await town.pass(10 * afterMs);
    expect(town.events).toEqual([]);
    town.publish(route("a.example.com"));
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target()]);
  });

  test("while its time ran is left alone from then on", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    await town.pass(afterMs - 1);
    town.publish(asleep);
    await town.pass(10 * afterMs);
    expect(town.stopped).toEqual([]);
    expect(town.clock.pending).toBe(0);
  });

  test("while a client is there is not put to sleep when it leaves", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    const end = town.enter();
    town.publish(asleep);
    end();
    await town.pass(10 * afterMs);
    expect(town.stopped).toEqual([]);
  });

  test("counts as up as long as another route to it says so", async () => {
    const town = bench();
    const other: Route = { ...route("b.example.com"), wake: target() };
    town.publish(asleep, other);
    await town.pass(afterMs);
    expect(town.stopped).toHaveLength(1);
  });
});

describe("a backend with players who came by other ways", () => {
  test("is not put to sleep while its own status names players, nor right after", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    town.says(3);
    await town.pass(afterMs);
    await town.pass(afterMs);
    expect(town.stopped).toEqual([]);
    town.says(0);
    await town.pass(afterMs);
    expect(town.stopped).toEqual([]);
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target()]);
  });

  test("is not put to sleep while a client of another route is connected to the same address", async () => {
    const town = bench();
    town.publish(route("a.example.com"));
    town.says(null);
    const visit = town.visit(null, true);
    visit.begin();
    visit.reached({ ip: "127.0.0.1", port: 1 });
    await town.pass(afterMs);
    expect(town.stopped).toEqual([]);
    await town.pass(afterMs / 2);
    visit.end();
    visit.end();
    await town.pass(afterMs - 1);
    expect(town.stopped).toEqual([]);
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target()]);
  });

  test("is not kept awake by clients at other addresses, nor by pings where only logins count", async () => {
    const town = bench({ counts: "logins" });
    town.publish(route("a.example.com"));
    town.says(null);
    const [other, ping] = [town.visit(null, true), town.visit(null, false)];
    other.reached({ ip: "127.0.0.1", port: 2 });
    ping.reached({ ip: "127.0.0.1", port: 1 });
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target()]);
  });

  test("is left alone when a client comes and goes while it is asked", async () => {
    const town = bench();
    const asked = Promise.withResolvers<void>();
    town.publish(route("a.example.com"));
    town.occupiedAfter(asked.promise);
    await town.pass(afterMs);
    town.enter()();
    asked.resolve();
    await town.pass(0);
    expect(town.stopped).toEqual([]);
    await town.pass(afterMs);
    expect(town.stopped).toEqual([target()]);
  });
});
