import { townVersion } from "../minecraft/town.ts";
import { execute } from "../process/command.ts";
import { until } from "../until.ts";
import {
  busyboxImage,
  type ContainerEngine,
  minecraftInside,
  testsInside,
} from "./container-engine.ts";
import { startDockerEngine } from "./docker-engine.ts";

/** A Docker Swarm of two real engines, each in a network namespace of its own. Dispose ends both. */
export interface SwarmPair extends AsyncDisposable {
  /** The one that is asked, and that the router runs on. */
  readonly manager: ContainerEngine;
  readonly worker: ContainerEngine;
  /** Makes a service on the overlay network `games`; its labels are written without `mc-router.`. */
  service(
    name: string,
    labels: Readonly<Record<string, string>>,
    options?: ServiceOptions,
  ): Promise<void>;
  /** Removes all services, and waits until nothing is left of them on the manager. */
  clear(): Promise<void>;
  /** The number of replicas that a service shall have. */
  replicas(name: string): Promise<number>;
  /** The tasks that the Swarm still knows of a service, the newest first: `node desired state`. */
  tasks(name: string): Promise<readonly string[]>;
  /** Takes the link between the two away, or gives it back. */
  setLink(isUp: boolean): void;
}

/** What a service is made with. */
export interface ServiceOptions {
  readonly replicas?: number;
  /** Further arguments of `docker service create`. */
  readonly args?: readonly string[];
  /** The shell script that its tasks run; left out, they are real Minecraft servers. */
  readonly script?: string;
  /** The server list text of those. */
  readonly motd?: string;
}

/** The overlay network that services and the router are on. */
export const overlay = "games";

/** The link between the engines, and the networks that the Swarm makes (RFC 2544: networks for tests). */
const addresses = { manager: "198.18.2.1", worker: "198.18.2.2" } as const;
const pool = "198.18.64.0/19";
const device = "swarm0";

/** The script that starts a real Minecraft server. */
export const minecraftScript = [...minecraftInside, townVersion].join(" ");

/** Starts two engines, links them, and makes a Swarm of them with an overlay network. */
export async function startSwarmPair(): Promise<SwarmPair> {
  await using started = new AsyncDisposableStack();
  const manager = started.use(await startDockerEngine({ hostname: "manager" }));
  const worker = started.use(await startDockerEngine({ hostname: "worker" }));
  link(manager, worker);
  await joinSwarm(manager, worker);
  const engines = started.move();
  const { docker } = manager;

  async function isEmpty(): Promise<boolean> {
    const left = await docker("ps", "--all", "--quiet", "--filter", "label=com.docker.swarm.task");
    return left === "";
  }

  return {
    manager,
    worker,
    async service(name, labels, { replicas = 1, args = [], script, motd = name } = {}) {
      const words = Object.entries(labels).flatMap(([key, value]) => [
        "--label",
        `mc-router.${key}=${value}`,
      ]);
      const command =
        script === undefined ? [...minecraftInside, townVersion, motd] : ["sh", "-c", script];
      await docker(
        ...["service", "create", "--detach", "--no-resolve-image", "--network", overlay],
        // The shell does not pass on that it is to end.
        ...["--stop-grace-period", "1s"],
        ...["--name", name, "--replicas", String(replicas), ...words, ...mounts(), ...args],
        ...[busyboxImage, ...command],
      );
    },
    async clear() {
      const services = await docker("service", "ls", "--quiet");
      if (services === "") return;
      await docker("service", "rm", ...services.split("\n"));
      await until("no task is left", isEmpty, 60_000);
    },
    async replicas(name) {
      const format = "{{.Spec.Mode.Replicated.Replicas}}";
      return Number(await docker("service", "inspect", "--format", format, name));
    },
    async tasks(name) {
      const format = "{{.Node}} {{.DesiredState}} {{.CurrentState}}";
      const text = await docker("service", "ps", "--format", format, name);
      return text.split("\n").map((line) => line.toLowerCase());
    },
    setLink(isUp) {
      manager.netns.run("ip", "link", "set", device, isUp ? "up" : "down");
    },
    async [Symbol.asyncDispose]() {
      await docker("service", "ls", "--quiet").then((ids) =>
        ids === "" ? "" : docker("service", "rm", ...ids.split("\n")),
      );
      await worker.docker("swarm", "leave", "--force");
      await docker("swarm", "leave", "--force");
      await engines.disposeAsync();
    },
  };
}

/** A cable between the two, and no other way out: asking a registry must fail at once, and not after some timeouts. */
function link(manager: ContainerEngine, worker: ContainerEngine): void {
  execute([
    ...["ip", "link", "add", device, "netns", manager.netns.name, "type", "veth"],
    ...["peer", "name", device, "netns", worker.netns.name],
  ]);
  for (const [{ netns }, address] of [
    [manager, addresses.manager],
    [worker, addresses.worker],
  ] as const) {
    netns.run("ip", "address", "add", `${address}/24`, "dev", device);
    netns.run("ip", "link", "set", device, "up");
    netns.run("ip", "route", "delete", "default");
  }
}

async function joinSwarm(manager: ContainerEngine, worker: ContainerEngine): Promise<void> {
  const listenOn = (address: string): readonly string[] => [
    ...["--advertise-addr", address, "--listen-addr", `${address}:2377`],
  ];
  await manager.docker(
    ...["swarm", "init", ...listenOn(addresses.manager)],
    // A node that is lost is to be missed in seconds.
    ...["--default-addr-pool", pool, "--dispatcher-heartbeat", "2s"],
  );
  const token = await manager.docker("swarm", "join-token", "--quiet", "worker");
  await worker.docker(
    ...["swarm", "join", "--token", token, ...listenOn(addresses.worker)],
    `${addresses.manager}:2377`,
  );
  await manager.docker("network", "create", "--driver", "overlay", "--attachable", overlay);
}

/** What `testsInside` says, in the words of `docker service create`. */
const mounts = (): readonly string[] =>
  testsInside()
    .filter((word) => word !== "-v")
    .flatMap((volume) => {
      const [path = ""] = volume.split(":");
      return ["--mount", `type=bind,source=${path},destination=${path},readonly`];
    });
