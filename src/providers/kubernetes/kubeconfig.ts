import { dirname, join, resolve } from "node:path";
import { hostPort } from "../../base/ip.ts";
import { flagOf, listOf, type Members, membersOf, textOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { messageOf } from "../../base/thrown.ts";

/** A certificate or key: its text, or the file that holds it, which is read anew for each connection. */
export type Pem =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly path: string };

/** A program that gives credentials (client-go's "exec plugins"). */
export interface ExecPlugin {
  readonly apiVersion: string;
  /** The program, an absolute path or a name to be found in PATH, and its arguments. */
  readonly command: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What it is told about the cluster, where it wants to know; null where it does not. */
  readonly cluster: Members | null;
}

/** What is said in the header `Authorization`. */
export type Bearer =
  | { readonly kind: "none" }
  | { readonly kind: "token"; readonly token: string }
  /** Read again now and then: such tokens expire. */
  | { readonly kind: "token-file"; readonly path: string }
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  | { readonly kind: "exec"; readonly plugin: ExecPlugin };

/** How a cluster's API is reached, and as whom. It holds secrets: never print it whole. */
export interface KubeAccess {
  /** Base URL without a slash at its end. */
  readonly server: string;
  readonly tls: {
    /** Null: the public authorities. */
    readonly ca: Pem | null;
    /** The name that the certificate is for; null: the one in the URL. */
    readonly serverName: string | null;
    readonly verify: boolean;
  };
  readonly certificate: { readonly cert: Pem; readonly key: Pem } | null;
  readonly bearer: Bearer;
  /** Headers of a user who acts as another one. */
  readonly actAs: Readonly<Record<string, string>>;
  /** Goes through this proxy; null: through the one that the environment names, if it does. */
  readonly proxy: string | null;
  /** The namespace that the pod or the context belongs to, for advice; null where none is named. */
  readonly ownNamespace: string | null;
}

