import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  busyboxImage,
  type ContainerEngine,
  minecraftInside,
  testsInside,
} from "./container-engine.ts";
import { noQueue } from "./e2e-network.ts";
import { type JoinOutcome, join as joinServer, pingServer } from "./minecraft.ts";
import { until } from "./postgres.ts";
import { type LogLine, type Router, runRouter, startRouter } from "./router.ts";

/** The version that players and the servers in containers speak. */
const version = "1.21.11";
/** Containers start in a second or two where a machine has nothing else to do. */
const patienceMs = 30_000;

/** A router that finds containers, beside an engine and in its namespace. Dispose kills the router and removes the containers that were made here. */
export interface ContainerTown extends AsyncDisposable {
  readonly router: Router;
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
  /** The text that the server list shows for a hostname; null for no answer. */
  motd(hostname: string): Promise<string | null>;
  /** Waits until the server list shows that text for a hostname. */
  shows(hostname: string, text: string | null): Promise<void>;
  /** Joins with a real client. */
  join(hostname: string, username: string): Promise<JoinOutcome>;
  /** The routes as the API tells them. */
  routes(): Promise<Readonly<Record<string, { backend: string; scalingTarget: string }>>>;
  /** Waits until the API tells of that backend for the hostname; null: of no such route. */
  routed(hostname: string, backend: RegExp | null): Promise<void>;
  /** What the API answers at that path. */
  ask(path: string): Promise<Response>;
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
  const place = { address: engine.netns.inside, port: router.port, version };
  const made: string[] = [];

  const labelArgs = (labels: Readonly<Record<string, string>>): readonly string[] =>
    Object.entries(labels).flatMap(([name, value]) => ["--label", `mc-router.${name}=${value}`]);

  const ask = (path: string): Promise<Response> => fetch(`http://localhost${path}`, { unix: api });

  async function routes(): Promise<Record<string, { backend: string; scalingTarget: string }>> {
    return (await (await ask("/routes")).json()) as Record<
      string,
      { backend: string; scalingTarget: string }
    >;
  }

  async function motd(host: string): Promise<string | null> {
    try {
      const { status } = await pingServer({ ...place, host, timeoutMs: 3_000 });
      const { description } = status as { description: string | { text: string } };
      return typeof description === "string" ? description : description.text;
    } catch {
      // Closed without an answer, which is what the test may be waiting for.
      return null;
    }
  }

  return {
    router,
    env,
    async server(name, labels, { verb = "run", motd = name, args = [] } = {}) {
      made.push(name);
      await engine.docker(
        ...[verb, ...(verb === "run" ? ["--detach"] : []), "--name", name, ...labelArgs(labels)],
        ...[...args, ...testsInside(), busyboxImage, ...minecraftInside, version, motd],
      );
    },
    async sleeper(name, labels) {
      made.push(name);
      const command = ["/bin/sleep", "600"];
      const options = ["--detach", "--stop-signal", "KILL", "--name", name, ...labelArgs(labels)];
      await engine.docker("run", ...options, busyboxImage, ...command);
    },
    motd,
    shows: (host, text) =>
      until(
        `the server list shows ${text} for ${host}`,
        async () => {
          if ((await motd(host)) === text) return true;
          // A machine that is asked all the time starts nothing.
          await Bun.sleep(100);
          return false;
        },
        patienceMs,
      ),
    join: (host, username) => joinServer({ ...place, host, username, timeoutMs: patienceMs }),
    routes,
    routed: (host, backend) =>
      until(
        `${host} leads to ${backend}`,
        async () => {
          const route = (await routes())[host];
          return backend === null ? route === undefined : backend.test(route?.backend ?? "none");
        },
        patienceMs,
      ),
    ask,
    event: (event, row) =>
      router.waitForLine((line) => line["event"] === event && line["row"] === row, patienceMs),
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
