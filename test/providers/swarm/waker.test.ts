import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { err, ok } from "../../../src/base/result.ts";
import { createSwarmWaker, type SwarmTarget } from "../../../src/providers/swarm/waker.ts";
import { nowhere } from "../../../src/routing/address.ts";
import { type SwarmEngine, startSwarmEngine } from "./engine.ts";
import { serviceNamed } from "./recording.ts";

const { signal } = new AbortController();

let engine: SwarmEngine;
beforeEach(() => {
  engine = startSwarmEngine();
});
afterEach(() => engine[Symbol.asyncDispose]());

const targetOf = (name: string, terms: Partial<SwarmTarget> = {}): SwarmTarget => ({
  kind: "swarm",
  service: serviceNamed(name).service.id,
  name,
  port: 25565,
  network: null,
  scaling: { up: true, down: true, waitMs: 60_000 },
  ...terms,
});

const sleeperOf = (target: SwarmTarget) => ({ target, address: nowhere });

/** What the waker sees of a service, its addresses as text. */
async function seen(name: string, terms: Partial<SwarmTarget> = {}) {
  const state = await createSwarmWaker(engine.api).look(sleeperOf(targetOf(name, terms)), signal);
  if (state.kind !== "expected") return state;
  return { ...state, addresses: state.addresses.map(({ text }) => text) };
}

describe("a look at a service", () => {
  const rows: readonly {
    name: string;
    terms?: Partial<SwarmTarget>;
    sees: Awaited<ReturnType<typeof seen>> | object;
  }[] = [
    { name: "sleeping", sees: { kind: "stopped", word: "without replicas" } },
    { name: "unplaced", sees: { kind: "starting", word: "without a running task" } },
    { name: "updating", sees: { kind: "starting", word: "without a running task" } },
    { name: "running-one", sees: { kind: "expected", addresses: ["10.0.1.245:25565"] } },
    {
      name: "running-one",
      terms: { port: 25570 },
      sees: { kind: "expected", addresses: ["10.0.1.245:25570"] },
    },
    {
      name: "running-two",
      sees: {
        kind: "expected",
        addresses: ["10.0.1.246:25565", "10.0.1.247:25565", "10.0.1.248:25565"],
      },
    },
    {
      name: "named-two",
      sees: {
        kind: "expected",
        addresses: ["named-two:25565", "10.0.1.250:25565", "10.0.1.251:25565"],
      },
    },
    {
      name: "two-nets",
      terms: { network: "arena" },
      sees: { kind: "expected", addresses: ["10.0.1.20:25565"] },
    },
    { name: "no-network", sees: { kind: "starting", word: "without an address" } },
    // It was recorded long ago, so its pause is over.
    { name: "crashing", sees: { kind: "delayed", ms: 0 } },
    {
      name: "broken",
      sees: {
        kind: "failed",
        reason: "its last task has ended, and the Swarm starts no other",
        message: null,
      },
    },
  ];
  for (const { name, terms = {}, sees } of rows) {
    test(`sees how "${name}" is${terms.network ? ` on ${terms.network}` : ""}${terms.port ? ` at ${terms.port}` : ""}`, async () => {
      expect(await seen(name, terms)).toEqual(sees as never);
    });
  }

  test("sees for how long the Swarm waits before it starts it again", async () => {
    const soon = new Date(Date.now() - 10_000).toISOString();
    engine.tasks = engine.tasks.map((task) => ({
      ...task,
      Status: { State: "ready", Timestamp: soon },
    }));
    const state = await seen("crashing");
    if (state.kind !== "delayed") throw new Error(`it sees ${state.kind}`);
    // A minute since ten seconds ago, less what a slow machine takes to get here.
    expect(state.ms).toBeGreaterThan(20_000);
    expect(state.ms).toBeLessThanOrEqual(50_000);
  });

  for (const path of ["/services", "/tasks", "/networks"]) {
    test(`is trouble when ${path} cannot be asked for`, async () => {
      engine.failing = path;
      const state = await seen("running-one");
      expect(state).toMatchObject({ kind: "trouble" });
    });
  }
});

describe("starting and stopping", () => {
  test("goes by the number of replicas", async () => {
    const waker = createSwarmWaker(engine.api);
    const target = targetOf("sleeping");
    expect(await waker.start(sleeperOf(target), signal)).toEqual(ok(undefined));
    expect(engine.replicasOf("sleeping")).toBe(1);
    expect(await waker.stop(target, signal)).toEqual(ok(undefined));
    expect(engine.replicasOf("sleeping")).toBe(0);
  });

  test("is what the labels allow", async () => {
    const waker = createSwarmWaker(engine.api);
    const neither = targetOf("sleeping", { scaling: { up: false, down: false, waitMs: 1 } });
    expect(waker.may(neither)).toEqual({ start: false, stop: false });
    expect(await waker.start(sleeperOf(neither), signal)).toEqual(
      err({ reason: "its labels do not let it be started", isFinal: true }),
    );
    expect(engine.requests).toEqual([]);
    expect(waker.timing.timeoutMs(targetOf("sleeping"))).toBe(60_000);
  });
});
