import { describe, expect, test } from "bun:test";
import { err, ok, type Result } from "../../src/base/result.ts";
import { parseConfig } from "../../src/config/config.ts";
import type { Variables } from "../../src/config/setting.ts";

const kubeconfig = `{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
  "clusters": [{"name": "x", "cluster": {"server": "https://k"}}], "users": [{"name": "x", "user": {"token": "secret1"}}]}`;

const files: Readonly<Record<string, string>> = {
  "/kube/config": kubeconfig,
  "/kube/broken": "current-context: [",
  "/var/run/secrets/kubernetes.io/serviceaccount/token": "secret2",
  "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt": "pem",
};

const readFile = (path: string): Result<string, string> => {
  const text = files[path];
  return text === undefined ? err("ENOENT") : ok(text);
};

const pod = { KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" };

describe("a cluster", () => {
  const rows: readonly (readonly [string, Variables, object | null])[] = [
    ["nothing", {}, null],
    ["a namespace alone", { KUBE_NAMESPACE: "games", IN_KUBE_CLUSTER: "false" }, null],
    [
      "a kubeconfig",
      { KUBE_CONFIG: "/kube/config" },
      { access: { server: "https://k" }, namespace: null, awaitPods: false },
    ],
    [
      "the pod's own",
      { ...pod, IN_KUBE_CLUSTER: "true" },
      { access: { server: "https://10.0.0.1:443", bearer: { kind: "token-file" } } },
    ],
    [
      "the pod's own before a kubeconfig",
      { ...pod, IN_KUBE_CLUSTER: "true", KUBE_CONFIG: "/nowhere" },
      { access: { server: "https://10.0.0.1:443" } },
    ],
    [
      "one namespace",
      { KUBE_CONFIG: "/kube/config", KUBE_NAMESPACE: "games-1" },
      { namespace: "games-1" },
    ],
    ["pods", { KUBE_CONFIG: "/kube/config", AUTOMC_KUBE_AWAIT_PODS: "true" }, { awaitPods: true }],
  ];
  test.each(rows)("by %s", (_, variables, expected) => {
    const parsed = parseConfig(variables, readFile);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
    if (expected === null) expect(parsed.value.config.kubernetes).toBeNull();
    else expect(parsed.value.config.kubernetes).toMatchObject(expected);
  });

  const wrong: readonly (readonly [string, Variables, string, string])[] = [
    [
      "no pod",
      { IN_KUBE_CLUSTER: "true" },
      "IN_KUBE_CLUSTER",
      "a pod with a service account (the access needs KUBERNETES_SERVICE_HOST",
    ],
    [
      "no kubeconfig",
      { KUBE_CONFIG: "/nowhere" },
      "KUBE_CONFIG",
      "the path of a kubeconfig (ENOENT)",
    ],
    [
      "no YAML",
      { KUBE_CONFIG: "/kube/broken" },
      "KUBE_CONFIG",
      "the path of a kubeconfig (it is no YAML",
    ],
    [
      "two namespaces",
      { KUBE_CONFIG: "/kube/config", KUBE_NAMESPACE: "a,b" },
      "KUBE_NAMESPACE",
      "the name of one namespace",
    ],
    ["no boolean", { IN_KUBE_CLUSTER: "yes" }, "IN_KUBE_CLUSTER", "true or false"],
  ];
  test.each(wrong)("that is wrong: %s", (_, variables, variable, expected) => {
    const parsed = parseConfig(variables, readFile);
    const problems = parsed.ok ? [] : parsed.error;
    expect(problems.map((problem) => problem.variable)).toEqual([variable]);
    expect(problems[0]?.expected).toContain(expected);
    expect(JSON.stringify(problems)).not.toContain("secret");
  });
});
