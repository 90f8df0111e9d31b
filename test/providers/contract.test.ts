import { afterAll, beforeAll, setDefaultTimeout } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ok } from "../../src/base/result.ts";
import { createResolver } from "../../src/net/resolve.ts";
import { createDockerSource } from "../../src/providers/docker/source.ts";
import type { SourceEvent } from "../../src/providers/event.ts";
import { createKubernetesSource } from "../../src/providers/kubernetes/source.ts";
import { createStatefulSets } from "../../src/providers/kubernetes/stateful-sets.ts";
import schema from "../../src/providers/postgres/schema.sql" with { type: "text" };
import { createPostgresSource } from "../../src/providers/postgres/source.ts";
import { createEnvSource } from "../../src/providers/static/env.ts";
import { createStaticRoutes, type StaticRoutes } from "../../src/providers/static/static-routes.ts";
import { createSwarmSource } from "../../src/providers/swarm/source.ts";
import { parseAddress } from "../../src/routing/address.ts";
import type { Route } from "../../src/routing/route.ts";
import type { RouteSource } from "../../src/routing/source.ts";
import { startFakeDocker } from "../support/engines/fake-docker.ts";
import { fakeService, startFakeKubernetes } from "../support/engines/fake-kubernetes.ts";
import { openTcpGate } from "../support/net/tcp-gate.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { until } from "../support/until.ts";
import { type RouteTexts, testSourceContract } from "./contract.ts";
import { dsnOf, scaledTimings } from "./run-source.ts";
import { fileTimings, freshFolder, patternOf } from "./static/run-static-routes.ts";
import { startSwarmEngine } from "./swarm/engine.ts";

const first: RouteTexts = ["a.example x:1", "b.example x:2"];

const split = (text: string): [string, string] => text.split(" ") as [string, string];

