import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectPlayer, disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import { login, offlineUuid } from "../support/minecraft/wire.ts";
import { echo, silent, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { laterPort, reserveClosedPort } from "../support/net/ports.ts";
import { openTcpGate } from "../support/net/tcp-gate.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { linesOf, noQueue, sessionEnd, startNetwork } from "../support/process/e2e-network.ts";
import { openPipe, startBareRouter, untilOpen } from "../support/process/e2e-process.ts";
import { receiveNotices } from "../support/process/notices.ts";
import { type Router, runRouter, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

let postgres: TestPostgres;
const folder = mkdtempSync(join(tmpdir(), "automc-process-"));
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A file with that text; its path. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** A player in front of an echoing backend, in the game. */
async function play(port: number, name = "Steve", host = "play.x"): Promise<Peer> {
  const player = await connectPlayer({ port });
  const said = login({ host, name });
  await player.send(said);
  const heard = await player.read(said.length);
  if (!heard.equals(said)) throw new Error("the echo differs");
  return player;
}

/** Says something and waits for the echo. */
async function chat(player: Peer, text: string): Promise<void> {
  await player.send(Buffer.from(text));
  expect((await player.read(text.length)).toString()).toBe(text);
}

const restarting = "The network is being restarted. Please join again in a moment.";

describe("the configuration", () => {
  const bad = {
    PORT: "abc",
    MAPPING: "play.x=h:1,nonsense,also.x=h:99999",
    DEFAULT: "h:port",
    AUTOMC_DSN: "postgres://router:hunter2@db/minecraft?sslmode=nonsense",
    AUTOMC_WAKER_TOKEN: "hunter3\n",
    AUTOMC_WAKER_URL: "http://router:hunter4@manager:8080",
    AUTOMC_WAKER_TIMEOUT: "5",
    AUTOMC_LISTEN_DSN_FILE: "/nonexistent/dsn",
    AUTOMC_TPYO: "hunter5",
    IN_DOCKER: "yes",
    KUBE_CONFIG: "/kube.yaml",
    NGROK_TOKEN: "hunter6",
  };

  for (const command of [[], ["check"], ["explain", "play.x"]]) {
    test(`automc-router ${command.join(" ")} tells every problem at once, no secret, and ends with 2`, async () => {
      const { exitCode, stdout, stderr } = await runRouter(command, bad);
      expect(exitCode).toBe(2);
      expect(stdout).toBe("");
      const named = stderr.split("\n").map((line) => line.split(/[=:]/, 1)[0]);
      for (const variable of Object.keys(bad)) {
        expect({ variable, isNamed: named.includes(variable) }).toEqual({
          variable,
          isNamed: true,
        });
      }
      expect(stderr).toContain('"nonsense');
      expect(stderr).toContain("run the ngrok agent");
      expect(stderr).toEndWith(
        "13 problems in the configuration; automc-router help settings lists every setting\n",
      );
      expect(stderr).not.toContain("hunter");
    });
  }

  test("a good one ends check with 0", async () => {
    expect(await runRouter(["check", "--dry"], { MAPPING: "play.x=h:1" })).toEqual({
      exitCode: 0,
      stdout: "the configuration is good\n",
      stderr: "",
    });
    const odd = await runRouter(["check", "--dry"], { AUTOMC_WAKER_URL: "http://h:1" });
    expect(odd).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^warning: AUTOMC_WAKER_URL=.*\nthe configuration is good\n$/),
    });
  });

  test("a port in use ends it with 1, and says so", async () => {
    using other = startBackend(echo);
    const env = { PORT: String(other.port), AUTOMC_BIND: "127.0.0.1", DEFAULT: "h:1" };
    const { exitCode, stderr } = await runRouter([], env);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`port ${other.port} is in use by another program`);
  });

  const words = [
    { name: "a flag of mc-router", args: ["--in-docker"], says: "set IN_DOCKER=true" },
    { name: "a flag with a value", args: ["-port", "25565"], says: "" },
    { name: "a flag nobody knows", args: ["--no-such-flag"], says: "" },
    { name: "a word that is no command", args: ["start"], says: '"start" is no command' },
    { name: "a command with too much behind it", args: ["check", "it"], says: '"it"' },
    { name: "explain without a hostname", args: ["explain"], says: "explain needs a hostname" },
  ];
  for (const { name, args, says } of words) {
    test(`${name} ends it with 2`, async () => {
      const { exitCode, stdout, stderr } = await runRouter(args, { DEFAULT: "h:1", PORT: "0" });
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toContain(says);
      expect(stderr.trim().split("\n").length).toBe(1);
    });
  }

  test("version and help print what they are asked for, and VERSION=true as mc-router did", async () => {
    const version = await runRouter(["version"]);
    expect(version).toMatchObject({ exitCode: 0, stderr: "" });
    expect(version.stdout).toMatch(
      /^\d+\.\d+\.\d+, commit (?:[0-9a-f]{12}|unknown), built at 20\d\d-\S+Z\n$/,
    );
    const asked = await runRouter([], { VERSION: "true" });
    expect(asked).toMatchObject({ exitCode: 0, stdout: version.stdout.trimEnd() });

    const settings = await runRouter(["help", "settings"]);
    expect(settings).toMatchObject({ exitCode: 0, stderr: "" });
    for (const name of ["PORT", "MAPPING", "AUTOMC_DSN", "AUTOMC_WAKER_URL", "AUTOMC_HOLD"]) {
      expect(settings.stdout).toMatch(new RegExp(`^  ${name}( |$)`, "m"));
    }
    const help = await runRouter(["help"]);
    expect(help).toMatchObject({ exitCode: 0, stderr: "" });
    const lines = help.stdout.trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect((await runRouter(["--help"])).stdout).toBe(help.stdout);
  });

  test("schema is accepted by a database twice, and again when there are rows", async () => {
    const database = await postgres.createDatabase();
    const { stdout } = await runRouter(["schema"]);
    for (let time = 0; time < 3; time++) {
      await database.sql.unsafe(stdout);
      await database.sql`INSERT INTO servers VALUES (${`s${time}`}, ${`s${time}.x`}, 'h:1')`;
    }
    const [counted] = await database.sql<{ count: number }[]>`
      SELECT count(*)::int AS count FROM servers`;
    expect(counted).toEqual({ count: 3 });
  });

  test("secrets may be files, with the line feed that editors leave", async () => {
    using backend = startBackend(echo);
    await using plane = startControlPlane({
      token: "from-a-file",
      servers: [{ name: "a", state: "running", address: backend.address }],
    });
    const database = await postgres.createDatabase();
    await database.sql.unsafe((await runRouter(["schema"])).stdout);
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${backend.address})`;
    await using router = await startRouter({
      env: {
        ...noQueue,
        AUTOMC_DSN_FILE: file("dsn", `${database.dsn()}\n`),
        AUTOMC_LISTEN_DSN_FILE: file("listen-dsn", database.dsn()),
        AUTOMC_WAKER_URL: `${plane.url}/`,
        AUTOMC_WAKER_TOKEN_FILE: file("token", "from-a-file\r\n"),
      },
    });
    using _player = await play(router.port, "Steve", "a.x");
    expect(plane.requests.map(({ apiKey }) => apiKey)).toContain("from-a-file");
    expect(new Set(plane.requests.map(({ apiKey }) => apiKey)).size).toBe(1);
    const both = await runRouter(["check"], {
      AUTOMC_DSN: database.dsn(),
      AUTOMC_DSN_FILE: join(folder, "dsn"),
    });
    expect(both.exitCode).toBe(2);
    expect(both.stderr).toContain("only one of AUTOMC_DSN and AUTOMC_DSN_FILE");
  });

  test("secrets are gone from the process's environment once it runs", async () => {
    using backend = startBackend(echo);
    const secrets = {
      AUTOMC_DSN: "postgres://router:hunter2@127.0.0.1:1/minecraft",
      AUTOMC_API_TOKEN: "hunter3",
      WEBHOOK_URL: "http://hunter4@127.0.0.1:1/",
    };
    await using router = await startRouter({ env: { DEFAULT: backend.address, ...secrets } });
    const environ = readFileSync(`/proc/${router.pid}/environ`, "latin1");
    expect(environ).toContain(`DEFAULT=${backend.address}`);
    expect(environ).toContain("AUTOMC_DSN=");
    expect(environ).not.toContain("hunter");
    expect(router.log()).not.toContain("hunter");
  }, 20_000);

  test("nothing is taken from the working directory", async () => {
    using backend = startBackend(echo);
    using pipe = openPipe();
    const port = laterPort();
    const ran = join(folder, "preloaded");
    const script = `require("node:fs").writeFileSync(${JSON.stringify(ran)}, "");`;
    await using router = startBareRouter({
      env: { ...noQueue, PORT: String(port), MAPPING: `play.x=${backend.address}` },
      stderr: pipe.writer,
      files: {
        // Each of these would keep it from starting.
        ".env": `PORT=1\nAUTOMC_NO_SUCH_SETTING=1\nIN_DOCKER=true\n`,
        ".env.local": "DEFAULT=nonsense:port\n",
        ".env.production": "LOG_LEVEL=nonsense\n",
        "bunfig.toml": 'preload = ["./preload.ts"]\n',
        "preload.ts": script,
        "package.json": "{ not JSON",
        "tsconfig.json": "{ not JSON",
      },
    });
    await untilOpen(port);
    using _player = await play(port);
    expect(existsSync(ran)).toBe(false);
    router.signal("SIGTERM");
  });
});

describe("the end", () => {
  /** A router with somebody in the game, somebody who waits for a server, and somebody who has not said anything. */
  async function crowd(drainTimeout: string) {
    const stack = new AsyncDisposableStack();
    const backend = stack.use(startBackend(echo));
    const closed = stack.use(await reserveClosedPort());
    const plane = stack.use(startControlPlane({ servers: [{ name: "never", startMs: null }] }));
    const network = stack.use(
      await startNetwork({
        postgres,
        plane,
        rows: [{ name: "never", domain: "never.x", address: `127.0.0.1:${closed.port}` }],
        env: { MAPPING: `play.x=${backend.address}`, AUTOMC_DRAIN_TIMEOUT: drainTimeout },
      }),
    );
    const { router } = network;
    const playing = stack.use(await play(router.port));
    const waiting = stack.use(await connectPlayer({ port: router.port }));
    await waiting.send(login({ host: "never.x", name: "Alex" }));
    const mute = stack.use(await connectPlayer({ port: router.port }));
    await until("Alex waits", () => linesOf(router, "session-holding").length === 1);
    await until("the server is being started", () => plane.starts("never") === 1);
    return {
      router,
      playing,
      waiting,
      mute,
      plane,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }

  async function refusesPlayers(router: Router): Promise<boolean> {
    try {
      (await connectPlayer({ port: router.port })).reset();
      return false;
    } catch {
      return true;
    }
  }

  test("SIGTERM refuses newcomers at once, tells those who wait, lets the game go on, and ends with 0", async () => {
    await using scene = await crowd("60s");
    const { router, playing, waiting, mute, plane } = scene;
    router.signal("SIGTERM");
    expect(await router.waitForLine(({ event }) => event === "draining")).toMatchObject({
      signal: "SIGTERM",
      sessions: 3,
      limit: "60.0s",
    });
    await until("nobody else gets in", () => refusesPlayers(router));
    const { frame } = await waitThroughHold(waiting);
    expect(disconnectText(frame)).toBe(JSON.stringify({ text: restarting }));
    await waiting.waitForEnd();
    expect(await sessionEnd(router, "Alex")).toMatchObject({
      level: "info",
      msg: "refused: the router is stopping",
    });
    await mute.waitForEnd();
    expect(mute.receivedLength).toBe(0);

    await chat(playing, "one more round");
    expect(plane.starts("never")).toBe(1);
    playing.finish();
    expect(await playing.waitForEnd()).toBe("finished");
    expect(await router.waitForExit()).toBe(0);
    expect(linesOf(router, "stopped")).toEqual([expect.objectContaining({ cut: 0 })]);
  }, 30_000);

  test("AUTOMC_DRAIN_TIMEOUT cuts who still plays, and it ends with 0 all the same", async () => {
    await using scene = await crowd("3s");
    const { router, playing, waiting, mute } = scene;
    mute.close();
    const startedAt = performance.now();
    router.signal("SIGINT");
    await waiting.waitForEnd();
    waiting.close();
    await playing.waitForEnd();
    expect(await router.waitForExit()).toBe(0);
    expect(performance.now() - startedAt).toBeGreaterThan(2_800);
    expect(linesOf(router, "stopped")).toEqual([expect.objectContaining({ cut: 1 })]);
    expect(await sessionEnd(router, "Steve")).toMatchObject({ level: "info" });
  }, 30_000);

  test("each player who is cut at the end gets his line in the log, and the webhook its notice", async () => {
    // A backend that goes on for ever, whatever its client does.
    using backend = startBackend(silent);
    await using receiver = receiveNotices({ hangs: false });
    await using router = await startRouter({
      env: {
        ...noQueue,
        DEFAULT: backend.address,
        AUTOMC_DRAIN_TIMEOUT: "1s",
        WEBHOOK_URL: receiver.url,
      },
    });
    const names = ["Steve", "Alex", "Herobrine"];
    for (const name of names) {
      const player = await connectPlayer({ port: router.port });
      await player.send(login({ host: "play.x", name }));
    }
    await until("all play", () => linesOf(router, "session-relaying").length === 3);
    expect(await router.stop()).toBe(0);
    expect(linesOf(router, "stopped")).toEqual([expect.objectContaining({ cut: 3 })]);
    for (const name of names)
      expect(await sessionEnd(router, name)).toMatchObject({ level: "info" });
    const told = receiver.notices.filter(({ event }) => event === "disconnect");
    expect(told.map(({ player }) => (player as { name: string }).name).toSorted()).toEqual(
      names.toSorted(),
    );
  }, 30_000);

  /** Routers on one port at the default rate of one client a second, and players who have said that they want to join. */
  async function queueAt(env: Readonly<Record<string, string>>, count: number) {
    const router = await startRouter({ env });
    const said = login({ host: "play.x", name: "Steve" });
    const players: Peer[] = [];
    for (let each = 0; each < count; each += 1) {
      const player = await connectPlayer({ port: router.port });
      await player.send(said);
      players.push(player);
    }
    await until("all are there", async () => linesOf(router, "session-accepted").length >= count);
    return { router, players, said };
  }

  test("SIGTERM tells each client that waits for its turn in the queue", async () => {
    using backend = startBackend(echo);
    const env = { DEFAULT: backend.address, LOG_LEVEL: "trace" };
    const { router, players, said } = await queueAt(env, 14);
    await using _router = router;
    router.signal("SIGTERM");
    const ends = await Promise.all(
      players.map(async (player) => {
        await player.waitForLength(1);
        return player.received().equals(said) ? "joined" : disconnectText(await player.readFrame());
      }),
    );
    const told = ends.filter((end) => end !== "joined");
    expect(told.length).toBeGreaterThanOrEqual(8);
    for (const end of told) expect(JSON.parse(end)).toEqual({ text: restarting });
    for (const player of players) player.close();
    expect(await router.waitForExit()).toBe(0);
  }, 30_000);

  test("an instance that leaves a shared port serves each client in its queue", async () => {
    using backend = startBackend(echo);
    const port = String(laterPort());
    const env = {
      DEFAULT: backend.address,
      LOG_LEVEL: "trace",
      PORT: port,
      AUTOMC_REUSE_PORT: "true",
    };
    const { router: leaving, players, said } = await queueAt(env, 14);
    await using _leaving = leaving;
    await using _joining = await startRouter({ env });
    leaving.signal("SIGTERM");
    for (const player of players) expect(await player.read(said.length)).toEqual(said);
    for (const player of players) player.close();
    expect(await leaving.waitForExit()).toBe(0);
  }, 30_000);

  test("a second signal ends it at once", async () => {
    await using scene = await crowd("10m");
    const { router, playing } = scene;
    router.signal("SIGTERM");
    await router.waitForLine(({ event }) => event === "draining");
    await chat(playing, "still here");
    router.signal("SIGINT");
    await playing.waitForEnd();
    expect(await router.waitForExit()).toBe(0);
  }, 30_000);

  test("eleven unexpected errors within a minute drain it, and it ends with 70", async () => {
    using backend = startBackend(echo);
    const preload = file(
      "defect.ts",
      // The router refuses to run with that variable.
      `delete process.env.BUN_OPTIONS;
       process.on("SIGUSR2", () => { throw new Error("a defect"); });`,
    );
    await using router = await startRouter({
      env: { ...noQueue, DEFAULT: backend.address, BUN_OPTIONS: `--preload=${preload}` },
    });
    using player = await play(router.port);
    for (let count = 1; count <= 10; count++) {
      router.signal("SIGUSR2");
      await until("the defect shows", () => linesOf(router, "fault").length === count);
    }
    using newcomer = await play(router.port, "Alex");
    router.signal("SIGUSR2");
    expect(await router.waitForLine(({ event }) => event === "draining")).toMatchObject({
      level: "info",
      signal: "defects",
    });
    expect(linesOf(router, "failed")).toEqual([
      expect.objectContaining({
        level: "error",
        msg: expect.stringContaining("unexpected errors"),
      }),
    ]);
    await chat(player, "one more round");
    newcomer.close();
    player.close();
    expect(await router.waitForExit()).toBe(70);
    expect(linesOf(router, "stopped")).toEqual([expect.objectContaining({ cut: 0 })]);
  }, 30_000);

  test("SIGHUP ends nothing", async () => {
    await using scene = await crowd("0s");
    const { router, playing } = scene;
    router.signal("SIGHUP");
    await router.waitForLine(({ event }) => event === "reloading");
    await chat(playing, "still here");
    using _player = await play(router.port, "Robin");
    expect(await router.stop()).toBe(0);
  }, 30_000);

  test("signals are minded from the start on: SIGHUP ends nothing, SIGTERM ends it with 0", async () => {
    // A database that takes the connection and says nothing: the router waits for its first routes.
    const gate = await openTcpGate(postgres.port);
    gate.mode = "mute";
    const log = join(folder, "starting.log");
    const stderr = openSync(log, "w");
    const port = laterPort();
    await using router = startBareRouter({
      env: {
        PORT: String(port),
        AUTOMC_DSN: `postgres://postgres@127.0.0.1:${gate.port}/postgres?sslmode=disable`,
      },
      stderr,
    });
    closeSync(stderr);
    await until("it asks the database", () => gate.dials() > 0);
    router.signal("SIGHUP");
    await until("it has heard that", () => readFileSync(log, "utf8").includes("event=reloading"));
    router.signal("SIGTERM");
    expect(await router.waitForExit()).toBe(0);
    expect(readFileSync(log, "utf8")).toContain("event=stopped");
    gate.stop();
  }, 30_000);
});

