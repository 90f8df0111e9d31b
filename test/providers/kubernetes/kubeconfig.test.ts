import { describe, expect, test } from "bun:test";
import { err, ok, type Result } from "../../../src/base/result.ts";
import {
  type KubeAccess,
  parseKubeconfig,
  podAccess,
} from "../../../src/providers/kubernetes/kubeconfig.ts";

const pem = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
const base64 = Buffer.from(pem).toString("base64");

/** Only what lies below /etc/kube is there. */
const readFile = (path: string): Result<string, string> =>
  path.startsWith("/etc/kube/") ? ok(pem) : err("ENOENT");

const parse = (text: string): Result<KubeAccess, string> =>
  parseKubeconfig(text, {
    path: "/etc/kube/config",
    variables: { PATH: "/bin", NONE: undefined },
    readFile,
  });

/** A kubeconfig with these members of its cluster and user, in YAML's flow style. */
const kubeconfig = (cluster: string, user: string): string => `
apiVersion: v1
kind: Config
current-context: here
clusters:
- name: other
  cluster: {server: "https://other"}
- name: c
  cluster: {server: "https://api.example:6443/k8s/", ${cluster}}
contexts:
- name: here
  context: {cluster: c, user: u, namespace: games}
users:
- name: u
  user: {${user}}
`;

function accessOf(cluster = "", user = ""): KubeAccess {
  const access = parse(kubeconfig(cluster, user));
  if (!access.ok) throw new Error(access.error);
  return access.value;
}

const file = (path: string) => ({ kind: "file", path }) as const;

