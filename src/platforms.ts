import type { Config } from "./config/config.ts";
import { createDockerApi, type DockerApi } from "./platform/docker-api.ts";
import { createKubernetesApi, type KubernetesApi } from "./platform/kubernetes-api.ts";
import { createStatefulSets, type StatefulSets } from "./platform/stateful-sets.ts";
import { createSwarmApi, type SwarmApi } from "./platform/swarm-api.ts";

/** The platforms that backends are found on, for their sources and their wakers; null where one is not used. */
export interface Platforms {
  readonly docker: DockerApi | null;
  readonly swarm: SwarmApi | null;
  readonly kubernetes: { readonly api: KubernetesApi; readonly statefulSets: StatefulSets } | null;
}

/** Clients of the platforms. Nothing is asked before they are used. */
export function createPlatforms({ docker, kubernetes }: Config): Platforms {
  const engine = docker && createDockerApi(docker);
  return {
    docker: docker?.containers ? engine : null,
    swarm: docker?.services && engine ? createSwarmApi(engine) : null,
    kubernetes: kubernetes && {
      api: createKubernetesApi(kubernetes.access),
      statefulSets: createStatefulSets(),
    },
  };
}