/** Where a kubeconfig's words come from. */
interface KubeconfigOrigin {
  readonly path: string;
  /** The variables of the process, for the programs that give credentials. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readFile(path: string): Result<string, string>;
}

/** What every pod is given (Kubernetes, "Accessing the Kubernetes API from a Pod"). */
const podDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The access that a pod has by its service account. The error completes "the pod's access ...". */
export function podAccess({
  variables,
  readFile,
}: Omit<KubeconfigOrigin, "path">): Result<KubeAccess, string> {
  const host = variables["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = variables["KUBERNETES_SERVICE_PORT"] ?? "";
  if (host === "" || port === "") {
    return err("needs KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which pods have");
  }
  const paths = { token: join(podDirectory, "token"), ca: join(podDirectory, "ca.crt") };
  for (const path of Object.values(paths)) {
    const content = readFile(path);
    if (!content.ok) return err(`needs a file that can be read (${content.error})`);
    if (content.value.trim() === "") return err(`needs a file that is not empty (${path})`);
  }
  const namespace = readFile(join(podDirectory, "namespace"));
  return ok({
    server: `https://${hostPort(host, port)}`,
    tls: { ca: { kind: "file", path: paths.ca }, serverName: null, verify: true },
    certificate: null,
    bearer: { kind: "token-file", path: paths.token },
    actAs: {},
    proxy: null,
    ownNamespace: (namespace.ok && namespace.value.trim()) || null,
  });
}

/**
 * The access that the current context of a kubeconfig gives (kubernetes.io, "kubeconfig (v1)").
 * Relative paths start at the file. The error completes "a kubeconfig (...)" and holds no secret.
 */
export function parseKubeconfig(
  text: string,
  origin: KubeconfigOrigin,
): Result<KubeAccess, string> {
  const root = parseYaml(text);
  if (!root.ok) return root;
  const current = textOf(root.value, "current-context");
  if (current === null) return err("it has no current-context");
  const context = named(root.value, "contexts", "context", current);
  if (context === null) return err(`it has no context ${JSON.stringify(current)}`);
  const clusterName = textOf(context, "cluster") ?? "";
  const cluster = named(root.value, "clusters", "cluster", clusterName);
  if (cluster === null) return err(`it has no cluster ${JSON.stringify(clusterName)}`);
  const userName = textOf(context, "user") ?? "";
  const user = userName === "" ? {} : named(root.value, "users", "user", userName);
  if (user === null) return err(`it has no user ${JSON.stringify(userName)}`);

  const reached = readCluster(cluster, origin);
  if (!reached.ok) return err(`its cluster ${JSON.stringify(clusterName)} ${reached.error}`);
  const known = readUser(user, () => clusterInfo(cluster, origin), origin);
  if (!known.ok) return err(`its user ${JSON.stringify(userName)} ${known.error}`);
  return ok({ ...reached.value, ...known.value, ownNamespace: textOf(context, "namespace") });
}

function parseYaml(text: string): Result<Members, string> {
  try {
    const root = membersOf(Bun.YAML.parse(text));
    return root === null ? err("it is no YAML mapping") : ok(root);
  } catch (cause) {
    // The parser's message never quotes the text.
    return err(`it is no YAML: ${messageOf(cause)}`);
  }
}

/** The member `what` of the entry with that name in a list of the kubeconfig; null when there is none. */
function named(root: Members, list: string, what: string, name: string): Members | null {
  const entry = listOf(root, list).find((each) => textOf(each, "name") === name);
  return entry === undefined ? null : membersOf(entry[what]);
}

function readCluster(
  cluster: Members,
  origin: KubeconfigOrigin,
): Result<Pick<KubeAccess, "server" | "tls" | "proxy">, string> {
  const server = textOf(cluster, "server") ?? "";
  const url = /^https?:\/\//i.test(server) ? URL.parse(server) : null;
  if (url === null) return err("has no server that is a URL such as https://10.0.0.1:6443");
  const ca = readPem(cluster, "certificate-authority", origin);
  if (!ca.ok) return ca;
  const isInsecure = flagOf(cluster, "insecure-skip-tls-verify");
  if (isInsecure && ca.value !== null) {
    return err("has insecure-skip-tls-verify beside a certificate authority; only one may be");
  }
  const proxy = textOf(cluster, "proxy-url");
  if (proxy !== null && !/^https?:\/\//i.test(proxy)) {
    return err("has a proxy-url that is not http:// or https://");
  }
  const serverName = textOf(cluster, "tls-server-name");
  return ok({
    server: (url.origin + url.pathname).replace(/\/+$/, ""),
    tls: { ca: ca.value, serverName, verify: !isInsecure },
    proxy,
  });
}

/** A cluster as plugins know it (client.authentication.k8s.io/v1, "Cluster"). */
function clusterInfo(cluster: Members, origin: KubeconfigOrigin): Members {
  const path = textOf(cluster, "certificate-authority");
  const ca = path === null ? null : origin.readFile(besides(origin.path, path));
  const data = ca?.ok ? Buffer.from(ca.value).toString("base64") : undefined;
  const extension = listOf(cluster, "extensions").find(
    (each) => textOf(each, "name") === "client.authentication.k8s.io/exec",
  );
  return {
    server: cluster["server"],
    "tls-server-name": cluster["tls-server-name"],
    "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
    "certificate-authority-data": cluster["certificate-authority-data"] ?? data,
    "proxy-url": cluster["proxy-url"],
    config: extension?.["extension"],
  };
}

function readUser(
  user: Members,
  cluster: () => Members,
  origin: KubeconfigOrigin,
): Result<Pick<KubeAccess, "certificate" | "bearer" | "actAs">, string> {
  if (membersOf(user["auth-provider"]) !== null) {
    return err("has an auth-provider, which is not supported: use exec");
  }
  const bearer = readBearer(user, cluster, origin);
  if (!bearer.ok) return bearer;
  const cert = readPem(user, "client-certificate", origin);
  if (!cert.ok) return cert;
  const key = readPem(user, "client-key", origin);
  if (!key.ok) return key;
  if ((cert.value === null) !== (key.value === null)) {
    return err("has only one of client-certificate and client-key");
  }
  const actAs = readActAs(user);
  if (!actAs.ok) return actAs;
  const pair = cert.value && key.value && { cert: cert.value, key: key.value };
  return ok({ certificate: pair, bearer: bearer.value, actAs: actAs.value });
}

function readBearer(
  user: Members,
  cluster: () => Members,
  origin: KubeconfigOrigin,
): Result<Bearer, string> {
  const [token, tokenFile, username] = ["token", "tokenFile", "username"].map((name) =>
    textOf(user, name),
  );
  const exec = membersOf(user["exec"]);
  const ways = [token ?? tokenFile, username, exec].filter((way) => way !== null);
  if (ways.length > 1) return err("has more than one of token, username and exec");
  if (exec !== null) return readExec(exec, cluster, origin);
  if (username !== null && username !== undefined) {
    return ok({ kind: "basic", username, password: textOf(user, "password") ?? "" });
  }
  // A file wins over a token beside it, as it may be newer.
  if (tokenFile !== null && tokenFile !== undefined) {
    const path = besides(origin.path, tokenFile);
    const content = origin.readFile(path);
    if (!content.ok) return err(`has a tokenFile that cannot be read (${content.error})`);
    return ok({ kind: "token-file", path });
  }
  return ok(token === null || token === undefined ? { kind: "none" } : { kind: "token", token });
}

function readExec(
  exec: Members,
  cluster: () => Members,
  origin: KubeconfigOrigin,
): Result<Bearer, string> {
  const command = textOf(exec, "command");
  if (command === null) return err("has an exec without a command");
  const apiVersion = textOf(exec, "apiVersion") ?? "";
  if (!/^client\.authentication\.k8s\.io\/v1(alpha1|beta1)?$/.test(apiVersion)) {
    return err("has an exec whose apiVersion is not client.authentication.k8s.io/v1 or v1beta1");
  }
  if (textOf(exec, "interactiveMode") === "Always") {
    return err("has an exec that wants to ask a person (interactiveMode: Always)");
  }
  const given = exec["args"] ?? [];
  const args = Array.isArray(given) ? given.map(String) : [];
  const own = listOf(exec, "env").map((each) => [textOf(each, "name"), textOf(each, "value")]);
  const variables = { ...origin.variables, ...Object.fromEntries(own) };
  const env = Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] != null),
  );
  // As for a shell: what has a slash in it is a path, anything else is looked up.
  const program = command.includes("/") ? besides(origin.path, command) : command;
  const told = flagOf(exec, "provideClusterInfo") ? cluster() : null;
  const plugin = { apiVersion, command: [program, ...args], env, cluster: told };
  return ok({ kind: "exec", plugin });
}

