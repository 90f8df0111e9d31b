import { createKubernetesApi, type KubernetesApi } from "../../../src/providers/kubernetes/api.ts";
import type { KubeAccess } from "../../../src/providers/kubernetes/kubeconfig.ts";
import { laterPort } from "../net/ports.ts";

/** An object of the fake, as it goes over the wire. */
export interface FakeObject {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** What answers instead of the fake; null: the fake does. */
export type KubeAnswer = (request: Request) => Response | null | Promise<Response | null>;

/** What answers as an API server does, as far as lists and watches go. Dispose ends it. */
export interface FakeKubernetes extends AsyncDisposable {
  readonly url: string;
  /** A client of its own. */
  readonly api: KubernetesApi;
  /** `METHOD path` of every request so far, with its query. */
  readonly requests: readonly string[];
  /** The last request's header `Authorization`; empty for none. */
  readonly authorization: string;
  /** Makes these the objects of a collection such as `services`, and tells whoever watches. */
  hold(plural: string, objects: readonly FakeObject[]): void;
  /** Tells whoever watches up to which version everything was told. */
  bookmark(): void;
  /** Ends every watch in good order. */
  endWatches(): void;
  /** Forgets what has happened so far: a watch from before says 410. */
  forget(): void;
  /** How many watches are open. */
  readonly watches: number;
  intercept: KubeAnswer;
  /** Ends everything that is connected, and takes no connections; `start` does again. */
  stop(): Promise<void>;
  start(): void;
}

interface Happened {
  readonly plural: string;
  readonly version: number;
  readonly line: string;
}

/** An access without anything but the URL. */
export const plainAccess = (server: string): KubeAccess => ({
  server,
  tls: { ca: null, serverName: null, verify: true },
  certificate: null,
  bearer: { kind: "none" },
  actAs: {},
  proxy: null,
  ownNamespace: null,
});

/** A fake API that holds nothing yet. */
export function startFakeKubernetes(): FakeKubernetes {
  const port = laterPort();
  const url = `http://127.0.0.1:${port}`;
  const requests: string[] = [];
  const held = new Map<string, Map<string, FakeObject>>();
  const streams = new Map<ReadableStreamDefaultController<string>, string>();
  let history: Happened[] = [];
  let oldest = 0;
  let version = 100;
  let authorization = "";
  let server: Bun.Server<undefined> | null = null;

  const keyOf = ({ metadata }: FakeObject): string => `${metadata.namespace}/${metadata.name}`;
  const versioned = (object: FakeObject): object => ({
    ...object,
    metadata: { ...object.metadata, resourceVersion: String(version) },
  });

  function tell(plural: string, type: string, object: FakeObject): void {
    version += 1;
    const line = `${JSON.stringify({ type, object: versioned(object) })}\n`;
    history.push({ plural, version, line });
    for (const [stream, watched] of streams) if (watched === plural) stream.enqueue(line);
  }

  function list(plural: string, query: URLSearchParams): Response {
    const all = [...(held.get(plural)?.values() ?? [])];
    const from = Number(query.get("continue") ?? 0);
    const to = from + Number(query.get("limit") ?? all.length);
    const next = to < all.length ? { continue: String(to) } : {};
    const metadata = { resourceVersion: String(version), ...next };
    return Response.json({ kind: "List", metadata, items: all.slice(from, to).map(versioned) });
  }

  function watch(plural: string, query: URLSearchParams): Response {
    const since = Number(query.get("resourceVersion"));
    const error = { kind: "Status", message: "too old resource version", code: 410 };
    if (since < oldest)
      return new Response(`${JSON.stringify({ type: "ERROR", object: error })}\n`);
    let own: ReadableStreamDefaultController<string> | null = null;
    const body = new ReadableStream<string>({
      start(stream) {
        own = stream;
        streams.set(stream, plural);
        for (const happened of history) {
          const isNews = happened.plural === plural && happened.version > since;
          if (isNews) stream.enqueue(happened.line);
        }
        // Nothing is sent before there is something in the body.
        stream.enqueue("\n");
      },
      cancel() {
        if (own !== null) streams.delete(own);
      },
    });
    return new Response(body);
  }

  function endWatches(): void {
    for (const stream of streams.keys()) stream.close();
    streams.clear();
  }

  const fake: FakeKubernetes = {
    url,
    api: createKubernetesApi(plainAccess(url)),
    requests,
    get authorization() {
      return authorization;
    },
    hold(plural, objects) {
      const before = held.get(plural) ?? new Map<string, FakeObject>();
      const after = new Map(objects.map((object) => [keyOf(object), object]));
      held.set(plural, after);
      for (const [key, object] of before) if (!after.has(key)) tell(plural, "DELETED", object);
      for (const [key, object] of after) {
        const old = before.get(key);
        if (old === undefined) tell(plural, "ADDED", object);
        else if (!Bun.deepEquals(old, object)) tell(plural, "MODIFIED", object);
      }
    },
    bookmark() {
      const object = { metadata: { resourceVersion: String(version) } };
      const line = `${JSON.stringify({ type: "BOOKMARK", object })}\n`;
      for (const stream of streams.keys()) stream.enqueue(line);
    },
    endWatches,
    forget() {
      history = [];
      version += 1;
      oldest = version;
    },
    get watches() {
      return streams.size;
    },
    intercept: () => null,
    async stop() {
      endWatches();
      await server?.stop(true);
      server = null;
    },
    start() {
      server = Bun.serve({
        hostname: "127.0.0.1",
        port,
        idleTimeout: 0,
        async fetch(request) {
          const { pathname, search, searchParams } = new URL(request.url);
          requests.push(`${request.method} ${pathname}${search}`);
          authorization = request.headers.get("authorization") ?? "";
          const instead = await fake.intercept(request);
          if (instead !== null) return instead;
          const plural = pathname.split("/").at(-1) ?? "";
          return searchParams.has("watch")
            ? watch(plural, searchParams)
            : list(plural, searchParams);
        },
      });
    },
    [Symbol.asyncDispose]: () => fake.stop(),
  };
  fake.start();
  return fake;
}

/** A service with upstream's annotations. */
export function fakeService(
  name: string,
  annotations: Readonly<Record<string, string>>,
  spec: Readonly<Record<string, unknown>> = {},
  namespace = "default",
): FakeObject {
  const prefixed = Object.entries(annotations).map(([key, value]) => [
    `mc-router.itzg.me/${key}`,
    value,
  ]);
  return {
    metadata: { namespace, name, annotations: Object.fromEntries(prefixed) },
    spec: { clusterIP: "1.1.1.1", ...spec },
  };
}

/** A StatefulSet for the service. */
export const fakeStatefulSet = (
  service: string,
  replicas: number,
  ready = 0,
  namespace = "default",
): FakeObject => ({
  metadata: { namespace, name: `${service}-pods` },
  spec: { serviceName: service, replicas },
  status: { readyReplicas: ready },
});
