import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type KubeCluster,
  type KubeObject,
  kubePrograms,
  startKubeCluster,
} from "../support/engines/kube-cluster.ts";
import {
  gameServer,
  type Rights,
  readRights,
  routerAccount,
} from "../support/engines/kube-manifests.ts";
import { startKubelet } from "../support/engines/kubelet.ts";
import {
  join as joinGame,
  pingServer,
  startMinecraftServer,
} from "../support/minecraft/minecraft.ts";
import { laterPort } from "../support/net/ports.ts";
import { linesOf, noQueue } from "../support/process/e2e-network.ts";
import { startBareRouter } from "../support/process/e2e-process.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const version = "1.21.11";
const programs = await kubePrograms();

describe.skipIf(programs === null)("in a real cluster", () => {
  let cluster: KubeCluster;
  beforeAll(async () => {
    cluster = await startKubeCluster(programs ?? "");
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  /** A namespace of its own for a test, with an account that has these rights. */
  async function makeNamespace(rights: readonly Rights[]): Promise<string> {
    const namespace = `n${crypto.randomUUID().slice(0, 8)}`;
    await cluster.apply(routerAccount(namespace, rights));
    return namespace;
  }

  /** The settings of a router with that account, which looks into that namespace. */
  async function settings(namespace: string): Promise<Record<string, string>> {
    const user = { token: await cluster.token(namespace, "router") };
    return { ...noQueue, KUBE_CONFIG: cluster.kubeconfig({ user }), KUBE_NAMESPACE: namespace };
  }

  const annotate = (
    namespace: string,
    service: string,
    annotations: Record<string, string | null>,
  ) =>
    cluster.ask(
      "PATCH",
      `/api/v1/namespaces/${namespace}/services/${service}`,
      {
        metadata: {
          annotations: Object.fromEntries(
            Object.entries(annotations).map(([key, value]) => [`mc-router.itzg.me/${key}`, value]),
          ),
        },
      },
      "application/merge-patch+json",
    );

  const removeService = (namespace: string, service: string) =>
    cluster.ask("DELETE", `/api/v1/namespaces/${namespace}/services/${service}`);

  async function replicasOf(namespace: string, name: string): Promise<number> {
    const where = `/apis/apps/v1/namespaces/${namespace}/statefulsets/${name}-pods`;
    return (await cluster.ask("GET", where)).spec.replicas;
  }

  test("a server without pods is started by whoever joins, and stopped when nobody is there", async () => {
    const namespace = await makeNamespace([...readRights, scaleRights]);
    const annotations = { externalServerName: "survival.example.org" };
    await cluster.apply(gameServer({ namespace, name: "survival", annotations, replicas: 0 }));
    await using kubelet = startKubelet(cluster, { namespace, version, bootMs: 3_000 });
    await using router = await startRouter({
      env: {
        ...(await settings(namespace)),
        AUTO_SCALE_UP: "true",
        AUTO_SCALE_DOWN: "true",
        AUTO_SCALE_DOWN_AFTER: "2s",
        AUTOMC_IDLE_COUNTS: "logins",
        AUTO_SCALE_ASLEEP_MOTD: "Join to start it",
      },
    });

    const at = { port: router.port, host: "survival.example.org", version };
    expect((await pingServer(at)).status).toMatchObject({
      description: { text: "Join to start it" },
    });
    expect(await replicasOf(namespace, "survival")).toBe(0);

    const joined = await joinGame({ ...at, username: "Steve", timeoutMs: 60_000 });
    expect(joined).toMatchObject({ kind: "joined" });
    expect(kubelet.servers.get("survival-pods-0")?.players()).toEqual(["Steve"]);
    expect(linesOf(router, "wake-done").at(-1)).toMatchObject({ row: `${namespace}:survival` });
    if (joined.kind === "joined") joined.session[Symbol.dispose]();

    await until("the server has no pods again", () => kubelet.servers.size === 0, 30_000);
    expect(await replicasOf(namespace, "survival")).toBe(0);
    await router.waitForLine(({ event }) => event === "sleep-done");
    const again = await joinGame({ ...at, username: "Alex", timeoutMs: 60_000 });
    expect(again).toMatchObject({ kind: "joined" });
    if (again.kind === "joined") again.session[Symbol.dispose]();
  });

  test("services are routed as they come, change and go", async () => {
    const namespace = await makeNamespace(readRights);
    await using router = await startRouter({ env: { ...(await settings(namespace)), ...api } });
    const routed = routesOf(router);
    expect(await routed()).toEqual({});

    const annotations = { externalServerName: "a.example.org, b.example.org" };
    await cluster.apply(
      gameServer({ namespace, name: "one", annotations, port: 25570, replicas: 1 }),
    );
    const { spec } = await cluster.ask("GET", `/api/v1/namespaces/${namespace}/services/one`);
    const backend = `${spec.clusterIP}:25570`;
    await until("both hostnames", async () => Object.keys(await routed()).length === 2);
    expect(await routed()).toEqual({ "a.example.org": backend, "b.example.org": backend });

    await annotate(namespace, "one", {
      externalServerName: "b.example.org",
      proxyServerName: "velocity",
    });
    await until("the proxy", async () =>
      Bun.deepEquals(await routed(), { "b.example.org": "velocity:25565" }),
    );
    await annotate(namespace, "one", {
      externalServerName: null,
      defaultServer: "yes",
      proxyServerName: null,
    });
    await until("no hostname", async () => Object.keys(await routed()).length === 0);
    expect(await defaultRoute(router)).toBe(backend);
    await removeService(namespace, "one");
    await until("no default route", async () => (await defaultRoute(router)) === null);
  });

  test("services of one name in two namespaces are two servers", async () => {
    const namespaces = await Promise.all([makeNamespace([]), makeNamespace([])]);
    for (const [i, namespace] of namespaces.entries()) {
      const annotations = { externalServerName: `n${i}.example.org` };
      await cluster.apply(gameServer({ namespace, name: "lobby", annotations, replicas: 0 }));
    }
    const [, second = ""] = namespaces;
    await using kubelet = startKubelet(cluster, { namespace: second, version, bootMs: 0 });
    const env = { ...noQueue, ...api, KUBE_CONFIG: cluster.kubeconfig(), AUTO_SCALE_UP: "true" };
    await using router = await startRouter({ env });
    const joined = await joinGame({
      port: router.port,
      host: "n1.example.org",
      version,
      username: "Steve",
      timeoutMs: 60_000,
    });
    expect(joined).toMatchObject({ kind: "joined" });
    expect(kubelet.servers.size).toBe(1);
    expect(await Promise.all(namespaces.map((each) => replicasOf(each, "lobby")))).toEqual([0, 1]);
    const targets = await routeTargets(router);
    expect([targets["n0.example.org"], targets["n1.example.org"]]).toEqual(
      namespaces.map((each) => `${each}:lobby`),
    );
  });

  const proxyRows: readonly (readonly [string, Record<string, string>, number])[] = [
    ["at once, as the proxy is up", {}, 0],
    ["when the server's pod is ready", { AUTOMC_KUBE_AWAIT_PODS: "true" }, 1],
    ["once they have proven to be a game", { AUTOMC_WAKE_PROOF: "true" }, 0],
  ];
  test.each(proxyRows)("behind a proxy players are let in %s", async (_, extra, running) => {
    const namespace = await makeNamespace([...readRights, scaleRights]);
    await using proxy = await startMinecraftServer({ version });
    const annotations = { externalServerName: "b.example.org", proxyServerName: proxy.address };
    await cluster.apply(gameServer({ namespace, name: "behind", annotations, replicas: 0 }));
    await using kubelet = startKubelet(cluster, { namespace, version, bootMs: 5_000 });
    const env = { ...(await settings(namespace)), AUTO_SCALE_UP: "true", ...extra };
    await using router = await startRouter({ env });
    const at = { port: router.port, host: "b.example.org", version };
    const joined = await joinGame({ ...at, username: "Steve", timeoutMs: 60_000 });
    expect(joined).toMatchObject({ kind: "joined" });
    expect(proxy.players()).toEqual(["Steve"]);
    expect(kubelet.servers.size).toBe(running);
    expect(await replicasOf(namespace, "behind")).toBe(1);
    if (joined.kind === "joined") joined.session[Symbol.dispose]();
  });

  test("a router whose API is away at the start routes what it knows without it", async () => {
    const closed = laterPort();
    const server = `https://localhost:${closed}`;
    const env = {
      ...noQueue,
      ...api,
      KUBE_CONFIG: cluster.kubeconfig({ cluster: { server } }),
      MAPPING: "m.example.org=127.0.0.1:1",
    };
    await using router = await startRouter({ env });
    const times = ["source-lost", "listening"].map((event) =>
      Date.parse(String(linesOf(router, event)[0]?.["time"])),
    );
    const [lostAt = 0, listeningAt = Number.POSITIVE_INFINITY] = times;
    // Far from the 5 s that other sources are waited for.
    expect(listeningAt - lostAt).toBeLessThan(2_500);
    expect(Object.keys(await routesOf(router)())).toEqual(["m.example.org"]);
    expect((await askApi(router, "/readyz")).status).toBe(503);
  });

  const refusedRights: readonly (readonly [string, Rights, string[]])[] = [
    [
      "patch on StatefulSets, as mc-router asks for",
      { groups: ["apps"], resources: ["statefulsets"], verbs: ["patch"] },
      ["get"],
    ],
    [
      "update of the scale alone",
      { groups: ["apps"], resources: ["statefulsets/scale"], verbs: ["update"] },
      ["get"],
    ],
  ];
  test.each(refusedRights)("%s is enough to start a server", async (_, rights, verbs) => {
    const look: Rights = { groups: ["apps"], resources: ["statefulsets/scale"], verbs };
    const alsoGet: Rights = {
      groups: ["apps"],
      resources: ["statefulsets"],
      verbs: ["get", "update"],
    };
    const isUpdate = rights.verbs.includes("update");
    const namespace = await makeNamespace([
      ...readRights,
      look,
      rights,
      ...(isUpdate ? [alsoGet] : []),
    ]);
    const annotations = { externalServerName: "s.example.org", autoScaleUp: "true" };
    await cluster.apply(gameServer({ namespace, name: "s", annotations, replicas: 0 }));
    await using _kubelet = startKubelet(cluster, { namespace, version, bootMs: 0 });
    await using router = await startRouter({ env: await settings(namespace) });
    const joined = await joinGame({
      port: router.port,
      host: "s.example.org",
      version,
      username: "Steve",
      timeoutMs: 60_000,
    });
    expect(joined).toMatchObject({ kind: "joined" });
  });

  test("a router without rights runs, says what it needs, and goes on when it has that", async () => {
    const namespace = await makeNamespace([]);
    const annotations = {
      externalServerName: "r.example.org",
      autoScaleUp: "true",
      autoScaleWaitTimeout: "3s",
    };
    await cluster.apply(gameServer({ namespace, name: "r", annotations, replicas: 0 }));
    await using router = await startRouter({
      env: { ...(await settings(namespace)), ...api, AUTOMC_WAKE_COOLDOWN: "0" },
    });
    const lost = await router.waitForLine(({ event }) => event === "source-lost");
    expect(lost).toMatchObject({ level: "warn", source: "kubernetes" });
    expect(lost["reason"]).toMatch(
      /status 403: services is forbidden.*a Role in it has to allow list and watch on services/,
    );
    const unready = await askApi(router, "/readyz");
    expect(unready.status).toBe(503);
    expect(await unready.text()).toContain("services is forbidden");

    const [services] = readRights;
    if (services) await cluster.apply(routerAccount(namespace, [services]));
    await router.waitForLine(({ event }) => event === "source-live", 30_000);
    expect((await askApi(router, "/readyz")).status).toBe(200);
    await router.waitForLine(
      ({ msg }) => /the StatefulSets cannot be read: .*statefulsets/.test(String(msg)),
      30_000,
    );
    const at = { port: router.port, host: "r.example.org", version, timeoutMs: 30_000 };
    expect(await joinGame({ ...at, username: "Steve" })).toMatchObject({ kind: "disconnected" });

    await cluster.apply(routerAccount(namespace, readRights));
    await until(
      "the StatefulSets are read",
      async () => {
        await joinGame({ ...at, username: "Alex" });
        const [failed] = linesOf(router, "wake-failed").slice(-1);
        return /cannot get resource "statefulsets\/scale".*a Role has to allow get/.test(
          String(failed?.["reason"]),
        );
      },
      60_000,
    );
  });

  test("a pod's router reads a token that was exchanged, and is told apart from one that is not", async () => {
    const namespace = await makeNamespace(readRights);
    const annotations = { externalServerName: "p.example.org" };
    await cluster.apply(gameServer({ namespace, name: "p", annotations, replicas: 1 }));
    const pod = await makePod(cluster, namespace, "router");
    await using router = await startRouter({
      within: pod.within,
      env: {
        ...noQueue,
        ...api,
        ...pod.env,
        IN_KUBE_CLUSTER: "true",
        KUBE_NAMESPACE: namespace,
        LOG_LEVEL: "debug",
      },
    });
    const routed = routesOf(router);
    expect(Object.keys(await routed())).toEqual(["p.example.org"]);

    // An account that is made anew has other tokens; the API no longer takes the old one.
    await cluster.ask("DELETE", `/api/v1/namespaces/${namespace}/serviceaccounts/router`);
    await cluster.apply(routerAccount(namespace, readRights));
    await cluster.kill();
    await cluster.start();
    const lost = await router.waitForLine(
      ({ event, reason }) => String(event).startsWith("source-") && String(reason).includes("401"),
      60_000,
    );
    expect(lost).toMatchObject({ source: "kubernetes" });
    expect(Object.keys(await routed())).toEqual(["p.example.org"]);
    await pod.exchangeToken();
    await annotate(namespace, "p", { externalServerName: "q.example.org" });
    await until(
      "the change is seen",
      async () => Object.keys(await routed()).join() === "q.example.org",
      60_000,
    );
  });

  test("while the API is away everything stays as it was, and what has changed meanwhile is found", async () => {
    const namespace = await makeNamespace([...readRights, scaleRights]);
    for (const name of ["stays", "goes"]) {
      const annotations = { externalServerName: `${name}.example.org` };
      await cluster.apply(gameServer({ namespace, name, annotations, replicas: 1 }));
    }
    await using kubelet = startKubelet(cluster, { namespace, version, bootMs: 0 });
    const env = {
      ...(await settings(namespace)),
      ...api,
      AUTO_SCALE_UP: "true",
      LOG_LEVEL: "debug",
    };
    await using router = await startRouter({ env });
    const routed = routesOf(router);
    await until("both servers run", () => kubelet.servers.size === 2, 30_000);

    await cluster.kill();
    await router.waitForLine(({ event }) => event === "source-lost");
    await router.waitForLine(({ event }) => event === "source-retry");
    expect(Object.keys(await routed())).toEqual(["goes.example.org", "stays.example.org"]);
    expect((await askApi(router, "/readyz")).status).toBe(200);
    const at = { port: router.port, host: "stays.example.org", version };
    const joined = await joinGame({ ...at, username: "Steve", timeoutMs: 30_000 });
    expect(joined).toMatchObject({ kind: "joined" });

    // The router hears nothing of this: it is faster than its next attempt.
    await cluster.start();
    await removeService(namespace, "goes");
    await until(
      "the deletion is seen",
      async () => Object.keys(await routed()).join() === "stays.example.org",
      60_000,
    );
    if (joined.kind !== "joined") throw new Error("not reached");
    expect(joined.session.isConnected).toBe(true);
    joined.session[Symbol.dispose]();
  });

  test("a version that the API has forgotten makes it list again, and nobody need know", async () => {
    const namespace = await makeNamespace(readRights);
    await cluster.apply(
      gameServer({
        namespace,
        name: "c",
        annotations: { externalServerName: "before.example.org" },
        replicas: 1,
      }),
    );
    await using between = startShortWatches(cluster);
    const env = { ...noQueue, ...api, KUBE_CONFIG: between.kubeconfig, KUBE_NAMESPACE: namespace };
    await using router = await startRouter({ env });
    const routed = routesOf(router);
    expect(Object.keys(await routed())).toEqual(["before.example.org"]);

    await between.holdWatches();
    await annotate(namespace, "c", { externalServerName: "after.example.org" });
    await cluster.compact();
    await cluster.kill();
    await cluster.start();
    between.letWatches();
    await until(
      "the change is seen",
      async () => Object.keys(await routed()).join() === "after.example.org",
      60_000,
    );
    expect(between.gone()).toBeGreaterThan(0);
    expect(linesOf(router, "source-lost")).toEqual([]);
  });

  test("the documentation's manifests are taken as they are, and route and start its server", async () => {
    const objects = documented();
    for (const object of objects) await cluster.apply(JSON.stringify(object));
    for (const object of objects) {
      // The API drops what it does not know. Of a secret it makes something else.
      if (object.kind !== "Secret") expect(await cluster.get(object)).toMatchObject(object);
    }
    const namespace = "minecraft";
    const { spec } = objects.find(({ kind }) => kind === "Deployment");
    const [container] = spec.template.spec.containers;
    const secret = objects.find(({ kind }) => kind === "Secret");
    const pod = await makePod(cluster, namespace, spec.template.spec.serviceAccountName);
    const user = String(container.securityContext.runAsUser);
    const port = laterPort();
    await using _kubelet = startKubelet(cluster, { namespace, version, bootMs: 500 });
    await using router = await startRouter({
      within: [
        ...pod.within,
        ...readOnlyRoot,
        "setpriv",
        `--reuid=${user}`,
        `--regid=${user}`,
        "--clear-groups",
      ],
      env: {
        ...envOf(container, namespace, secret.stringData),
        ...pod.env,
        API_BINDING: `:${port}`,
      },
    });
    const { httpGet } = container.readinessProbe;
    const probed = await fetch(`http://127.0.0.1:${port}${httpGet.path}`, {
      headers: { host: `10.0.0.7:${port}` },
    });
    expect(probed.status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/routes`)).status).toBe(401);

    const at = { port: router.port, host: "survival.example.org", version };
    const text = "Survival is asleep. Join to start it.";
    expect((await pingServer(at)).status).toMatchObject({ description: { text } });
    const joined = await joinGame({ ...at, username: "Steve", timeoutMs: 60_000 });
    expect(joined).toMatchObject({ kind: "joined" });
    if (joined.kind === "joined") joined.session[Symbol.dispose]();
  });

  describe("a kubeconfig", () => {
    const credential = (token: string): string =>
      JSON.stringify({ kind: "ExecCredential", status: { token } });
    const exec = (script: string) => ({
      exec: {
        apiVersion: "client.authentication.k8s.io/v1beta1",
        command: "sh",
        args: ["-c", script],
      },
    });
    const rows: readonly (readonly [
      string,
      () => { cluster?: object; user?: object },
      string | RegExp,
    ])[] = [
      ["with a token", () => ({}), "event=source-live"],
      [
        "with a client certificate",
        () => ({ user: { "client-certificate": "admin.crt", "client-key": "admin.key" } }),
        "event=source-live",
      ],
      [
        "with all texts inside",
        () => ({
          cluster: {
            server: `https://localhost:${cluster.port}`,
            "certificate-authority-data": base64(cluster.ca),
          },
          user: {
            "client-certificate-data": base64(cluster.admin.cert),
            "client-key-data": base64(cluster.admin.key),
          },
        }),
        "event=source-live",
      ],
      [
        "with a program for tokens",
        () => ({ user: exec(`echo '${credential("administrator")}'`) }),
        "event=source-live",
      ],
      [
        "whose program fails",
        () => ({ user: exec("echo no account >&2; exit 3") }),
        "sh ended with 3: no account",
      ],
      [
        "whose program gives a wrong token",
        () => ({ user: exec(`echo '${credential("wrong")}'`) }),
        "status 401",
      ],
      ["with a wrong token", () => ({ user: { token: "wrong" } }), "status 401: Unauthorized"],
      [
        "without a user",
        () => ({ user: {} }),
        /status 403.*system:anonymous.*a ClusterRole has to allow/,
      ],
      [
        "who acts as somebody else",
        () => ({ user: { token: "administrator", as: "nobody" } }),
        /status 403.*nobody/,
      ],
      [
        "for an address that the certificate does not have",
        () => ({
          cluster: {
            server: `https://127.0.0.1:${cluster.port}`,
            "certificate-authority": "ca.crt",
          },
        }),
        "ERR_TLS_CERT_ALTNAME_INVALID",
      ],
      [
        "with the certificate's name",
        () => ({
          cluster: {
            server: `https://127.0.0.1:${cluster.port}`,
            "certificate-authority": "ca.crt",
            "tls-server-name": "kubernetes.test",
          },
        }),
        "event=source-live",
      ],
      [
        "that believes everybody",
        () => ({
          cluster: {
            server: `https://127.0.0.1:${cluster.port}`,
            "insecure-skip-tls-verify": true,
          },
        }),
        "event=source-live",
      ],
      [
        "without the authority",
        () => ({ cluster: { server: `https://localhost:${cluster.port}` } }),
        "unable to verify the first certificate",
      ],
    ];
    test.each(rows)("%s", async (_, parts, expected) => {
      const log = join(cluster.folder, crypto.randomUUID());
      const env = { PORT: "0", KUBE_CONFIG: cluster.kubeconfig(parts()) };
      await using _router = startBareRouter({ env, stderr: openSync(log, "w") });
      const told = (): string => readFileSync(log, "utf8");
      await until("it is told how it went", () => /event=source-(live|lost)/.test(told()), 30_000);
      expect(told()).toMatch(expected);
    });
  });
});

