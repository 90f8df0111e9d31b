import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { seedSchema } from "../providers/postgres/seed-schema.ts";
import {
  join,
  pingServer,
  protocolOf,
  startMinecraftServer,
} from "../support/minecraft/minecraft.ts";
import {
  type AfterHold,
  connectPlayer,
  disconnectText,
  waitThroughHold,
} from "../support/minecraft/player.ts";
import {
  handshake,
  intents,
  legacyPing,
  login,
  loginDisconnect,
  ping,
  readHandshake,
  readLegacyAnswer,
  readVarint,
  statusRequest,
  statusResponse,
} from "../support/minecraft/wire.ts";
import { type Backend, running, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { laterPort, reserveClosedPort } from "../support/net/ports.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { type Misbehaviour, startControlPlane } from "../support/process/control-plane.ts";
import {
  complaints,
  linesOf,
  type Network,
  type ServerRow,
  sessionEnd,
  startNetwork,
} from "../support/process/e2e-network.ts";
import { until } from "../support/until.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const tooLate = "This server did not start in time. Please try again in a few minutes.";
const motds = {
  AUTO_SCALE_ASLEEP_MOTD: 'Asleep <"join"> & it wakes § ☾',
  AUTO_SCALE_LOADING_MOTD: "Waking up",
};
/** What the server list shows of a server with that text: mc-router's own bytes, with its escapes. */
const listed = (protocol: number, text: string): string =>
  `{"version":{"name":"1.7+","protocol":${protocol}},"players":{"max":1,"online":0},"description":{"text":"${text}"}}`;
const asleepJson = listed(774, 'Asleep \\u003c\\"join\\"\\u003e \\u0026 it wakes § ☾');

/** What a running server's first answer to a login is here: a Login Disconnect with this text. */
const greeting = loginDisconnect("Hello from the backend");
const greets = running(greeting);

/** A player of its own name that has sent its login. */
async function enter(network: Network, host: string, name: string, protocol = 774): Promise<Peer> {
  const player = await connectPlayer({ port: network.router.port });
  await player.send(login({ host, name, protocol }));
  return player;
}

/** What the connections sent that were no status requests, as those that find out whether the server is ready are. */
const logins = ({ connections }: Backend): Buffer[] =>
  connections
    .map((connection) => connection.received())
    .filter((bytes) => readHandshake(bytes)?.handshake.intent !== intents.status);

/** What the server list shows for a hostname, as bytes; ended by the router. */
async function list(network: Network, host: string): Promise<string> {
  using player = await connectPlayer({ port: network.router.port });
  await player.send(handshake({ protocol: 774, host, port: 25565, intent: intents.status }));
  await player.send(statusRequest);
  const { body } = await player.readFrame();
  await player.send(ping(77n));
  expect((await player.readFrame()).raw).toEqual(ping(77n));
  expect(await player.waitForEnd()).toBe("finished");
  const json = body.toString("utf8", body.length > 128 ? 2 : 1);
  expect(statusResponse(json).length).toBe(player.receivedLength - ping(77n).length);
  return json;
}

const rowsOf = ({ sql }: Network["database"]) =>
  sql<
    (ServerRow & { state: string })[]
  >`SELECT name, domain, address, state FROM servers ORDER BY name`;

describe("a sleeping server", () => {
  test("answers pings with the asleep text, whatever spelling is used, and stays asleep", async () => {
    await using plane = startControlPlane({ servers: [{ name: "survival" }] });
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using network = await startNetwork({
      postgres,
      schema: seedSchema,
      plane,
      rows: [{ name: "survival", domain: "play.example.com, *.play.example.com", address }],
      env: motds,
    });
    const spellings = ["play.example.com", "PLAY.example.com.", "play.example.com\u0000FML3\u0000"];
    for (const host of [...spellings, "a.play.example.com"]) {
      expect(await list(network, host)).toBe(asleepJson);
    }
    const real = await pingServer({
      port: network.router.port,
      host: "play.example.com",
      version: "1.8.8",
    });
    expect(real.status).toMatchObject({
      version: { name: "1.7+", protocol: protocolOf("1.8.8") },
      description: { text: motds.AUTO_SCALE_ASLEEP_MOTD },
    });

    using old = await connectPlayer({ port: network.router.port });
    await old.send(legacyPing.withHost("play.example.com", 25565));
    await old.waitForEnd();
    expect(readLegacyAnswer(old.received())).toEqual([
      "§1",
      "127",
      "1.7+",
      motds.AUTO_SCALE_ASLEEP_MOTD,
      "0",
      "1",
    ]);
    expect(plane.requests).toEqual([]);
    expect(complaints(network.router)).toEqual([]);
  });

  test("is started by a login under its row's name, and the player joins where it says it runs", async () => {
    const token = "a-very-secret-token";
    await using server = await startMinecraftServer({ version: "1.20.4", motd: "Awake" });
    await using plane = startControlPlane({
      token,
      servers: [{ name: "sky block/2", startMs: null }],
    });
    using closed = await reserveClosedPort();
    const row = {
      name: "sky block/2",
      domain: "sky.example.com",
      address: `127.0.0.1:${closed.port}`,
    };
    await using network = await startNetwork({
      postgres,
      schema: seedSchema,
      plane,
      rows: [row],
      env: { ...motds, AUTOMC_WAKER_TOKEN: token },
    });
    const { router } = network;
    const joining = join({
      port: router.port,
      host: "Sky.Example.com.",
      version: "1.20.4",
      username: "Steve",
      timeoutMs: 30_000,
    });
    await until("the server is asked about twice", () => plane.requests.length >= 4);
    expect(await list(network, "sky.example.com")).toBe(listed(774, "Waking up"));
    expect(server.connections.length).toBe(0);
    plane.setRunning(row.name, server.address);

    const joined = await joining;
    if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
    using session = joined.session;
    expect(session.isConnected).toBe(true);
    const logins = server.connections.filter(
      ({ handshake }) => handshake?.intent !== intents.status,
    );
    expect(logins.map((connection) => connection.handshake)).toEqual([
      { protocol: 765, host: "Sky.Example.com.", port: router.port, intent: intents.login },
    ]);
    const asked = plane.requests.map(({ method, path }) => `${method} ${path}`);
    const look = "GET /servers/sky%20block%2F2";
    expect(asked.slice(0, 3)).toEqual([look, "POST /servers/sky%20block%2F2/start", look]);
    expect(new Set(asked.slice(2))).toEqual(new Set([look]));
    expect(plane.requests.every(({ apiKey }) => apiKey === token)).toBe(true);
    expect([...(await rowsOf(network.database))]).toEqual([{ ...row, state: "stopped" }]);
    expect(router.log()).not.toContain(token);

    session[Symbol.dispose]();
    expect(await sessionEnd(router, "Steve")).toMatchObject({
      level: "info",
      server: "sky.example.com",
      route: "sky.example.com",
      row: row.name,
      backendHostPort: server.address,
      waited: expect.stringMatching(/^\d+\.\ds$/),
    });
    expect(complaints(router)).toEqual([]);
  });

  test("is started by a player who comes by a transfer, too", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({
      servers: [{ name: "a", address: backend.address, startMs: 100 }],
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example", address: `127.0.0.1:${closed.port}` }],
    });
    using player = await connectPlayer({ port: network.router.port });
    const said = login({ host: "a.example", name: "Steve", intent: intents.transfer });
    await player.send(said);
    expect((await player.readFrame()).raw).toEqual(greeting);
    expect(logins(backend)).toEqual([said]);
    expect(plane.starts("a")).toBe(1);
  });

  test("may already run: then no player waits, and its row's address is not needed", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({
      servers: [{ name: "a", state: "running", address: backend.address }],
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example", address: `127.0.0.1:${closed.port}` }],
      env: { AUTOMC_WAKER_POLL_INTERVAL: "60s" },
    });
    using player = await enter(network, "a.example", "Steve");
    expect((await player.readFrame()).raw).toEqual(greeting);
  });
});

