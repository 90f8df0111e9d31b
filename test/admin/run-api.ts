import { rmSync } from "node:fs";
import { connect } from "node:net";
import { parseBinding } from "../../src/admin/binding.ts";
import {
  type AdminServer,
  type AdminServerDeps,
  startAdminServer,
} from "../../src/admin/server.ts";
import { err } from "../../src/base/result.ts";
import type { AuditEvent } from "../../src/observe/events.ts";
import { makeAddress } from "../../src/routing/address.ts";
import type { Route, SourceName } from "../../src/routing/route.ts";
import {
  freshFolder,
  patternOf,
  type RunningStaticRoutes,
  runStaticRoutes,
} from "../providers/static/run-static-routes.ts";
import { freshView } from "../support/process/router-view.ts";

/** An API at work over real sources, with a routes file. */
export interface RunningApi extends RunningStaticRoutes {
  readonly server: AdminServer;
  /** Where a TCP API is: `http://127.0.0.1:1234`. */
  readonly origin: string;
  readonly faults: Error[];
  readonly audited: readonly AuditEvent[];
  readonly warned: readonly string[];
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Response>;
  /** The status of a call, and its body's text. */
  answer(method: string, path: string, body?: unknown): Promise<readonly [number, string]>;
  /** Sends bytes, and gives everything that comes back until the server closes. */
  raw(text: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts an API on a free port of 127.0.0.1, unless the binding says otherwise. */
export async function runApi(
  deps: Partial<AdminServerDeps> & { readonly at?: (folder: string) => string } = {},
): Promise<RunningApi> {
  const folder = freshFolder();
  const running = await runStaticRoutes(folder);
  const { at, ...rest } = deps;
  const binding = parseBinding(at?.(folder) ?? "127.0.0.1:0");
  if (!binding.ok) throw new Error(binding.error);
  const faults: Error[] = [];
  const audited: AuditEvent[] = [];
  const warned: string[] = [];
  const started = await startAdminServer({
    binding: binding.value,
    tokens: () => ({ change: null, read: null }),
    hosts: [],
    build: { version: "1.2.3", commit: "abc" },
    ...freshView(),
    servers: {
      wakes: () => new Map(),
      may: () => ({ start: false, stop: false }),
      icon: () => null,
      start: () => err("no"),
      stop: () => Promise.resolve(err("no")),
    },
    audit: (event) => audited.push(event),
    warn: (message) => warned.push(message),
    table: running.table,
    routes: running.routes,
    simplifySrv: false,
    scalingTarget: ({ id }) => (id === "woken.lan" ? "target" : ""),
    notReady: () => [],
    sessions: () => [],
    metrics: () => new Response("metrics"),
    vars: () => Response.json({ cmdline: [] }),
    fault: (error) => faults.push(error),
    ...rest,
  });
  if (!started.ok) {
    await running.supervisor.stop();
    rmSync(folder, { recursive: true });
    throw new Error(started.error);
  }
  const server = started.value;
  const port = Number(server.binding.split(":").at(-1));
  const origin = `http://127.0.0.1:${port}`;

  function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return fetch(`${origin}${path}`, { method, body: text, headers, redirect: "manual" });
  }

  return {
    ...running,
    server,
    origin,
    faults,
    audited,
    warned,
    call,
    async answer(method, path, body) {
      const response = await call(method, path, body);
      return [response.status, await response.text()];
    },
    raw: (text) =>
      new Promise((resolve, reject) => {
        const socket = connect(port, "127.0.0.1");
        let answer = "";
        socket.on("data", (data) => {
          answer += data.toString("latin1");
        });
        socket.once("close", () => resolve(answer));
        socket.once("error", reject);
        socket.write(text);
      }),
    async stop() {
      await server.stop();
      await running.supervisor.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A route of another source, for the table. */
export const routeOf = (source: SourceName, name: string, host: string): Route => ({
  source,
  id: name,
  patterns: [patternOf(name)],
  address: makeAddress(host, 1),
  wake: null,
});