describe("the log", () => {
  test("tells a whole session in one line", async () => {
    using backend = startBackend(echo);
    await using plane = startControlPlane({
      servers: [{ name: "survival 1", address: backend.address, startMs: 400 }],
    });
    using closed = await reserveClosedPort();
    await using network = await startNetwork({
      postgres,
      plane,
      rows: [{ name: "survival 1", domain: "*.example.com", address: `127.0.0.1:${closed.port}` }],
      env: { AUTOMC_READY: "tcp" },
    });
    using player = await play(network.router.port, "Steve", "Play.EXAMPLE.com.\u0000FML3\u0000");
    const said = login({ host: "Play.EXAMPLE.com.\u0000FML3\u0000", name: "Steve" }).length;
    await chat(player, "hello");
    player.finish();
    await player.waitForEnd();
    const line = await sessionEnd(network.router, "Steve");
    expect(line).toEqual({
      time: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: "info",
      msg: "session ended",
      event: "session-ended",
      session: 1,
      client: `127.0.0.1:${player.localPort}`,
      intent: "login",
      protocol: 774,
      server: "play.example.com",
      route: "*.example.com",
      row: "survival 1",
      backendHostPort: backend.address,
      player: `Steve/${offlineUuid("Steve")}`,
      waited: expect.stringMatching(/^0\.\ds|1\.\ds$/),
      endedBy: "client",
      how: "fin",
      bytesToBackend: said + 5,
      bytesToClient: said + 5,
      seconds: expect.any(Number),
    });
    const about = network.router.lines.filter(({ session }) => session === 1);
    expect(about.map(({ event }) => event)).toEqual([
      "session-holding",
      "session-relaying",
      "session-ended",
    ]);
  });

  const streams = [
    { name: "the journal's own stream", isJournal: true },
    { name: "a stream that the variable does not mean", isJournal: false },
  ];
  for (const { name, isJournal } of streams) {
    test(`on ${name} lines have ${isJournal ? "priorities and no time" : "a time and no priorities"}`, async () => {
      using backend = startBackend(echo);
      using closed = await reserveClosedPort();
      const log = join(folder, `journal-${isJournal}.log`);
      const stderr = openSync(log, "w");
      const { dev, ino } = fstatSync(stderr, { bigint: true });
      const port = laterPort();
      await using router = startBareRouter({
        env: {
          ...noQueue,
          PORT: String(port),
          MAPPING: `play.x=${backend.address},broken.x=127.0.0.1:${closed.port}`,
          JOURNAL_STREAM: isJournal ? `${dev}:${ino}` : `${dev}:${ino + 1n}`,
          LOG_LEVEL: "debug",
        },
        stderr,
      });
      closeSync(stderr);
      await untilOpen(port);
      using broken = await connectPlayer({ port });
      await broken.send(login({ host: "broken.x", name: "<3>Steve" }));
      await broken.waitForEnd();
      broken.close();
      using player = await play(port);
      player.finish();
      await player.waitForEnd();
      router.signal("SIGTERM");
      expect(await router.waitForExit()).toBe(0);

      const lines = readFileSync(log, "utf8").trimEnd().split("\n");
      const beginning = isJournal
        ? /^<[4567]>level=(warn|info|debug) msg=/
        : /^time="20\S+Z" level=(warn|info|debug) msg=/;
      expect(lines.filter((line) => !beginning.test(line))).toEqual([]);
      const refused = lines.find((line) => line.includes('msg="refused: '));
      expect(refused).toContain(isJournal ? "<4>level=warn" : " level=warn");
      expect(refused).toContain('player="<3>Steve/');
    });
  }

  const readers = [
    { name: "gone", leave: (pipe: ReturnType<typeof openPipe>) => pipe.closeReader() },
    // The pipe stays and fills up.
    { name: "stuck", leave: () => undefined },
  ];
  for (const { name, leave } of readers) {
    test(`whose reader is ${name} stops nobody`, async () => {
      using backend = startBackend(echo);
      using pipe = openPipe();
      const port = laterPort();
      await using router = startBareRouter({
        env: { ...noQueue, PORT: String(port), DEFAULT: backend.address, LOG_LEVEL: "trace" },
        stderr: pipe.writer,
      });
      pipe.closeWriter();
      await untilOpen(port);
      leave(pipe);

      using staying = await play(port, "Staying");
      // Some 600 bytes a session: more than a pipe and the router's own queue of 1 MiB hold.
      for (let round = 0; round < 25; round++) {
        const players = await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            play(port, `P${round}x${index}`, `${"long-name.".repeat(6)}x`),
          ),
        );
        for (const player of players) player.close();
      }
      await chat(staying, "still here");
      staying.finish();
      await staying.waitForEnd();
      router.signal("SIGTERM");
      expect(await router.waitForExit()).toBe(0);
    }, 60_000);
  }

  test("and nothing else ever holds a secret", async () => {
    const secrets = ["pass-of-the-dsn", "pass-of-the-listen-dsn", "token-of-the-waker"];
    using closed = await reserveClosedPort();
    const database = await postgres.createDatabase();
    const good = {
      AUTOMC_DSN: database.dsn().replace("postgres@", `postgres:${secrets[0]}@`),
      AUTOMC_LISTEN_DSN: `postgres://u:${secrets[1]}@127.0.0.1:${closed.port}/nowhere?sslmode=disable`,
      AUTOMC_WAKER_URL: `http://127.0.0.1:${closed.port}`,
      AUTOMC_WAKER_TOKEN: secrets[2] ?? "",
    };
    await database.sql.unsafe((await runRouter(["schema"])).stdout);
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${`127.0.0.1:${closed.port}`})`;
    await using router = await startRouter({
      env: { ...noQueue, ...good, LOG_LEVEL: "trace", AUTOMC_WAKER_TIMEOUT: "1s" },
      timeoutMs: 20_000,
    });
    using player = await connectPlayer({ port: router.port });
    await player.send(login({ host: "a.x", name: "Steve" }));
    await player.waitForEnd();
    player.close();
    const said = [
      await router.stop().then(() => router.log()),
      JSON.stringify(await runRouter(["check"], good)),
      JSON.stringify(await runRouter(["check"], { ...good, PORT: "abc", NGROK_TOKEN: "ng-tok" })),
      JSON.stringify(await runRouter(["explain", "a.x"], { ...good, LOG_LEVEL: "trace" })),
      JSON.stringify(await runRouter(["help", "settings"], good)),
    ].join("\n");
    for (const secret of [...secrets, "ng-tok"]) expect(said).not.toContain(secret);
    // It did speak of what the secrets belong to.
    expect(said).toContain("LISTEN at ");
    expect(said).toContain("control-plane-lost");
  }, 60_000);
});