const json = { "content-type": "application/json" };
/** What a control plane may do instead of its part. */
const wrong: readonly (Misbehaviour & { readonly name: string })[] = [
  { name: "hangs", kind: "hang" },
  { name: "drips", kind: "drip", everyMs: 100 },
  { name: "answers 404", kind: "answer", status: 404 },
  { name: "answers 500", kind: "answer", status: 500, body: "oops" },
  {
    name: "redirects",
    kind: "answer",
    status: 302,
    headers: { location: "/servers/trap" },
  },
  { name: "answers garbage", kind: "answer", status: 200, body: "<html>\u0000", headers: json },
  { name: "answers null", kind: "answer", status: 200, body: "null", headers: json },
  {
    name: "names no address",
    kind: "answer",
    status: 200,
    body: '{"state":"running"}',
    headers: json,
  },
  {
    name: "names a bad address",
    kind: "answer",
    status: 200,
    body: '{"state":"running","address":"a b:99999"}',
    headers: json,
  },
  { name: "answers 10 MB", kind: "huge", bytes: 10_000_000 },
  { name: "answers a gzip bomb", kind: "gzip-bomb", bytes: 50_000_000 },
];

/** Two rows of one kind of mishap: a server that runs, and one that does not. */
const pair = (index: number, up: string, down: string): ServerRow[] => [
  { name: `up ${index}`, domain: `up${index}.example`, address: up },
  { name: `down ${index}`, domain: `down${index}.example`, address: down },
];

