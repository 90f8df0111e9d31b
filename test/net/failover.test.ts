import { afterEach, describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { err, type Result } from "../../src/base/result.ts";
import { type Balancer, createBalancer } from "../../src/net/balance.ts";
import { abort, peek } from "../../src/net/conn.ts";
import type { DialFailure } from "../../src/net/connect.ts";
import { createDialer, type Reached } from "../../src/net/dial.ts";
import { type Backend, closing, echo, silent, startBackend } from "../support/net/backend.ts";
import { startDeafBackend } from "../support/net/deaf-backend.ts";
import { anywhere } from "../support/net/egress.ts";
import { fixedResolver, never } from "../support/net/link-bench.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { until } from "../support/until.ts";

const deadlines = createDeadlines();
const opened: Reached[] = [];
afterEach(() => {
  for (const { conn } of opened.splice(0)) abort(conn);
});

const opening = { bytes: Buffer.from("hello"), isAnswered: true };

/** A dialer, and what it remembers of endpoints. */
function start(
  timeoutMs = 5_000,
  policy: Parameters<typeof createBalancer>[0]["policy"] = "first",
) {
  const balancer: Balancer = createBalancer({ policy });
  const dialer = createDialer({
    resolver: fixedResolver(),
    egress: anywhere,
    deadlines,
    timeoutMs,
    balancer,
    fault: (error) => {
      throw error;
    },
  });
  return {
    balancer,
    async reach(ports: readonly number[], signal = never): Promise<Result<Reached, DialFailure>> {
      const [first, ...others] = ports.map((port) => ({ host: "127.0.0.1", port }));
      if (first === undefined) throw new Error("no port");
      const reached = await dialer.reach({ ...first, others }, opening, signal);
      if (reached.ok) opened.push(reached.value);
      return reached;
    },
  };
}

/** The port that was chosen; null for a failure, or where there was no choice. */
const chosenPort = (reached: Result<Reached, DialFailure>): number | null =>
  reached.ok ? (reached.value.chosen?.port ?? null) : null;

describe("of several endpoints", () => {
  test("the first one that answers is taken, and no other one is asked", async () => {
    using first = startBackend(echo);
    using second = startBackend(echo);
    const reached = await start().reach([first.port, second.port]);
    expect(chosenPort(reached)).toBe(first.port);
    expect(reached.ok && peek(reached.value.conn).toString()).toBe("hello");
    expect(second.connections).toHaveLength(0);
  });

  test("one that refuses is passed over, and remembered", async () => {
    using closed = await reserveClosedPort();
    using live = startBackend(echo);
    const { balancer, reach } = start();
    expect(chosenPort(await reach([closed.port, live.port]))).toBe(live.port);
    expect(balancer.down()).toEqual([{ ip: "127.0.0.1", port: closed.port }]);
  });

  test("one that closes without an answer is passed over at once", async () => {
    using rude = startBackend(closing);
    using live = startBackend(echo);
    const { reach } = start(600_000);
    expect(chosenPort(await reach([rude.port, live.port]))).toBe(live.port);
  });

  test("one that takes connections and says nothing is passed over, cut and remembered", async () => {
    using mute = startBackend(silent);
    using live = startBackend(echo);
    const { balancer, reach } = start(200);
    expect(chosenPort(await reach([mute.port, live.port]))).toBe(live.port);
    expect(await (await mute.waitForConnection(0)).waitForEnd()).toBe("reset");
    expect(chosenPort(await reach([mute.port, live.port]))).toBe(live.port);
    expect(mute.connections).toHaveLength(1);
    expect(balancer.down()).toEqual([{ ip: "127.0.0.1", port: mute.port }]);
  });

  test("one that is only slow has the client when no other one answers", async () => {
    using slow = startBackend(silent);
    using closed = await reserveClosedPort();
    const { balancer, reach } = start(100);
    const reaching = reach([slow.port, closed.port]);
    const connection = await slow.waitForConnection(0);
    await until("both to have failed", () => balancer.down().length === 2);
    await connection.send(Buffer.from("late"));
    expect(chosenPort(await reaching)).toBe(slow.port);
  });

  test("one that could not be connected to in time is tried again while another one is silent", async () => {
    using mute = startBackend(silent);
    using deaf = await startDeafBackend(5);
    const { balancer, reach } = start(100);
    const reaching = reach([mute.port, deaf.port]);
    await until("both to have failed", () => balancer.down().length === 2);
    deaf.wake();
    expect(chosenPort(await reaching)).toBe(deaf.port);
  });

  test("those that are all down fail as the last one did", async () => {
    using closed = await reserveClosedPort();
    using rude = startBackend(closing);
    const { reach } = start();
    expect(await reach([rude.port, closed.port])).toEqual(
      err({ kind: "refused", message: "refuses connections" }),
    );
    expect(await reach([closed.port, rude.port])).toEqual(
      err({ kind: "refused", message: "closes without an answer" }),
    );
  });

  test("none is kept when the client leaves", async () => {
    using mute = startBackend(silent);
    using other = startBackend(silent);
    const control = new AbortController();
    const reaching = start(20).reach([mute.port, other.port], control.signal);
    await other.waitForConnection(0);
    control.abort();
    expect(await reaching).toEqual(err({ kind: "aborted", message: "no longer wanted" }));
    for (const backend of [mute, other]) {
      expect(await (await backend.waitForConnection(0)).waitForEnd()).toBe("reset");
    }
  });

  test("each gets as many sessions as the others where the least is taken", async () => {
    using first = startBackend(echo);
    using second = startBackend(echo);
    const { reach } = start(5_000, "least");
    const ports = [first.port, second.port];
    const all = await Promise.all(Array.from({ length: 10 }, () => reach(ports)));
    expect([first.connections.length, second.connections.length]).toEqual([5, 5]);
    // Three sessions of one endpoint end: the next three are its.
    const ofFirst = all.filter((reached) => chosenPort(reached) === first.port).slice(0, 3);
    for (const reached of ofFirst) if (reached.ok) reached.value.leave();
    for (let each = 0; each < 3; each += 1) expect(chosenPort(await reach(ports))).toBe(first.port);
  });
});

test("one endpoint alone gets the opening, and its answer is not waited for", async () => {
  using mute = startBackend(silent);
  const reached = await start().reach([mute.port]);
  expect(reached.ok && reached.value.chosen).toBeNull();
  const connection = await mute.waitForConnection(0);
  await until("the opening", () => connection.received().toString() === "hello");
});

test("an endpoint that has come back is found by a probe, for which no session waits", async () => {
  using closed = await reserveClosedPort();
  using live = startBackend(echo);
  let time = 0;
  const balancer = createBalancer({ policy: "first", now: () => time });
  const dialer = createDialer({
    resolver: fixedResolver(),
    egress: anywhere,
    deadlines,
    timeoutMs: 5_000,
    balancer,
    fault: (error) => {
      throw error;
    },
  });
  const target = {
    host: "127.0.0.1",
    port: closed.port,
    others: [{ host: "127.0.0.1", port: live.port }],
  };
  const reach = async (): Promise<number | null> => {
    const reached = await dialer.reach(target, opening, never);
    if (reached.ok) opened.push(reached.value);
    return chosenPort(reached);
  };
  expect(await reach()).toBe(live.port);
  closed[Symbol.dispose]();
  using back: Backend = startBackend(echo, "127.0.0.1", closed.port);
  expect(await reach()).toBe(live.port);
  expect(back.connections).toHaveLength(0);
  time = 10_000;
  expect(await reach()).toBe(live.port);
  await until("the probe", () => balancer.down().length === 0);
  expect(await reach()).toBe(back.port);
});
