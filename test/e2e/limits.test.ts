import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { join, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import {
  connectPlayer,
  disconnectText,
  firstWord,
  waitThroughHold,
} from "../support/minecraft/player.ts";
import { login, pluginNotUnderstood } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { linesOf, noQueue, sessionEnd, startNetwork } from "../support/process/e2e-network.ts";
import { type Router, runRouter, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

// Real joins, on a machine that is busy with something else.
setDefaultTimeout(60_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const host = "play.example.com";

/** Clients come through a proxy on loopback that tells their addresses. */
const proxied = {
  ...noQueue,
  RECEIVE_PROXY_PROTOCOL: "true",
  TRUSTED_PROXIES: "127.0.0.0/8",
};

/** What a proxy says of a client at that address, and the client's login. */
const loginFrom = (ip: string, name: string, to = host): Buffer =>
  Buffer.concat([
    Buffer.from(`PROXY TCP${ip.includes(":") ? 6 : 4} ${ip} ${ip} 50000 25565\r\n`),
    login({ host: to, name }),
  ]);

/** What comes of a login by way of the proxy: the text that it is refused with, `in` when a backend has it, `cut` for an end without a word. */
async function tryFrom(router: Router, ip: string, name = "Steve", to = host): Promise<string> {
  using player = await connectPlayer({ port: router.port });
  await player.send(loginFrom(ip, name, to));
  await player.waitForLength(1).catch(() => null);
  if (player.receivedLength === 0) return "cut";
  const first = player.received();
  return first.includes('{"text"') ? disconnectText(await player.readFrame()) : "in";
}

describe("a flood from one source", () => {
  test("is refused, in words where it logs in, while others join", async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({
      env: { ...proxied, MAPPING: `${host}=${backend.address}`, AUTOMC_CLIENT_LOGIN_RATE: "1" },
    });
    const results: string[] = [];
    for (let count = 0; count < 60; count += 1) {
      results.push(await tryFrom(router, "203.0.113.7", `Bot${count}`));
      if (count % 10 === 0) {
        expect(await tryFrom(router, `198.51.${100 + count}.1`)).toBe("in");
        expect(await tryFrom(router, `2001:db8:${count + 1}::1`)).toBe("in");
      }
    }
    const refused = results.filter((result) => result !== "in");
    expect(results.slice(0, 10)).toEqual(Array(10).fill("in"));
    expect(refused.length).toBeGreaterThan(20);
    expect(new Set(refused.map((text) => JSON.parse(text).text))).toEqual(
      new Set([
        "Too many players are joining from your network right now. Please try again in a few seconds.",
      ]),
    );
    expect(await router.waitForLine((line) => line["event"] === "clients-refused")).toMatchObject({
      why: "too many joins from their address",
      count: 1,
      lastClient: "203.0.113.7",
    });
    expect(router.lines.filter(({ msg }) => String(msg).startsWith("refused:"))).toEqual([]);
  });

  const sources = [
    { name: "an IPv4 address", ip: () => "203.0.113.7" },
    { name: "an IPv6 /64", ip: (index: number) => `2001:db8:7:7::${index + 1}` },
  ];
  test.each(sources)(
    "of $name has a limit at a time, and the proxy that it comes through has none",
    async ({ ip }) => {
      using backend = startBackend(echo);
      await using router = await startRouter({
        env: { ...proxied, MAPPING: `${host}=${backend.address}`, AUTOMC_CLIENT_CONNECTIONS: "5" },
      });
      await using open = new AsyncDisposableStack();
      const hold = async (from: string): Promise<Peer> => {
        const player = open.use(await connectPlayer({ port: router.port }));
        await player.send(loginFrom(from, "Steve"));
        return player;
      };
      const floods = await Promise.all(Array.from({ length: 12 }, (_, index) => hold(ip(index))));
      await until("five are in", () => backend.connections.length === 5);
      await until(
        "the others are cut",
        () => floods.filter(({ ending }) => ending !== "open").length === 7,
      );
      await Promise.all(Array.from({ length: 12 }, (_, index) => hold(`198.51.${index}.1`)));
      await until("all others are in", () => backend.connections.length === 17);
      const line = await router.waitForLine((each) => each["event"] === "clients-refused");
      expect(line).toMatchObject({
        level: "info",
        msg: "clients are turned away",
        why: "too many connections at a time from their address",
        lastClient: expect.stringMatching(/^203\.0\.113\.7$|^2001:db8:7:7::/),
      });
    },
  );

  test("straight from the socket is cut as it connects", async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({
      env: {
        ...noQueue,
        MAPPING: `${host}=${backend.address}`,
        AUTOMC_CLIENT_RATE: "1",
        AUTOMC_CLIENT_EXEMPT: "192.0.2.1",
        API_BINDING: "127.0.0.1:0",
      },
    });
    const ends: string[] = [];
    for (let count = 0; count < 40; count += 1) {
      // The reset may come before the connect is reported.
      const player = await connectPlayer({ port: router.port }).catch(() => null);
      ends.push(player === null ? "reset" : await player.waitForEnd(200).catch(() => "open"));
      player?.reset();
    }
    expect(ends.slice(0, 5)).toEqual(Array(5).fill("open"));
    expect(ends).toContain("reset");
    const api = linesOf(router, "api-listening")[0]?.["binding"];
    const metrics = await (await fetch(`http://${api}/metrics`)).text();
    const refused = /automc_clients_refused_total\{why="rate"\} (\d+)/.exec(metrics)?.[1];
    expect(Number(refused)).toBe(ends.filter((end) => end === "reset").length);
  });
});

describe("AUTOMC_MAX_CONNECTIONS", () => {
  test("lets so many in, tells the next one, and has room again at once", async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({
      env: { ...noQueue, MAPPING: `${host}=${backend.address}`, AUTOMC_MAX_CONNECTIONS: "20" },
    });
    expect(linesOf(router, "listening")[0]).toMatchObject({ sessionLimit: 20 });
    const players: Peer[] = [];
    for (let count = 0; count < 20; count += 1) {
      const player = await connectPlayer({ port: router.port });
      players.push(player);
      await player.send(login({ host, name: `P${count}` }));
      await player.waitForLength(1);
    }
    expect(await firstWord(router, host)).toContain("All places are taken right now.");
    for (const player of players) {
      const before = player.receivedLength;
      await player.send(Buffer.from("still here"));
      await player.waitForLength(before + 10);
    }
    players[0]?.reset();
    await sessionEnd(router, "P0");
    expect(await firstWord(router, host)).not.toContain("All places are taken");
    for (const player of players) player.reset();
  });

  test("beyond what there are file descriptors for is said, and not had", async () => {
    await using router = await startRouter({
      env: { DEFAULT: "127.0.0.1:1", AUTOMC_MAX_CONNECTIONS: "10000" },
      within: ["sh", "-c", 'ulimit -n 1024 && exec "$0" "$@"'],
    });
    expect(linesOf(router, "listening")[0]).toMatchObject({ sessionLimit: 384 });
    expect(linesOf(router, "setting-warning").map(({ msg }) => msg)).toContain(
      "AUTOMC_MAX_CONNECTIONS=10000: the limit of file descriptors allows 384",
    );
  });
});