describe.concurrent("a wake that takes long", () => {
  const held = [
    { version: "1.7.10", pluginRequests: false, silenceMs: 18_000 },
    { version: "1.8.8", pluginRequests: false, silenceMs: 28_000 },
    { version: "1.20.4", pluginRequests: true, silenceMs: 12_000 },
    { version: "26.1", pluginRequests: true, silenceMs: 12_000 },
  ];
  for (const { version, pluginRequests, silenceMs } of held) {
    test(`${version}: a real client is held for 45 s, never in silence for ${silenceMs} ms, and joins as if it had just come`, async () => {
      await using plane = startControlPlane({ servers: [{ name: "slow", startMs: null }] });
      using closed = await reserveClosedPort();
      await using network = await startNetwork({
        postgres,
        plane,
        rows: [{ name: "slow", domain: "slow.example", address: `127.0.0.1:${closed.port}` }],
        env: { AUTOMC_WAKER_POLL_INTERVAL: "2s" },
      });
      const joining = join({
        port: network.router.port,
        host: "slow.example",
        version,
        username: "Steve",
        timeoutMs: 80_000,
      });
      // The wait itself is what is tested: longer than any client stays without a word.
      await Bun.sleep(45_000);
      await using server = await startMinecraftServer({ version });
      plane.setRunning("slow", server.address);

      const joined = await joining;
      if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
      using _session = joined.session;
      expect(joined.quiet.elapsedMs).toBeGreaterThan(44_000);
      expect(joined.quiet.largestSilenceMs).toBeLessThan(silenceMs);
      if (pluginRequests) expect(joined.quiet.pluginRequests).toBeGreaterThanOrEqual(4);
      else expect(joined.quiet.pluginRequests).toBe(0);

      const logins = server.connections.filter(({ handshake }) => handshake?.intent === 2);
      expect(logins).toHaveLength(1);
      expect(logins[0]?.packets).not.toContain("login_plugin_response");
      expect(logins[0]?.packets.slice(0, 2)).toEqual(["set_protocol", "login_start"]);
      expect(server.errors).toEqual([]);
      expect(plane.starts("slow")).toBe(1);
      expect(complaints(network.router)).toEqual([]);
    }, 100_000);
  }

  test("AUTOMC_HOLD=false: the player waits in silence and joins all the same", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({ servers: [{ name: "slow", startMs: null }] });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "slow", domain: "slow.example", address: `127.0.0.1:${closed.port}` }],
      env: { AUTOMC_HOLD: "false" },
    });
    using modern = await enter(network, "slow.example", "Steve");
    using old = await enter(network, "slow.example", "Alex", 47);
    await Bun.sleep(12_000);
    expect([modern.receivedLength, old.receivedLength]).toEqual([0, 0]);
    plane.setRunning("slow", backend.address);
    for (const player of [modern, old]) {
      expect((await player.readFrame()).raw).toEqual(greeting);
    }
  }, 60_000);

  test("a control plane that does not do its part locks no player out of a running server, holds the others until their time is over, and costs little memory", async () => {
    using backend = startBackend(greets);
    using closed = await reserveClosedPort();
    await using plane = startControlPlane({ servers: [{ name: "trap", state: "running" }] });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: wrong.flatMap((_, index) => pair(index, backend.address, `127.0.0.1:${closed.port}`)),
      env: { AUTOMC_WAKER_TIMEOUT: "8s", AUTOMC_WAKER_POLL_INTERVAL: "1s" },
    });
    const { router } = network;
    wrong.forEach((misbehaviour, index) => {
      plane.misbehave(misbehaviour, { server: `up ${index}` });
      plane.misbehave(misbehaviour, { server: `down ${index}` });
    });
    const before = router.rss();
    let largest = before;
    const watching = setInterval(() => {
      largest = Math.max(largest, router.rss());
    }, 50);

    await Promise.all(
      wrong.map(async ({ name }, index) => {
        using lucky = await enter(network, `up${index}.example`, `Up${index}`);
        using unlucky = await enter(network, `down${index}.example`, `Down${index}`);
        const { frame: hello } = await waitThroughHold(lucky, { timeoutMs: 30_000 });
        expect({ name, hello: hello.raw }).toEqual({ name, hello: greeting });
        const { keepalives, frame: bye } = await waitThroughHold(unlucky, { timeoutMs: 30_000 });
        expect({ name, bye: disconnectText(bye), heldWithWords: keepalives.length > 0 }).toEqual({
          name,
          bye: JSON.stringify({ text: tooLate }),
          heldWithWords: true,
        });
      }),
    );
    clearInterval(watching);

    expect(largest - before).toBeLessThan(60_000_000);
    expect(plane.requests.filter(({ server }) => server === "trap")).toEqual([]);
    expect(linesOf(router, "fault")).toEqual([]);
    for (const [index] of wrong.entries()) {
      expect(await sessionEnd(router, `Down${index}`)).toMatchObject({
        level: "warn",
        msg: "refused: the server did not start in time",
      });
    }
  }, 60_000);

  const words = [
    { name: "1.7.2", protocol: 4, id: null },
    { name: "1.12.2", protocol: 340, id: null },
    { name: "1.13", protocol: 393, id: 0x04 },
    { name: "26.3", protocol: 777, id: 0x04 },
    { name: "a snapshot", protocol: 0x40000152, id: 0x04 },
  ];
  test("each client hears only what its version puts up with, and one that never answers is told to come again", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({ servers: [{ name: "slow", startMs: null }] });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "slow", domain: "slow.example", address: `127.0.0.1:${closed.port}` }],
    });
    using mute = await enter(network, "slow.example", "Mute");
    const players = await Promise.all(
      words.map(({ protocol }, index) =>
        enter(network, "slow.example", `Player${index}`, protocol),
      ),
    );
    const holds = players.map((player) => waitThroughHold(player));
    const muteHold = waitThroughHold(mute, { answers: false });
    // The last one to hear something is a client of 1.8 to 1.12.2, after 22 s.
    const hasHeard = ({ receivedLength }: Peer): boolean => receivedLength > 0;
    await until("each has heard something", () => players.every(hasHeard), 50_000);
    plane.setRunning("slow", backend.address);
    // An empty frame makes a client of 26.1 or newer give up, and one older than 1.13 knows no questions.
    for (const [index, { name, id }] of words.entries()) {
      const { keepalives, frame: first } = (await holds[index]) as AfterHold;
      expect(first.raw).toEqual(greeting);
      expect({ name, heard: [...new Set(keepalives.map((heard) => heard.id))] }).toEqual({
        name,
        heard: [id],
      });
      if (id === null) continue;
      for (const { body } of keepalives) {
        expect(body.toString("latin1", (readVarint(body, 0)?.end ?? 0) + 1)).toBe("automc:hold");
      }
    }
    expect(disconnectText((await muteHold).frame)).toBe(
      JSON.stringify({ text: "The server is ready now. Please join again." }),
    );
    const expected = words.map(({ protocol }, index) =>
      login({ host: "slow.example", name: `Player${index}`, protocol }).toString("hex"),
    );
    const seen = logins(backend).map((bytes) => bytes.toString("hex"));
    expect(seen.sort()).toEqual(
      [...expected, login({ host: "slow.example", name: "Mute" }).toString("hex")].sort(),
    );
    for (const player of players) player.reset();
  }, 100_000);

  test("the backend closes, resets and hangs at first: the player notices nothing", async () => {
    using backend = startBackend({ open: (connection) => connection.close() });
    await using plane = startControlPlane({
      servers: [{ name: "slow", address: backend.address, state: "running" }],
    });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "slow", domain: "slow.example", address: backend.address }],
    });
    using player = await enter(network, "slow.example", "Steve");
    await until("two connections are closed", () => backend.connections.length >= 2);
    backend.behave({ open: (connection) => connection.reset() });
    const closedOnes = backend.connections.length;
    await until("one is reset", () => backend.connections.length > closedOnes);
    backend.behave(greets);
    const { keepalives, frame: first } = await waitThroughHold(player, { timeoutMs: 30_000 });
    expect(first.raw).toEqual(greeting);
    // Each attempt saw the player's own login, and none of the answers that the router asked for.
    const said = login({ host: "slow.example", name: "Steve" });
    const last = backend.connections.at(-1);
    expect(last?.received()).toEqual(said);
    expect(keepalives.length).toBeLessThan(10);
    expect(player.ending).toBe("open");
  }, 60_000);
});

