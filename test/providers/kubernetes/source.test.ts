import { describe, expect, test } from "bun:test";
import type { SourceEvent } from "../../../src/providers/event.ts";
import {
  createKubernetesSource,
  type KubernetesSourceDeps,
} from "../../../src/providers/kubernetes/source.ts";
import { createStatefulSets } from "../../../src/providers/kubernetes/stateful-sets.ts";
import { patternText } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";
import recording from "../../fixtures/kubernetes-answers.json";
import {
  type FakeKubernetes,
  fakeService,
  fakeStatefulSet,
  startFakeKubernetes,
} from "../../support/engines/fake-kubernetes.ts";
import { until } from "../../support/until.ts";

const fast = { backoffMs: 1, backoffMaxMs: 8, gapMs: 1, provenMs: 0 };

/** A source at work on a fake API. Dispose ends both. */
function follow(fake: FakeKubernetes, deps: Partial<KubernetesSourceDeps> = {}) {
  const stopping = new AbortController();
  const events: SourceEvent[] = [];
  const published: (readonly Route[])[] = [];
  const statefulSets = createStatefulSets();
  const source = createKubernetesSource({
    api: fake.api,
    namespace: null,
    ownNamespace: null,
    scaling: { up: false, down: false },
    simplifySrv: false,
    statefulSets,
    emit: (event) => events.push(event),
    timings: fast,
    ...deps,
  });
  const ended = source.run(
    { replace: (routes) => published.push(routes), patch: () => undefined },
    stopping.signal,
  );
  const texts = (): readonly string[] =>
    (published.at(-1) ?? [])
      .map(
        ({ id, patterns, address }) =>
          `${id}: ${patterns.map(patternText).join(" ")} -> ${address.text}`,
      )
      .toSorted();
  const count = (kind: SourceEvent["kind"]): number =>
    events.filter((event) => event.kind === kind).length;
  return {
    events,
    published,
    statefulSets,
    texts,
    count,
    live: (times = 1) => until("it is live", () => count("source-live") >= times),
    holds: (expected: readonly string[]) =>
      until(`it holds ${expected.join("; ")}, and not ${texts().join("; ")}`, () =>
        Bun.deepEquals(texts(), expected),
      ),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended;
      await fake[Symbol.asyncDispose]();
    },
  };
}

const a = fakeService("a", { externalServerName: "a.com" });
const b = fakeService("b", { externalServerName: "b.com" }, { clusterIP: "1.1.1.2" });
const aText = "default:a: a.com -> 1.1.1.1:25565";
const bText = "default:b: b.com -> 1.1.1.2:25565";

describe("what happens to services is what happens to routes", () => {
  /** A change of the one service, and the routes after it. */
  const rows: readonly (readonly [string, object, object, object, object, readonly string[]])[] = [
    [
      "another hostname",
      { externalServerName: "a.com" },
      {},
      { externalServerName: "b.com" },
      {},
      ["default:s: b.com -> 1.1.1.1:25565"],
    ],
    [
      "one more hostname",
      { externalServerName: "a.com" },
      {},
      { externalServerName: "a.com,b.com" },
      {},
      ["default:s: a.com b.com -> 1.1.1.1:25565"],
    ],
    [
      "one less hostname",
      { externalServerName: "a.com,b.com" },
      {},
      { externalServerName: "b.com" },
      {},
      ["default:s: b.com -> 1.1.1.1:25565"],
    ],
    [
      "an external name instead of an address",
      { externalServerName: "a.com" },
      {},
      { externalServerName: "a.com" },
      { type: "ExternalName", externalName: "mc-server.com" },
      ["default:s: a.com -> mc-server.com:25565"],
    ],
    [
      "an address again",
      { externalServerName: "a.com" },
      { type: "ExternalName", externalName: "mc-server.com" },
      { externalServerName: "a.com" },
      {},
      ["default:s: a.com -> 1.1.1.1:25565"],
    ],
    [
      "a proxy less",
      { externalServerName: "a.com", proxyServerName: "p" },
      {},
      { externalServerName: "a.com" },
      {},
      ["default:s: a.com -> 1.1.1.1:25565"],
    ],
    ["the default route no more", { defaultServer: "true" }, {}, {}, {}, []],
  ];
  test.each(rows)("%s", async (_, before, specBefore, after, specAfter, expected) => {
    const fake = startFakeKubernetes();
    fake.hold("services", [fakeService("s", { ...before }, { ...specBefore })]);
    await using followed = follow(fake);
    await followed.live();
    fake.hold("services", [fakeService("s", { ...after }, { ...specAfter })]);
    await followed.holds(expected);
  });
});

