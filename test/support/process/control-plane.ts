/** Where a server of the control plane stands. */
export type ServerState = "stopped" | "starting" | "running";

/** A server that the control plane can start. */
export interface PlannedServer {
  readonly name: string;
  readonly state?: ServerState;
  /** Where it is reached once it runs; not needed when `onStart` tells it. */
  readonly address?: string;
  /** How long a start takes; null: until `setRunning` is called. */
  readonly startMs?: number | null;
}

/** What a control plane can do wrong. `answer` is for everything that is a proper HTTP answer of another kind. */
export type Misbehaviour =
  /** Takes the request and never answers. */
  | { readonly kind: "hang" }
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Sends this many bytes of JSON. */
  | { readonly kind: "huge"; readonly bytes: number }
  /** Sends a small gzip body that unpacks to this many bytes. */
  | { readonly kind: "gzip-bomb"; readonly bytes: number }
  /** Sends one byte after the other and never comes to an end. */
  | { readonly kind: "drip"; readonly everyMs: number };

/** Which requests go wrong. Without a server: those for every server. */
export interface MisbehaviourScope {
  readonly server?: string;
  readonly request?: "start" | "state";
}

/** One request as it arrived. */
export interface ControlPlaneRequest {
  readonly atMs: number;
  readonly kind: "start" | "state" | "other";
  readonly method: string;
  /** The path as sent, still encoded. */
  readonly path: string;
  /** The decoded name; null when the path names no server. */
  readonly server: string | null;
  readonly apiKey: string | null;
}

/** How the control plane is set up. */
export interface ControlPlaneOptions {
  readonly servers?: readonly PlannedServer[];
  /** When given, every request must carry it as `X-API-Key`, or is answered 401. */
  readonly token?: string;
  /** Brings a server up and resolves with its address; a rejection makes it stopped again. Without it the planned address is used. */
  readonly onStart?: (name: string) => Promise<string>;
}

/** A real HTTP server that starts and describes Minecraft servers: `POST /servers/{name}/start` and `GET /servers/{name}`. */
export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly requests: readonly ControlPlaneRequest[];
  add(server: PlannedServer): void;
  /** Ends a server's start, or corrects what it says of itself: null is a running server that names no address. */
  setRunning(name: string, address: string | null): void;
  setStopped(name: string): void;
  /** What matching requests meet from now on; null makes them well again. The most recent call that matches decides. */
  misbehave(misbehaviour: Misbehaviour | null, scope?: MisbehaviourScope): void;
  /** How many starts were asked for. */
  starts(name: string): number;
  /** Empties `requests`, for runs of hours. */
  forgetRequests(): void;
}

interface Server {
  readonly plan: PlannedServer;
  state: ServerState;
  address: string | null;
  timer: ReturnType<typeof setTimeout> | null;
}

/** Starts a control plane on 127.0.0.1 and a port of its own. */
export function startControlPlane(options: ControlPlaneOptions = {}): ControlPlane {
  const servers = new Map<string, Server>();
  const requests: ControlPlaneRequest[] = [];
  const rules: { misbehaviour: Misbehaviour | null; scope: MisbehaviourScope }[] = [];
  const closing = new AbortController();

  function add(plan: PlannedServer): void {
    const state = plan.state ?? "stopped";
    servers.set(plan.name, { plan, state, address: plan.address ?? null, timer: null });
  }

  function known(name: string): Server {
    const server = servers.get(name);
    if (!server) throw new Error(`no server ${name} here`);
    return server;
  }

  function setState(server: Server, state: ServerState, address: string | null): void {
    if (server.timer) clearTimeout(server.timer);
    server.timer = null;
    server.state = state;
    server.address = address;
  }

  function start(server: Server): void {
    setState(server, "starting", server.address);
    if (options.onStart) {
      void options.onStart(server.plan.name).then(
        (address) => setState(server, "running", address),
        () => setState(server, "stopped", server.address),
      );
      return;
    }
    const { startMs = 0 } = server.plan;
    if (startMs === null) return;
    server.timer = setTimeout(() => setState(server, "running", server.address), startMs);
  }

  /** The contract itself, with nothing going wrong. */
  function answer(request: ControlPlaneRequest): Response {
    if (options.token !== undefined && request.apiKey !== options.token) {
      return Response.json({ error: "unauthorized" }, { status: 401 });
    }
    const server = request.server === null ? undefined : servers.get(request.server);
    if (!server || request.kind === "other") {
      return Response.json({ error: "no such server" }, { status: 404 });
    }
    if (request.kind === "start") {
      if (server.state === "starting") {
        return Response.json({ error: "already starting" }, { status: 409 });
      }
      if (server.state === "stopped") start(server);
      return Response.json({ state: server.state }, { status: 202 });
    }
    const { state, address } = server;
    return Response.json(state === "running" && address !== null ? { state, address } : { state });
  }

  function misbehaviourFor(request: ControlPlaneRequest): Misbehaviour | null {
    const rule = rules.findLast(
      ({ scope }) =>
        (scope.server === undefined || scope.server === request.server) &&
        (scope.request === undefined || scope.request === request.kind),
    );
    return rule?.misbehaviour ?? null;
  }

  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // No limit of Bun's own: hanging is what some tests ask for.
    idleTimeout: 0,
    fetch(raw) {
      const request = describe(raw);
      requests.push(request);
      const misbehaviour = misbehaviourFor(request);
      return misbehaviour === null ? answer(request) : misanswer(misbehaviour, closing.signal);
    },
  });
  for (const server of options.servers ?? []) add(server);

  return {
    url: `http://127.0.0.1:${http.port}`,
    port: Number(http.port),
    requests,
    add,
    setRunning: (name, address) => setState(known(name), "running", address),
    setStopped: (name) => setState(known(name), "stopped", known(name).plan.address ?? null),
    misbehave(misbehaviour, scope = {}) {
      rules.push({ misbehaviour, scope });
    },
    starts: (name) =>
      requests.filter(({ kind, server }) => kind === "start" && server === name).length,
    forgetRequests() {
      requests.length = 0;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      for (const server of servers.values()) {
        if (server.timer) clearTimeout(server.timer);
      }
      await http.stop(true);
    },
  };
}

