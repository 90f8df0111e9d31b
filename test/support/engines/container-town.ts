import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTown, type Town, townVersion } from "../minecraft/town.ts";
import { noQueue } from "../process/e2e-network.ts";
import { type LogLine, runRouter, startRouter } from "../process/router.ts";
import {
  busyboxImage,
  type ContainerEngine,
  minecraftInside,
  testsInside,
} from "./container-engine.ts";

/** Containers start in a second or two where a machine has nothing else to do. */
const patienceMs = 30_000;

/** A router that finds containers, beside an engine and in its namespace. Dispose kills the router and removes the containers that were made here. */
export interface ContainerTown extends Town, AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** Makes a container with these labels (`mc-router.` is put in front) that runs a real Minecraft server; started unless `create` is asked for. */
  server(
    name: string,
    labels: Readonly<Record<string, string>>,
    options?: {
      readonly verb?: "run" | "create";
      readonly motd?: string;
      readonly args?: readonly string[];
    },
  ): Promise<void>;
  /** The same without a server inside: it sleeps for ten minutes. */
  sleeper(name: string, labels: Readonly<Record<string, string>>): Promise<void>;
  /** One that has not been started, and ends with exit code 7 as soon as it is. */
  crasher(name: string, labels: Readonly<Record<string, string>>): Promise<void>;
  /** The first line of that event, past or future, for a row. */
  event(event: string, row: string): Promise<LogLine>;
  /** What `automc-router explain` says about a hostname. */
  explain(hostname: string): Promise<string>;
}

/** Starts the router; it is told to look for containers at the engine's socket unless the settings say otherwise. */
export async function startContainerTown(
  engine: ContainerEngine,
  settings: Readonly<Record<string, string>> = {},
): Promise<ContainerTown> {
  const directory = mkdtempSync(join(tmpdir(), "automc-town-"));
  const api = join(directory, "api");
  const env = {
    ...noQueue,
    AUTOMC_BIND: engine.netns.inside,
    API_BINDING: `unix:${api}`,
    METRICS_BACKEND: "prometheus",
    IN_DOCKER: "true",
    DOCKER_SOCKET: engine.socket,
    LOG_LEVEL: "debug",
    ...settings,
  };
  const router = await startRouter({ within: engine.netns.enter, env, timeoutMs: patienceMs });
  const made: string[] = [];

  const labelArgs = (labels: Readonly<Record<string, string>>): readonly string[] =>
    Object.entries(labels).flatMap(([name, value]) => ["--label", `mc-router.${name}=${value}`]);

  const town = openTown(router, {
    address: engine.netns.inside,
    port: router.port,
    api,
    patienceMs,
  });

  return {
    ...town,
    env,
    async server(name, labels, { verb = "run", motd = name, args = [] } = {}) {
      made.push(name);
      await engine.docker(
        ...[verb, ...(verb === "run" ? ["--detach"] : []), "--name", name, ...labelArgs(labels)],
        ...[...args, ...testsInside(), busyboxImage, ...minecraftInside, townVersion, motd],
      );
    },
    async sleeper(name, labels) {
      made.push(name);
      const command = ["/bin/sleep", "600"];
      const options = ["--detach", "--stop-signal", "KILL", "--name", name, ...labelArgs(labels)];
      await engine.docker("run", ...options, busyboxImage, ...command);
    },
    async crasher(name, labels) {
      made.push(name);
      const command = ["/bin/sh", "-c", "exit 7"];
      await engine.docker("create", "--name", name, ...labelArgs(labels), busyboxImage, ...command);
    },
    event: (event, row) => town.line({ event, row }),
    async explain(hostname) {
      const { exitCode, stdout, stderr } = await runRouter(["explain", hostname], env);
      if (exitCode !== 0) throw new Error(`explain ended with ${exitCode}: ${stderr}`);
      return stdout;
    },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
      // Some have been removed by the test, or go by another name.
      const ids = await engine.docker("ps", "--all", "--quiet");
      if (made.length > 0 && ids !== "") await engine.docker("rm", "--force", ...ids.split("\n"));
    },
  };
}
