import { describe, expect, test } from "bun:test";
import { createDockerApi } from "../../../src/providers/docker/api.ts";
import { createDockerSource, type DockerSourceDeps } from "../../../src/providers/docker/source.ts";
import type { SourceEvent } from "../../../src/providers/event.ts";
import { patternText } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";
import dockerRecording from "../../fixtures/docker-20.10.json";
import podmanRecording from "../../fixtures/podman-4.3.json";
import type { Recording } from "../../fixtures/record-engines.ts";
import {
  type FakeContainer,
  type FakeDocker,
  idOf,
  startFakeDocker,
} from "../../support/engines/fake-docker.ts";
import { until } from "../../support/until.ts";

const fast = { backoffMs: 1, backoffMaxMs: 8, gapMs: 1, provenMs: 0 };

/** A source at work on a fake engine. Dispose ends both. */
function follow(fake: FakeDocker, deps: Partial<DockerSourceDeps> = {}) {
  const stopping = new AbortController();
  const events: SourceEvent[] = [];
  const published: (readonly Route[])[] = [];
  const source = createDockerSource({
    api: fake.api,
    scaling: { up: false, down: false },
    simplifySrv: false,
    emit: (event) => events.push(event),
    echoesMs: [],
    timings: fast,
    ...deps,
  });
  const ended = source.run(
    { replace: (routes) => published.push(routes), patch: () => undefined },
    stopping.signal,
  );
  const followed = {
    events,
    published,
    routes: () => published.at(-1) ?? [],
    /** `id: patterns -> address` of each route. */
    texts: () => followed.routes().map(textOf).toSorted(),
    live: () => until("it is live", () => events.some(({ kind }) => kind === "source-live")),
    holds: (texts: readonly string[]) =>
      until(`it holds ${texts.join("; ")}`, () => Bun.deepEquals(followed.texts(), texts)),
    complaints: () =>
      events
        .filter((event) => event.kind === "row-skipped")
        .map(({ row, reason }) => `${row}: ${reason}`),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended;
      fake[Symbol.dispose]();
    },
  };
  return followed;
}

const textOf = ({ id, patterns, address }: Route): string =>
  `${id}: ${patterns.map(patternText).join(" ")} -> ${address.text}`;

const container = (
  name: string,
  labels: Readonly<Record<string, string>> = {},
  rest: Partial<FakeContainer> = {},
): FakeContainer => ({
  name,
  labels: {
    "mc-router.host": `${name}.example`,
    ...Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [`mc-router.${key}`, value]),
    ),
  },
  state: "running",
  networks: { bridge: "10.0.0.5" },
  ...rest,
});

/** What one container becomes. */
async function routed(
  one: FakeContainer,
  deps: Partial<DockerSourceDeps> = {},
): Promise<{ readonly route: Route | null; readonly complaints: readonly string[] }> {
  const fake = startFakeDocker();
  fake.hold([one]);
  await using followed = follow(fake, deps);
  await followed.live();
  return { route: followed.routes()[0] ?? null, complaints: followed.complaints() };
}

const both = { scaling: { up: true, down: true } };