describe("a kubeconfig", () => {
  test("without anything more", () => {
    expect(accessOf()).toEqual({
      server: "https://api.example:6443/k8s",
      tls: { ca: null, serverName: null, verify: true },
      certificate: null,
      bearer: { kind: "none" },
      actAs: {},
      proxy: null,
      ownNamespace: "games",
    });
  });

  const text = { kind: "text", text: pem } as const;
  const exec = "apiVersion: client.authentication.k8s.io/v1";
  const rows: readonly (readonly [string, string, string, object])[] = [
    [
      "an authority beside it",
      "certificate-authority: ca.crt",
      "",
      { tls: { ca: file("/etc/kube/ca.crt") } },
    ],
    ["an authority inside", `certificate-authority-data: ${base64}`, "", { tls: { ca: text } }],
    [
      "the inner one of both",
      `certificate-authority: ca.crt, certificate-authority-data: ${base64}`,
      "",
      { tls: { ca: text } },
    ],
    ["any server", "insecure-skip-tls-verify: true", "", { tls: { verify: false } }],
    ["another name", "tls-server-name: kubernetes", "", { tls: { serverName: "kubernetes" } }],
    ["a proxy", 'proxy-url: "http://proxy:3128"', "", { proxy: "http://proxy:3128" }],
    ["a token", "", "token: abc", { bearer: { kind: "token", token: "abc" } }],
    [
      "a token's file",
      "",
      "tokenFile: token",
      { bearer: { kind: "token-file", path: "/etc/kube/token" } },
    ],
    [
      "the file of both",
      "",
      "token: abc, tokenFile: /etc/kube/t",
      { bearer: { kind: "token-file", path: "/etc/kube/t" } },
    ],
    [
      "a password",
      "",
      "username: me, password: secret",
      { bearer: { kind: "basic", username: "me", password: "secret" } },
    ],
    [
      "a certificate",
      "",
      "client-certificate: c.crt, client-key: c.key",
      { certificate: { cert: file("/etc/kube/c.crt"), key: file("/etc/kube/c.key") } },
    ],
    [
      "a program",
      "",
      `exec: {${exec}, command: bin/login, args: [--id, 7], env: [{name: A, value: b}]}`,
      {
        bearer: {
          kind: "exec",
          plugin: {
            apiVersion: "client.authentication.k8s.io/v1",
            command: ["/etc/kube/bin/login", "--id", "7"],
            env: { PATH: "/bin", A: "b" },
            cluster: null,
          },
        },
      },
    ],
    [
      "a program that wants to know the cluster",
      "certificate-authority: ca.crt, tls-server-name: k",
      `exec: {${exec}, command: login, provideClusterInfo: true}`,
      {
        bearer: {
          plugin: {
            cluster: {
              server: "https://api.example:6443/k8s/",
              "tls-server-name": "k",
              "certificate-authority-data": base64,
            },
          },
        },
      },
    ],
    [
      "a program of the PATH",
      "",
      `exec: {${exec}beta1, command: login}`,
      { bearer: { plugin: { command: ["login"] } } },
    ],
    [
      "somebody else's rights",
      "",
      "token: abc, as: bob, as-uid: '7', as-groups: [devs]",
      { actAs: { "impersonate-user": "bob", "impersonate-uid": "7", "impersonate-group": "devs" } },
    ],
  ];
  test.each(rows)("with %s", (_, cluster, user, expected) => {
    expect(accessOf(cluster, user)).toMatchObject(expected);
  });

  const wrong: readonly (readonly [string, string, string, string])[] = [
    [
      "two ways to log in",
      "",
      "token: secret1, username: me",
      "more than one of token, username and exec",
    ],
    [
      "a half certificate",
      "",
      "client-certificate: c.crt",
      "only one of client-certificate and client-key",
    ],
    [
      "no such file",
      "certificate-authority: /nowhere",
      "",
      "a certificate-authority that cannot be read (ENOENT)",
    ],
    ["no such token", "", "tokenFile: /nowhere", "a tokenFile that cannot be read (ENOENT)"],
    [
      "data that is none",
      "certificate-authority-data: secret1",
      "",
      "certificate-authority-data that is no PEM in base64",
    ],
    [
      "an authority that is not asked",
      "certificate-authority: ca.crt, insecure-skip-tls-verify: true",
      "",
      "insecure-skip-tls-verify beside",
    ],
    [
      "another kind of proxy",
      'proxy-url: "socks5://secret1@p"',
      "",
      "a proxy-url that is not http",
    ],
    [
      "a vanished way to log in",
      "",
      "auth-provider: {name: gcp}",
      "auth-provider, which is not supported: use exec",
    ],
    ["a program of no version", "", "exec: {command: login}", "whose apiVersion is not"],
    ["a program without a name", "", `exec: {${exec}}`, "an exec without a command"],
    [
      "a program for people",
      "",
      `exec: {${exec}, command: login, interactiveMode: Always}`,
      "wants to ask a person",
    ],
    ["several groups", "", "as: bob, as-groups: [a, b]", "several groups"],
    ["extra rights", "", "as: bob, as-user-extra: {a: [b]}", "as-user-extra"],
  ];
  test.each(wrong)("with %s is refused", (_, cluster, user, expected) => {
    const access = parse(kubeconfig(cluster, user));
    if (access.ok) throw new Error("it was taken");
    expect(access.error).toContain(expected);
    expect(access.error).not.toContain("secret1");
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ["", "nothing", "no YAML mapping"],
    ["a: [secret1", "no YAML", "it is no YAML"],
    ["apiVersion: v1", "no context", "no current-context"],
    ["current-context: x", "a context that is not there", 'no context "x"'],
    [
      "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]",
      "no cluster",
      'no cluster "c"',
    ],
    [
      "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://x'}}]",
      "no user",
      'no user "u"',
    ],
    [
      "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'x:6443'}}]",
      "no URL",
      "no server that is a URL",
    ],
  ];
  test.each(broken)("%j is refused: %s", (text, _, expected) => {
    const access = parse(text);
    if (access.ok) throw new Error("it was taken");
    expect(access.error).toContain(expected);
    expect(access.error).not.toContain("secret1");
  });
});

describe("a pod", () => {
  const directory = "/var/run/secrets/kubernetes.io/serviceaccount";
  const files: Record<string, string> = {
    [`${directory}/token`]: "t",
    [`${directory}/ca.crt`]: pem,
    [`${directory}/namespace`]: "games\n",
  };
  const variables = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  const readPodFile = (path: string): Result<string, string> => {
    const text = files[path];
    return text === undefined ? err(`ENOENT: ${path}`) : ok(text);
  };

  test("has what it is given", () => {
    expect(podAccess({ variables, readFile: readPodFile })).toEqual({
      ok: true,
      value: {
        server: "https://[fd00::1]:443",
        tls: { ca: file(`${directory}/ca.crt`), serverName: null, verify: true },
        certificate: null,
        bearer: { kind: "token-file", path: `${directory}/token` },
        actAs: {},
        proxy: null,
        ownNamespace: "games",
      },
    });
  });

  test("that is none is refused", () => {
    expect(podAccess({ variables: {}, readFile: readPodFile })).toEqual({
      ok: false,
      error: "needs KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which pods have",
    });
    expect(podAccess({ variables, readFile: () => err("ENOENT") })).toEqual({
      ok: false,
      error: "needs a file that can be read (ENOENT)",
    });
    expect(podAccess({ variables, readFile: () => ok(" ") })).toEqual({
      ok: false,
      error: `needs a file that is not empty (${directory}/token)`,
    });
  });
});