const scaleRights: Rights = {
  groups: ["apps"],
  resources: ["statefulsets/scale"],
  verbs: ["get", "patch"],
};
const api = { API_BINDING: "127.0.0.1:0" } as const;
const base64 = (path: string): string => readFileSync(path).toString("base64");

/** Asks the router's own API. */
async function askApi(router: Router, path: string): Promise<Response> {
  const { binding } = await router.waitForLine(({ event }) => event === "api-listening");
  return await fetch(`http://${binding}${path}`);
}

interface ApiRoute {
  readonly backend: string;
  readonly scalingTarget: string;
}

async function apiRoutes(router: Router): Promise<readonly (readonly [string, ApiRoute])[]> {
  return Object.entries(
    (await (await askApi(router, "/routes")).json()) as Record<string, ApiRoute>,
  );
}

/** The backends of a router's routes, by hostname. */
const routesOf = (router: Router) => async (): Promise<Record<string, string>> =>
  Object.fromEntries((await apiRoutes(router)).map(([host, { backend }]) => [host, backend]));

async function routeTargets(router: Router): Promise<Record<string, string>> {
  const routes = await apiRoutes(router);
  return Object.fromEntries(routes.map(([host, { scalingTarget }]) => [host, scalingTarget]));
}

/** Null when there is none. */
async function defaultRoute(router: Router): Promise<string | null> {
  const answer = await askApi(router, "/defaultRoute");
  return answer.ok ? ((await answer.json()) as { backend: string }).backend : null;
}