describe("the wake budget", () => {
  const names = ["a", "b", "c", "d"];

  test("of one address is used up without harm to others, and to those who join what is starting", async () => {
    await using plane = startControlPlane({
      servers: names.map((name) => ({ name, startMs: null })),
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: names.map((name) => ({
        name,
        domain: `${name}.example.com`,
        address: `127.0.0.1:${closed.port}`,
      })),
      env: { ...proxied, AUTOMC_CLIENT_WAKES: "2" },
    });
    const { router } = network;
    await using open = new AsyncDisposableStack();
    const enter = async (ip: string, name: string): Promise<void> => {
      const player = open.use(await connectPlayer({ port: router.port }));
      await player.send(loginFrom(ip, "Steve", `${name}.example.com`));
      await until(`${ip} waits for ${name}`, () =>
        linesOf(router, "session-holding").some(
          (line) => line["row"] === name && String(line["client"]).startsWith(ip),
        ),
      );
    };
    await enter("203.0.113.7", "a");
    await enter("203.0.113.7", "b");
    await until("two starts", () => plane.starts("a") + plane.starts("b") === 2);
    const text = await tryFrom(router, "203.0.113.7", "Flood", "c.example.com");
    expect(JSON.parse(text).text).toBe(
      "This server is asleep and cannot be started right now. Please try again in a few minutes.",
    );
    expect(await sessionEnd(router, "Flood")).toMatchObject({
      level: "warn",
      msg: "refused: the server is not started now",
      row: "c",
      reason:
        "2 servers were started within ten minutes from the client's address, or four times as many from its network",
    });
    expect(plane.starts("c")).toBe(0);
    await enter("203.0.113.7", "a");
    await enter("198.51.100.1", "c");
    await until("the other's start", () => plane.starts("c") === 1);
  });

  test("a restart with 500 players for 100 sleeping servers never meets the limits", async () => {
    const servers = Array.from({ length: 100 }, (_, index) => `s${index}`);
    await using plane = startControlPlane({
      servers: servers.map((name) => ({ name, startMs: 500 })),
    });
    using backend = startBackend(echo);
    for (const name of servers) plane.add({ name, startMs: 500, address: backend.address });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: servers.map((name) => ({
        name,
        domain: `${name}.example.com`,
        address: `127.0.0.1:${closed.port}`,
      })),
      env: proxied,
    });
    // Twenty-five carriers' addresses, with twenty players behind each.
    const players = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        tryFrom(
          network.router,
          `198.51.${index % 25}.7`,
          `P${index}`,
          `s${index % 100}.example.com`,
        ),
      ),
    );
    expect(players.filter((result) => result !== "in")).toEqual([]);
    expect(servers.map((name) => plane.starts(name))).toEqual(Array(100).fill(1));
  });
});

