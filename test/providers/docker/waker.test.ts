import { describe, expect, test } from "bun:test";
import { createDockerApi } from "../../../src/providers/docker/api.ts";
import { createDockerWaker, type DockerTarget } from "../../../src/providers/docker/waker.ts";
import { makeAddress, nowhere } from "../../../src/routing/address.ts";
import { type FakeContainer, idOf, startFakeDocker } from "../../support/engines/fake-docker.ts";

const never = new AbortController().signal;
const fine = { ok: true, value: undefined } as const;

const target = (rest: Partial<DockerTarget> = {}): DockerTarget => ({
  kind: "docker",
  container: idOf({ name: "a" }),
  name: "a",
  port: 25565,
  network: null,
  scaling: { up: true, down: true, waitMs: 60_000 },
  ...rest,
});

const sleeper = (rest: Partial<DockerTarget> = {}) => ({
  target: target(rest),
  address: nowhere,
});

/** A waker, and a fake engine with one container in that state. */
function bench(rest: Partial<FakeContainer> | null = {}) {
  const fake = startFakeDocker();
  if (rest !== null) {
    const networks = { bridge: "10.0.0.5" };
    fake.hold([{ name: "a", labels: {}, state: "running", networks, ...rest }]);
  }
  return {
    fake,
    waker: createDockerWaker(fake.api),
    /** What it was asked to do, without the container's id. */
    orders: () =>
      fake.requests
        .filter((request) => request.startsWith("POST"))
        .map((request) => request.replace(/^POST .*\//, "")),
    [Symbol.dispose]: () => fake[Symbol.dispose](),
  };
}

describe("a start", () => {
  test.each([
    ["running", []],
    ["restarting", []],
    ["paused", ["unpause"]],
    ["exited", ["start"]],
    ["created", ["start"]],
    ["dead", ["start"]],
  ])("of a container that is %s asks for %j", async (state, orders) => {
    using town = bench({ state });
    expect(await town.waker.start(sleeper(), never)).toEqual(fine);
    expect(town.orders()).toEqual(orders);
  });

  test("of one that was started meanwhile is well", async () => {
    using town = bench({ state: "exited" });
    town.fake.intercept = ({ method }) =>
      method === "POST" ? new Response(null, { status: 304 }) : null;
    expect(await town.waker.start(sleeper(), never)).toEqual(fine);
  });

  test("that the engine refuses says why", async () => {
    using town = bench({ state: "exited" });
    const message = "driver failed programming external connectivity\n";
    town.fake.intercept = ({ method }) =>
      method === "POST" ? Response.json({ message }, { status: 500 }) : null;
    expect(await town.waker.start(sleeper(), never)).toEqual({
      ok: false,
      error: {
        reason: `POST /v1.41/containers/${idOf({ name: "a" })}/start: status 500: ${message.trim()}`,
        isFinal: false,
      },
    });
  });

  test.each([
    ["one that is gone", bench(null), `status 404: No such container: ${idOf({ name: "a" })}`],
    ["an engine that is away", null, "there is no such socket"],
  ])("of %s says so", async (_, town, reason) => {
    const { waker } = town ?? {
      waker: createDockerWaker(
        createDockerApi({
          endpoint: { url: "http://localhost", unix: "/nonexistent/sock", tls: null },
          version: null,
          timeoutMs: 1_000,
        }),
      ),
    };
    const started = await waker.start(sleeper(), never);
    expect(started.ok ? "" : started.error.reason).toEndWith(reason);
    town?.[Symbol.dispose]();
  });

  test("is not for containers whose labels say no", async () => {
    using town = bench({ state: "exited" });
    const scaling = { up: false, down: true, waitMs: 60_000 };
    expect(town.waker.may(target({ scaling }))).toEqual({ start: false, stop: true });
    expect((await town.waker.start(sleeper({ scaling }), never)).ok).toBe(false);
    expect(town.fake.requests).toEqual([]);
  });
});

describe("a look", () => {
  test.each([
    ["running", {}, {}, { kind: "expected", addresses: [makeAddress("10.0.0.5", 25565)] }],
    [
      "running at another port",
      {},
      { port: 7 },
      { kind: "expected", addresses: [makeAddress("10.0.0.5", 7)] },
    ],
    [
      "running on several networks",
      { networks: { bridge: "10.0.0.5", games: "10.1.0.5" } },
      { network: "games" },
      { kind: "expected", addresses: [makeAddress("10.1.0.5", 25565)] },
    ],
    [
      "running without an address yet",
      { networks: { bridge: "" } },
      {},
      { kind: "starting", word: "without an address" },
    ],
    ["paused", { state: "paused" }, {}, { kind: "stopped", word: "paused" }],
    ["exited", { state: "exited" }, {}, { kind: "stopped", word: "stopped" }],
    ["restarting", { state: "restarting" }, {}, { kind: "starting", word: "restarting" }],
    [
      "on another network by now",
      {},
      { network: "games" },
      { kind: "trouble", reason: 'the container is on no network "games"' },
    ],
  ] as const)("at a container that is %s", async (_, container, wanted, state) => {
    using town = bench(container);
    expect(await town.waker.look(sleeper(wanted), never)).toEqual(state);
  });

  test("at one that has ended right after its start ends the wake, and a later start begins anew", async () => {
    using town = bench({ state: "exited" });
    expect(await town.waker.look(sleeper(), never)).toEqual({ kind: "stopped", word: "stopped" });
    await town.waker.start(sleeper(), never);
    expect(await town.waker.look(sleeper(), never)).toEqual({
      kind: "failed",
      reason: "the container has ended again, with exit code 3",
      message: null,
    });
    await town.waker.stop(target(), never);
    expect(await town.waker.look(sleeper(), never)).toEqual({ kind: "stopped", word: "stopped" });
  });

  test("at one that was started long ago does not", async () => {
    using town = bench({ state: "exited" });
    const scaling = { up: true, down: true, waitMs: 0 };
    await town.waker.start(sleeper({ scaling }), never);
    expect(await town.waker.look(sleeper({ scaling }), never)).toEqual({
      kind: "stopped",
      word: "stopped",
    });
  });

  test("at one that is gone is trouble", async () => {
    using town = bench(null);
    expect(await town.waker.look(sleeper(), never)).toMatchObject({ kind: "trouble" });
  });

  test("that nobody waits for any more is given up", async () => {
    using town = bench();
    town.fake.intercept = () => new Promise(() => undefined);
    const gone = new AbortController();
    const looking = town.waker.look(sleeper(), gone.signal);
    gone.abort();
    expect((await looking).kind).toBe("trouble");
  });
});

describe("a stop", () => {
  test.each([
    ["is done", 204, true],
    ["was done already", 304, true],
    ["is refused", 500, false],
    ["of one that is gone", 404, false],
  ])("%s: status %i", async (_, status, isDone) => {
    using town = bench();
    town.fake.intercept = ({ method }) =>
      method === "POST" ? new Response(null, { status }) : null;
    expect((await town.waker.stop(target(), never)).ok).toBe(isDone);
    expect(town.orders()).toEqual(["stop?t=60"]);
  });

  test("has the time that the container has, and more", async () => {
    using town = bench();
    const slow = createDockerWaker(
      createDockerApi({
        endpoint: { url: "http://localhost", unix: town.fake.socket, tls: null },
        version: "1.41",
        timeoutMs: 50,
      }),
    );
    town.fake.intercept = async ({ method }) => {
      if (method === "POST") await Bun.sleep(200);
      return null;
    };
    expect(await slow.stop(target(), never)).toEqual(fine);
  });
});

test("how long a wake may take is the label's matter", () => {
  const { waker, fake } = bench();
  expect(waker.timing.timeoutMs(target())).toBe(60_000);
  expect(waker.timing.timeoutMs(target({ scaling: { up: true, down: true, waitMs: 5 } }))).toBe(5);
  fake[Symbol.dispose]();
});
