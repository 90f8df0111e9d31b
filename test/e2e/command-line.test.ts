import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seedSchema } from "../providers/postgres/seed-schema.ts";
import { startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { noQueue } from "../support/process/e2e-network.ts";
import { type CommandOutcome, runRouter, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

const binary = join(import.meta.dir, "../../dist/automc-router");

/** A folder for a control socket, and the commands that are run beside it. */
function ownFolder() {
  const path = mkdtempSync(join(tmpdir(), "automc-commands-"));
  return {
    env: { RUNTIME_DIRECTORY: path },
    run: (...args: readonly string[]): Promise<CommandOutcome> =>
      runRouter(args, { RUNTIME_DIRECTORY: path }),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

const fits = (text: string): void => {
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
};

describe("the running router", () => {
  test("says on 80 columns what it does, and as JSON", async () => {
    using folder = ownFolder();
    using backend = startBackend(echo);
    const MAPPING = `play.example.org=${backend.address},a-very-long-hostname-of-a-server.and-of-its-network.example.org=${backend.address}`;
    await using router = await startRouter({ env: { ...noQueue, ...folder.env, MAPPING } });
    using player = await connectPlayer({ port: router.port });
    await player.send(login({ host: "play.example.org", name: "Steve" }));
    await until("the session is there", async () =>
      (await folder.run("sessions")).stdout.includes("Steve"),
    );
    const status = await folder.run("status");
    expect(status).toMatchObject({ exitCode: 0, stderr: "" });
    expect(status.stdout).toMatch(/^automc-router .*, up \d+s, ready\n/);
    expect(status.stdout).toContain(`listening  127.0.0.1:${router.port}\n`);
    expect(status.stdout).toContain("clients    1 joined, 0 waiting, 0 opening");
    expect(status.stdout).toMatch(/^env +up +2 /m);
    fits(status.stdout);
    const sessions = await folder.run("sessions");
    expect(sessions.stdout).toMatch(/^ *1 +Steve +login +\d+s +127\.0\.0\.1:\d+ +play\.example/m);
    fits(sessions.stdout);
    expect(JSON.parse((await folder.run("status", "--json")).stdout)).toMatchObject({
      isReady: true,
      serverList: [{ name: backend.address, players: 1 }],
    });
    expect(JSON.parse((await folder.run("sessions", "--json")).stdout)).toMatchObject([
      { player: { name: "Steve" } },
    ]);
  });

  test("explains and pings a hostname, and the exit code tells yes from no", async () => {
    using folder = ownFolder();
    await using server = await startMinecraftServer({ version: "1.21.4" });
    const MAPPING = `süd.example.org=${server.address}`;
    await using _router = await startRouter({ env: { ...noQueue, ...folder.env, MAPPING } });
    const explained = await folder.run("explain", "SÜD.example.org");
    expect(explained).toMatchObject({ exitCode: 0, stderr: "" });
    expect(explained.stdout).toContain("hostname  xn--sd-xka.example.org\n");
    expect(explained.stdout).toContain(`backend   ${server.address}\n`);
    expect(explained.stdout).toContain("state     0 players, 0 waiting\n");
    const pinged = await folder.run("ping", "xn--sd-xka.example.org");
    expect(pinged).toMatchObject({ exitCode: 0, stderr: "" });
    expect(pinged.stdout).toMatch(/^xn--sd-xka\.example\.org answers in \d+\.\d ms\n/);
    expect(pinged.stdout).toContain("version  1.21.4\n");
    expect(await folder.run("explain", "other.example.org")).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining("route     none"),
    });
    expect(await folder.run("ping", "other.example.org")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("automc-router explain other.example.org"),
    });
  });

  test("changes its log level, and refuses one that there is not", async () => {
    using folder = ownFolder();
    await using router = await startRouter({ env: { ...noQueue, ...folder.env, DEFAULT: "h:1" } });
    expect(await folder.run("log")).toMatchObject({ exitCode: 0, stdout: "info\n" });
    expect(await folder.run("log", "DEBUG")).toMatchObject({ exitCode: 0 });
    expect(await folder.run("log")).toMatchObject({ stdout: "debug\n" });
    const { exitCode, stderr } = await folder.run("log", "loud");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("error, warn, info, debug, trace");
    expect(await router.stop()).toBe(0);
  });

  test("is asked by a check in a shell without settings", async () => {
    using folder = ownFolder();
    await using _router = await startRouter({
      env: { ...noQueue, ...folder.env, MAPPING: "a.x=h:1" },
    });
    const checked = await folder.run("check");
    expect(checked).toMatchObject({ exitCode: 0, stderr: "" });
    expect(checked.stdout).toMatch(/^this shell has no settings; the router at .*\/control says/);
    expect(checked.stdout).toMatch(/^ok +routes from env$/m);
  });

  test("that is not there is told, with where it was looked for", async () => {
    using folder = ownFolder();
    for (const args of [["status"], ["sessions"], ["log", "debug"]]) {
      const { exitCode, stdout, stderr } = await folder.run(...args);
      expect({ args, exitCode, stdout }).toEqual({ args, exitCode: 1, stdout: "" });
      expect(stderr).toBe(`no router answers at ${folder.env.RUNTIME_DIRECTORY}/control\n`);
    }
    const { exitCode, stdout, stderr } = await folder.run("explain", "a.x");
    expect(exitCode).toBe(1);
    expect(stdout).toContain("route     none");
    expect(stderr).toContain("this explains the settings in this shell");
    const checked = await folder.run("check");
    expect(checked.exitCode).toBe(1);
    expect(checked.stderr).toContain("this checks the settings in this shell, which has none");
    expect(checked.stdout).toContain("FAIL  routes: none is configured");
  });
});

describe("check reaches for what is named", () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  const check = (env: Readonly<Record<string, string>>) =>
    runRouter(["check"], { PORT: "0", AUTOMC_CONTROL: "off", ...env });

  test("a port that another program has", async () => {
    using other = startBackend(echo);
    const env = { PORT: String(other.port), AUTOMC_BIND: "127.0.0.1", DEFAULT: "10.0.0.1:1" };
    expect(await check(env)).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining(`it is in use; ss -ltnp 'sport = :${other.port}' tells`),
    });
  });

  test("a table without triggers, and one that is in order", async () => {
    const database = await postgres.createDatabase();
    const env = { AUTOMC_DSN: database.dsn() };
    expect((await check(env)).stdout).toContain("FAIL  table servers: it does not exist;");
    await database.sql.unsafe("CREATE TABLE servers (name TEXT PRIMARY KEY, domain TEXT)");
    const odd = await check(env);
    expect(odd.exitCode).toBe(1);
    expect(odd.stdout).toContain("FAIL  columns of servers: address missing;");
    expect(odd.stdout).toContain("FAIL  trigger of servers: no enabled trigger notifies");
    await database.sql.unsafe(`DROP TABLE servers; ${seedSchema}`);
    const good = await check(env);
    expect(good.stdout).toContain("ok    trigger of servers\n");
    expect(good).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/is good\n$/) });
    await database.sql.unsafe("ALTER TABLE servers DISABLE TRIGGER USER");
    expect((await check(env)).stdout).toContain("FAIL  trigger of servers");
  });

  test("a database that is away, whose password is not shown", async () => {
    using closed = await reserveClosedPort();
    const { exitCode, stdout } = await check({
      AUTOMC_DSN: `postgres://router:hunter2@127.0.0.1:${closed.port}/minecraft`,
    });
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^FAIL {2}Postgres .*\(AUTOMC_DSN\)$/m);
    expect(stdout).not.toContain("hunter2");
  });

  test("a control plane, and its token", async () => {
    await using plane = startControlPlane({ token: "s3cret", servers: [] });
    const database = await postgres.createDatabase();
    await database.sql.unsafe(seedSchema);
    const env = { AUTOMC_DSN: database.dsn(), AUTOMC_WAKER_URL: plane.url };
    const good = await check({ ...env, AUTOMC_WAKER_TOKEN: "s3cret" });
    expect(good.stdout).toContain(`ok    control plane ${plane.url}\n`);
    const refused = await check({ ...env, AUTOMC_WAKER_TOKEN: "wrong" });
    expect(refused.exitCode).toBe(1);
    expect(refused.stdout).toMatch(
      /control plane .*: it rejected the token \(401.*AUTOMC_WAKER_TOKEN/,
    );
  });

  test("a Docker socket and a routes file that are not there", async () => {
    const { exitCode, stdout } = await check({
      IN_DOCKER: "true",
      DOCKER_SOCKET: "/nonexistent/docker.sock",
      ROUTES_CONFIG: "/nonexistent/routes.json",
    });
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^FAIL {2}Docker at \/nonexistent\/docker\.sock: /m);
    expect(stdout).toMatch(/^FAIL {2}routes file \/nonexistent\/routes\.json: it does not exist/m);
  });

  test("names of backends; but nothing with --dry", async () => {
    const env = { MAPPING: "a.x=localhost:1,b.x=10.0.0.1", PORT: "0" };
    expect((await check(env)).stdout).toMatch(/^ok {4}backend localhost is /m);
    const dry = await runRouter(["check", "--dry"], env);
    expect(dry).toEqual({ exitCode: 0, stdout: "the configuration is good\n", stderr: "" });
  });
});

