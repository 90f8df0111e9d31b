import { describe, expect, test } from "bun:test";
import { err, ok, type Result } from "../../../src/base/result.ts";
import { serviceHost, targetNetwork, taskIp } from "../../../src/providers/swarm/address.ts";
import { serviceState } from "../../../src/providers/swarm/state.ts";
import { networkNamed, recordedNetworks, serviceNamed } from "./recording.ts";

/** Where a recorded service that runs is reached. */
function hostOf(
  name: string,
  wanted: string | null,
  replicas: number | null,
): Result<string, string> {
  const { service: asRecorded, tasks } = serviceNamed(name);
  const service = { ...asRecorded, replicas: replicas ?? asRecorded.replicas };
  const state = serviceState(service, tasks);
  if (state.kind !== "running") throw new Error(`${name} does not run`);
  return serviceHost({ service, running: state.tasks, wanted, known: recordedNetworks });
}

describe("a running service is reached at", () => {
  const rows: readonly {
    name: string;
    service: string;
    wanted?: string;
    replicas?: number;
    host: Result<string, string>;
  }[] = [
    { name: "its task, when it has one replica", service: "running-one", host: ok("10.0.1.245") },
    { name: "its virtual IP, when it has more", service: "running-two", host: ok("10.0.1.246") },
    {
      name: "its task, in spite of DNSRR",
      service: "named-one",
      host: ok("10.0.1.249"),
    },
    {
      name: "its name, when DNSRR gives it no virtual IP",
      service: "named-two",
      host: ok("named-two"),
    },
    { name: "its virtual IP, on every node", service: "everywhere", host: ok("10.0.1.252") },
    { name: "its first network but the ingress", service: "two-nets", host: ok("10.0.2.6") },
    {
      name: "the network of that name",
      service: "two-nets",
      wanted: "games",
      host: ok("10.0.1.20"),
    },
    {
      name: "the network of that alias",
      service: "two-nets",
      wanted: "arena",
      host: ok("10.0.1.20"),
    },
    {
      name: "the network of that id",
      service: "two-nets",
      wanted: networkNamed("games"),
      host: ok("10.0.1.20"),
    },
    {
      name: "the virtual IP on the network of that alias",
      service: "two-nets",
      wanted: "arena",
      replicas: 2,
      host: ok("10.0.1.19"),
    },
    {
      name: "the virtual IP on the ingress, when that is wanted",
      service: "two-nets",
      wanted: "ingress",
      replicas: 2,
      host: ok("10.0.0.7"),
    },
    {
      name: "the ingress, when it has nothing else",
      service: "ingress-only",
      host: ok("10.0.0.9"),
    },
    {
      name: "any network of its only task, when the wanted one is not its own",
      service: "two-nets",
      wanted: "six",
      host: ok("10.0.2.6"),
    },
    {
      name: "no network of another name",
      service: "two-nets",
      wanted: "six",
      replicas: 2,
      host: err('it is on no network "six"'),
    },
    {
      name: "no network at all",
      service: "no-network",
      host: err("it is on no network that it can be reached on"),
    },
  ];
  for (const { name, service, wanted = null, replicas = null, host } of rows) {
    test(name, () => expect(hostOf(service, wanted, replicas)).toEqual(host));
  }
});

describe("the target network", () => {
  const { service } = serviceNamed("two-nets");

  test("is the first one that is known", () => {
    const known = recordedNetworks.filter(({ name }) => name !== "other");
    expect(targetNetwork(service, null, known)).toBe(networkNamed("games"));
  });

  test("is the first one of all when none is known", () => {
    expect(targetNetwork(service, null, [])).toBe(networkNamed("other"));
  });

  test("is none when the wanted one is not known", () => {
    expect(targetNetwork(service, "arena", [])).toBeNull();
  });
});

describe("a task", () => {
  const task = serviceNamed("two-nets").tasks[0] as ReturnType<
    typeof serviceNamed
  >["tasks"][number];

  test("is not reached over the ingress unless that is wanted", () => {
    expect(taskIp(task, null)).toBe("10.0.2.6");
    expect(taskIp(task, networkNamed("ingress"))).toBe("10.0.0.8");
  });

  test("that has no address yet has none", () => {
    const attachments = task.attachments.map((attachment) => ({ ...attachment, ips: [] }));
    expect(taskIp({ ...task, attachments }, null)).toBeNull();
  });
});
