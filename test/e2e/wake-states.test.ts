import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { join, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { startSessionService } from "../support/minecraft/online-mode.ts";
import { connectPlayer, disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import {
  handshake,
  intents,
  login,
  loginDisconnect,
  readHandshake,
  statusRequest,
} from "../support/minecraft/wire.ts";
import {
  type Backend,
  type Behaviour,
  reserveBackend,
  running,
  runningStatus,
  silent,
  startBackend,
} from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { linesOf, type Network, startNetwork } from "../support/process/e2e-network.ts";
import { until } from "../support/until.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const greeting = loginDisconnect("Hello from the backend");
const up = running(greeting);
const closedPort = "127.0.0.1:1";

/** A player who has sent a login. */
async function enter({ router }: Network, host: string, name: string): Promise<Peer> {
  const player = await connectPlayer({ port: router.port });
  await player.send(login({ host, name }));
  return player;
}

/** What a player who waits is told, or lets in, first. */
const firstWord = async (player: Peer): Promise<Buffer> =>
  (await waitThroughHold(player, { timeoutMs: 30_000 })).frame.raw;
const words = async (player: Peer): Promise<string> =>
  disconnectText((await waitThroughHold(player, { timeoutMs: 30_000 })).frame);

/** How many logins a backend has seen whole. */
const logins = ({ connections }: Backend): number =>
  connections.filter((connection) => {
    const bytes = connection.received();
    const opening = readHandshake(bytes);
    return opening?.handshake.intent === intents.login && bytes.length > opening.end;
  }).length;

/** The text of a server's entry in the list. */
async function listed({ router }: Network, host: string): Promise<string> {
  using player = await connectPlayer({ port: router.port });
  await player.send(handshake({ protocol: 774, host, port: 25565, intent: intents.status }));
  await player.send(statusRequest);
  return (await player.readFrame()).body.toString();
}

const claims = (name: string, address = closedPort) => ({
  name,
  domain: `${name}.example`,
  address,
});

describe("a server that was started", () => {
  /** How servers are while they load. */
  const loading: readonly { readonly name: string; readonly behaviour: Behaviour }[] = [
    { name: "takes connections and says nothing", behaviour: silent },
    {
      name: "rejects logins, and answers its status with a text",
      behaviour: running(loginDisconnect("still starting"), '"still starting"'),
    },
    {
      name: "answers its status without a version",
      behaviour: running(loginDisconnect("still starting"), '{"description":"loading"}'),
    },
  ];
  for (const { name, behaviour } of loading) {
    test(`and ${name} while it loads gets its player when it is ready, who notices nothing`, async () => {
      using backend = startBackend(behaviour);
      await using plane = startControlPlane({
        servers: [{ name: "a", address: backend.address, startMs: 100 }],
      });
      await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
      using player = await enter(network, "a.example", "Steve");
      await until("it is asked twice whether it is ready", () => backend.connections.length >= 2);
      expect(logins(backend)).toBe(0);
      backend.behave(up);
      expect(await firstWord(player)).toEqual(greeting);
      expect(logins(backend)).toBe(1);
      expect(plane.starts("a")).toBe(1);
    }, 30_000);
  }

  test("is ready with its port where AUTOMC_READY=tcp says so", async () => {
    using backend = startBackend({ data: (connection) => connection.send(greeting) });
    await using plane = startControlPlane({
      servers: [{ name: "a", address: backend.address, startMs: 100 }],
    });
    const env = { AUTOMC_READY: "tcp" };
    await using network = await startNetwork({ postgres, plane, rows: [claims("a")], env });
    using player = await enter(network, "a.example", "Steve");
    expect(await firstWord(player)).toEqual(greeting);
  });

  test("and dies after it came up is started again for the next player", async () => {
    using sleeping = await reserveBackend();
    await using plane = startControlPlane({
      servers: [{ name: "a", address: sleeping.address, startMs: 100 }],
    });
    await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
    using first = await enter(network, "a.example", "First");
    const backend = sleeping.listen(up);
    expect(await firstWord(first)).toEqual(greeting);
    backend.stop();
    plane.setStopped("a");
    using second = await enter(network, "a.example", "Second");
    await until("the second start", () => plane.starts("a") === 2);
    using again = startBackend(up, "127.0.0.1", sleeping.port);
    expect(await firstWord(second)).toEqual(greeting);
    expect(logins(again)).toBe(1);
  }, 30_000);

  test("and fails has its message read at once", async () => {
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
    using player = await enter(network, "a.example", "Steve");
    await until("the start", () => plane.starts("a") === 1);
    const body = JSON.stringify({ state: "failed", message: "disk full" });
    plane.misbehave({ kind: "answer", status: 200, body }, { request: "state" });
    expect(JSON.parse(await words(player))).toEqual({ text: "disk full" });
    const line = await network.router.waitForLine(({ event }) => event === "wake-failed");
    expect(line).toMatchObject({ reason: 'the control plane says "failed": disk full' });
  });
});

// 1.8.8 has no plugin requests to be held by; 26.1 is the newest.
for (const version of ["1.8.8", "1.20.4", "26.1"]) {
  test(`${version}: a player who waited for a server in online mode logs in to it with encryption`, async () => {
    await using service = startSessionService();
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
    const account = service.account("Alex");
    const place = { port: network.router.port, host: "a.example", timeoutMs: 30_000 };
    const joining = join({ ...place, version, username: "Alex", account });
    await until("the start", () => plane.starts("a") === 1);
    await using server = await startMinecraftServer({ version, onlineMode: service.onlineMode });
    plane.setRunning("a", server.address);

    const joined = await joining;
    if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
    using session = joined.session;
    expect(session.uuid.replaceAll("-", "")).toBe(account.id);
    expect(service.vouchedFor).toEqual(["Alex"]);
    const entered = server.connections.filter(
      ({ handshake }) => handshake?.intent === intents.login,
    );
    expect(entered.map(({ isEncrypted }) => isEncrypted)).toEqual([true]);
    expect(session.isEncrypted).toBe(true);
    expect(entered[0]?.packets.slice(0, 3)).toEqual([
      "set_protocol",
      "login_start",
      "encryption_begin",
    ]);
    expect(server.errors).toEqual([]);
    expect(plane.starts("a")).toBe(1);
  }, 40_000);
}

test("a server with enable-status=false gets its player 20 s after its port opened, and the next one without a start", async () => {
  const version = "1.21.11";
  await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
  await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
  const place = { port: network.router.port, host: "a.example", version, timeoutMs: 60_000 };
  const joining = join({ ...place, username: "First" });
  await until("the start", () => plane.starts("a") === 1);
  await using server = await startMinecraftServer({ version, enableStatus: false });
  const openedMs = performance.now();
  plane.setRunning("a", server.address);

  const first = await joining;
  if (first.kind !== "joined") throw new Error(JSON.stringify(first));
  using _first = first.session;
  // 20 s by the clock of the router, which is not the clock of the test.
  expect(performance.now() - openedMs).toBeGreaterThan(19_000);
  const second = await join({ ...place, username: "Second" });
  if (second.kind !== "joined") throw new Error(JSON.stringify(second));
  using _second = second.session;
  const intentsSeen = server.connections.map(({ handshake }) => handshake?.intent);
  expect(intentsSeen.filter((intent) => intent === intents.login)).toHaveLength(2);
  expect(intentsSeen).toContain(intents.status);
  expect(server.players()).toEqual(["First", "Second"]);
  expect(server.errors).toEqual([]);
  expect(plane.starts("a")).toBe(1);
}, 90_000);

describe("the wake budget", () => {
  test("is not spent on servers that run: 320 are joined by 320 players, and one that sleeps still starts", async () => {
    using backend = startBackend(up);
    const names = Array.from({ length: 320 }, (_, i) => `up${i}`);
    await using plane = startControlPlane({
      servers: [
        ...names.map((name) => ({ name, state: "running" as const, address: backend.address })),
        { name: "sleepy", address: backend.address, startMs: 100 },
      ],
    });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [...names, "sleepy"].map((name) => claims(name)),
      env: { AUTOMC_WAKES: "1", AUTOMC_CLIENT_WAKES: "1" },
    });
    const heard = await Promise.all(
      names.map(async (name) => {
        using player = await enter(network, `${name}.example`, name);
        return await firstWord(player);
      }),
    );
    expect(heard.filter((word) => word.equals(greeting))).toHaveLength(320);
    expect(plane.requests.filter(({ method }) => method === "POST")).toEqual([]);
    using player = await enter(network, "sleepy.example", "Steve");
    expect(await firstWord(player)).toEqual(greeting);
    expect(plane.starts("sleepy")).toBe(1);
  }, 60_000);

  test("is spent once on a server that many join and leave while it starts", async () => {
    await using plane = startControlPlane({
      servers: ["a", "b"].map((name) => ({ name, startMs: null })),
    });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [claims("a"), claims("b")],
      env: { AUTOMC_WAKES: "2" },
    });
    let left = 0;
    for (const name of ["One", "Two", "Three", "Four"]) {
      using player = await enter(network, "a.example", name);
      await until("the start", () => plane.starts("a") === 1);
      await until(
        "the player waits",
        () => linesOf(network.router, "session-holding").length === left + 1,
      );
      player.reset();
      left += 1;
      await until(
        "the session is over",
        () => linesOf(network.router, "wake-abandoned").length === left,
      );
    }
    using _other = await enter(network, "b.example", "Five");
    await until("the start of the other", () => plane.starts("b") === 1);
    expect(plane.starts("a")).toBe(1);
  });
});

