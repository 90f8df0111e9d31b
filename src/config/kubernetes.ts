import { readBoolean } from "../base/go-text.ts";
import { type KubeAccess, parseKubeconfig, podAccess } from "../providers/kubernetes/kubeconfig.ts";
import type { Environment, ReadFile, Variables } from "./environment.ts";

/** Which cluster is looked at, and how much of it. It holds secrets: never print it whole. */
export interface KubernetesConfig {
  readonly access: KubeAccess;
  /** Null: all of them. */
  readonly namespace: string | null;
  /** Players who come by a proxy of a service wait until the service's own pod is ready. */
  readonly awaitPods: boolean;
}

/** How Kubernetes is used; null when it is not. */
export function readKubernetes(
  env: Environment,
  variables: Variables,
  readFile: ReadFile,
): KubernetesConfig | null {
  const isPod = env.read("IN_KUBE_CLUSTER", readBoolean);
  const awaitPods = env.read("AUTOMC_KUBE_AWAIT_PODS", readBoolean);
  const path = env.text("KUBE_CONFIG");
  if (!isPod && path === "") return null;
  const access = isPod
    ? readPodAccess(env, variables, readFile)
    : readKubeconfig(env, path, variables, readFile);
  const namespace = readNamespace(env);
  return access === null ? null : { access, namespace, awaitPods };
}

function readPodAccess(
  env: Environment,
  variables: Variables,
  readFile: ReadFile,
): KubeAccess | null {
  const access = podAccess({ variables, readFile });
  if (access.ok) return access.value;
  env.problem("IN_KUBE_CLUSTER", `a pod with a service account (the access ${access.error})`);
  return null;
}

function readKubeconfig(
  env: Environment,
  path: string,
  variables: Variables,
  readFile: ReadFile,
): KubeAccess | null {
  const text = readFile(path);
  const access = text.ok ? parseKubeconfig(text.value, { path, variables, readFile }) : text;
  if (access.ok) return access.value;
  env.problem("KUBE_CONFIG", `the path of a kubeconfig (${access.error})`);
  return null;
}

/** A name as the API takes it (RFC 1123, a label). */
function readNamespace(env: Environment): string | null {
  const namespace = env.text("KUBE_NAMESPACE");
  if (namespace === "") return null;
  const isLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace);
  if (!isLabel) env.problem("KUBE_NAMESPACE", "the name of one namespace, or nothing for all");
  return namespace;
}
