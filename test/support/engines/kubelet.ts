import { type MinecraftServer, startMinecraftServer } from "../minecraft/minecraft.ts";
import type { KubeCluster, KubeObject } from "./kube-cluster.ts";

/** Runs the pods of a namespace: each is a real Minecraft server at its service's own address, as kubelet and kube-proxy would have it. */
export interface Kubelet extends AsyncDisposable {
  /** The servers that run now, by the names of their pods. */
  readonly servers: ReadonlyMap<string, MinecraftServer>;
}

/** How pods are run. */
export interface KubeletOptions {
  readonly namespace: string;
  readonly version: string;
  /** How long a server takes until it listens, ms. */
  readonly bootMs: number;
}

const lookMs = 100;

/** Runs nothing yet, and begins to look for pods. */
export function startKubelet(cluster: KubeCluster, options: KubeletOptions): Kubelet {
  const { namespace, version, bootMs } = options;
  const servers = new Map<string, MinecraftServer>();
  const within = `/api/v1/namespaces/${namespace}`;
  let isStopping = false;

  async function boot({ metadata: { name }, spec: { subdomain } }: KubeObject): Promise<void> {
    const { spec } = await cluster.ask("GET", `${within}/services/${subdomain}`);
    await Bun.sleep(bootMs);
    const [{ port }] = spec.ports;
    servers.set(name, await startMinecraftServer({ version, hostname: spec.clusterIP, port }));
    const conditions = [{ type: "Ready", status: "True" }];
    const status = { phase: "Running", conditions };
    const patch = "application/merge-patch+json";
    await cluster.ask("PATCH", `${within}/pods/${name}/status`, { status }, patch);
  }

  async function look(): Promise<void> {
    const { items } = await cluster.ask("GET", `${within}/pods`);
    for (const [name, server] of [...servers]) {
      if (items.some((pod: KubeObject) => pod.metadata.name === name)) continue;
      servers.delete(name);
      await server[Symbol.asyncDispose]();
    }
    for (const pod of items) {
      if (!servers.has(pod.metadata.name)) await boot(pod);
    }
  }

  const working = (async () => {
    while (!isStopping) {
      // The API may be away, which is what some tests are about.
      await look().catch(() => {});
      await Bun.sleep(lookMs);
    }
  })();

  return {
    servers,
    async [Symbol.asyncDispose]() {
      isStopping = true;
      await working;
      for (const server of servers.values()) await server[Symbol.asyncDispose]();
    },
  };
}
