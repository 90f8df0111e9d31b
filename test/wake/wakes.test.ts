import { describe, expect, test } from "bun:test";
import { nowhere } from "../../src/routing/address.ts";
import type { Claim } from "../../src/routing/table.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import type { Misbehaviour } from "../support/process/control-plane.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import { realWakes, sleepingBackend, starter } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";
import { addressOf, backendOf, named, never, passTo, startWakes, stateOf } from "./wakes-bench.ts";

const retryMs = 500;
const turnMs = 250;
const silenceMs = 2_500;

const running = (address: string, name = "a") => ({ name, state: "running" as const, address });

describe("a server that runs", () => {
  test("is dialled after one look, without a start, wherever its row says that it is", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    passTo(await town.join(), "127.0.0.1:7001").arrived();
    expect(town.plane.requests.map(({ method }) => method)).toEqual(["GET"]);
    expect(town.events).toEqual([]);
    expect(town.view(named("a"))).toMatchObject({ state: "up", address: "127.0.0.1:7001" });
  });

  test("costs nothing, however many such servers are joined, and a server that sleeps can still be started", async () => {
    const servers = Array.from({ length: 320 }, (_, i) => running("127.0.0.1:7001", `up${i}`));
    await using town = startWakes({
      servers: [...servers, { name: "a", startMs: null }],
      limits: { total: 1, perClient: 1 },
    });
    const woken = await Promise.all(servers.map(({ name }) => town.join(backendOf(name))));
    for (const each of woken) passTo(each, "127.0.0.1:7001").arrived();
    void town.join();
    await town.started();
    expect(town.kinds()).toEqual(["wake-started"]);
  });

  test("is looked at once for all logins of a second", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    for (const advanceMs of [0, 999, 1]) {
      town.clock.advance(advanceMs);
      passTo(await town.join(), "127.0.0.1:7001").arrived();
    }
    expect(town.looks()).toBe(2);
  });

  test("that has moved is found where it is", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    passTo(await town.join(), "127.0.0.1:7001").arrived();
    town.plane.setRunning("a", "127.0.0.1:7002");
    town.clock.advance(1_000);
    passTo(await town.join(), "127.0.0.1:7002").arrived();
    expect(town.addressOf(backendOf()).text).toBe("127.0.0.1:7002");
  });

  test("is reached where it was found by clients that may not start it, until it is not there any more", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    passTo(await town.join(), "127.0.0.1:7001").arrived();
    town.clock.advance(3_600_000);
    expect(town.isJoinable(named("a"))).toBe(true);
    expect(town.addressOf(backendOf()).text).toBe("127.0.0.1:7001");
    town.unreachable(backendOf(), addressOf("127.0.0.1:7009"));
    expect(town.addressOf(backendOf()).text).toBe("127.0.0.1:7001");
    town.unreachable(backendOf(), addressOf("127.0.0.1:7001"));
    expect(town.addressOf(backendOf()).text).toBe("127.0.0.1:1");
    expect(town.isJoinable(named("a"))).toBe(false);
  });
});