test("many services come page by page", async () => {
  const fake = startFakeKubernetes();
  const names = Array.from({ length: 1_201 }, (_, i) => `s${i}`);
  fake.hold(
    "services",
    names.map((name) => fakeService(name, { externalServerName: `${name}.com` })),
  );
  await using followed = follow(fake);
  await followed.live();
  expect(followed.published[0]).toHaveLength(1_201);
  expect(fake.requests.filter((request) => request.includes("limit=500"))).toHaveLength(3);
});

test("one namespace is all that is asked for", async () => {
  const fake = startFakeKubernetes();
  await using followed = follow(fake, { namespace: "games", scaling: { up: true, down: false } });
  await followed.live();
  expect(fake.requests[0]).toStartWith("GET /api/v1/namespaces/games/services?");
});

test("while the API is away the routes stay, and what has gone meanwhile goes", async () => {
  const fake = startFakeKubernetes();
  fake.hold("services", [a, b]);
  await using followed = follow(fake);
  await followed.live();
  await followed.holds([aText, bText]);
  await fake.stop();
  await until("it is lost, and tried again", () => followed.count("source-retry") > 1);
  expect(followed.count("source-lost")).toBe(1);
  expect(followed.texts()).toEqual([aText, bText]);
  fake.hold("services", [b]);
  fake.forget();
  fake.start();
  await followed.holds([bText]);
  await followed.live(2);
});

test("a watch goes on from where it has ended, and everything is listed again only when that is forgotten", async () => {
  const fake = startFakeKubernetes();
  fake.hold("services", [a]);
  await using followed = follow(fake);
  await until("it watches", () => fake.watches === 1);
  const lists = (): number => fake.requests.filter((request) => request.includes("limit=")).length;
  fake.endWatches();
  await until("it watches again", () => fake.watches === 1);
  fake.hold("services", [a, b]);
  await followed.holds([aText, bText]);
  expect(lists()).toBe(1);

  fake.forget();
  fake.endWatches();
  await until("it lists again", () => lists() === 2);
  await until("it watches once more", () => fake.watches === 1);
  expect(followed.count("source-lost")).toBe(0);
});

test("a bookmark moves the place where a watch goes on", async () => {
  const fake = startFakeKubernetes();
  fake.hold("services", [a]);
  await using _followed = follow(fake);
  await until("it watches", () => fake.watches === 1);
  fake.hold("statefulsets", [fakeStatefulSet("other", 1)]);
  fake.forget();
  fake.bookmark();
  fake.endWatches();
  await until("it watches again", () => fake.watches === 1);
  expect(fake.requests.filter((request) => request.includes("limit="))).toHaveLength(1);
});

test("StatefulSets are read from the first service on that may be scaled", async () => {
  const fake = startFakeKubernetes();
  fake.hold("services", [a]);
  fake.hold("statefulsets", [
    fakeStatefulSet("a", 0),
    { ...fakeStatefulSet("a", 3), metadata: { namespace: "default", name: "z" } },
  ]);
  await using followed = follow(fake);
  await followed.live();
  expect(fake.requests.some((request) => request.includes("statefulsets"))).toBe(false);
  expect(followed.statefulSets.of("default", "a")).toMatchObject({ ok: false });

  fake.hold("services", [fakeService("a", { externalServerName: "a.com", autoScaleDown: "true" })]);
  await until("they are read", () => followed.statefulSets.of("default", "a").ok);
  expect(followed.statefulSets.of("default", "a")).toMatchObject({
    value: { name: "a-pods", replicas: 0 },
  });
  expect(followed.statefulSets.of("other", "a")).toEqual({ ok: true, value: null });
  fake.hold("statefulsets", [fakeStatefulSet("a", 1, 1)]);
  await until("they are followed", () =>
    Bun.deepEquals(followed.statefulSets.of("default", "a"), {
      ok: true,
      value: { namespace: "default", name: "a-pods", service: "a", replicas: 1, ready: 1 },
    }),
  );
});

