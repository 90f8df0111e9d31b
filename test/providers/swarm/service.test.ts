import { describe, expect, test } from "bun:test";
import { parseSwarmNetwork, parseSwarmService } from "../../../src/providers/swarm/service.ts";
import { parseSwarmTask } from "../../../src/providers/swarm/task.ts";
import { networkNamed, serviceNamed } from "./recording.ts";

describe("a service in the engine's answer", () => {
  test("keeps what routing needs", () => {
    expect(serviceNamed("two-nets").service).toMatchObject({
      name: "two-nets",
      replicas: 1,
      isUpdating: false,
      endpointMode: "vip",
      networks: [
        { target: networkNamed("other"), aliases: [] },
        { target: networkNamed("games"), aliases: ["arena"] },
      ],
      virtualIps: [
        { network: networkNamed("ingress"), ip: "10.0.0.7" },
        { network: networkNamed("other"), ip: "10.0.2.5" },
        { network: networkNamed("games"), ip: "10.0.1.19" },
      ],
      restartDelayMs: 5_000,
    });
  });

  test("has the labels of the service", () => {
    const { labels } = serviceNamed("sleeping").service;
    expect(labels.get("mc-router.host")).toBe("sleeping.example.org");
    expect(labels.get("mc-router.auto-scale-asleep-motd")).toBe("Zzz");
  });

  const replicas: readonly { name: string; mode: unknown; replicas: number | null }[] = [
    { name: "some", mode: { Replicated: { Replicas: 3 } }, replicas: 3 },
    { name: "none", mode: { Replicated: { Replicas: 0 } }, replicas: 0 },
    { name: "left out", mode: { Replicated: {} }, replicas: 0 },
    { name: "one on each node", mode: { Global: {} }, replicas: null },
    { name: "a job", mode: { ReplicatedJob: { MaxConcurrent: 1 } }, replicas: null },
    { name: "no mode", mode: undefined, replicas: null },
  ];
  for (const row of replicas) {
    test(`has as many replicas as its mode says: ${row.name}`, () => {
      const json = { ID: "s", Spec: { Name: "n", Mode: row.mode } };
      expect(parseSwarmService(json)?.replicas).toBe(row.replicas);
    });
  }

  test("is being updated while the engine says so", () => {
    const updating = ["updating", "rollback_started", "paused", "completed", "rollback_completed"];
    const seen = updating.map((State) =>
      parseSwarmService({ ID: "s", Spec: { Name: "n" }, UpdateStatus: { State } }),
    );
    expect(seen.map((service) => service?.isUpdating)).toEqual([true, true, false, false, false]);
    expect(serviceNamed("updating").service.isUpdating).toBe(true);
  });
});

describe("what the engine never answers", () => {
  const junk: readonly unknown[] = [null, 1, "x", [], {}, { ID: 5 }, { ID: "s", Spec: [] }];
  for (const json of junk) {
    test(`is no service, task or network: ${JSON.stringify(json)}`, () => {
      expect(parseSwarmService(json)).toBeNull();
      expect(parseSwarmTask(json)).toBeNull();
      expect(parseSwarmNetwork(json)).toBeNull();
    });
  }

  test("does not get far inside a service or a task", () => {
    const service = parseSwarmService({
      ID: "s",
      CreatedAt: 7,
      Spec: {
        Name: "n",
        Labels: { a: 1, b: "x" },
        TaskTemplate: { Networks: [null, { Target: 1, Aliases: [2, "a"] }], RestartPolicy: "no" },
      },
      Endpoint: { VirtualIPs: [{ Addr: "" }, { Addr: "10.0.0.1" }, 3] },
    });
    expect(service).toEqual({
      id: "s",
      name: "n",
      createdAt: 0,
      labels: new Map([["b", "x"]]),
      replicas: null,
      isUpdating: false,
      endpointMode: "vip",
      networks: [{ target: "", aliases: ["a"] }],
      virtualIps: [{ network: "", ip: "10.0.0.1" }],
      restartDelayMs: 5_000,
    });
    const task = parseSwarmTask({
      ID: "t",
      ServiceID: "s",
      Status: { Timestamp: "never", State: 1 },
      NetworksAttachments: [{ Network: null, Addresses: ["10.0.0.9/24", 4, "/24"] }],
    });
    expect(task).toEqual({
      id: "t",
      service: "s",
      createdAt: 0,
      state: "",
      since: 0,
      desired: "",
      attachments: [{ network: "", networkName: "", ips: ["10.0.0.9"] }],
    });
  });
});
