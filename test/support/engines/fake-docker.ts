import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDockerApi, type DockerApi } from "../../../src/providers/docker/api.ts";

/** A container of the fake, in few words. */
export interface FakeContainer {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
  /** IP addresses by network. */
  readonly networks: Readonly<Record<string, string>>;
  /** Further names, on all networks; a listing does not tell them. */
  readonly aliases?: readonly string[];
}

/** What answers instead of the fake; null: nothing does. */
export type FakeAnswer = (request: Request) => Response | null | Promise<Response | null>;

/** What answers at a socket as a Docker engine does, as far as a test says. Dispose ends it. */
export interface FakeDocker extends Disposable {
  readonly socket: string;
  /** A client of its own. */
  readonly api: DockerApi;
  /** `METHOD path` of every request so far, with its query. */
  readonly requests: readonly string[];
  /** How many streams of events are open. */
  readonly streams: number;
  /** What a listing has, as it goes over the wire. */
  list: readonly unknown[];
  /** What an inspection of an id or name has; undefined: there is no such container. */
  inspect(name: string): unknown;
  /** Makes these the containers, and tells whoever listens. */
  hold(containers: readonly FakeContainer[]): void;
  /** What answers requests before the fake does. */
  intercept: FakeAnswer;
  /** Sends an event to all who listen. */
  emit(event: unknown): void;
  /** Ends the streams of events. */
  cut(): void;
  /** Takes the socket away, and everything that is connected; `start` brings it back. */
  stop(): Promise<void>;
  start(): void;
}

/** A fake engine that holds nothing yet. */
export function startFakeDocker(): FakeDocker {
  const directory = mkdtempSync(join(tmpdir(), "automc-fake-docker-"));
  const socket = join(directory, "sock");
  const requests: string[] = [];
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const inspections = new Map<string, unknown>();
  /** Every event so far, and when it was, in Unix seconds. */
  const history: { readonly at: number; readonly line: Uint8Array }[] = [];
  let server: Bun.Server<undefined> | null = null;

  const fake: FakeDocker = {
    socket,
    api: createDockerApi({
      endpoint: { url: "http://localhost", unix: socket, tls: null },
      version: null,
      timeoutMs: 2_000,
    }),
    requests,
    get streams() {
      return streams.size;
    },
    list: [],
    inspect: (name) => inspections.get(name),
    hold(containers) {
      fake.list = containers.map(summaryOf);
      inspections.clear();
      for (const container of containers) {
        for (const key of [container.name, idOf(container)]) {
          inspections.set(key, inspectionOf(container));
        }
      }
      fake.emit({ Type: "container", Action: "start" });
    },
    intercept: () => null,
    emit(event) {
      const line = new TextEncoder().encode(`${JSON.stringify(event)}\n`);
      history.push({ at: Date.now() / 1_000, line });
      for (const stream of streams) stream.enqueue(line);
    },
    cut() {
      for (const stream of streams) stream.close();
      streams.clear();
    },
    async stop() {
      streams.clear();
      await server?.stop(true);
      server = null;
    },
    start() {
      server = Bun.serve({ unix: socket, fetch: answer });
    },
    [Symbol.dispose]() {
      void server?.stop(true);
      rmSync(directory, { recursive: true, force: true });
    },
  };

  async function answer(request: Request): Promise<Response> {
    const { pathname, search, searchParams } = new URL(request.url);
    requests.push(`${request.method} ${pathname}${search}`);
    const intercepted = await fake.intercept(request);
    if (intercepted !== null) return intercepted;
    if (pathname === "/_ping") return new Response(null, { headers: { "api-version": "1.41" } });
    const [, name = "", verb = ""] = /\/containers\/([^/]+)\/(\w+)$/.exec(pathname) ?? [];
    if (pathname.endsWith("/events")) return openStream(searchParams.get("since"));
    if (pathname.endsWith("/containers/json")) return Response.json(fake.list);
    const inspection = fake.inspect(name);
    if (inspection === undefined) {
      return Response.json({ message: `No such container: ${name}` }, { status: 404 });
    }
    return verb === "json" ? Response.json(inspection) : new Response(null, { status: 204 });
  }

  /** As an engine does it, with the events since then first. */
  function openStream(since: string | null): Response {
    let own: ReadableStreamDefaultController<Uint8Array> | null = null;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        own = controller;
        streams.add(controller);
        // Headers are sent with the first byte.
        controller.enqueue(new TextEncoder().encode("\n"));
        if (since === null) return;
        for (const { at, line } of history) if (at >= Number(since)) controller.enqueue(line);
      },
      cancel() {
        if (own !== null) streams.delete(own);
      },
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  }

  fake.start();
  return fake;
}

/** The id that the fake gives a container: 64 digits, as an engine's are. */
export const idOf = ({ name }: Pick<FakeContainer, "name">): string =>
  new Bun.CryptoHasher("sha256").update(name).digest("hex");

const summaryOf = (container: FakeContainer): unknown => ({
  Id: idOf(container),
  Names: [`/${container.name}`],
  Labels: container.labels,
  State: container.state,
  NetworkSettings: { Networks: networksOf(container, null) },
});

const inspectionOf = (container: FakeContainer): unknown => ({
  Id: idOf(container),
  Name: `/${container.name}`,
  State: { Status: container.state, ExitCode: container.state === "running" ? 0 : 3 },
  Config: { Labels: container.labels },
  NetworkSettings: { Networks: networksOf(container, container.aliases ?? []) },
});

const networksOf = (
  { networks }: FakeContainer,
  aliases: readonly string[] | null,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(networks).map(([name, ip]) => [
      name,
      { NetworkID: idOf({ name }), IPAddress: ip, GlobalIPv6Address: "", Aliases: aliases },
    ]),
  );