describe("a start", () => {
  test("is one for 500 clients, who share its looks and are let in a few at a time, in order of arrival", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    const order: number[] = [];
    const passes = Array.from({ length: 500 }, async (_, i) => {
      const pass = passTo(await town.join(), backend.address);
      order.push(i);
      return pass;
    });
    await town.started();
    await until("the look after it", () => town.looks() === 2);
    town.plane.setRunning("a", backend.address);
    await advanceUntil(town.clock, "the first few", () => order.length === 8);
    expect(await stateOf(town.join())).toBe("pending");
    expect(order).toHaveLength(8);
    // One that is in lets the next one dial; the others do so after a moment.
    (await passes[0])?.arrived();
    await until("the next one", () => order.length === 9);
    town.clock.advance(turnMs);
    await until("the next few", () => order.length === 17);
    while (order.length < 500) {
      const before = order.length;
      town.clock.advance(turnMs);
      await until("the next few", () => order.length > before);
    }
    expect(order).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(town.plane.starts("a")).toBe(1);
    expect(town.events).toEqual([
      { kind: "wake-started", server: "a" },
      {
        kind: "wake-done",
        server: "a",
        address: backend.address,
        by: "control-plane",
        waiters: 500,
        tookMs: expect.any(Number),
      },
    ]);
  });

  test("goes on when all clients have left, is joined by the next one, and is never sent twice", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    town.plane.misbehave({ kind: "hang" }, { request: "start" });
    for (let client = 0; client < 3; client++) {
      const leaving = new AbortController();
      const woken = town.join(backendOf(), {}, leaving.signal);
      await town.started();
      leaving.abort();
      expect(await woken).toEqual({ kind: "left" });
      expect(town.isStarting(named("a"))).toBe(true);
    }
    expect(town.plane.starts("a")).toBe(1);
    expect(town.kinds()).toEqual(["wake-started", ...Array(3).fill("wake-abandoned")]);
    town.plane.setRunning("a", backend.address);
    const joined = town.join();
    passTo(await town.whileTimePasses(joined), backend.address).arrived();
    expect(town.plane.starts("a")).toBe(1);
  });

  test("is not asked about while no client waits, but for a ping each 5 s", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    const leaving = new AbortController();
    void town.join(backendOf(), {}, leaving.signal);
    await until("the look after the start", () => town.looks() === 2);
    leaving.abort();
    await advanceUntil(town.clock, "a while", () => town.clock.now() > 10_000);
    expect(town.looks()).toBe(2);
    town.pinged(named("a"));
    await until("the ping's look", () => town.looks() === 3);
    const since = town.clock.now();
    town.plane.setRunning("a", backend.address);
    await advanceUntil(town.clock, "it is up", () => {
      town.pinged(named("a"));
      return town.view(named("a")).state === "up";
    });
    // The first look may have been answered before it ran; no other one comes within 5 s.
    expect(town.looks()).toBe(town.clock.now() - since < 5_000 ? 3 : 4);
    expect(town.kinds()).toContain("wake-done");
  });

  test("is asked for again with each look until it is accepted, which is one charge", async () => {
    await using town = startWakes({ limits: { total: 1 } });
    town.plane.misbehave({ kind: "answer", status: 503 }, { request: "start" });
    void town.join();
    await until("the look after it", () => town.looks() === 2);
    await town.nextLook();
    expect(town.plane.starts("a")).toBe(2);
    town.plane.misbehave(null);
    await town.nextLook();
    await town.nextLook();
    expect(town.plane.starts("a")).toBe(3);
    expect(town.kinds()).toEqual(["wake-started", "control-plane-lost", "control-plane-back"]);
  });

  test("that hangs keeps no client from a server that comes up meanwhile", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    town.plane.misbehave({ kind: "hang" }, { request: "start" });
    const woken = town.join();
    await town.started();
    town.plane.setRunning("a", backend.address);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
  });

  test("of a server that says that it starts already is none: it is joined, even with an empty budget", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({
      servers: [
        { name: "a", startMs: null },
        { name: "b", state: "starting" },
      ],
      limits: { total: 1 },
    });
    void town.join();
    await town.started();
    const woken = town.join(backendOf("b"));
    await until("it is known to start", () => town.isStarting(named("b")));
    town.plane.setRunning("b", backend.address);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
    expect(town.plane.starts("b")).toBe(0);
  });

  test("is not taken for death while the control plane still says stopped", async () => {
    await using town = startWakes();
    const woken = town.join();
    await until("the look after it", () => town.looks() === 2);
    town.plane.setStopped("a");
    expect(await stateOf(woken)).toBe("pending");
  });
});

