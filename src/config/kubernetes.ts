import { type KubeAccess, parseKubeconfig, podAccess } from "../providers/kubernetes/kubeconfig.ts";
import type { Environment } from "./environment.ts";

/** Which cluster is looked at, and how much of it. It holds secrets: never print it whole. */
export interface KubernetesConfig {
  readonly access: KubeAccess;
  /** Null: all of them. */
  readonly namespace: string | null;
  /** Players who come by a proxy of a service wait until the service's own pod is ready. */
  readonly awaitPods: boolean;
}

/** How Kubernetes is used; null when it is not. */
export function readKubernetes(env: Environment): KubernetesConfig | null {
  const isPod = env.read("IN_KUBE_CLUSTER");
  const awaitPods = env.read("AUTOMC_KUBE_AWAIT_PODS");
  const path = env.read("KUBE_CONFIG");
  if (!isPod && path === null) return null;
  const access = isPod || path === null ? readPodAccess(env) : readKubeconfig(env, path);
  const namespace = env.read("KUBE_NAMESPACE");
  return access === null ? null : { access, namespace, awaitPods };
}

function readPodAccess(env: Environment): KubeAccess | null {
  const access = podAccess(env);
  if (access.ok) return access.value;
  env.problem("IN_KUBE_CLUSTER", `a pod with a service account (the access ${access.error})`);
  return null;
}

function readKubeconfig(env: Environment, path: string): KubeAccess | null {
  const { variables, readFile } = env;
  const text = readFile(path);
  const access = text.ok ? parseKubeconfig(text.value, { path, variables, readFile }) : text;
  if (access.ok) return access.value;
  env.problem("KUBE_CONFIG", `the path of a kubeconfig (${access.error})`);
  return null;
}