describe("many players", () => {
  test("500 logins at once cost one start, and all get in", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({
      servers: [{ name: "event", address: backend.address, startMs: 1_500 }],
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [
        {
          name: "event",
          domain: "event.example,*.event.example",
          address: `127.0.0.1:${closed.port}`,
        },
      ],
    });
    const players = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        enter(network, index % 2 === 0 ? "event.example" : `${index}.event.example`, `P${index}`),
      ),
    );
    const heard = await Promise.all(
      players.map(async (player) => (await waitThroughHold(player, { timeoutMs: 40_000 })).frame),
    );
    expect(heard.filter(({ raw }) => raw.equals(greeting)).length).toBe(500);
    expect(plane.starts("event")).toBe(1);
    expect(logins(backend)).toHaveLength(500);
    for (const player of players) player.reset();
    await until(
      "every session is told",
      () => linesOf(network.router, "session-ended").length === 500,
    );
    expect(complaints(network.router)).toEqual([]);
  }, 60_000);

  test("a player who leaves does not take the others along; the last one ends the polling, and the start goes on", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({
      servers: [
        { name: "kept", startMs: null },
        { name: "left", startMs: null },
      ],
    });
    using closed = await reserveClosedPort();
    const address = `127.0.0.1:${closed.port}`;
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [
        { name: "kept", domain: "kept.example", address },
        { name: "left", domain: "left.example", address },
      ],
    });
    const { router } = network;
    using staying = await enter(network, "kept.example", "Staying");
    using leaving = await enter(network, "kept.example", "Leaving");
    using lonely = await enter(network, "left.example", "Lonely");
    await until("all wait", () => linesOf(router, "session-holding").length === 3);
    await until("both start", () => plane.starts("kept") + plane.starts("left") === 2);

    leaving.reset();
    lonely.close();
    await router.waitForLine(({ event, row }) => event === "wake-abandoned" && row === "left");
    expect(await sessionEnd(router, "Leaving")).toMatchObject({ msg: "closed: the client left" });
    const polls = (name: string) => plane.requests.filter(({ server }) => server === name).length;
    const [kept, left] = [polls("kept"), polls("left")];
    await until("the other is asked about five more times", () => polls("kept") >= kept + 5);
    expect(polls("left")).toBe(left);

    plane.setRunning("kept", backend.address);
    expect((await waitThroughHold(staying)).frame.raw).toEqual(greeting);
    expect(plane.starts("kept")).toBe(1);

    // A player who comes later joins the start.
    using back = await enter(network, "left.example", "Back");
    plane.setRunning("left", backend.address);
    expect((await waitThroughHold(back)).frame.raw).toEqual(greeting);
    expect(plane.starts("left")).toBe(1);
  }, 30_000);

  test("a server that runs is started for no player", async () => {
    using backend = startBackend(greets);
    await using plane = startControlPlane({
      servers: [{ name: "a", state: "running", address: backend.address }],
    });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example", address: backend.address }],
    });
    for (const name of ["One", "Two", "Three"]) {
      using player = await enter(network, "a.example", name);
      expect((await player.readFrame()).raw).toEqual(greeting);
    }
    expect(plane.starts("a")).toBe(0);
  });
});