describe("when its time is over", () => {
  test("the wake has failed for all who wait, with the last word in the reason, and the next client starts anew", async () => {
    await using town = startWakes({ timeoutMs: 5_000 });
    const waiting = [town.join(), town.join()];
    await until("the look after the start", () => town.looks() === 2);
    await town.nextLook();
    town.clock.advance(4_999 - town.clock.now());
    expect(await stateOf(Promise.race(waiting))).toBe("pending");
    town.clock.advance(1);
    const reason = 'its state stayed "starting"';
    const failed = { kind: "failed", reason, message: null };
    expect(await Promise.all(waiting)).toEqual([failed, failed] as never);
    expect(town.events.slice(1)).toEqual([
      { kind: "wake-failed", server: "a", reason, waiters: 2, tookMs: 5_000 },
    ]);
    expect(town.view(named("a"))).toMatchObject({ state: "failed", lastFailure: reason });
    town.plane.setStopped("a");
    void town.join();
    await town.started("a", 2);
  });

  test("without clients, one last look decides", async () => {
    await using town = startWakes({ timeoutMs: 5_000 });
    const leaving = new AbortController();
    void town.join(backendOf(), {}, leaving.signal);
    await until("the look after the start", () => town.looks() === 2);
    leaving.abort();
    await advanceUntil(town.clock, "the end", () => town.kinds().includes("wake-failed"));
    expect(town.looks()).toBe(3);
    expect(town.view(named("a")).state).toBe("failed");
  });

  test("no client waits for longer than twice that", async () => {
    await using town = startWakes({ timeoutMs: 90_000 });
    void town.join();
    await town.started();
    town.clock.advance(10_000);
    expect(town.endsAt(named("a"), 0)).toBe(90_000);
    expect(town.endsAt(named("a"), -89_000)).toBe(90_000);
    expect(town.endsAt(named("a"), -100_000)).toBe(80_000);
  });
});

describe("a server that says that it failed", () => {
  test("ends the wake with its message", async () => {
    await using town = startWakes();
    const woken = town.join();
    await until("the look after the start", () => town.looks() === 2);
    const body = JSON.stringify({ state: "failed", message: "disk full" });
    town.plane.misbehave({ kind: "answer", status: 200, body }, { request: "state" });
    expect(await town.whileTimePasses(woken)).toEqual({
      kind: "failed",
      reason: 'the control plane says "failed": disk full',
      message: "disk full",
    });
    // The failure is from before the next start: it does not end that one at once.
    town.plane.setStopped("a");
    const again = town.join();
    await town.started("a", 2);
    expect(await stateOf(again)).toBe("pending");
  });
});

describe("a server that dies", () => {
  test("on its way up is started again for the clients that wait, with a time of its own", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({ timeoutMs: 10_000 });
    const woken = town.join();
    await until("the look after the start", () => town.looks() === 2);
    await town.nextLook();
    town.plane.setStopped("a");
    await advanceUntil(town.clock, "its death", () => town.plane.starts("a") === 2);
    const restartedAt = town.clock.now();
    expect(town.kinds()).toEqual(["wake-started", "wake-failed", "wake-started"]);
    expect(town.endsAt(named("a"), 0)).toBeGreaterThan(10_000);
    town.clock.advance(restartedAt + 9_000 - town.clock.now());
    expect(await stateOf(woken)).toBe("pending");
    town.plane.setRunning("a", backend.address);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
  });

  test("again and again is left alone after the second time", async () => {
    await using town = startWakes({ limits: {} });
    const woken = town.join();
    for (const round of [1, 2]) {
      await town.started("a", round);
      await town.nextLook();
      town.plane.setStopped("a");
      const deaths = () => town.kinds().filter((kind) => kind === "wake-failed").length;
      await advanceUntil(town.clock, "its death", () => deaths() === round);
    }
    expect(await woken).toMatchObject({ kind: "refused", why: "server" });
    expect(town.plane.starts("a")).toBe(2);
  });

  test("after it was up is started again at once, when the dial fails and the look agrees", async () => {
    using backend = await sleepingBackend();
    await using town = startWakes({ servers: [running(backend.address)] });
    const pass = passTo(await town.join(), backend.address);
    town.plane.setStopped("a");
    const again = pass.failed("refuses connections");
    town.clock.advance(retryMs);
    await town.started();
    using _up = backend.listen(silent);
    town.plane.setRunning("a", backend.address);
    passTo(await town.whileTimePasses(again), backend.address).arrived();
  });
});

