import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { SourceEvent } from "../../../src/providers/event.ts";
import { createSwarmSource } from "../../../src/providers/swarm/source.ts";
import { toHostname } from "../../../src/routing/hostname.ts";
import { createRouteTable, type RouteTable } from "../../../src/routing/table.ts";
import { until } from "../../support/until.ts";
import { type SwarmEngine, startSwarmEngine } from "./engine.ts";
import { serviceNamed } from "./recording.ts";

let engine: SwarmEngine;
const stopping: AbortController[] = [];
const ended: Promise<void>[] = [];

beforeEach(() => {
  engine = startSwarmEngine();
});

afterEach(async () => {
  for (const control of stopping.splice(0)) control.abort();
  await Promise.all(ended.splice(0));
  await engine[Symbol.asyncDispose]();
});

/** The source at work on the engine, and what it has said. */
function follow(resyncMs = 60_000, unsettledMs = 60_000) {
  const table: RouteTable = createRouteTable();
  const events: SourceEvent[] = [];
  const control = new AbortController();
  stopping.push(control);
  const source = createSwarmSource({
    api: engine.api,
    scaling: { up: true, down: true },
    simplifySrv: false,
    emit: (event) => events.push(event),
    resyncMs,
    unsettledMs,
    timings: { backoffMs: 20, backoffMaxMs: 20, gapMs: 1, provenMs: 0 },
  });
  const publish = {
    replace: (routes: Parameters<RouteTable["replace"]>[1]) => void table.replace("swarm", routes),
    patch: () => {
      throw new Error("it replaces");
    },
  };
  ended.push(source.run(publish, control.signal));
  const addressOf = (hostname: string): string | undefined =>
    table.resolve(toHostname(hostname))?.route.address.text;
  return {
    events,
    addressOf,
    kinds: () => events.map(({ kind }) => kind),
    /** Live, and nothing that was told is still to be looked into. */
    live: () =>
      until(
        "it is live",
        () => engine.followers() === 1 && addressOf("one.example.org") !== undefined,
      ),
    leadsTo: (hostname: string, address: string) =>
      until(`${hostname} leads to ${address}`, () => addressOf(hostname) === address),
  };
}

/** Takes the tasks of a service away, as when it has none yet. */
const withoutTasks = (name: string) => {
  const { id } = serviceNamed(name).service;
  return engine.tasks.filter(({ ServiceID }) => ServiceID !== id);
};

describe("the Swarm source", () => {
  test("asks only for services with a hostname, and for the tasks of those that shall have any", async () => {
    const followed = follow();
    await followed.live();
    expect(engine.requests.slice(0, 3)).toEqual(["GET /services", "GET /networks", "GET /tasks"]);
    expect(followed.addressOf("one.example.org")).toBe("10.0.1.245:25570");
    expect(followed.addressOf("sleeping.example.org")).toBe("");
  });

  test("lists again at an event", async () => {
    const followed = follow();
    await followed.live();
    engine.tasks = withoutTasks("running-one");
    engine.announce();
    await followed.leadsTo("one.example.org", "");
  });

  test("lists again now and then, as nobody tells of tasks", async () => {
    const followed = follow(20);
    await followed.live();
    engine.tasks = withoutTasks("running-one");
    await followed.leadsTo("one.example.org", "");
  });

  test("lists again soon while a service is on its way up, and not for long after", async () => {
    const followed = follow(60_000, 10);
    engine.services = engine.services.filter(({ Spec }) =>
      ["running-one", "unplaced"].includes(Spec.Name),
    );
    await followed.live();
    await until("some listings", () => engine.requests.length > 15);
    engine.services = engine.services.filter(({ Spec }) => Spec.Name === "running-one");
    await until("it is seen", () => followed.addressOf("unplaced.example.org") === undefined);
    const before = engine.requests.length;
    await Bun.sleep(100);
    expect(engine.requests.length - before).toBeLessThanOrEqual(3);
  });

  test("tells how a service changes", async () => {
    const followed = follow();
    await followed.live();
    engine.tasks = withoutTasks("running-one");
    engine.announce();
    const service = "running-one";
    const before = "running";
    await until("it is told", () => followed.kinds().includes("service-state"));
    expect(followed.events.filter(({ kind }) => kind === "service-state")).toEqual([
      { kind: "service-state", source: "swarm", service, before, state: "waking" },
    ]);
  });

  test("complains of a service once, and again when something else is wrong with it", async () => {
    const followed = follow(20);
    await followed.live();
    await until("some listings", () => engine.requests.length > 12);
    const complaints = () => followed.events.filter(({ kind }) => kind === "row-skipped");
    expect(complaints()).toHaveLength(1);
    const service = engine.services.find(({ Spec }) => Spec.Name === "no-network");
    if (service === undefined) throw new Error("nothing was recorded");
    service.Spec = { ...service.Spec, Labels: { "mc-router.host": "a b" } };
    await until("it is told", () => complaints().length === 2);
    expect(complaints()[1]).toMatchObject({
      row: "no-network",
      reason: 'the hostname "a b" has whitespace or a control character inside',
    });
  });

  test("leaves a running service where it is while its tasks cannot be asked for", async () => {
    const followed = follow(20);
    await followed.live();
    engine.failing = "/tasks";
    await until("it is told", () => followed.kinds().includes("source-lost"));
    expect(followed.addressOf("one.example.org")).toBe("10.0.1.245:25570");
    expect(followed.kinds()).not.toContain("service-state");
    engine.tasks = withoutTasks("running-one");
    engine.failing = null;
    await followed.leadsTo("one.example.org", "");
    await until("it is live again", () => followed.kinds().at(-1) !== "source-retry");
  });

  test("says why there is nothing to follow", async () => {
    engine.failing = "/services";
    const followed = follow();
    await until("it is told", () => followed.kinds().includes("source-lost"));
    expect(followed.events[0]).toEqual({
      kind: "source-lost",
      source: "swarm",
      reason: "GET /v1.41/services: status 503: away",
      routes: 0,
    });
    engine.failing = null;
    await followed.live();
  });

  test("lists again when the events have been cut", async () => {
    const followed = follow();
    await followed.live();
    engine.tasks = withoutTasks("running-one");
    engine.cut();
    await followed.leadsTo("one.example.org", "");
  });
});