describe("AUTOMC_WAKE_PROOF", () => {
  const rows = (closed: { readonly port: number }) => [
    { name: "survival", domain: host, address: `127.0.0.1:${closed.port}` },
  ];
  const env = { AUTOMC_WAKE_PROOF: "true" };

  test("a scanner's bare login starts nothing, and reads why; a real game starts the server and plays on it", async () => {
    await using server = await startMinecraftServer({ version: "1.20.4", motd: "Awake" });
    await using plane = startControlPlane({
      servers: [{ name: "survival", startMs: 300, address: `127.0.0.1:${server.port}` }],
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({ postgres, plane, rows: rows(closed), env });
    const { router } = network;

    using scanner = await connectPlayer({ port: router.port });
    await scanner.send(login({ host, name: "Scanner" }));
    await scanner.readFrame();
    using guessing = await connectPlayer({ port: router.port });
    await guessing.send(login({ host, name: "Guessing" }));
    await guessing.readFrame();
    await guessing.send(pluginNotUnderstood(0x4000_0000));
    using prepared = await connectPlayer({ port: router.port });
    await prepared.send(
      Buffer.concat([login({ host, name: "Prepared" }), pluginNotUnderstood(0x4000_0000)]),
    );
    expect(disconnectText(await prepared.readFrame())).toContain("your game did not answer");
    const { frame } = await waitThroughHold(scanner, { answers: false });
    expect(disconnectText(frame)).toContain("your game did not answer");
    expect(await sessionEnd(router, "Scanner")).toMatchObject({
      msg: "refused: the client did not prove that it is a game",
    });
    expect(await sessionEnd(router, "Guessing")).toMatchObject({
      msg: "closed: the client spoke out of turn while it waited",
    });
    expect(plane.starts("survival")).toBe(0);

    const joined = await join({
      port: router.port,
      host,
      version: "1.20.4",
      username: "Steve",
      timeoutMs: 30_000,
    });
    expect(joined.kind).toBe("joined");
    if (joined.kind === "joined") joined.session[Symbol.dispose]();
    expect(plane.starts("survival")).toBe(1);
  });

  test("a game from before 1.13 cannot prove it: it starts nothing, and joins what runs", async () => {
    await using server = await startMinecraftServer({ version: "1.8.8", motd: "Awake" });
    await using plane = startControlPlane({ servers: [{ name: "survival", startMs: null }] });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({ postgres, plane, rows: rows(closed), env });
    const enter = () =>
      join({ port: network.router.port, host, version: "1.8.8", username: "Steve" });
    expect(await enter()).toMatchObject({
      kind: "disconnected",
      text: expect.stringContaining("Minecraft 1.13 or newer"),
    });
    expect(plane.starts("survival")).toBe(0);
    plane.setRunning("survival", `127.0.0.1:${server.port}`);
    const joined = await enter();
    expect(joined.kind).toBe("joined");
    if (joined.kind === "joined") joined.session[Symbol.dispose]();
    expect(plane.starts("survival")).toBe(0);
  });
});

describe("where the router does not connect to", () => {
  const routes = [
    { name: "what is denied", to: "127.0.0.1:25999", reason: /AUTOMC_BACKEND_DENY/ },
    { name: "what is not allowed", to: "10.1.2.3:25565", reason: /not in AUTOMC_BACKEND_ALLOW/ },
    { name: "a cloud's metadata", to: "169.254.169.254:80", reason: /link-local/ },
    { name: "a name for it", to: "localhost:25999", reason: /AUTOMC_BACKEND_DENY/ },
  ];
  test.each(routes)(
    "$name: the player reads that it cannot be reached, the log why",
    async ({ to, reason }) => {
      await using router = await startRouter({
        env: {
          MAPPING: `${host}=${to}`,
          AUTOMC_BACKEND_ALLOW: "127.0.0.0/8,::1",
          AUTOMC_BACKEND_DENY: "127.0.0.1:25900-25999,[::1]:25900-25999",
        },
      });
      expect(await firstWord(router, host)).toContain("cannot be reached right now");
      const end = await sessionEnd(router, "Steve");
      expect(end).toMatchObject({ msg: "refused: the server cannot be reached" });
      expect(end["reason"]).toMatch(reason);
    },
  );

  test("the router itself", async () => {
    using reserved = await reserveClosedPort();
    const { port } = reserved;
    reserved[Symbol.dispose]();
    await using folder = await mkdtempDisposable(joinPath(tmpdir(), "automc-itself-"));
    const routes = `${folder.path}/routes.json`;
    await Bun.write(routes, JSON.stringify({ mappings: { [host]: `127.0.0.1:${port}` } }));
    await using router = await startRouter({
      env: { PORT: String(port), ROUTES_CONFIG: routes },
    });
    expect(await firstWord(router, host)).toContain("cannot be reached right now");
    expect(await sessionEnd(router, "Steve")).toMatchObject({
      reason: "127.0.0.1 is this router itself",
    });
    expect(linesOf(router, "session-ended")).toHaveLength(1);
  });

  test("what the control plane names is judged as well, and the wake ends with the reason", async () => {
    await using plane = startControlPlane({
      servers: [{ name: "survival", startMs: 0, address: "169.254.169.254:80" }],
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "survival", domain: host, address: `127.0.0.1:${closed.port}` }],
      env: { AUTOMC_WAKER_TIMEOUT: "3s" },
    });
    using player = await connectPlayer({ port: network.router.port });
    await player.send(login({ host, name: "Steve" }));
    const { frame } = await waitThroughHold(player);
    expect(disconnectText(frame)).toContain("did not start in time");
    const failed = await network.router.waitForLine((line) => line["event"] === "wake-failed");
    expect(failed["reason"]).toBe(
      "169.254.169.254:80 cannot be reached: 169.254.169.254 is a link-local address",
    );
  });

  test("a rule that cannot be read stops the start", async () => {
    const { exitCode, stdout, stderr } = await runRouter(["check"], {
      AUTOMC_BACKEND_ALLOW: "10.0.0.0/8,lobby:25565",
    });
    expect(exitCode).toBe(2);
    expect(stdout + stderr).toContain('AUTOMC_BACKEND_ALLOW="lobby:25565": expected entries');
  });
});