test("40 starts that hang keep no player from a server that runs", async () => {
  using backend = startBackend(up);
  const names = Array.from({ length: 40 }, (_, i) => `slow${i}`);
  await using plane = startControlPlane({
    servers: [
      ...names.map((name) => ({ name, startMs: null })),
      { name: "up", state: "running", address: backend.address },
    ],
  });
  plane.misbehave({ kind: "hang" }, { request: "start" });
  await using network = await startNetwork({
    postgres,
    plane,
    rows: [...names, "up"].map((name) => claims(name)),
    env: { AUTOMC_CLIENT_WAKES: "0" },
  });
  const waiting = await Promise.all(names.map((name) => enter(network, `${name}.example`, name)));
  await until(
    "32 starts hang",
    () => plane.requests.filter((each) => each.kind === "start").length === 32,
  );
  using player = await enter(network, "up.example", "Steve");
  expect(await firstWord(player)).toEqual(greeting);
  for (const each of waiting) each.reset();
}, 30_000);

describe("a server that was found where its row does not say", () => {
  test("is listed there, and reached by players who may not start it or find no place to wait", async () => {
    using backend = startBackend(up);
    await using plane = startControlPlane({
      servers: [{ name: "a", state: "running", address: backend.address }],
    });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [claims("a")],
      env: { AUTO_SCALE_ASLEEP_MOTD: "asleep", AUTOMC_MAX_HOLDING: "1" },
    });
    expect(await listed(network, "a.example")).toContain("asleep");
    using first = await enter(network, "a.example", "First");
    expect(await firstWord(first)).toEqual(greeting);
    expect(await listed(network, "a.example")).toContain(runningStatus);
  });
});