describe("a server that is said to run, and takes no player", () => {
  test("is waited for without a start, and without a word before its port is open", async () => {
    using sleeping = await sleepingBackend();
    await using town = startWakes({ servers: [running(sleeping.address)] });
    const again = passTo(await town.join(), sleeping.address).failed("refuses connections");
    await town.nextLook();
    await until("it is known to start", () => town.isStarting(named("a")));
    await town.nextLook();
    expect(await stateOf(again)).toBe("pending");
    using backend = sleeping.listen(silent);
    passTo(await town.whileTimePasses(again), backend.address).arrived();
    expect(town.plane.starts("a")).toBe(0);
  });

  test("when that goes on until its time is over, the reason says so", async () => {
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using town = startWakes({ servers: [running(address)], timeoutMs: 3_000 });
    const again = passTo(await town.join(), address).failed("refuses connections");
    await town.nextLook();
    await until("it is known to start", () => town.isStarting(named("a")));
    town.clock.advance(3_000);
    expect(await again).toMatchObject({
      kind: "failed",
      reason: `${address} takes no connection`,
    });
  });

  test("and takes connections and drops them is tried twice a second, without more words", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({ servers: [running(backend.address)] });
    let woken = await town.join();
    for (let round = 1; round < 10; round += 1) {
      const again = passTo(woken, backend.address).failed(null);
      expect(await stateOf(again)).toBe("pending");
      await town.nextLook();
      woken = await again;
      expect(town.looks()).toBe(round + 1);
    }
    expect(town.events).toEqual([]);
  });

  test("holds the clients back that have not dialled yet", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    let dials = 0;
    const joins = Array.from({ length: 50 }, async () => {
      const woken = await town.join();
      dials += 1;
      if (woken.kind === "awake") await woken.pass.failed("refuses connections");
    });
    await until("the first few", () => dials === 8);
    town.clock.advance(turnMs);
    await Promise.race([Promise.all(joins), Bun.sleep(20)]);
    expect(dials).toBe(8);
  });

  test("a late failure of an address that has been found anew changes nothing", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    const late = passTo(await town.join(), "127.0.0.1:7001");
    town.plane.setRunning("a", "127.0.0.1:7002");
    town.clock.advance(1_000);
    passTo(await town.join(), "127.0.0.1:7002").arrived();
    passTo(await late.failed("does not answer"), "127.0.0.1:7002").arrived();
    expect(town.view(named("a")).address).toBe("127.0.0.1:7002");
  });
});

