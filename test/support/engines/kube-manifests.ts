/** What a game server is, as manifests. */
export interface GameServer {
  readonly namespace: string;
  readonly name: string;
  readonly port?: number;
  /** Upstream's annotations, without what they begin with. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly replicas: number;
}

/** A service and the StatefulSet whose pods it leads to. */
export function gameServer({
  namespace,
  name,
  port = 25565,
  annotations,
  replicas,
}: GameServer): string {
  const prefixed = Object.entries(annotations).map(([key, value]) => [
    `mc-router.itzg.me/${key}`,
    value,
  ]);
  const labels = { app: name };
  const container = { name: "minecraft", image: "minecraft", ports: [{ containerPort: port }] };
  return manifests(
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name, annotations: Object.fromEntries(prefixed) },
      spec: { selector: labels, ports: [{ name: "minecraft", port }] },
    },
    {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      // Another name than the service's: what counts is the serviceName.
      metadata: { namespace, name: `${name}-pods` },
      spec: {
        replicas,
        serviceName: name,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { terminationGracePeriodSeconds: 0, containers: [container] },
        },
      },
    },
  );
}

/** What somebody may do. */
export interface Rights {
  readonly groups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A namespace with a service account `router`, and a Role for that. */
export const routerAccount = (namespace: string, rights: readonly Rights[]): string =>
  manifests(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name: "router" } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { namespace, name: "router" },
      rules: rights.map(({ groups, resources, verbs }) => ({
        apiGroups: groups,
        resources,
        verbs,
      })),
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { namespace, name: "router" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "router" },
      subjects: [{ kind: "ServiceAccount", namespace, name: "router" }],
    },
  );

/** To see routes, and which StatefulSets are behind them. */
export const readRights: readonly Rights[] = [
  { groups: [""], resources: ["services"], verbs: ["list", "watch"] },
  { groups: ["apps"], resources: ["statefulsets"], verbs: ["list", "watch"] },
];

const manifests = (...objects: readonly object[]): string =>
  objects.map((object) => JSON.stringify(object)).join("\n---\n");
