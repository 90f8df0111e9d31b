import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { busyboxImage, testsInside } from "./container-engine.ts";
import { noQueue } from "./e2e-network.ts";
import { type JoinOutcome, join as joinServer, pingServer } from "./minecraft.ts";
import { until } from "./postgres.ts";
import { type LogLine, type Router, startRouter } from "./router.ts";
import { overlay, type SwarmPair } from "./swarm-pair.ts";

/** The version that players speak. */
const version = "1.21.11";
/** Tasks start in a second or two where a machine has nothing else to do. */
const patienceMs = 60_000;

/** A router in a container on the overlay network, as an operator runs one beside a Swarm. Dispose removes it, and all services. */
export interface SwarmTown extends AsyncDisposable {
  readonly router: Router;
  /** The text that the server list shows for a hostname; null for no answer. */
  motd(hostname: string): Promise<string | null>;
  /** Waits until the server list shows that text for a hostname. */
  shows(hostname: string, text: string | RegExp): Promise<void>;
  /** Joins with a real client. */
  join(hostname: string, username: string): Promise<JoinOutcome>;
  /** The routes as the API tells them. */
  routes(): Promise<Readonly<Record<string, { backend: string; scalingTarget: string }>>>;
  /** Waits until the API tells of that backend for the hostname. */
  routed(hostname: string, backend: RegExp): Promise<void>;
  /** What the API answers at that path. */
  ask(path: string): Promise<Response>;
  /** The first line, past or future, with these members. */
  line(members: LogLine): Promise<LogLine>;
}

/** Starts the router on the manager, with the engine's socket where Docker has it. */
export async function startSwarmTown(
  swarm: SwarmPair,
  settings: Readonly<Record<string, string>> = {},
): Promise<SwarmTown> {
  const { docker, netns, socket } = swarm.manager;
  const directory = mkdtempSync(join(tmpdir(), "automc-town-"));
  const port = 25565;
  const env = {
    ...noQueue,
    PORT: String(port),
    AUTOMC_BIND: "0.0.0.0",
    AUTOMC_LOG_FORMAT: "json",
    API_BINDING: `unix:${directory}/api`,
    METRICS_BACKEND: "prometheus",
    IN_DOCKER_SWARM: "true",
    ...settings,
  };
  const name = "automc-router";
  const router = await startRouter({
    within: [
      ...["docker", "--host", `unix://${socket}`, "run", "--rm", "--name", name],
      ...["--network", overlay, "--publish", `${port}:${port}`],
      ...["-v", `${socket}:/var/run/docker.sock`, "-v", `${directory}:${directory}`],
      ...Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
      ...testsInside(),
      busyboxImage,
    ],
    timeoutMs: patienceMs,
  });
  const place = { address: netns.inside, port, version };

  const ask = (path: string): Promise<Response> =>
    fetch(`http://localhost${path}`, { unix: `${directory}/api` });

  const routes = async (): ReturnType<SwarmTown["routes"]> =>
    (await (await ask("/routes")).json()) as Awaited<ReturnType<SwarmTown["routes"]>>;

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
    motd,
    shows: (host, text) =>
      until(
        `the server list shows ${text} for ${host}`,
        async () => {
          const shown = (await motd(host)) ?? "";
          return typeof text === "string" ? shown === text : text.test(shown);
        },
        patienceMs,
      ),
    join: (host, username) => joinServer({ ...place, host, username, timeoutMs: patienceMs }),
    routes,
    routed: (host, backend) =>
      until(
        `${host} leads to ${backend}`,
        async () => backend.test((await routes())[host]?.backend ?? "none"),
        patienceMs,
      ),
    ask,
    line: (members) =>
      router.waitForLine(
        (line) => Object.entries(members).every(([key, value]) => line[key] === value),
        patienceMs,
      ),
    async [Symbol.asyncDispose]() {
      await docker("rm", "--force", name);
      await router[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
      await swarm.clear();
    },
  };
}