test("env prints a file in which every setting stands at its default, and which changes nothing", async () => {
  const { exitCode, stdout } = await runRouter(["env"]);
  expect(exitCode).toBe(0);
  fits(stdout.replaceAll(/^#[A-Z_]+=.*$/gm, ""));
  const given = [...stdout.matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, name = "", value = ""]) => [
    name,
    value,
  ]);
  expect(given.length).toBeGreaterThan(80);
  const checked = await runRouter(["check", "--dry"], Object.fromEntries(given));
  expect(checked).toEqual({ exitCode: 0, stdout: "the configuration is good\n", stderr: "" });
});

test("help NAME tells of one setting or command, and suggests a near name", async () => {
  expect((await runRouter(["help", "automc_dsn"])).stdout).toContain("AUTOMC_DSN_FILE");
  expect((await runRouter(["help", "status"])).stdout).toContain("--watch");
  expect(await runRouter(["help", "MAPING"])).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: 'there is no setting "MAPING"; did you mean MAPPING?\n',
  });
});

test("a router without any route says so, once", async () => {
  await using router = await startRouter();
  const isAbout = (line: Readonly<Record<string, unknown>>): boolean =>
    line["level"] === "warn" && JSON.stringify(line).includes("there is no route");
  expect(JSON.stringify(await router.waitForLine(isAbout))).toContain("set MAPPING, DEFAULT");
  expect(await router.stop()).toBe(0);
  expect(router.lines.filter(isAbout)).toHaveLength(1);
});