describe("rows that change while a player waits", () => {
  test("a corrected address is dialled", async () => {
    using backend = startBackend(up);
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    plane.misbehave({ kind: "answer", status: 500 });
    await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
    using player = await enter(network, "a.example", "Steve");
    await until("it is asked about", () => plane.requests.length > 2);
    await network.database.sql`UPDATE servers SET address = ${backend.address}`;
    expect(await firstWord(player)).toEqual(greeting);
  });

  test("a deleted row ends the wait in words, and the polling", async () => {
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    await using network = await startNetwork({ postgres, plane, rows: [claims("a")] });
    using player = await enter(network, "a.example", "Steve");
    await until("it is asked about", () => plane.requests.length > 2);
    await network.database.sql`DELETE FROM servers`;
    expect(await words(player)).toContain("cannot be reached");
    const { length } = plane.requests;
    using other = await enter(network, "a.example", "Other");
    await other.waitForEnd();
    expect(other.receivedLength).toBe(0);
    expect(plane.requests.length).toBe(length);
  });
});

test("the list says loading for as long as a server starts, also when the only player has left", async () => {
  using backend = await reserveBackend();
  await using plane = startControlPlane({
    servers: [{ name: "a", address: backend.address, startMs: null }],
  });
  await using network = await startNetwork({
    postgres,
    plane,
    rows: [claims("a", backend.address)],
    env: { AUTO_SCALE_ASLEEP_MOTD: "asleep", AUTO_SCALE_LOADING_MOTD: "{server} loads" },
  });
  using player = await enter(network, "a.example", "Steve");
  await until("the start", () => plane.starts("a") === 1);
  player.reset();
  await network.router.waitForLine(({ event }) => event === "wake-abandoned");
  expect(await listed(network, "a.example")).toContain("a loads");
  using _up = backend.listen(up);
  plane.setRunning("a", backend.address);
  await until("it is listed as running", async () =>
    (await listed(network, "a.example")).includes(runningStatus),
  );
  expect(plane.starts("a")).toBe(1);
}, 30_000);