/** Something between a router and the API that ends watches after a second, and can hold further ones up. */
interface ShortWatches extends AsyncDisposable {
  readonly kubeconfig: string;
  /** Resolves when a watch is held up. */
  holdWatches(): Promise<void>;
  letWatches(): void;
  /** How often the API has said that a version is gone. */
  gone(): number;
}

function startShortWatches(cluster: KubeCluster): ShortWatches {
  let held: {
    readonly first: PromiseWithResolvers<void>;
    readonly let: PromiseWithResolvers<void>;
  } | null = null;
  let gone = 0;
  const tls = { ca: readFileSync(cluster.ca, "utf8") };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch({ url, headers, signal }) {
      const { pathname, search, searchParams } = new URL(url);
      if (searchParams.get("watch") === "true") {
        held?.first.resolve();
        await held?.let.promise;
      }
      const query = search.replace(/timeoutSeconds=\d+/, "timeoutSeconds=1");
      const authorization = headers.get("authorization") ?? "";
      const where = `https://localhost:${cluster.port}${pathname}${query}`;
      const answer = await fetch(where, { headers: { authorization }, tls, signal });
      const text = await answer.text();
      if (text.includes('"code":410')) gone += 1;
      return new Response(text, { status: answer.status });
    },
  });
  return {
    kubeconfig: cluster.kubeconfig({ cluster: { server: `http://127.0.0.1:${server.port}` } }),
    holdWatches() {
      held = { first: Promise.withResolvers<void>(), let: Promise.withResolvers<void>() };
      return held.first.promise;
    },
    letWatches() {
      held?.let.resolve();
      held = null;
    },
    gone: () => gone,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

/** What surrounds a program in a pod. */
interface Pod {
  /** Runs a command where the account's files are. */
  readonly within: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** As the kubelet does it, before the old one expires. */
  exchangeToken(): Promise<void>;
}

async function makePod(cluster: KubeCluster, namespace: string, account: string): Promise<Pod> {
  const files = join(cluster.folder, `pod-${crypto.randomUUID()}`);
  const exchangeToken = async (): Promise<void> => {
    await Bun.write(join(files, "token"), await cluster.token(namespace, account));
  };
  await exchangeToken();
  await Bun.write(join(files, "ca.crt"), Bun.file(cluster.ca));
  await Bun.write(join(files, "namespace"), namespace);
  const mounted = "/run/secrets/kubernetes.io/serviceaccount";
  const mount = `mount -t tmpfs none /run && mkdir -p ${mounted} && mount --bind ${files} ${mounted} && exec "$0" "$@"`;
  return {
    within: ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount],
    env: { KUBERNETES_SERVICE_HOST: "localhost", KUBERNETES_SERVICE_PORT: String(cluster.port) },
    exchangeToken,
  };
}

const readOnlyRoot = ["sh", "-c", 'mount -o remount,bind,ro / && exec "$0" "$@"'] as const;

/** The objects of docs/kubernetes.yml, and of the examples in docs/kubernetes.md. */
function documented(): readonly KubeObject[] {
  const read = (name: string): string =>
    readFileSync(join(import.meta.dir, "../../docs", name), "utf8");
  const examples = [...read("kubernetes.md").matchAll(/^```yaml\n(.*?)^```$/gms)].map(
    ([, yaml = ""]) => yaml,
  );
  return [read("kubernetes.yml"), ...examples].flatMap(
    (yaml) => Bun.YAML.parse(yaml) as KubeObject[],
  );
}

/** The environment that a container is given. */
function envOf(
  container: KubeObject,
  namespace: string,
  secrets: Record<string, string>,
): Record<string, string> {
  const entries = container.env.map(({ name, value, valueFrom }: KubeObject) => {
    if (value !== undefined) return [name, value];
    if (valueFrom.fieldRef?.fieldPath === "metadata.namespace") return [name, namespace];
    return [name, secrets[valueFrom.secretKeyRef.key]];
  });
  return Object.fromEntries(entries);
}
