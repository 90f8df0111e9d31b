import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTown, type Town } from "../minecraft/town.ts";
import { noQueue } from "../process/e2e-network.ts";
import { startRouter } from "../process/router.ts";
import { busyboxImage, testsInside } from "./container-engine.ts";
import { overlay, type SwarmPair } from "./swarm-pair.ts";

/** Tasks start in a second or two where a machine has nothing else to do. */
const patienceMs = 60_000;

/** A router in a container on the overlay network, as an operator runs one beside a Swarm. Dispose removes it, and all services. */
export type SwarmTown = Town & AsyncDisposable;

/** Starts the router on the manager, with the engine's socket where Docker has it. */
export async function startSwarmTown(
  swarm: SwarmPair,
  settings: Readonly<Record<string, string>> = {},
): Promise<SwarmTown> {
  const { docker, netns, socket } = swarm.manager;
  const directory = mkdtempSync(join(tmpdir(), "automc-town-"));
  const api = join(directory, "api");
  // The usual port is for what a test may run as a service, which gives it back a little later than it goes.
  const port = 25566;
  const env = {
    ...noQueue,
    PORT: String(port),
    AUTOMC_BIND: "0.0.0.0",
    AUTOMC_LOG_FORMAT: "json",
    API_BINDING: `unix:${api}`,
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
  return {
    ...openTown(router, { address: netns.inside, port, api, patienceMs }),
    async [Symbol.asyncDispose]() {
      await docker("rm", "--force", name);
      await router[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
      await swarm.clear();
    },
  };
}
