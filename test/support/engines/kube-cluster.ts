import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { laterPort } from "../net/ports.ts";
import { buildOnce } from "../process/build-once.ts";
import { requireProgram } from "../process/debian.ts";
import { until } from "../until.ts";

/** An object of the API's; tests look into it as they know it. */
// biome-ignore lint/suspicious/noExplicitAny: the API's objects have no types here
export type KubeObject = any;

/** What a kubeconfig is written from. */
export interface KubeconfigParts {
  readonly cluster?: KubeObject;
  readonly user?: KubeObject;
}

/** A control plane of a cluster: etcd, kube-apiserver and kube-controller-manager, all on loopback. There are no nodes. */
export interface KubeCluster extends AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** Path of the certificate authority. Certificates are for `localhost` and `kubernetes.test`, and not for 127.0.0.1. */
  readonly ca: string;
  /** A certificate and its key, both paths, of a user who may do everything. */
  readonly admin: { readonly cert: string; readonly key: string };
  /** Asks the API as somebody who may do everything; throws with the answer when it is a refusal. */
  ask(method: string, path: string, body?: KubeObject, type?: string): Promise<KubeObject>;
  /** An object as the API has it, by its kind, namespace and name. */
  get(object: KubeObject): Promise<KubeObject>;
  /** Makes the objects of a manifest, or changes them to that. */
  apply(manifest: string): Promise<void>;
  /** A token of a service account, as pods get it. */
  token(namespace: string, account: string): Promise<string>;
  /** Writes a kubeconfig for the cluster and gives its path; by default it has the administrator's token. */
  kubeconfig(parts?: KubeconfigParts): string;
  /** Ends the API server as a crash would. */
  kill(): Promise<void>;
  /** Starts it again; resolves when it is ready. */
  start(): Promise<void>;
  /** Forgets all of the history in etcd. */
  compact(): Promise<void>;
}

/** The folder with the programs; null when they could not be built, which is told on stderr. Building them takes minutes, once on a machine. */
export const kubePrograms = (): Promise<string | null> =>
  buildOnce({
    script: "build-kube-apiserver.sh",
    product: "kube-apiserver",
    tests: "Kubernetes",
  });

const adminToken = "administrator";

