import { describe, expect, test } from "bun:test";
import { type ServiceState, serviceState } from "../../../src/providers/swarm/state.ts";
import type { SwarmTask } from "../../../src/providers/swarm/task.ts";
import { serviceNamed } from "./recording.ts";

describe("a recorded service", () => {
  const rows: readonly { name: string; kind: ServiceState["kind"] }[] = [
    { name: "sleeping", kind: "sleeping" },
    { name: "running-one", kind: "running" },
    { name: "running-two", kind: "running" },
    { name: "everywhere", kind: "running" },
    { name: "crashing", kind: "restart-delay" },
    { name: "no-image", kind: "restart-delay" },
    { name: "broken", kind: "failed" },
    { name: "unplaced", kind: "waking" },
    { name: "nowhere", kind: "waking" },
    { name: "updating", kind: "waking" },
  ];
  for (const { name, kind } of rows) {
    test(`"${name}" is ${kind}`, () => {
      const { service, tasks } = serviceNamed(name);
      expect(serviceState(service, tasks).kind).toBe(kind);
    });
  }

  test("comes back when its restart delay is over, counted from when its next task was ready", () => {
    const { service, tasks } = serviceNamed("crashing");
    const ready = tasks.find(({ desired }) => desired === "ready");
    expect(service.restartDelayMs).toBe(60_000);
    expect(serviceState(service, tasks)).toEqual({
      kind: "restart-delay",
      until: (ready?.since ?? 0) + 60_000,
    });
  });

  test("that names no restart delay has the Swarm's own", () => {
    expect(serviceNamed("running-one").service.restartDelayMs).toBe(5_000);
  });
});

/** A task in short: `desired/state`. */
function task(text: string, at: number): SwarmTask {
  const [desired = "", state = ""] = text.split("/");
  return {
    id: `t${at}`,
    service: "s",
    createdAt: at,
    since: at * 10,
    desired,
    state,
    attachments: [],
  };
}

describe("the state table, oldest task first", () => {
  const rows: readonly { tasks: string; replicas?: number | null; kind: ServiceState["kind"] }[] = [
    { tasks: "", replicas: 0, kind: "sleeping" },
    { tasks: "running/running", replicas: 0, kind: "sleeping" },
    { tasks: "running/running", kind: "running" },
    { tasks: "ready/ready running/running", kind: "running" },
    { tasks: "shutdown/failed running/running", replicas: 3, kind: "running" },
    { tasks: "running/running", replicas: null, kind: "running" },
    { tasks: "running/starting", replicas: null, kind: "waking" },
    { tasks: "shutdown/failed ready/ready", kind: "restart-delay" },
    { tasks: "shutdown/running ready/preparing", kind: "restart-delay" },
    { tasks: "ready/rejected", kind: "restart-delay" },
    { tasks: "shutdown/failed", kind: "failed" },
    { tasks: "shutdown/complete shutdown/rejected", kind: "failed" },
    { tasks: "", kind: "waking" },
    { tasks: "running/new", kind: "waking" },
    { tasks: "running/failed", kind: "waking" },
    { tasks: "shutdown/failed running/pending", kind: "waking" },
    // Being stopped, which is still a sign of life.
    { tasks: "shutdown/running", kind: "waking" },
    { tasks: "shutdown/running shutdown/failed", kind: "waking" },
    { tasks: "shutdown/failed remove/failed", kind: "waking" },
  ];
  for (const { tasks, replicas = 1, kind } of rows) {
    test(`${replicas ?? "global"}: ${tasks === "" ? "no tasks" : tasks} is ${kind}`, () => {
      const service = { ...serviceNamed("running-one").service, replicas };
      const list = tasks.split(" ").filter(Boolean).map(task);
      expect(serviceState(service, list).kind).toBe(kind);
      expect(serviceState(service, list.toReversed()).kind).toBe(kind);
    });
  }

  test("a restart delay counts from the newest ready task", () => {
    const { service } = serviceNamed("crashing");
    const tasks = [task("ready/ready", 100), task("ready/ready", 300), task("ready/ready", 200)];
    expect(serviceState(service, tasks)).toEqual({ kind: "restart-delay", until: 63_000 });
  });

  test("the running tasks come newest first", () => {
    const { service } = serviceNamed("running-two");
    const tasks = [task("running/running", 1), task("running/running", 3)];
    const state = serviceState(service, [...tasks, task("running/starting", 5)]);
    expect(state).toEqual({ kind: "running", tasks: tasks.toReversed() });
  });
});