describe("an address", () => {
  const two = { networks: { bridge: "10.0.0.5", games: "10.1.0.5" } };
  const gamesId = idOf({ name: "games" });

  test.each([
    ["the only network's", {}, {}, "10.0.0.5:25565"],
    ["with a port", { port: "25570" }, {}, "10.0.0.5:25570"],
    ["with port 0", { port: "0" }, {}, "10.0.0.5:25565"],
    ["IPv6 where it is all there is", {}, { networks: { bridge: "fd00::5" } }, "[fd00::5]:25565"],
    ["the named network's", { network: "games" }, two, "10.1.0.5:25565"],
    ["by the network's id", { network: gamesId }, two, "10.1.0.5:25565"],
    ["by twelve digits of it", { network: gamesId.slice(0, 12) }, two, "10.1.0.5:25565"],
    [
      "by an alias",
      { network: "party" },
      { networks: { games: "10.1.0.5" }, aliases: ["party"] },
      "10.1.0.5:25565",
    ],
    [
      "a name before an alias",
      { network: "games" },
      { ...two, aliases: ["games"] },
      "10.1.0.5:25565",
    ],
  ] as const)("%s", async (_, labels, rest, address) => {
    const { route, complaints } = await routed(container("a", labels, rest));
    expect(route?.address.text).toBe(address);
    expect(complaints).toEqual([]);
  });

  test.each([
    ["no network", {}, { networks: {} }, "the container is on no network"],
    [
      "several networks and no word",
      {},
      two,
      "the container is on several networks (bridge, games); a label mc-router.network has to name one",
    ],
    ["another network", { network: "x" }, two, 'the container is on no network "x"'],
    [
      "eleven digits of an id",
      { network: gamesId.slice(0, 11) },
      two,
      `the container is on no network "${gamesId.slice(0, 11)}"`,
    ],
    [
      "a network without addresses",
      {},
      { networks: { host: "" } },
      "the container has no address on the network host",
    ],
    [
      "a bad port",
      { port: "-1" },
      {},
      'the label mc-router.port is "-1", expected a port from 0 to 65535',
    ],
    [
      "a bad switch",
      { "auto-scale-up": "yes" },
      {},
      'the label mc-router.auto-scale-up is "yes", expected true or false',
    ],
  ] as const)("that cannot be told is complained of: %s", async (_, labels, rest, complaint) => {
    const { route, complaints } = await routed(container("a", labels, rest));
    expect(route).toBeNull();
    expect(complaints).toEqual([`a: ${complaint}`]);
  });

  test("is the first of both kinds of IP that there is, IPv4 before IPv6", async () => {
    const fake = startFakeDocker();
    fake.hold([container("a")]);
    fake.list = fake.list.map((summary) => {
      const network = { IPAddress: "10.0.0.5", GlobalIPv6Address: "fd00::5" };
      return { ...(summary as object), NetworkSettings: { Networks: { bridge: network } } };
    });
    await using followed = follow(fake);
    await followed.holds(["a: a.example -> 10.0.0.5:25565"]);
  });
});

describe("a container's state", () => {
  const up = { "auto-scale-up": "true" };
  const down = { "auto-scale-up": "false" };
  const stopped = { networks: { bridge: "" } };

  test.each([
    ["running", "running", {}, {}, "10.0.0.5:25565"],
    ["running, may be woken", "running", up, {}, "10.0.0.5:25565"],
    ["paused, may be woken", "paused", up, {}, ""],
    ["paused, may not", "paused", {}, {}, "10.0.0.5:25565"],
    ["exited, may be woken", "exited", up, stopped, ""],
    ["exited, may not", "exited", {}, stopped, null],
    ["created, may be woken", "created", up, stopped, ""],
    ["created, may not", "created", {}, stopped, null],
    ["dead, may be woken", "dead", up, stopped, ""],
    ["dead, may not", "dead", {}, stopped, null],
    ["restarting, may be woken", "restarting", up, stopped, ""],
    ["restarting, may not", "restarting", {}, stopped, null],
    ["exited, the label against the setting", "exited", down, stopped, null],
  ] as const)("%s", async (name, state, labels, rest, address) => {
    const deps = name.includes("against") ? both : {};
    const { route, complaints } = await routed(container("a", labels, { state, ...rest }), deps);
    expect(route === null ? null : route.address.text).toBe(address);
    expect(complaints).toEqual([]);
  });
});

describe("a route", () => {
  test("has everything that its labels say", async () => {
    const { route } = await routed(
      container("a", {
        host: "A.example, b.example\n*.c.example",
        default: "true",
        "auto-scale-down": "true",
        "auto-scale-wait-timeout": "2m",
        "auto-scale-asleep-motd": "Zzz",
        "auto-scale-loading-motd": "Soon",
      }),
      { scaling: { up: true, down: false } },
    );
    expect(route).toMatchObject({
      source: "docker",
      id: "a",
      wake: {
        kind: "docker",
        container: idOf({ name: "a" }),
        name: "a",
        port: 25565,
        network: null,
        scaling: { up: true, down: true, waitMs: 120_000 },
      },
      motd: { asleep: "Zzz", loading: "Soon", until: null },
    });
    expect(route?.patterns.map(patternText)).toEqual([
      "a.example",
      "b.example",
      "*.c.example",
      "*",
    ]);
  });

  test("has neither wake nor texts without labels and settings", async () => {
    const { route } = await routed(container("a"));
    expect(route?.wake).toBeNull();
    expect(route?.motd).toBeUndefined();
  });

  test("keeps the hostnames that are good, and complains of the others", async () => {
    const { route, complaints } = await routed(container("a", { host: "a.example,b*.example" }));
    expect(route?.patterns.map(patternText)).toEqual(["a.example"]);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toStartWith('a: the hostname "b*.example" ');
  });

  test("needs a hostname, also for the default", async () => {
    const { route, complaints } = await routed(container("a", { host: " , ", default: "true" }));
    expect({ route, complaints }).toEqual({ route: null, complaints: [] });
  });
});

