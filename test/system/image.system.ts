import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  busyboxImage,
  type ContainerEngine,
  repository,
} from "../support/engines/container-engine.ts";
import { debian13 } from "../support/engines/debian-tree.ts";
import { startDockerEngine } from "../support/engines/docker-engine.ts";
import { joinGame, speak } from "../support/minecraft/crowd.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { requireProgram } from "../support/process/debian.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const image = "automc-router:test";
/** The engine's own address on its bridge. */
const gateway = "198.18.0.1";

let engine: ContainerEngine;
const folder = mkdtempSync(join(tmpdir(), "automc-image-"));
beforeAll(async () => {
  engine = await startDockerEngine();
  const tree = await debian13();
  if (tree === null) throw new Error("there is no file tree of Debian for the image");
  // The base image cannot be pulled here: a tree of Debian's packages takes its name.
  const base = join(folder, "base.tar");
  Bun.spawnSync([
    "tar",
    "--create",
    "--file",
    base,
    "--directory",
    tree,
    "bin",
    "etc",
    "lib",
    "lib64",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "sbin",
    "usr/sbin",
    "var/lib/dpkg/status",
    "--exclude=usr/bin/docker*",
    "--exclude=usr/bin/containerd*",
    "--exclude=usr/sbin/dockerd",
    "--exclude=usr/sbin/docker*",
  ]);
  await engine.docker("import", base, "debian:12-slim");
  const release = Bun.spawnSync(
    [process.execPath, "src/packaging/release.ts", "linux-amd64-glibc"],
    {
      cwd: repository,
    },
  );
  expect(release.exitCode).toBe(0);
  await engine.docker("build", "--tag", image, repository);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const inspect = (name: string, format: string): Promise<string> =>
  engine.docker("inspect", "--format", format, name);

test("the image runs without rights, on a read-only root, and is healthy once the router is ready", async () => {
  using backend = startBackend(echo, engine.netns.outside);
  await engine.docker(
    ...["run", "--detach", "--name", "router", "--publish", "25565:25565"],
    ...["--read-only", "--tmpfs", "/run/automc-router:uid=65532,mode=0755"],
    ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...["--env", `DEFAULT=${backend.address}`, "--env", "CONNECTION_RATE_LIMIT=1000", image],
  );
  await until(
    "it is healthy",
    async () => (await inspect("router", "{{.State.Health.Status}}")) === "healthy",
    60_000,
  );
  expect(await engine.docker("exec", "router", "automc-router", "version")).toStartWith("1.");
  expect(await engine.docker("exec", "router", "id", "-u")).toBe("65532");
  expect(await inspect("router", "{{.Config.StopSignal}}")).toBe("SIGTERM");
  const player = await joinGame({ hostname: engine.netns.inside, port: 25_565 });
  await speak(player, "through the published port");
  player.close();
  await engine.docker("stop", "--time", "40", "router");
  expect(await inspect("router", "{{.State.ExitCode}}")).toBe("0");
});

test("the example's proxy lets the router find, start and stop containers, and do nothing else", async () => {
  const text = await Bun.file(join(repository, "docs/examples/docker-proxy.cfg")).text();
  const config = join(folder, "proxy.cfg");
  const own = text
    .replace("bind :2375", `bind ${gateway}:2375`)
    .replace("unix@/var/run/docker.sock", `unix@${engine.socket}`);
  expect(own).toContain(gateway);
  expect(own).toContain(engine.socket);
  await Bun.write(config, own);
  const proxy = Bun.spawn(
    [...engine.netns.enter, requireProgram("haproxy", "haproxy"), "-db", "-f", config],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  try {
    await engine.docker(
      ...["run", "--detach", "--name", "finder", "--env", "IN_DOCKER=true"],
      ...["--env", `DOCKER_HOST=tcp://${gateway}:2375`, "--env", "AUTO_SCALE_UP=true"],
      ...["--env", "AUTO_SCALE_ASLEEP_MOTD=Asleep", image],
    );
    await engine.docker(
      ...["create", "--name", "asleep", "--label", "mc-router.host=asleep.example.org"],
      ...[busyboxImage, "/bin/httpd", "-f", "-p", "25565", "-h", "/"],
    );
    const explain = ["exec", "finder", "automc-router", "explain", "asleep.example.org"];
    // It fails until the hostname has a route.
    const isRouted = () =>
      engine.docker(...explain).then(
        () => true,
        () => false,
      );
    await until("the container is routed", isRouted, 30_000);

    const ask = (method: string, path: string): number => {
      const asked = Bun.spawnSync([
        ...engine.netns.enter,
        ...["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"],
        ...["--request", method, `http://${gateway}:2375${path}`],
      ]);
      return Number(asked.stdout.toString());
    };
    expect(ask("GET", "/v1.41/containers/json")).toBe(200);
    expect(ask("POST", "/v1.41/containers/asleep/start")).toBe(204);
    expect(ask("POST", "/v1.41/containers/asleep/stop?t=1")).toBe(204);
    for (const [method, path] of [
      ["POST", "/v1.41/containers/create"],
      ["POST", "/v1.41/containers/asleep/exec"],
      ["POST", "/v1.41/containers/asleep/kill"],
      ["DELETE", "/v1.41/containers/asleep"],
      ["GET", "/v1.41/containers/asleep/archive?path=/etc/shadow"],
      ["GET", "/v1.41/secrets"],
      ["GET", "/v1.41/containers/asleep/../../secrets"],
      ["POST", "/v1.41/build"],
    ] as const) {
      expect({ method, path, status: ask(method, path) }).toEqual({
        method,
        path,
        status: 403,
      });
    }
  } finally {
    proxy.kill("SIGKILL");
    await proxy.exited;
  }
});
