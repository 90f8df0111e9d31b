import { describe, expect, test } from "bun:test";
import type { Members } from "../../../src/base/members.ts";
import { err, ok, type Result } from "../../../src/base/result.ts";
import type { ApiFailure, ApiRequest } from "../../../src/providers/http-api.ts";
import { createStatefulSets } from "../../../src/providers/kubernetes/stateful-sets.ts";
import {
  createKubernetesWaker,
  type KubernetesTarget,
} from "../../../src/providers/kubernetes/waker.ts";
import { makeAddress } from "../../../src/routing/address.ts";
import recording from "../../fixtures/kubernetes-answers.json";

const { signal } = new AbortController();
const address = makeAddress("1.1.1.1", 25565);
const target: KubernetesTarget = {
  kind: "kubernetes",
  namespace: "games",
  service: "mc",
  isBehindProxy: false,
  scaling: { up: true, down: true, waitMs: 60_000 },
};
const sleeper = { target, address };

const failure = (status: number | null): ApiFailure => ({ status, message: `status ${status}` });

/** A waker beside an API whose StatefulSet has so many pods. `answers` are what changes of it come to, one after the other. */
function scaling(
  replicas: number,
  answers: readonly (number | null)[] = [],
  options: { readonly ready?: number; readonly awaitPods?: boolean } = {},
) {
  const state = { replicas, version: 7 };
  const asked: string[] = [];
  const bodies: Members[] = [];
  const failures = [...answers];
  const statefulSets = createStatefulSets();
  const told = (count: number, ready = options.ready ?? 0): void =>
    statefulSets.replace([
      { namespace: "games", name: "pods", service: "mc", replicas: count, ready },
    ]);
  told(replicas);

  function call({ method, path, body, headers }: ApiRequest): Promise<Result<Members, ApiFailure>> {
    const type = headers?.["content-type"] ?? "";
    asked.push(
      [method, path.replace("/apis/apps/v1/namespaces/games/statefulsets/", ""), type]
        .join(" ")
        .trim(),
    );
    const metadata = { name: "pods", resourceVersion: String(state.version) };
    if (method === "GET") {
      return Promise.resolve(
        ok({ metadata, spec: state.replicas === 0 ? {} : { replicas: state.replicas } }),
      );
    }
    const failed = failures.shift();
    if (failed !== undefined && failed !== 200) return Promise.resolve(err(failure(failed)));
    const wanted: { spec: { replicas: number } } & Members = JSON.parse(body ?? "");
    bodies.push(wanted);
    state.replicas = wanted.spec.replicas;
    state.version += 1;
    return Promise.resolve(ok({}));
  }
  const waker = createKubernetesWaker({
    api: { call },
    statefulSets,
    awaitPods: options.awaitPods ?? false,
  });
  return { waker, asked, bodies, state, statefulSets, told };
}

const look = "GET pods/scale";
const patchScale = "PATCH pods/scale application/merge-patch+json";
const patchSet = "PATCH pods application/strategic-merge-patch+json";
const putScale = "PUT pods/scale application/json";

describe("a start", () => {
  test("makes one pod out of none, and no more than the version it has seen", async () => {
    const { waker, asked, bodies, state } = scaling(0);
    expect(await waker.start(sleeper, signal)).toEqual({ ok: true, value: undefined });
    expect(asked).toEqual([look, patchScale]);
    expect(bodies).toEqual([{ metadata: { resourceVersion: "7" }, spec: { replicas: 1 } }]);
    expect(state.replicas).toBe(1);
  });

  test("is known at once, before the watch tells of it", async () => {
    const { waker, statefulSets } = scaling(0);
    await waker.start(sleeper, signal);
    expect(statefulSets.of("games", "mc")).toMatchObject({ value: { replicas: 1 } });
    expect(
      await waker.look({ target: { ...target, isBehindProxy: true }, address }, signal),
    ).toEqual({ kind: "expected", addresses: [address] });
  });

  test("of what is known to run asks for nothing", async () => {
    const { waker, asked } = scaling(1);
    expect(await waker.start(sleeper, signal)).toMatchObject({ ok: true });
    expect(asked).toEqual([]);
  });

  test("leaves what somebody else has started meanwhile", async () => {
    const { waker, asked, state } = scaling(0);
    state.replicas = 3;
    expect(await waker.start(sleeper, signal)).toMatchObject({ ok: true });
    expect(asked).toEqual([look]);
  });

  test("takes the next way when one is forbidden", async () => {
    const { waker, asked } = scaling(0, [403]);
    expect(await waker.start(sleeper, signal)).toMatchObject({ ok: true });
    expect(asked).toEqual([look, patchScale, patchSet]);
  });

  test("puts the whole scale when patches are forbidden", async () => {
    const { waker, asked, bodies } = scaling(0, [403, 403]);
    expect(await waker.start(sleeper, signal)).toMatchObject({ ok: true });
    expect(asked).toEqual([look, patchScale, patchSet, putScale]);
    expect(bodies).toEqual([
      { metadata: { name: "pods", resourceVersion: "7" }, spec: { replicas: 1 } },
    ]);
  });

  test("that is forbidden in every way says what would allow it", async () => {
    const { waker } = scaling(0, [403, 403, 403]);
    expect(await waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: {
        reason: "status 403; a Role has to allow patch on statefulsets/scale",
        isFinal: false,
      },
    });
  });

  test("looks again when the StatefulSet has changed meanwhile, but not for ever", async () => {
    const once = scaling(0, [409, 200]);
    expect(await once.waker.start(sleeper, signal)).toMatchObject({ ok: true });
    expect(once.asked).toEqual([look, patchScale, look, patchScale]);
    const always = scaling(0, [409, 409, 409, 409, 409, 409]);
    expect(await always.waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: { reason: "status 409", isFinal: false },
    });
    expect(always.asked).toHaveLength(10);
  });

  test("fails with the API's words when the API fails", async () => {
    expect(await scaling(0, [500]).waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: { reason: "status 500", isFinal: false },
    });
    expect(await scaling(0, [null]).waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: { reason: "status null", isFinal: false },
    });
  });

  test("of a service that no StatefulSet is for says so", async () => {
    const { waker, statefulSets } = scaling(0);
    statefulSets.replace([]);
    expect(await waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: { reason: "no StatefulSet in games has the serviceName mc", isFinal: false },
    });
  });

  test("before StatefulSets could be read says why they could not", async () => {
    const statefulSets = createStatefulSets();
    const waker = createKubernetesWaker({
      api: { call: () => Promise.reject(new Error("not asked")) },
      statefulSets,
      awaitPods: false,
    });
    expect(await waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: { reason: "the StatefulSets have not been read yet", isFinal: false },
    });
    statefulSets.lost("forbidden");
    expect(await waker.start(sleeper, signal)).toEqual({
      ok: false,
      error: { reason: "forbidden", isFinal: false },
    });
  });

  test("does not believe what was known before a stop", async () => {
    const { waker, state, told } = scaling(1);
    await waker.stop(target, signal);
    // The watch has not told of the stop yet.
    told(1);
    expect(await waker.start(sleeper, signal)).toMatchObject({ ok: true });
    expect(state.replicas).toBe(1);
  });
});