describe("following the engine", () => {
  test("only its containers with a hostname are listed, and events are heard from then on", async () => {
    const fake = startFakeDocker();
    fake.hold([container("a")]);
    await using followed = follow(fake);
    await followed.live();
    const [ping, list, events] = fake.requests;
    expect(ping).toBe("HEAD /_ping");
    expect(list).toBe(
      `GET /v1.41/containers/json?all=1&filters=${encodeURIComponent('{"label":["mc-router.host"]}')}`,
    );
    const [, since = ""] = /^GET \/v1\.41\/events\?.*&since=(\d+)$/.exec(events ?? "") ?? [];
    expect(Math.abs(Number(since) * 1_000 - Date.now())).toBeLessThan(10_000);
    expect(followed.events).toEqual([
      { kind: "source-live", source: "docker", routes: 1, mode: "notify", awayMs: 0 },
    ]);
  });

  test.each(["start", "die", "destroy", "remove", "rename", "connect", "disconnect", "pause"])(
    "the event %s leads to a new listing",
    async (action) => {
      const fake = startFakeDocker();
      await using followed = follow(fake);
      await followed.live();
      fake.list = [];
      const before = followed.published.length;
      fake.emit({ Type: "container", Action: action });
      await until("it has listed again", () => followed.published.length > before);
    },
  );

  test("what changes nothing does not", async () => {
    const fake = startFakeDocker();
    await using followed = follow(fake);
    await followed.live();
    const lists = () =>
      fake.requests.filter((request) => request.includes("/containers/json")).length;
    const before = lists();
    for (const action of ["exec_create: sh", "exec_die", "health_status: healthy", "kill", "top"]) {
      fake.emit({ Type: "container", Action: action });
    }
    fake.emit({ Type: "container", Action: "start" });
    await until("the last one is heard", () => lists() > before);
    expect(lists()).toBe(before + 1);
  });

  test("an engine whose listing lags behind its events is listed once more", async () => {
    const fake = startFakeDocker();
    fake.hold([container("a")]);
    await using followed = follow(fake, { ...both, echoesMs: [20] });
    await followed.holds(["a: a.example -> 10.0.0.5:25565"]);
    const late = fake.list;
    fake.hold([container("a", {}, { state: "paused" })]);
    const due = fake.list;
    fake.list = late;
    const lists = () => fake.requests.filter((request) => request.includes("/containers/json"));
    const before = lists().length;
    await until("it has listed in vain", () => lists().length > before);
    fake.list = due;
    await followed.holds(["a: a.example -> "]);
  });

  test("a storm of events costs few listings", async () => {
    const fake = startFakeDocker();
    await using followed = follow(fake, { timings: { ...fast, gapMs: 50 } });
    await followed.live();
    for (let i = 1; i <= 500; i += 1) {
      fake.hold([container("a", { port: String(i) })]);
      if (i % 50 === 0) await Bun.sleep(1);
    }
    await followed.holds(["a: a.example -> 10.0.0.5:500"]);
    expect(followed.published.length).toBeLessThan(20);
  });

  test("of two containers with one hostname the same one always has it, and the other one when it goes", async () => {
    const fake = startFakeDocker();
    const first = container("a", { host: "x.example" });
    const second = container("b", { host: "x.example" });
    fake.hold([second, first]);
    await using followed = follow(fake);
    await followed.holds(["a: x.example -> 10.0.0.5:25565", "b: x.example -> 10.0.0.5:25565"]);
    fake.hold([second]);
    await followed.holds(["b: x.example -> 10.0.0.5:25565"]);
  });

  test("a complaint is told once, and again when it is another one", async () => {
    const fake = startFakeDocker();
    fake.hold([container("a", { port: "x" })]);
    await using followed = follow(fake);
    await followed.live();
    fake.hold([container("a", { port: "x" }), container("b")]);
    await followed.holds(["b: b.example -> 10.0.0.5:25565"]);
    expect(followed.complaints()).toHaveLength(1);
    fake.hold([container("a", { port: "y" })]);
    await followed.holds([]);
    expect(followed.complaints()).toHaveLength(2);
  });

  test("an inspection that fails is an outage, and one of a container that is gone is not", async () => {
    const fake = startFakeDocker();
    const party = container("a", { network: "party" }, { aliases: ["party"] });
    fake.hold([party, container("b")]);
    await using followed = follow(fake);
    await followed.holds(["a: a.example -> 10.0.0.5:25565", "b: b.example -> 10.0.0.5:25565"]);
    fake.intercept = ({ url }) =>
      url.endsWith(`${idOf(party)}/json`)
        ? Response.json({ message: "oh" }, { status: 500 })
        : null;
    fake.emit({ Type: "container", Action: "start" });
    const lost = (): SourceEvent | undefined =>
      followed.events.find(({ kind }) => kind === "source-lost");
    await until("it is told", () => lost() !== undefined);
    expect(lost()).toMatchObject({
      reason: `GET /v1.41/containers/${idOf(party)}/json: status 500: oh`,
      routes: 2,
    });
    expect(followed.texts()).toHaveLength(2);
    fake.intercept = ({ url }) =>
      url.endsWith(`${idOf(party)}/json`) ? Response.json({}, { status: 404 }) : null;
    await followed.holds(["b: b.example -> 10.0.0.5:25565"]);
  });

  test("an engine that is away and back is asked for its version anew", async () => {
    const fake = startFakeDocker();
    fake.hold([container("a")]);
    await using followed = follow(fake);
    await followed.live();
    await fake.stop();
    await until("it is told", () => followed.events.some(({ kind }) => kind === "source-lost"));
    expect(followed.texts()).toEqual(["a: a.example -> 10.0.0.5:25565"]);
    fake.intercept = ({ url }) =>
      url.endsWith("/_ping") ? new Response(null, { headers: { "api-version": "1.60" } }) : null;
    fake.start();
    await until("it is live again", () => followed.events.at(-1)?.kind === "source-live");
    expect(fake.requests.some((request) => request.startsWith("GET /v1.51/events?"))).toBe(true);
  });
});

