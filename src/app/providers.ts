import type { Config } from "../config/config.ts";
import { createDockerApi, type DockerApi } from "../providers/docker/api.ts";
import { createKubernetesApi, type KubernetesApi } from "../providers/kubernetes/api.ts";
import { createStatefulSets, type StatefulSets } from "../providers/kubernetes/stateful-sets.ts";
import { createSwarmApi, type SwarmApi } from "../providers/swarm/api.ts";

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