/** Starts a control plane from these programs: about 10 s. Services get addresses of 127.96.0.0/16, where a test can listen for them. */
export async function startKubeCluster(programs: string): Promise<KubeCluster> {
  const folder = mkdtempSync(join(tmpdir(), "automc-kube-"));
  const path = (name: string): string => join(folder, name);
  const [etcdPort, peerPort, port] = [laterPort(), laterPort(), laterPort()];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const running = new Map<string, Bun.Subprocess>();

  function run(name: string, command: readonly string[]): void {
    const log = openSync(path(`${name}.log`), "a");
    running.set(
      name,
      Bun.spawn([...command], { cwd: folder, stdin: "ignore", stdout: log, stderr: log }),
    );
  }

  async function end(name: string): Promise<void> {
    const child = running.get(name);
    running.delete(name);
    child?.kill("SIGKILL");
    await child?.exited;
  }

  async function request(
    method: string,
    where: string,
    body?: KubeObject,
    type = "application/json",
  ) {
    return await fetch(`https://localhost:${port}${where}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, "content-type": type },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      tls: { ca: readFileSync(path("ca.crt"), "utf8") },
      keepalive: false,
    });
  }

  async function ask(method: string, where: string, body?: KubeObject, type?: string) {
    const response = await request(method, where, body, type);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  async function ready(name: string, isReady: () => Promise<boolean>): Promise<void> {
    await until(
      `${name} is ready`,
      async () => {
        if (running.get(name)?.exitCode === null) return await isReady().catch(() => false);
        throw new Error(
          `${name} ended:\n${readFileSync(path(`${name}.log`), "utf8").slice(-2_000)}`,
        );
      },
      60_000,
    );
  }

  function kubeconfig({ cluster, user }: KubeconfigParts = {}): string {
    const file = path(`kubeconfig-${crypto.randomUUID()}`);
    const server = `https://localhost:${port}`;
    const named = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      clusters: [
        { name: "test", cluster: cluster ?? { server, "certificate-authority": "ca.crt" } },
      ],
      users: [{ name: "test", user: user ?? { token: adminToken } }],
    };
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(named));
    return file;
  }

  async function start(): Promise<void> {
    run("kube-apiserver", [
      join(programs, "kube-apiserver"),
      `--etcd-servers=${etcdUrl}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      "--endpoint-reconciler-type=none",
      `--secure-port=${port}`,
      `--cert-dir=${path("certs")}`,
      "--tls-cert-file=server.crt",
      "--tls-private-key-file=server.key",
      "--client-ca-file=ca.crt",
      "--token-auth-file=tokens.csv",
      "--authorization-mode=RBAC",
      // Pods need no token here: nothing runs them.
      "--disable-admission-plugins=ServiceAccount",
      "--service-account-issuer=https://kubernetes.default.svc",
      "--service-account-signing-key-file=accounts.key",
      "--service-account-key-file=accounts.key",
      "--service-cluster-ip-range=127.96.0.0/16",
    ]);
    await ready("kube-apiserver", async () => (await request("GET", "/readyz")).ok);
  }

  async function dispose(): Promise<void> {
    for (const name of [...running.keys()]) await end(name);
    rmSync(folder, { recursive: true, force: true });
  }

  try {
    makeCertificates(folder);
    writeFileSync(path("tokens.csv"), `${adminToken},admin,1,system:masters\n`);
    mkdirSync(path("certs"));
    run("etcd", [
      requireProgram("etcd", "etcd-server"),
      `--data-dir=${path("etcd")}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      "--unsafe-no-fsync",
      "--log-level=error",
    ]);
    await start();
    const managerPort = laterPort();
    run("kube-controller-manager", [
      join(programs, "kube-controller-manager"),
      `--kubeconfig=${kubeconfig()}`,
      "--controllers=statefulset,namespace,serviceaccount",
      "--leader-elect=false",
      "--port=0",
      "--bind-address=127.0.0.1",
      `--secure-port=${managerPort}`,
      `--cert-dir=${path("certs")}`,
    ]);
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    folder,
    port,
    ca: path("ca.crt"),
    admin: { cert: path("admin.crt"), key: path("admin.key") },
    ask,
    get: (object) => ask("GET", `${collectionOf(object)}/${object.metadata.name}`),
    async apply(manifest) {
      for (const object of [Bun.YAML.parse(manifest)].flat() as KubeObject[]) {
        const collection = collectionOf(object);
        const made = await request("POST", collection, object);
        const isThere = made.status === 409;
        if (!made.ok && !isThere) throw new Error(`${collection}: ${await made.text()}`);
        const where = `${collection}/${object.metadata.name}`;
        if (isThere) await ask("PATCH", where, object, "application/merge-patch+json");
      }
    },
    async token(namespace, account) {
      const where = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
      const wanted = {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 3_600 },
      };
      return (await ask("POST", where, wanted)).status.token;
    },
    kubeconfig,
    kill: () => end("kube-apiserver"),
    start,
    async compact() {
      const { metadata } = await ask("GET", "/api/v1/services?limit=1");
      const response = await fetch(`${etcdUrl}/v3/kv/compaction`, {
        method: "POST",
        body: JSON.stringify({ revision: metadata.resourceVersion, physical: true }),
      });
      if (!response.ok) throw new Error(await response.text());
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Where objects of that kind are, by group and plural. */
const plurals: Readonly<Record<string, string>> = {
  Namespace: "namespaces",
  Service: "services",
  ServiceAccount: "serviceaccounts",
  Secret: "secrets",
  ConfigMap: "configmaps",
  Deployment: "deployments",
  StatefulSet: "statefulsets",
  Role: "roles",
  RoleBinding: "rolebindings",
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
};

function collectionOf({ apiVersion, kind, metadata }: KubeObject): string {
  const plural = plurals[kind];
  if (plural === undefined) throw new Error(`no manifest of a test has had a ${kind} yet`);
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const isNamespaced = !kind.startsWith("Cluster") && kind !== "Namespace";
  const within = isNamespaced ? `/namespaces/${metadata.namespace ?? "default"}` : "";
  return `${group}${within}/${plural}`;
}

/** An authority, and certificates of the server and of an administrator. */
function makeCertificates(folder: string): void {
  const openssl = requireProgram("openssl", "openssl");
  function run(...words: readonly string[]): void {
    const done = Bun.spawnSync([openssl, ...words], {
      cwd: folder,
      stdin: "ignore",
      stderr: "pipe",
    });
    if (done.exitCode !== 0) throw new Error(done.stderr.toString());
  }
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  run(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
    "-days",
    "2",
    "-subj",
    "/CN=test",
  );
  for (const [name, subject, names] of [
    ["server", "/CN=kube-apiserver", "DNS:localhost,DNS:kubernetes.test"],
    ["admin", "/O=system:masters/CN=certified", "DNS:admin"],
  ] as const) {
    run("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names}`);
    const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    run(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...signed,
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.crt`,
    );
  }
  run("genrsa", "-out", "accounts.key", "2048");
}