describe("what real engines have answered", () => {
  test.each([
    ["Docker 20.10", dockerRecording as Recording, "198.18.0.2:25565"],
    ["Podman 4.3", podmanRecording as Recording, "198.18.1.2:25565"],
  ])("%s", async (_, recording, lobby) => {
    const fake = startFakeDocker();
    fake.list = recording.list;
    fake.inspect = (id) =>
      Object.values(recording.inspect).find((each) => (each as { Id: string }).Id === id);
    await using followed = follow(fake, both);
    await followed.holds([
      "asleep: asleep.example -> ",
      "frozen: frozen.example -> ",
      `lobby: lobby.example * -> ${lobby}`,
    ]);
    expect(followed.complaints()).toHaveLength(1);
    expect(followed.complaints()[0]).toStartWith("mini: the container is on several networks (");
    fake.list = recording.list.map((summary) => {
      const { Labels } = summary as { Labels: object };
      return { ...(summary as object), Labels: { ...Labels, "mc-router.network": "party" } };
    });
    fake.emit(recording.events.at(-1));
    await until("mini is reached by its alias", () =>
      followed.texts().includes("mini: mini.example -> 198.18.2.2:25565"),
    );
  });
});

test("a fixed version is spoken without asking", async () => {
  const fake = startFakeDocker();
  const endpoint = { url: "http://localhost", unix: fake.socket, tls: null };
  const api = createDockerApi({ endpoint, version: "1.30", timeoutMs: 1_000 });
  await using followed = follow(fake, { api });
  await followed.live();
  expect(fake.requests[0]).toStartWith("GET /v1.30/containers/json?");
});
