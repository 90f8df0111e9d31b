import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { err, ok } from "../../../src/base/result.ts";
import { type SwarmEngine, startSwarmEngine } from "./engine.ts";
import { serviceNamed } from "./recording.ts";

const { signal } = new AbortController();
const idOf = (name: string): string => serviceNamed(name).service.id;

let engine: SwarmEngine;
beforeEach(() => {
  engine = startSwarmEngine();
});
afterEach(() => engine[Symbol.asyncDispose]());

describe("asking a Swarm", () => {
  test("gives the services that have the label", async () => {
    const services = await engine.api.services("mc-router.host", signal);
    expect(services.ok && services.value.length).toBe(16);
    expect(await engine.api.services("other.label", signal)).toEqual(ok([]));
  });

  test("gives a service with its tasks, and the networks", async () => {
    const { service, tasks } = serviceNamed("crashing");
    expect(await engine.api.service(service.id, signal)).toEqual(ok(service));
    expect(await engine.api.tasks([service.id], signal)).toEqual(ok(tasks));
    const networks = await engine.api.networks(signal);
    expect(networks.ok && networks.value.map(({ name }) => name)).toContain("games");
  });

  test("asks for the tasks of many services some at a time", async () => {
    const ids = [...Array(120).keys()].map((index) => `nobody-${index}`);
    const tasks = await engine.api.tasks([...ids, idOf("running-two")], signal);
    expect(tasks.ok && tasks.value.length).toBe(2);
    expect(engine.requests).toEqual(Array(3).fill("GET /tasks"));
  });

  test("says what went wrong", async () => {
    expect(await engine.api.service("nobody", signal)).toEqual(
      err("GET /v1.41/services/nobody: status 404: service nobody not found"),
    );
    engine.failing = "";
    const away = err("GET /v1.41/tasks: status 503: away");
    expect(await engine.api.tasks([idOf("broken")], signal)).toEqual(away);
  });
});

describe("a service without replicas", () => {
  test("is given one, and the rest of it stays as it was", async () => {
    const before = structuredClone(engine.services.find(({ ID }) => ID === idOf("sleeping")));
    expect(await engine.api.wake(idOf("sleeping"), signal)).toEqual(ok(undefined));
    const after = engine.services.find(({ ID }) => ID === idOf("sleeping"));
    expect(after?.Spec).toEqual({
      ...(before as NonNullable<typeof before>).Spec,
      Mode: { Replicated: { Replicas: 1 } },
    });
  });

  test("is given one although others change it meanwhile", async () => {
    let others = 3;
    engine.beforeUpdate = (service) => {
      if (others > 0) service.Version = { Index: service.Version.Index + 1 };
      others -= 1;
    };
    expect(await engine.api.wake(idOf("sleeping"), signal)).toEqual(ok(undefined));
    expect(engine.replicasOf("sleeping")).toBe(1);
    expect(engine.requests.filter((request) => request.startsWith("POST"))).toHaveLength(4);
  });

  test("keeps what somebody else gave it meanwhile", async () => {
    engine.beforeUpdate = (service) => {
      service.Version = { Index: service.Version.Index + 1 };
      service.Spec = { ...service.Spec, Mode: { Replicated: { Replicas: 4 } } };
    };
    expect(await engine.api.wake(idOf("sleeping"), signal)).toEqual(ok(undefined));
    expect(engine.replicasOf("sleeping")).toBe(4);
  });

  test("is given up when others never stop changing it", async () => {
    engine.beforeUpdate = (service) => {
      service.Version = { Index: service.Version.Index + 1 };
    };
    const woken = await engine.api.wake(idOf("sleeping"), signal);
    expect(woken).toEqual(
      err(
        `POST /v1.41/services/${idOf("sleeping")}/update: status 500: rpc error: code = Unknown desc = update out of sequence`,
      ),
    );
    expect(engine.requests.filter((request) => request.startsWith("POST"))).toHaveLength(5);
  });

  test("is left alone when a number in it could not be given back as it was", async () => {
    const service = engine.services.find(({ ID }) => ID === idOf("sleeping"));
    if (service === undefined) throw new Error("nothing was recorded");
    service.Spec = {
      ...service.Spec,
      TaskTemplate: { MaxAttempts: 2 ** 60 },
    } as typeof service.Spec;
    expect(await engine.api.wake(idOf("sleeping"), signal)).toEqual(
      err("the service has a number that is too large to be kept"),
    );
    expect(engine.replicasOf("sleeping")).toBe(0);
  });

  test("is not touched when it is to be put to sleep", async () => {
    expect(await engine.api.putToSleep(idOf("sleeping"), signal)).toEqual(ok(undefined));
    expect(engine.requests).toEqual([`GET /services/${idOf("sleeping")}`]);
  });
});

describe("a service with replicas", () => {
  for (const name of ["running-one", "running-two", "broken"]) {
    test(`is put to sleep however many it has: ${name}`, async () => {
      expect(await engine.api.putToSleep(idOf(name), signal)).toEqual(ok(undefined));
      expect(engine.replicasOf(name)).toBe(0);
    });
  }

  test("is not touched when it is to be woken", async () => {
    expect(await engine.api.wake(idOf("running-two"), signal)).toEqual(ok(undefined));
    expect(engine.replicasOf("running-two")).toBe(2);
    expect(engine.requests).toEqual([`GET /services/${idOf("running-two")}`]);
  });
});

test("a service with one task on each node is neither woken nor put to sleep", async () => {
  const refusal = err("the service has no number of replicas to change");
  expect(await engine.api.wake(idOf("everywhere"), signal)).toEqual(refusal);
  expect(await engine.api.putToSleep(idOf("everywhere"), signal)).toEqual(refusal);
});
