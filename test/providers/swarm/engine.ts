import { createDockerApi } from "../../../src/providers/docker/api.ts";
import { createSwarmApi, type SwarmApi } from "../../../src/providers/swarm/api.ts";
import { recorded } from "./recording.ts";

/** A service as an engine keeps it, as far as a test writes to it. */
export interface EngineService {
  readonly ID: string;
  readonly CreatedAt: string;
  Version: { Index: number };
  Spec: {
    readonly Name: string;
    readonly Labels: Readonly<Record<string, string>>;
    readonly Mode: { readonly Replicated?: { readonly Replicas?: number } };
  };
}

/** A task as an engine keeps it, as far as a test writes to it. */
export interface EngineTask {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NetworksAttachments: readonly { readonly Addresses: readonly string[] }[];
}

/** A manager's API that gives the recorded answers, and takes changes of services as a real one does. */
export interface SwarmEngine extends AsyncDisposable {
  /** Where it is reached, as `DOCKER_HOST` has it. */
  readonly host: string;
  readonly api: SwarmApi;
  services: EngineService[];
  tasks: EngineTask[];
  /** Every request but for `/_ping` and `/events`: method and path. */
  readonly requests: string[];
  /** The path of a query that fails with status 503; null: none, "" all. */
  failing: string | null;
  /** Runs before each change of a service, with the service. */
  beforeUpdate(service: EngineService): void;
  /** Has these services in place of all others, each with one task that runs at that host. */
  hold(services: readonly { hostname: string; host: string; port: string }[]): void;
  replicasOf(name: string): number | undefined;
  /** How many are following the events. */
  followers(): number;
  /** Tells those that something has changed. */
  announce(): void;
  /** Ends their streams. */
  cut(): void;
}

/** An engine with everything that was recorded. */
export function startSwarmEngine(): SwarmEngine {
  const streams = new Set<ReadableStreamDefaultController<string>>();
  const { services, tasks, networks } = structuredClone(recorded) as unknown as {
    services: EngineService[];
    tasks: EngineTask[];
    networks: readonly unknown[];
  };

  const found = (id: string): EngineService | undefined =>
    engine.services.find(({ ID, Spec }) => ID === id || Spec.Name === id);

  async function answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/_ping")
      return new Response("OK", { headers: { "api-version": "1.41" } });
    const path = url.pathname.replace("/v1.41/", "/");
    const filters = JSON.parse(url.searchParams.get("filters") ?? "{}") as Record<string, string[]>;
    if (path === "/events") return events();
    engine.requests.push(`${request.method} ${path}`);
    if (engine.failing !== null && path.startsWith(engine.failing)) return failure(503, "away");
    const [, , id = "", action = ""] = path.split("/");
    if (path === "/services") {
      const [label = ""] = filters["label"] ?? [];
      return Response.json(engine.services.filter(({ Spec }) => label in Spec.Labels));
    }
    if (path === "/tasks") {
      return Response.json(
        engine.tasks.filter((task) => filters["service"]?.includes(task.ServiceID)),
      );
    }
    if (path === "/networks") return Response.json(networks);
    const service = found(id);
    if (service === undefined) return failure(404, `service ${id} not found`);
    if (action === "") return Response.json(service);
    engine.beforeUpdate(service);
    if (Number(url.searchParams.get("version")) !== service.Version.Index) {
      return failure(500, "rpc error: code = Unknown desc = update out of sequence");
    }
    service.Spec = (await request.json()) as EngineService["Spec"];
    service.Version = { Index: service.Version.Index + 1 };
    return Response.json({ Warnings: null });
  }

  function events(): Response {
    let stream: ReadableStreamDefaultController<string>;
    const body = new ReadableStream<string>({
      start(controller) {
        stream = controller;
        streams.add(controller);
      },
      cancel: () => void streams.delete(stream),
    });
    return new Response(body);
  }

  // An engine keeps a quiet stream of events open for ever.
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer });
  const engine: SwarmEngine = {
    host: `tcp://127.0.0.1:${server.port}`,
    api: createSwarmApi(
      createDockerApi({
        endpoint: { url: `http://127.0.0.1:${server.port}`, unix: null, tls: null },
        version: null,
        timeoutMs: 10_000,
      }),
    ),
    services,
    tasks,
    requests: [],
    failing: null,
    beforeUpdate() {
      // Nobody else changes it.
    },
    hold(wanted) {
      const [service, task] = templates();
      engine.services = wanted.map(({ hostname, port }) => ({
        ...service,
        ID: hostname,
        Spec: {
          ...service.Spec,
          Name: hostname,
          Labels: { "mc-router.host": hostname, "mc-router.port": port },
        },
      }));
      engine.tasks = wanted.map(({ hostname, host }) => ({
        ...task,
        ID: hostname,
        ServiceID: hostname,
        NetworksAttachments: task.NetworksAttachments.map((attachment) => ({
          ...attachment,
          Addresses: [`${host}/24`],
        })),
      }));
    },
    replicasOf: (name) => found(name)?.Spec.Mode.Replicated?.Replicas,
    followers: () => streams.size,
    announce() {
      for (const stream of streams) stream.enqueue('{"Type":"service","Action":"update"}\n');
    },
    cut() {
      for (const stream of streams) stream.close();
      streams.clear();
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return engine;
}

/** A recorded service with one replica, and its task. */
function templates(): readonly [EngineService, EngineTask] {
  const { services, tasks } = recorded as unknown as {
    readonly services: readonly EngineService[];
    readonly tasks: readonly EngineTask[];
  };
  const service = services.find(({ Spec }) => Spec.Name === "running-one");
  const task = tasks.find(({ ServiceID }) => ServiceID === service?.ID);
  if (service === undefined || task === undefined) throw new Error("nothing was recorded");
  return [service, task];
}

const failure = (status: number, message: string): Response =>
  Response.json({ message }, { status });