describe("a wake that fails", () => {
  test("is told to the player in words, of every age, and to the operator with the reason", async () => {
    await using plane = startControlPlane({ servers: [{ name: "never", startMs: null }] });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "never", domain: "never.example", address: `127.0.0.1:${closed.port}` }],
      env: { AUTOMC_WAKER_TIMEOUT: "3s" },
    });
    const outcomes = await Promise.all(
      ["1.7.10", "1.12.2", "1.20.4", "26.1"].map((version, index) =>
        join({
          port: network.router.port,
          host: "never.example",
          version,
          username: `Player${index}`,
        }),
      ),
    );
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ kind: "disconnected", text: tooLate, state: "login" });
      expect(outcome.quiet.elapsedMs).toBeGreaterThan(2_500);
    }
    const failed = await network.router.waitForLine(({ event }) => event === "wake-failed");
    expect(failed).toMatchObject({
      level: "warn",
      row: "never",
      waiters: 4,
      reason: 'its state stayed "starting"',
    });
    expect(await sessionEnd(network.router, "Player3")).toMatchObject({
      level: "warn",
      msg: "refused: the server did not start in time",
    });
    expect(await list(network, "never.example").catch(() => "nothing")).toBe("nothing");
  }, 30_000);

  test("has the wrong token told in the log, and not the token", async () => {
    await using plane = startControlPlane({ token: "right-token", servers: [{ name: "a" }] });
    using backend = startBackend(greets);
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example", address: backend.address }],
      env: { AUTOMC_WAKER_TOKEN: "wrong-token-value", LOG_LEVEL: "trace" },
    });
    using player = await enter(network, "a.example", "Steve");
    expect((await player.readFrame()).raw).toEqual(greeting);
    const line = await network.router.waitForLine(({ event }) => event === "control-plane-lost");
    expect(line).toMatchObject({ level: "warn", reason: expect.stringContaining("status 401") });
    expect(network.router.log()).not.toContain("token-value");
  });

  test("says running while the port is closed: the player waits until it is open", async () => {
    const port = laterPort();
    const address = `127.0.0.1:${port}`;
    await using plane = startControlPlane({ servers: [{ name: "a", address, state: "running" }] });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example", address }],
      env: motds,
    });
    const asked = { port: network.router.port, host: "a.example", version: "1.20.4" };
    const joining = join({ ...asked, username: "Steve", timeoutMs: 30_000 });
    await until(
      "pings are told that it starts",
      async () => (await list(network, "a.example")) === listed(774, "Waking up"),
    );
    const polls = plane.requests.length;
    await until("it is asked about again", () => plane.requests.length > polls + 2);
    await using server = await startMinecraftServer({ version: "1.20.4", port });
    expect(await joining).toMatchObject({ kind: "joined" });
    expect(server.players()).toEqual(["Steve"]);
    expect(plane.starts("a")).toBe(0);
  }, 40_000);
});