/** A request in the words of the contract. */
function describe(request: Request): ControlPlaneRequest {
  const path = new URL(request.url).pathname;
  const parts = path.match(/^\/servers\/([^/]+)(\/start)?$/);
  return {
    atMs: performance.now(),
    kind: parts === null ? "other" : requestKind(request.method, parts[2] !== undefined),
    method: request.method,
    path,
    server: parts?.[1] === undefined ? null : decodeURIComponent(parts[1]),
    apiKey: request.headers.get("x-api-key"),
  };
}

/** What a request to a server's path asks for. */
function requestKind(method: string, isStart: boolean): ControlPlaneRequest["kind"] {
  if (method === "POST" && isStart) return "start";
  if (method === "GET" && !isStart) return "state";
  return "other";
}

/** The wrong answer that is asked for. A hanging one ends when the control plane does. */
function misanswer(misbehaviour: Misbehaviour, closing: AbortSignal): Response | Promise<Response> {
  switch (misbehaviour.kind) {
    case "hang":
      return new Promise((resolve) => {
        closing.addEventListener("abort", () => resolve(new Response(null, { status: 503 })));
      });
    case "answer":
      return new Response(misbehaviour.body ?? null, {
        status: misbehaviour.status,
        headers: { ...misbehaviour.headers },
      });
    case "huge":
      return new Response(fillerJson(misbehaviour.bytes), { headers: jsonType });
    case "gzip-bomb":
      return new Response(gzipBomb(misbehaviour.bytes), {
        headers: { ...jsonType, "content-encoding": "gzip" },
      });
    case "drip":
      return new Response(drip(misbehaviour.everyMs, closing), { headers: jsonType });
  }
}

const jsonType = { "content-type": "application/json" };

const bombs = new Map<number, Uint8Array<ArrayBuffer>>();

/** What unpacks to so many bytes; packed once only, which takes about a second for 200 MB. */
function gzipBomb(bytes: number): Uint8Array<ArrayBuffer> {
  const bomb = bombs.get(bytes) ?? Bun.gzipSync(Buffer.from(fillerJson(bytes)));
  bombs.set(bytes, bomb);
  return bomb;
}

/** JSON that would be a good answer were it not so long. */
function fillerJson(bytes: number): string {
  const [head, tail] = ['{"state":"running","address":"127.0.0.1:1","filler":"', '"}'];
  return head + "x".repeat(Math.max(0, bytes - head.length - tail.length)) + tail;
}

/** The beginning of a good answer, then spaces without end. */
function drip(everyMs: number, closing: AbortSignal): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('{"state":"running",'));
      timer = setInterval(() => controller.enqueue(Buffer.from(" ")), everyMs);
      closing.addEventListener("abort", () => clearInterval(timer));
    },
    cancel: () => clearInterval(timer),
  });
}