test("a secret's file may begin with a byte order mark, and should not be open to every user", async () => {
  using folder = ownFolder();
  const file = join(folder.env.RUNTIME_DIRECTORY, "dsn");
  writeFileSync(file, "\ufeffpostgres://router@127.0.0.1/minecraft\r\n", { mode: 0o600 });
  const env = { AUTOMC_DSN_FILE: file };
  expect(await runRouter(["check", "--dry"], env)).toMatchObject({
    exitCode: 0,
    stdout: "the configuration is good\n",
  });
  chmodSync(file, 0o644);
  expect((await runRouter(["check", "--dry"], env)).stdout).toStartWith(
    `warning: AUTOMC_DSN_FILE: ${JSON.stringify(file)}: every user of this machine may read it; chmod o-r ${file}\n`,
  );
});

test("a variable that would rule the runtime is refused", async () => {
  const { exitCode, stderr } = await runRouter([], { BUN_OPTIONS: "--smol", DEFAULT: "h:1" });
  expect(exitCode).toBe(2);
  expect(stderr).toContain("BUN_OPTIONS");
});

test("on a terminal the log is short and coloured, and json stays json", async () => {
  const seenBy = async (env: Readonly<Record<string, string>>): Promise<string> => {
    let seen = "";
    const decoder = new TextDecoder();
    const child = Bun.spawn([binary], {
      env: { PORT: "0", AUTOMC_BIND: "127.0.0.1", DEFAULT: "10.0.0.1:1", TERM: "xterm", ...env },
      terminal: {
        data(_terminal, bytes) {
          seen += decoder.decode(bytes, { stream: true });
        },
      },
    });
    await until("the port is open", () => seen.includes("listening"));
    child.kill("SIGTERM");
    await child.exited;
    return seen;
  };
  expect(await seenBy({})).toMatch(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes are what is tested.
    /\u001b\[90m\d\d:\d\d:\d\d\u001b\[0m \u001b\[32mINFO \u001b\[0m listening/,
  );
  expect(await seenBy({ NO_COLOR: "1" })).toMatch(/^\d\d:\d\d:\d\d INFO {2}listening.* port=\d+/m);
  expect(await seenBy({ AUTOMC_LOG_FORMAT: "json" })).toMatch(/^\{"time":/m);
});
