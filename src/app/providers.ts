import type { Deadlines } from "../base/deadlines.ts";
import type { Config } from "../config/config.ts";
import { createResolver, type Resolver } from "../net/resolve.ts";
import type { Observer } from "../observe/bus.ts";
import { createControlPlane } from "../providers/control-plane/waker.ts";
import { createDockerApi, type DockerApi } from "../providers/docker/api.ts";
import { createDockerSource } from "../providers/docker/source.ts";
import { createDockerWaker } from "../providers/docker/waker.ts";
import { createKubernetesApi, type KubernetesApi } from "../providers/kubernetes/api.ts";
import { createKubernetesSource } from "../providers/kubernetes/source.ts";
import { createStatefulSets, type StatefulSets } from "../providers/kubernetes/stateful-sets.ts";
import { createKubernetesWaker } from "../providers/kubernetes/waker.ts";
import { createPostgresSource } from "../providers/postgres/source.ts";
import { createEnvSource } from "../providers/static/env.ts";
import type { StaticRoutes } from "../providers/static/static-routes.ts";
import { createSwarmApi, type SwarmApi } from "../providers/swarm/api.ts";
import { createSwarmSource } from "../providers/swarm/source.ts";
import { createSwarmWaker } from "../providers/swarm/waker.ts";
import { scaledByWebhook } from "../providers/webhook/scaled.ts";
import { createWebhook } from "../providers/webhook/waker.ts";
import type { RouteSource } from "../routing/source.ts";
import type { Wakers } from "../wake/waker.ts";
import type { SecretStore } from "./secrets.ts";

/** What sources and wakers work with; a platform that is not used is null. */
export interface Platforms {
  readonly resolver: Resolver;
  readonly docker: DockerApi | null;
  readonly swarm: SwarmApi | null;
  readonly kubernetes: { readonly api: KubernetesApi; readonly statefulSets: StatefulSets } | null;
}

/** Clients of the platforms. Nothing is asked before they are used. */
export function createPlatforms({ docker, kubernetes }: Config): Platforms {
  const engine = docker && createDockerApi(docker);
  return {
    resolver: createResolver({}),
    docker: docker?.containers ? engine : null,
    swarm: docker?.services && engine ? createSwarmApi(engine) : null,
    kubernetes: kubernetes && {
      api: createKubernetesApi(kubernetes.access),
      statefulSets: createStatefulSets(),
    },
  };
}

/** Every source of routes. A new one is one entry here. */
export function sourcesOf(
  config: Config,
  { resolver, docker, swarm, kubernetes }: Platforms,
  staticRoutes: StaticRoutes,
  emit: Observer,
): readonly RouteSource[] {
  const { scaling, simplifySrv } = config;
  const shared = { scaling, simplifySrv, emit };
  const fixed = [createEnvSource(config.routes), ...staticRoutes.sources];
  const found = [
    config.postgres &&
      createPostgresSource({
        connections: config.postgres.connections,
        resolver,
        resyncMs: config.postgres.resyncMs,
        snapshotPath: config.postgres.snapshot,
        wakeable: config.waker !== null,
        simplifySrv,
        emit,
      }),
    config.kubernetes &&
      kubernetes &&
      createKubernetesSource({
        ...kubernetes,
        ...shared,
        namespace: config.kubernetes.namespace,
        ownNamespace: config.kubernetes.access.ownNamespace,
      }),
    docker && createDockerSource({ api: docker, ...shared }),
    swarm && createSwarmSource({ api: swarm, ...shared }),
  ];
  return [
    ...(config.scaler === null ? fixed : fixed.map(scaledByWebhook)),
    ...found.filter((source) => source !== null),
  ];
}

/** What wakers need of the router. */
interface WakerDeps {
  readonly deadlines: Deadlines;
  readonly secrets: SecretStore;
  readonly emit: Observer;
  /** How long one attempt to reach a woken backend may take, ms. */
  readonly attemptMs: number;
}

/** Every waker. A new one is one entry here. */
export function wakersOf(
  { waker, scaler, kubernetes: cluster }: Config,
  { docker, swarm, kubernetes }: Platforms,
  { secrets, ...deps }: WakerDeps,
): Wakers {
  return {
    "control-plane":
      waker && createControlPlane({ ...waker, ...deps, token: () => secrets.current().wakerToken }),
    webhook:
      scaler &&
      createWebhook({ ...scaler, ...deps, headers: () => secrets.current().scalerHeaders }),
    kubernetes:
      kubernetes &&
      createKubernetesWaker({ ...kubernetes, awaitPods: cluster?.awaitPods ?? false }),
    docker: docker && createDockerWaker(docker),
    swarm: swarm && createSwarmWaker(swarm),
  };
}