describe("with an allow and deny file", () => {
  const folder = mkdtempSync(joinPath(tmpdir(), "automc-states-"));
  const path = joinPath(folder, "allow-deny.json");
  afterAll(() => rmSync(folder, { recursive: true }));

  test("a rule for one hostname holds for every hostname of the server", async () => {
    const allowlist = [{ name: "Alex" }];
    writeFileSync(path, JSON.stringify({ servers: { "a.example": { allowlist } } }));
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain: "a.example,b.example,*.c.example", address: closedPort }],
      env: { AUTO_SCALE_ALLOW_DENY: path },
    });
    for (const host of ["a.example", "b.example", "any.c.example"]) {
      using denied = await enter(network, host, "Steve");
      expect(await words(denied)).toContain("you may not start it");
    }
    expect(plane.starts("a")).toBe(0);
    using _allowed = await enter(network, "any.c.example", "Alex");
    await until("the start", () => plane.starts("a") === 1);
  });
});

test("rows without a path of their own at the control plane are skipped and named", async () => {
  await using plane = startControlPlane();
  await using network = await startNetwork({
    postgres,
    plane,
    rows: [".", ".."].map((name, i) => ({ name, domain: `h${i}.example`, address: closedPort })),
  });
  await until("both are named", () =>
    [".", ".."].every((name) =>
      network.router.lines.some(
        ({ row, reason }) => row === name && String(reason).includes("no path of its own"),
      ),
    ),
  );
  using player = await enter(network, "h1.example", "Steve");
  await player.waitForEnd();
  expect(player.receivedLength).toBe(0);
  expect(plane.requests).toEqual([]);
});

describe("AUTOMC_WAKER_STOP", () => {
  test("stops an idle server, but not while a player is on it by another route", async () => {
    using backend = startBackend(up);
    await using plane = startControlPlane({
      servers: [{ name: "a", state: "running", address: backend.address }],
    });
    const stops = () => plane.requests.filter(({ path }) => path === "/servers/a/stop").length;
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [claims("a", backend.address)],
      env: {
        MAPPING: `lobby.example=localhost:${backend.port}`,
        AUTOMC_WAKER_STOP: "true",
        AUTO_SCALE_DOWN_AFTER: "1s",
      },
    });
    using player = await enter(network, "lobby.example", "Steve");
    expect(await firstWord(player)).toEqual(greeting);
    const asked = () =>
      backend.handshakes().filter(({ intent }) => intent === intents.status).length;
    await until("its status is asked for twice", () => asked() >= 2);
    expect(stops()).toBe(0);
    player.close();
    await until("it is stopped", () => stops() === 1);
  }, 30_000);
});
