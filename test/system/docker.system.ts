import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scaled } from "../support/engines/any-engine.ts";
import type { ContainerEngine } from "../support/engines/container-engine.ts";
import { type ContainerTown, startContainerTown } from "../support/engines/container-town.ts";
import { startDockerEngine } from "../support/engines/docker-engine.ts";
import { linesOf } from "../support/process/e2e-network.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

/** Where the engine listens with TLS, inside its namespace. */
const tlsPort = 2376;

let certificates: string;
let engine: ContainerEngine;
beforeAll(async () => {
  certificates = makeCertificates();
  const file = (name: string): string => join(certificates, name);
  engine = await startDockerEngine({
    args: [
      "--live-restore",
      ...["--host", `tcp://127.0.0.1:${tlsPort}`, "--tlsverify"],
      ...["--tlscacert", file("ca.pem")],
      ...["--tlscert", file("server-cert.pem"), "--tlskey", file("server-key.pem")],
    ],
  });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(certificates, { recursive: true });
});

/** An authority, and a certificate for 127.0.0.1 and for a client, as Docker's own documentation makes them. */
function makeCertificates(): string {
  const directory = mkdtempSync(join(tmpdir(), "automc-tls-"));
  const openssl = (...args: readonly string[]): void => {
    const done = Bun.spawnSync(["openssl", ...args], { cwd: directory });
    if (done.exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${done.stderr}`);
  };
  const request = ["req", "-newkey", "rsa:2048", "-nodes"];
  openssl(...request, "-x509", "-subj", "/CN=ca", "-keyout", "ca-key.pem", "-out", "ca.pem");
  for (const [name, extension] of [
    ["server-", "subjectAltName=IP:127.0.0.1"],
    ["", "extendedKeyUsage=clientAuth"],
  ]) {
    const files = ["-keyout", `${name}key.pem`, "-out", `${name}request.pem`];
    openssl(...request, "-subj", "/CN=docker", "-addext", `${extension}`, ...files);
    openssl(
      ...["x509", "-req", "-in", `${name}request.pem`, "-CA", "ca.pem", "-CAkey", "ca-key.pem"],
      ...["-CAcreateserial", "-copy_extensions", "copy", "-out", `${name}cert.pem`],
    );
  }
  return directory;
}

const bridge = /^198\.18\.0\.\d+:25565$/;

/** How many events of that kind the engine has seen for a container since then. */
async function countEvents(name: string, event: string, sinceMs: number): Promise<number> {
  const filters = ["--filter", `container=${name}`, "--filter", `event=${event}`];
  const span = ["--since", String(sinceMs / 1000), "--until", String(Date.now() / 1000)];
  const text = await engine.docker("events", ...span, ...filters, "--format", "{{.Action}}");
  return text === "" ? 0 : text.split("\n").length;
}

describe("containers", () => {
  test("are routed as they come, stop, start, move and go", async () => {
    await using town = await startContainerTown(engine);
    await town.server("one", { host: "one.example,uno.example", default: "true" });
    await town.shows("one.example", "one");
    await town.shows("uno.example", "one");
    await town.shows("whatever.example", "one");
    expect((await town.routes())["one.example"]?.scalingTarget).toBe("");

    await engine.docker("stop", "one");
    await town.routed("one.example", null);
    expect(await town.motd("one.example")).toBeNull();
    await engine.docker("start", "one");
    await town.shows("one.example", "one");

    await engine.docker("rename", "one", "two");
    await until("it is called two", async () =>
      (await town.explain("one.example")).includes("from docker two"),
    );
    await town.shows("one.example", "one");

    await engine.docker("rm", "--force", "two");
    await town.routed("one.example", null);
  });

  test("on several networks are reached on the one that their label names", async () => {
    await using town = await startContainerTown(engine);
    await engine.docker("network", "create", "games");
    await town.server("both", { host: "both.example", network: "games" });
    const complaint = await town.event("row-skipped", "both");
    expect(complaint["reason"]).toBe('the container is on no network "games"');
    await engine.docker("network", "connect", "--alias", "party", "games", "both");
    await town.routed("both.example", /^198\.18\.1\d\d\.2:25565$/);
    await town.shows("both.example", "both");
    await engine.docker("network", "disconnect", "games", "both");
    await town.routed("both.example", null);

    await town.server("alias", { host: "alias.example", network: "party" });
    await engine.docker("network", "connect", "--alias", "party", "games", "alias");
    await town.shows("alias.example", "alias");
    await engine.docker("rm", "--force", "both", "alias");
    await engine.docker("network", "rm", "games");
  });

  test("with one hostname: the same one always has it, and the other one when it goes", async () => {
    await using town = await startContainerTown(engine);
    await town.server("second", { host: "shared.example" });
    await town.shows("shared.example", "second");
    await town.server("first", { host: "shared.example" });
    await town.shows("shared.example", "first");
    await engine.docker("restart", "--time", "1", "second");
    await until("the restart is heard", () => linesOf(town.router, "routes-changed").length >= 3);
    await town.shows("shared.example", "first");
    await engine.docker("stop", "first");
    await town.shows("shared.example", "second");
  });

  test("that come and go by the dozen leave exactly the right routes", async () => {
    await using town = await startContainerTown(engine);
    const names = Array.from({ length: 24 }, (_, i) => `storm${i}`);
    const pairs = names.map((name) => town.sleeper(name, { host: `${name}.example` }));
    await Promise.all(pairs);
    await until(
      "all are routed",
      async () => Object.keys(await town.routes()).length === 24,
      30_000,
    );
    const gone = names.filter((_, i) => i % 2 === 0);
    await Promise.all(gone.map((name) => engine.docker("rm", "--force", name)));
    const left = names.filter((_, i) => i % 2 === 1).map((name) => `${name}.example`);
    await until(
      "half of them are left",
      async () => Bun.deepEquals(Object.keys(await town.routes()), left.toSorted()),
      30_000,
    );
    expect(linesOf(town.router, "source-lost")).toEqual([]);
  });
});

describe("a sleeping container", () => {
  test("is started when somebody joins, and stopped when nobody is there any more", async () => {
    await using town = await startContainerTown(engine, {
      ...scaled,
      AUTO_SCALE_DOWN: "true",
      AUTO_SCALE_DOWN_AFTER: "2s",
    });
    await town.server("sleepy", { host: "sleepy.example" }, { verb: "create" });
    await town.shows("sleepy.example", "asleep");
    const { scalingTarget } = (await town.routes())["sleepy.example"] ?? {};
    expect(scalingTarget).toBe(await engine.docker("inspect", "--format", "{{.Id}}", "sleepy"));
    expect(await town.explain("sleepy.example")).toContain(
      'backend   none while it sleeps\nwake      by the Docker engine, as "sleepy"\n',
    );

    const joined = await town.join("sleepy.example", "Steve");
    if (joined.kind !== "joined") throw new Error(town.router.log());
    const done = await town.event("wake-done", "sleepy");
    expect(String(done["backendHostPort"])).toMatch(bridge);
    await Bun.sleep(3_000);
    expect(joined.session.isConnected).toBe(true);
    joined.session[Symbol.dispose]();

    await town.event("sleep-done", "sleepy");
    await town.shows("sleepy.example", "asleep");
    expect(await engine.docker("inspect", "--format", "{{.State.Status}}", "sleepy")).toBe(
      "exited",
    );
  });

  test("that is paused is woken by unpausing it", async () => {
    await using town = await startContainerTown(engine, scaled);
    await town.server("frozen", { host: "frozen.example", "auto-scale-asleep-motd": "on ice" });
    await town.shows("frozen.example", "frozen");
    await engine.docker("pause", "frozen");
    await town.shows("frozen.example", "on ice");
    const joined = await town.join("frozen.example", "Alex");
    expect(joined.kind).toBe("joined");
    if (joined.kind === "joined") joined.session[Symbol.dispose]();
    expect(await engine.docker("inspect", "--format", "{{.State.Status}}", "frozen")).toBe(
      "running",
    );
  });

  test("is started once, however many wait", async () => {
    await using town = await startContainerTown(engine, scaled);
    const since = Date.now();
    await town.server("crowd", { host: "crowd.example" }, { verb: "create" });
    await town.shows("crowd.example", "asleep");
    const names = ["A1", "B2", "C3", "D4", "E5"];
    const outcomes = await Promise.all(names.map((name) => town.join("crowd.example", name)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(names.map(() => "joined"));
    for (const outcome of outcomes) {
      if (outcome.kind === "joined") outcome.session[Symbol.dispose]();
    }
    expect(await countEvents("crowd", "start", since)).toBe(1);
    expect(linesOf(town.router, "wake-started")).toHaveLength(1);
  });

  test("with labels of its own goes by them, whatever the settings say", async () => {
    await using town = await startContainerTown(engine, { AUTO_SCALE_DOWN_AFTER: "1s" });
    const labels = {
      "auto-scale-up": "true",
      "auto-scale-down": "true",
      "auto-scale-asleep-motd": "of my own",
    };
    await town.server("own", { host: "own.example", ...labels }, { verb: "create" });
    await town.server("plain", { host: "plain.example" });
    await town.shows("own.example", "of my own");
    const joined = await town.join("own.example", "Steve");
    expect(joined.kind).toBe("joined");
    if (joined.kind === "joined") joined.session[Symbol.dispose]();
    await town.event("sleep-done", "own");
    await town.shows("own.example", "of my own");
    await town.shows("plain.example", "plain");
    expect(linesOf(town.router, "idle-armed").map((line) => line["row"])).not.toContain("plain");
  });

  test("that never comes up ends in words, when its label's time is over", async () => {
    await using town = await startContainerTown(engine, scaled);
    const labels = { host: "mute.example", "auto-scale-wait-timeout": "3s" };
    await town.sleeper("mute", labels);
    await engine.docker("stop", "mute");
    await town.shows("mute.example", "asleep");
    const outcome = await town.join("mute.example", "Steve");
    expect(outcome).toMatchObject({
      kind: "disconnected",
      text: "This server did not start in time. Please try again in a few minutes.",
    });
    const failed = await town.event("wake-failed", "mute");
    expect(String(failed["reason"])).toEndWith("cannot be reached: refuses connections");
  });

  test("that ends right after its start ends the wait at once, and the log says with what", async () => {
    await using town = await startContainerTown(engine, scaled);
    await town.crasher("broken", { host: "broken.example" });
    await town.shows("broken.example", "asleep");
    const outcome = await town.join("broken.example", "Steve");
    expect(outcome.kind).toBe("disconnected");
    const failed = await town.event("wake-failed", "broken");
    expect(failed["reason"]).toBe("the container has ended again, with exit code 7");
  });

  test("is not started by a ping", async () => {
    await using town = await startContainerTown(engine, scaled);
    await town.server("quiet", { host: "quiet.example" }, { verb: "create" });
    await town.shows("quiet.example", "asleep");
    for (let i = 0; i < 5; i += 1) expect(await town.motd("quiet.example")).toBe("asleep");
    expect(linesOf(town.router, "wake-started")).toEqual([]);
  });
});

describe("an engine", () => {
  /** A town whose one server has somebody on it. */
  async function inTheGame(town: ContainerTown) {
    await town.server("game", { host: "game.example" });
    await town.shows("game.example", "game");
    const joined = await town.join("game.example", "Steve");
    if (joined.kind !== "joined") throw new Error(town.router.log());
    return joined.session;
  }

  test("that is killed and comes back takes no route and no player away", async () => {
    await using town = await startContainerTown(engine, scaled);
    using session = await inTheGame(town);
    await engine.stop("SIGKILL");
    await town.router.waitForLine(({ event }) => event === "source-lost");
    await town.shows("game.example", "game");
    // Its own address is dialled where nobody can be asked.
    const other = await town.join("game.example", "Alex");
    expect(other.kind).toBe("joined");
    if (other.kind === "joined") other.session[Symbol.dispose]();
    expect((await town.ask("/readyz")).status).toBe(200);

    await engine.start();
    await until("it is live again", () => linesOf(town.router, "source-live").length === 2, 30_000);
    expect(session.isConnected).toBe(true);
    await town.server("late", { host: "late.example" });
    await town.shows("late.example", "late");
  });

  test("that hangs keeps nobody out of what runs", async () => {
    await using town = await startContainerTown(engine, scaled);
    using _session = await inTheGame(town);
    engine.freeze();
    try {
      await town.shows("game.example", "game");
      const other = await town.join("game.example", "Alex");
      expect(other.kind).toBe("joined");
      if (other.kind === "joined") other.session[Symbol.dispose]();
    } finally {
      engine.thaw();
    }
  });

  test("that is away at start is waited for, and said to be missing", async () => {
    await engine.stop("SIGKILL");
    await using town = await startContainerTown(engine, scaled);
    const ready = await town.ask("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain("docker: ");
    await engine.start();
    await town.router.waitForLine(({ event }) => event === "source-live", 30_000);
    expect((await town.ask("/readyz")).status).toBe(200);
    const metrics = await (await town.ask("/metrics")).text();
    expect(metrics).toContain('automc_source_up{source="docker"} 1');
    expect(metrics).toContain('automc_routes{source="docker"} 0');
  });

  test.each([
    ["with TLS, checked", { DOCKER_TLS_VERIFY: "1" }],
    ["with TLS, believed", {}],
  ])("%s", async (_, settings) => {
    await using town = await startContainerTown(engine, {
      DOCKER_SOCKET: "",
      DOCKER_HOST: `tcp://127.0.0.1:${tlsPort}`,
      DOCKER_CERT_PATH: certificates,
      ...settings,
    });
    await town.sleeper("secret", { host: "secret.example" });
    await town.routed("secret.example", bridge);
    expect(linesOf(town.router, "source-lost")).toEqual([]);
  });

  test("with TLS is not spoken to without", async () => {
    await using town = await startContainerTown(engine, {
      DOCKER_SOCKET: `tcp://127.0.0.1:${tlsPort}`,
    });
    const lost = await town.router.waitForLine(({ event }) => event === "source-lost");
    expect(String(lost["reason"])).toContain("400");
  });

  test("is asked for the version of the API that it is told to be asked for", async () => {
    await using town = await startContainerTown(engine, { DOCKER_API_VERSION: "v1.30" });
    await town.sleeper("old", { host: "old.example" });
    await town.routed("old.example", bridge);
  });
});