describe("a control plane that does not do its part locks no player out", () => {
  const rows: readonly { name: string; answer: Misbehaviour }[] = [
    { name: "500", answer: { kind: "answer", status: 500 } },
    { name: "404", answer: { kind: "answer", status: 404 } },
    { name: "401", answer: { kind: "answer", status: 401 } },
    { name: "a redirect", answer: { kind: "answer", status: 302, headers: { location: "/" } } },
    { name: "garbage", answer: { kind: "answer", status: 200, body: "<html>" } },
    { name: "10 MB", answer: { kind: "huge", bytes: 10_000_000 } },
  ];
  for (const { name, answer } of rows) {
    test(`${name}: a row's address that accepts is used at once, without a start or a charge`, async () => {
      using backend = startBackend(silent);
      await using town = startWakes({ limits: { total: 1 } });
      town.plane.misbehave(answer);
      passTo(await town.join(backendOf("a", backend.address)), backend.address).arrived();
      expect(town.kinds()).toEqual(["control-plane-lost"]);
      expect(town.plane.starts("a")).toBe(0);
    });
  }

  test("nothing listens there: the row's address is used at once", async () => {
    using backend = startBackend(silent);
    using closed = await reserveClosedPort();
    const clock = manualDeadlines();
    const wakes = realWakes({ url: `http://127.0.0.1:${closed.port}` }, clock, () => undefined);
    const woken = await wakes.wake(backendOf("a", backend.address), starter(true), never);
    passTo(woken, backend.address).arrived();
  });

  test("it hangs: the row's address is used after 2.5 s, and the operator hears of it", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    town.plane.misbehave({ kind: "hang" });
    const woken = town.join(backendOf("a", backend.address));
    await until("the look", () => town.looks() === 1);
    town.clock.advance(silenceMs - 1);
    expect(await stateOf(woken)).toBe("pending");
    town.clock.advance(1);
    passTo(await woken, backend.address).arrived();
    town.clock.advance(silenceMs);
    await until("the loss", () => town.kinds().includes("control-plane-lost"));
  });

  test("the row's address refuses: it is tried again with each look, and lets players in when it opens", async () => {
    using sleeping = await sleepingBackend();
    await using town = startWakes();
    town.plane.misbehave({ kind: "answer", status: 500 });
    const woken = town.join(backendOf("a", sleeping.address));
    await until("the look after the start", () => town.looks() === 2);
    await town.nextLook();
    expect(await stateOf(woken)).toBe("pending");
    using backend = sleeping.listen(silent);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
    expect(town.events).toContainEqual(expect.objectContaining({ kind: "wake-done", by: "row" }));
  });

  test("neither it nor the row's address: the reason names the control plane's answer", async () => {
    await using town = startWakes({ timeoutMs: 3_000 });
    town.plane.misbehave({ kind: "answer", status: 402, body: "no" }, { request: "start" });
    const woken = town.join();
    await until("the look after the start", () => town.looks() === 2);
    town.clock.advance(3_000);
    expect(await woken).toMatchObject({
      kind: "failed",
      reason: "POST /servers/a/start: status 402: no",
    });
  });

  test("it comes back: the server is found where it says", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    town.plane.misbehave({ kind: "answer", status: 500 });
    const woken = town.join();
    await until("the look after the start", () => town.looks() === 2);
    town.plane.misbehave(null);
    town.plane.setRunning("a", backend.address);
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
    expect(town.kinds().filter((kind) => kind === "control-plane-lost")).toHaveLength(2);
  });
});