describe("a control plane that does not do its part", () => {
  test("answers 409 to each start, which is as good as yes", async () => {
    using backend = startBackend(greets);
    using closed = await reserveClosedPort();
    await using plane = startControlPlane({
      servers: [{ name: "a", state: "running", address: backend.address }],
    });
    plane.misbehave({ kind: "answer", status: 409 }, { request: "start" });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example", address: `127.0.0.1:${closed.port}` }],
    });
    using player = await enter(network, "a.example", "Steve");
    expect((await player.readFrame()).raw).toEqual(greeting);
    expect(complaints(network.router)).toEqual([]);
  });

  test("is not there at all: said once for each server and call, and the player who waits gets in as soon as the row's address takes players", async () => {
    using closedPlane = await reserveClosedPort();
    using up = startBackend(greets);
    const port = laterPort();
    await using network = await startNetwork({
      postgres,
      rows: pair(0, up.address, `127.0.0.1:${port}`),
      env: {
        AUTOMC_WAKER_URL: `http://127.0.0.1:${closedPlane.port}`,
        AUTOMC_WAKER_POLL_INTERVAL: "200ms",
      },
    });
    const { router } = network;
    using lucky = await enter(network, "up0.example", "Up");
    expect((await lucky.readFrame()).raw).toEqual(greeting);
    const joining = join({
      port: router.port,
      host: "down0.example",
      version: "1.16.5",
      username: "Down",
      timeoutMs: 30_000,
    });
    await router.waitForLine(
      ({ event, player }) => event === "session-holding" && String(player).startsWith("Down"),
    );
    const complaintsOf = (row: string) =>
      linesOf(router, "control-plane-lost").filter((line) => line["row"] === row);
    await until("look and start have failed", () => complaintsOf("down 0").length === 2);
    await using _server = await startMinecraftServer({ version: "1.16.5", port });
    expect(await joining).toMatchObject({ kind: "joined" });
    // Once for each call that a server needed: the one that runs needs no start.
    const lost = linesOf(router, "control-plane-lost").map(({ row }) => String(row));
    expect(lost.toSorted()).toEqual(["down 0", "down 0", "up 0"]);
    expect(linesOf(router, "wake-done").map(({ backendHostPort }) => backendHostPort)).toEqual([
      `127.0.0.1:${port}`,
    ]);
  }, 40_000);
});