test("who may not read StatefulSets is told so once, and routes all the same", async () => {
  const fake = startFakeKubernetes();
  fake.hold("services", [fakeService("a", { externalServerName: "a.com", autoScaleUp: "true" })]);
  fake.intercept = ({ url }) =>
    url.includes("statefulsets") ? recorded("scale, forbidden") : null;
  await using followed = follow(fake);
  await followed.live();
  await until("it is told", () => followed.count("source-warning") > 0);
  await until(
    "it is tried again",
    () => fake.requests.filter((request) => request.includes("statefulsets")).length > 3,
  );
  const warnings = followed.events.filter((event) => event.kind === "source-warning");
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.message).toStartWith(
    "the StatefulSets cannot be read: GET /apis/apps/v1/statefulsets: status 403",
  );
  expect(followed.texts()).toEqual([aText]);
  expect(followed.statefulSets.of("default", "a")).toMatchObject({ ok: false });
});

test("whoever may read one namespace only is told how", async () => {
  const fake = startFakeKubernetes();
  fake.intercept = () => recorded("forbidden");
  await using followed = follow(fake, { ownNamespace: "minecraft" });
  await until("it is lost", () => followed.count("source-lost") > 0);
  const [lost] = followed.events.filter((event) => event.kind === "source-lost");
  expect(lost?.reason).toMatch(
    /cannot list resource "services".*; a ClusterRole has to allow list and watch on services, or with a Role set KUBE_NAMESPACE=minecraft$/,
  );
});

test("what is wrong with a service is told once, and again when it is something else", async () => {
  const fake = startFakeKubernetes();
  const wrong = (value: string) =>
    fakeService("a", { externalServerName: "a.com", proxyServerName: value });
  fake.hold("services", [wrong("a b"), b]);
  await using followed = follow(fake);
  await followed.holds([bText]);
  fake.hold("services", [wrong("a b")]);
  await followed.holds([]);
  fake.hold("services", [wrong("[a")]);
  await until("it is told again", () => followed.count("row-skipped") > 1);
  const told = followed.events
    .filter((event) => event.kind === "row-skipped")
    .map(({ row, reason }) => `${row} ${reason.slice(0, 50)}`);
  expect(told).toEqual([
    "default:a the address in proxyServerName has whitespace or a",
    "default:a the address in proxyServerName has no closing brac",
  ]);
});

/** What a real API server has answered. */
function recorded(name: keyof typeof recording): Response {
  const { status, body } = recording[name];
  return new Response(body, { status });
}

test("what a real API server has said becomes what it said", async () => {
  const fake = startFakeKubernetes();
  let watches = 0;
  fake.intercept = ({ url }) => {
    if (url.includes("/statefulsets"))
      return recorded(url.includes("watch=") ? "watch, gone" : "statefulsets");
    if (!url.includes("watch=")) return recorded("services");
    watches += 1;
    // The second one stays open, as it does when nothing happens.
    return watches === 1
      ? recorded("watch")
      : new Response(new ReadableStream({ start: (stream) => stream.enqueue("\n") }));
  };
  await using followed = follow(fake, { namespace: "minecraft" });
  await followed.live();
  await until("the second watch", () => watches === 2);
  const hosts = ({ patterns }: Route): string => patterns.map(patternText).join(" ");
  expect(followed.published[0]?.map(hosts)).toEqual(["*", "survival.example.org s.example.org"]);
  expect(followed.published.at(-1)?.map(hosts)).toEqual([
    "renamed.example.org",
    "creative.example.org",
  ]);
  const [survival] = followed.published[0]?.slice(1) ?? [];
  expect(survival).toMatchObject({
    id: "minecraft:survival",
    motd: { asleep: "Join to start it" },
    wake: { namespace: "minecraft", service: "survival", scaling: { up: true, down: false } },
  });
  const seconds = fake.requests.filter((request) => request.includes("services?watch"));
  expect(seconds.at(-1)).toContain("resourceVersion=215");
  expect(followed.statefulSets.of("minecraft", "survival")).toMatchObject({
    value: { name: "survival-pods", replicas: 0, ready: 0 },
  });
  expect(followed.statefulSets.of("minecraft", "lobby")).toMatchObject({ value: { replicas: 1 } });
});