describe("the routes", () => {
  const claim = (own: string | null, server = "a"): Claim => ({
    pattern: { kind: "default" },
    route: {
      source: "postgres",
      id: server,
      patterns: [],
      address: own === null ? nowhere : addressOf(own),
      wake: named(server),
    },
  });
  const nothing = { added: [], removed: [], changed: [] };

  test("an address that changes is used by those who wait already", async () => {
    using backend = startBackend(silent);
    await using town = startWakes();
    const before = claim("127.0.0.1:1");
    town.routesChanged({ ...nothing, added: [before] });
    town.plane.misbehave({ kind: "answer", status: 500 });
    const woken = town.join();
    await until("the look after the start", () => town.looks() === 2);
    town.routesChanged({ ...nothing, changed: [{ before, after: claim(backend.address) }] });
    passTo(await town.whileTimePasses(woken), backend.address).arrived();
  });

  test("a route that is removed ends the wait at once, and the looks with it", async () => {
    await using town = startWakes();
    town.routesChanged({ ...nothing, added: [claim("127.0.0.1:1")] });
    const waiting = [town.join(), town.join()];
    await until("the look after the start", () => town.looks() === 2);
    town.routesChanged({ ...nothing, removed: [claim("127.0.0.1:1")] });
    expect(await Promise.all(waiting)).toEqual([{ kind: "gone" }, { kind: "gone" }]);
    await town.idle();
    expect(town.views().size).toBe(0);
  });

  test("a server that only changes its names is waited for on", async () => {
    await using town = startWakes();
    town.routesChanged({ ...nothing, added: [claim("127.0.0.1:1")] });
    const woken = town.join();
    await town.started();
    const added = [claim("127.0.0.1:1")];
    town.routesChanged({ ...nothing, added, removed: [claim("127.0.0.1:1")] });
    expect(await stateOf(woken)).toBe("pending");
  });

  test("where a server was found is forgotten when its route moves, unless that is where it is", async () => {
    await using town = startWakes({ servers: [running("127.0.0.1:7001")] });
    const [first, same, other] = [
      claim("127.0.0.1:1"),
      claim("127.0.0.1:7001"),
      claim("127.0.0.1:2"),
    ];
    town.routesChanged({ ...nothing, added: [first] });
    passTo(await town.join(), "127.0.0.1:7001").arrived();
    town.routesChanged({ ...nothing, changed: [{ before: first, after: same }] });
    expect(town.view(named("a")).state).toBe("up");
    town.routesChanged({ ...nothing, changed: [{ before: same, after: other }] });
    expect(town.view(named("a")).state).toBe("unknown");
  });

  test("their servers can be viewed, with what is known of each", async () => {
    await using town = startWakes({
      servers: [{ name: "a", startMs: null }, running("127.0.0.1:7001", "b")],
    });
    const added = ["a", "b", "c"].map((name) => claim("127.0.0.1:1", name));
    town.routesChanged({ ...nothing, added });
    void town.join();
    await town.started();
    passTo(await town.join(backendOf("b")), "127.0.0.1:7001").arrived();
    town.clock.advance(500);
    const quiet = { stateMs: 500, lastFailure: null, usualStartMs: null };
    const starting = { state: "starting", address: null, waiting: 1, startedBy: "Steve" } as const;
    const up = { state: "up", address: "127.0.0.1:7001", waiting: 0, startedBy: null } as const;
    expect([...town.views()]).toEqual([
      ["control-plane:a", { ...quiet, ...starting }],
      ["control-plane:b", { ...quiet, ...up }],
    ]);
    expect(town.view(named("c"))).toMatchObject({ state: "unknown", stateMs: null });
  });
});

describe("a stop", () => {
  test("is not overtaken by a start, nor by a look that would still find the server running", async () => {
    using backend = startBackend(silent);
    await using town = startWakes({ servers: [running(backend.address)] });
    passTo(await town.join(), backend.address).arrived();
    const stopped = town.stop(named("a"), never);
    expect(town.view(named("a")).state).toBe("unknown");
    const looks = town.looks();
    const woken = town.join();
    await until("the stop", () =>
      town.plane.requests.some(({ path }) => path === "/servers/a/stop"),
    );
    expect(await stopped).toMatchObject({ ok: true });
    await until("the look behind it", () => town.looks() > looks);
    const kinds = town.plane.requests.map(({ path }) => path);
    expect(kinds.indexOf("/servers/a/stop")).toBeLessThan(kinds.lastIndexOf("/servers/a"));
    await woken;
  });
});

test("a client that is gone already asks for nothing", async () => {
  await using town = startWakes();
  expect(await town.join(backendOf(), {}, AbortSignal.abort())).toEqual({ kind: "left" });
  expect(town.plane.requests).toEqual([]);
});

test("nothing is left on the clock when a server that sleeps was only looked at", async () => {
  await using town = startWakes();
  expect(await town.join(backendOf(), { mayStart: false })).toEqual({ kind: "denied" });
  await town.idle();
  expect(town.views().size).toBe(0);
});

test("a defect reaches the clients that wait, and the operator where none does", async () => {
  await using town = startWakes({
    emit: (event) => {
      if (event.kind === "wake-started") throw new Error("a broken observer");
    },
  });
  const outcomes = await Promise.allSettled([town.join(), town.join()]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  // The start was sent nevertheless, and the next client joins it.
  await town.started();
  using backend = startBackend(silent);
  const woken = town.join();
  town.plane.setRunning("a", backend.address);
  passTo(await town.whileTimePasses(woken), backend.address).arrived();
});