function addressOf(text: string): Route["address"] {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

const none = { change: null, damage: null, mend: null };

testSourceContract("env", () => {
  const routes = first.map(split).map(
    ([hostname, address]): Route => ({
      source: "env",
      id: hostname,
      patterns: [patternOf(hostname)],
      address: addressOf(address),
      wake: null,
    }),
  );
  return Promise.resolve({
    source: createEnvSource(routes),
    first,
    ...none,
    close: () => Promise.resolve(),
  });
});

const sourceOf = ({ sources }: StaticRoutes, name: string): RouteSource => {
  const source = sources.find((each) => each.name === name);
  if (source === undefined) throw new Error(`there is no source ${name}`);
  return source;
};

testSourceContract("file", () => {
  const folder = freshFolder();
  const path = join(folder, "routes.json");
  const events: SourceEvent[] = [];
  const write = (routes: RouteTexts): Promise<void> => {
    writeFileSync(path, JSON.stringify({ mappings: Object.fromEntries(routes.map(split)) }));
    return Promise.resolve();
  };
  void write(first);
  const emit = (event: SourceEvent): void => {
    events.push(event);
  };
  const routes = createStaticRoutes({
    path,
    watch: true,
    simplifySrv: false,
    emit,
    timings: fileTimings,
  });
  return Promise.resolve({
    source: sourceOf(routes, "file"),
    first,
    change: write,
    async damage() {
      writeFileSync(path, "{");
      await until("it is told", () => events.some(({ kind }) => kind === "source-lost"));
    },
    mend: () => write(first),
    close() {
      rmSync(folder, { recursive: true });
      return Promise.resolve();
    },
  });
});

testSourceContract("api", async () => {
  const emit = (): void => undefined;
  const routes = createStaticRoutes({ path: null, watch: false, simplifySrv: false, emit });
  let held: RouteTexts = [];
  async function change(wanted: RouteTexts): Promise<void> {
    for (const [hostname] of held.map(split)) await routes.remove(patternOf(hostname));
    for (const [hostname, address] of wanted.map(split)) {
      await routes.set(patternOf(hostname), addressOf(address));
    }
    held = wanted;
  }
  await change(first);
  const source = sourceOf(routes, "api");
  return { source, first, ...none, change, close: () => Promise.resolve() };
});

testSourceContract("docker", () => {
  const fake = startFakeDocker();
  const events: SourceEvent[] = [];
  const change = (routes: RouteTexts): Promise<void> => {
    fake.hold(
      routes.map(split).map(([hostname, address]) => {
        const [host = "", port = ""] = address.split(":");
        const labels = { "mc-router.host": hostname, "mc-router.port": port };
        return { name: hostname, labels, state: "running", networks: { bridge: host } };
      }),
    );
    return Promise.resolve();
  };
  void change(first);
  const source = createDockerSource({
    api: fake.api,
    scaling: { up: false, down: false },
    simplifySrv: false,
    emit: (event) => events.push(event),
    timings: { backoffMs: 1, backoffMaxMs: 8, gapMs: 1 },
  });
  return Promise.resolve({
    source,
    first,
    change,
    async damage() {
      await fake.stop();
      await until("it is told", () => events.some(({ kind }) => kind === "source-lost"));
    },
    mend() {
      fake.start();
      return Promise.resolve();
    },
    close() {
      fake[Symbol.dispose]();
      return Promise.resolve();
    },
  });
});

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

testSourceContract("postgres", async () => {
  const { sql, dsn } = await server.createDatabase();
  await sql.unsafe(schema);
  const change = (routes: RouteTexts): Promise<void> =>
    sql.begin(async (transaction) => {
      await transaction`DELETE FROM servers`;
      for (const [hostname, address] of routes.map(split)) {
        await transaction`INSERT INTO servers VALUES (${hostname}, ${hostname}, ${address})`;
      }
    }) as Promise<void>;
  await change(first);
  const gate = await openTcpGate(server.port);
  const events: SourceEvent[] = [];
  const source = createPostgresSource({
    connections: () => ok({ dsn: dsnOf(dsn({ port: gate.port })), listenDsn: null }),
    resolver: createResolver({}),
    resyncMs: 60_000,
    wakeable: false,
    simplifySrv: false,
    snapshotPath: null,
    emit: (event) => events.push(event),
    timings: scaledTimings(10),
  });
  return {
    source,
    first,
    change,
    async damage() {
      gate.mode = "close";
      gate.cut();
      await until("it is told", () => events.some(({ kind }) => kind === "source-lost"));
    },
    mend() {
      gate.mode = "forward";
      return Promise.resolve();
    },
    close() {
      gate.stop();
      return Promise.resolve();
    },
  };
});

testSourceContract("swarm", async () => {
  const engine = startSwarmEngine();
  const change = (routes: RouteTexts): Promise<void> => {
    engine.hold(
      routes.map(split).map(([hostname, address]) => {
        const [host = "", port = ""] = address.split(":");
        return { hostname, host, port };
      }),
    );
    engine.announce();
    return Promise.resolve();
  };
  await change(first);
  const events: SourceEvent[] = [];
  const source = createSwarmSource({
    api: engine.api,
    scaling: { up: false, down: false },
    simplifySrv: false,
    emit: (event) => events.push(event),
    timings: { backoffMs: 20, backoffMaxMs: 20, gapMs: 1 },
  });
  return {
    source,
    first,
    change,
    async damage() {
      engine.failing = "";
      engine.cut();
      await until("it is told", () => events.some(({ kind }) => kind === "source-lost"));
    },
    mend() {
      engine.failing = null;
      return Promise.resolve();
    },
    close: () => engine[Symbol.asyncDispose]() as Promise<void>,
  };
});

testSourceContract("kubernetes", () => {
  const fake = startFakeKubernetes();
  const hold = (routes: RouteTexts): Promise<void> => {
    const services = routes
      .map(split)
      .map(([externalServerName, proxyServerName], i) =>
        fakeService(`s${i}`, { externalServerName, proxyServerName }),
      );
    return Promise.resolve(fake.hold("services", services));
  };
  void hold(first);
  const events: SourceEvent[] = [];
  return Promise.resolve({
    source: createKubernetesSource({
      api: fake.api,
      namespace: null,
      ownNamespace: null,
      scaling: { up: false, down: false },
      simplifySrv: false,
      statefulSets: createStatefulSets(),
      emit: (event) => events.push(event),
      timings: { backoffMs: 1, backoffMaxMs: 8, gapMs: 1, provenMs: 0 },
    }),
    first,
    change: hold,
    async damage() {
      await fake.stop();
      await until("it is lost", () => events.some(({ kind }) => kind === "source-lost"));
    },
    mend: () => Promise.resolve(fake.start()),
    close: fake.stop,
  });
});