/** The account that the user acts as (kubernetes.io, "User impersonation"). */
function readActAs(user: Members): Result<Readonly<Record<string, string>>, string> {
  const groups = user["as-groups"] ?? [];
  if (!Array.isArray(groups) || groups.length > 1) {
    return err("acts as several groups (as-groups), which is not supported");
  }
  if (membersOf(user["as-user-extra"]) !== null) {
    return err("has as-user-extra, which is not supported");
  }
  const wanted: readonly (readonly [string, string | null])[] = [
    ["impersonate-user", textOf(user, "as")],
    ["impersonate-uid", textOf(user, "as-uid")],
    ["impersonate-group", groups.length === 0 ? null : String(groups[0])],
  ];
  return ok(
    Object.fromEntries(wanted.filter(([, value]) => value !== null)) as Record<string, string>,
  );
}

/**
 * `<name>-data` is the text in base64 and wins over `<name>`, which is a path. Null when neither is
 * given.
 */
function readPem(
  members: Members,
  name: string,
  origin: KubeconfigOrigin,
): Result<Pem | null, string> {
  const data = textOf(members, `${name}-data`);
  if (data !== null) {
    const text = Buffer.from(data, "base64").toString();
    return text.includes("-----BEGIN ")
      ? ok({ kind: "text", text })
      : err(`has a ${name}-data that is no PEM in base64`);
  }
  const file = textOf(members, name);
  if (file === null) return ok(null);
  const path = besides(origin.path, file);
  const content = origin.readFile(path);
  return content.ok
    ? ok({ kind: "file", path })
    : err(`has a ${name} that cannot be read (${content.error})`);
}

const besides = (file: string, path: string): string => resolve(dirname(file), path);