describe("a stop", () => {
  test("makes no pod out of one", async () => {
    const { waker, asked, state } = scaling(1);
    expect(await waker.stop(target, signal)).toMatchObject({ ok: true });
    expect(asked).toEqual([look, patchScale]);
    expect(state.replicas).toBe(0);
  });

  test.each([0, 2])("leaves a StatefulSet of %d pods alone", async (replicas) => {
    const { waker, asked } = scaling(replicas);
    expect(await waker.stop(target, signal)).toMatchObject({ ok: true });
    expect(asked).toEqual([look]);
    const isStopped = (await waker.look(sleeper, signal)).kind === "unknown";
    expect(isStopped).toBe(replicas === 0);
  });
});

describe("a look", () => {
  const proxied = { target: { ...target, isBehindProxy: true }, address };
  const expected = { kind: "expected", addresses: [address] } as const;
  const unknown = { kind: "unknown", addresses: [address] } as const;
  const running = { kind: "running", address } as const;
  const rows = [
    ["a pod that is ready", sleeper, 1, 1, false, running],
    ["a pod that is not ready", sleeper, 1, 0, false, expected],
    ["no pod", sleeper, 0, 0, false, unknown],
    ["a pod that is about to go", sleeper, 0, 1, false, unknown],
    ["a proxy", proxied, 1, 0, false, expected],
    ["a proxy of no pod", proxied, 0, 0, false, { kind: "stopped", word: "without replicas" }],
    [
      "a proxy, where its pod is waited for",
      proxied,
      1,
      0,
      true,
      { kind: "starting", word: "without a ready pod" },
    ],
    ["a proxy and a pod that is ready", proxied, 1, 1, true, running],
    ["no proxy, where pods behind proxies are waited for", sleeper, 1, 0, true, expected],
  ] as const;
  test.each(rows)("at %s", async (_, seen, replicas, ready, awaitPods, state) => {
    const { waker } = scaling(replicas, [], { ready, awaitPods });
    expect(await waker.look(seen, signal)).toEqual(state);
  });

  test("at a proxy, while the StatefulSet is not known", async () => {
    const { waker, statefulSets } = scaling(0, [], { awaitPods: true });
    statefulSets.replace([]);
    expect(await waker.look(proxied, signal)).toEqual(unknown);
  });
});

test("the pace is mc-router's, and the annotations say the rest", () => {
  const { waker } = scaling(0);
  expect([1, 2, 3].map(waker.timing.pauseMs)).toEqual([500, 1_000, 1_000]);
  expect(waker.timing.timeoutMs({ ...target, scaling: { up: true, down: false, waitMs: 5 } })).toBe(
    5,
  );
  expect(waker.may(target)).toEqual({ start: true, stop: true });
  const none = { ...target, scaling: { up: false, down: false, waitMs: 1 } };
  expect(waker.may(none)).toEqual({ start: false, stop: false });
});

test("a scale is read as a real API server writes it", async () => {
  const asked: string[] = [];
  const answers = [recording.scale, recording["scale, patched"]];
  const call = ({ method }: ApiRequest): Promise<Result<Members, ApiFailure>> => {
    asked.push(method);
    return Promise.resolve(ok(JSON.parse(answers.shift()?.body ?? "")));
  };
  const statefulSets = createStatefulSets();
  statefulSets.replace([
    { namespace: "games", name: "pods", service: "mc", replicas: 0, ready: 0 },
  ]);
  const waker = createKubernetesWaker({ api: { call }, statefulSets, awaitPods: false });
  expect(await waker.start(sleeper, signal)).toMatchObject({ ok: true });
  expect(asked).toEqual(["GET", "PATCH"]);
});
