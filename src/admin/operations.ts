import { levels } from "../observe/line.ts";

/** What a caller must be allowed to do: nothing, to read, or to change routes, servers and the log level. */
export type Access = "open" | "read" | "change";

/** A JSON Schema (draft 2020-12), as far as this API needs one. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
}

/** One operation of the API. docs/openapi.json is printed from these. */
export interface Operation {
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With `{name}` for a segment that is a parameter. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  /** One of mc-router's: it answers no HEAD, as there. */
  readonly isUpstreams?: true;
  /** A part of the page, which docs/openapi.json leaves out. */
  readonly isPages?: true;
  /** It answers whatever the method, as mc-router's does. */
  readonly takesAnyMethod?: true;
  readonly query?: Readonly<Record<string, { readonly required: boolean; readonly about: string }>>;
  readonly body?: Schema;
  /**
   * By status: what the answer means, and what is in it. Refusals that every operation may give are left out.
   */
  readonly answers: Readonly<Record<number, Answer>>;
}

/** What an answer means. Without a schema it has no body; `media` is JSON where it is left out. */
export interface Answer {
  readonly about: string;
  readonly schema?: Schema;
  readonly media?: string;
}

const text: Schema = { type: "string" };
const textOrNull: Schema = { type: ["string", "null"] };
const count: Schema = { type: "integer" };
const countOrNull: Schema = { type: ["integer", "null"] };
const flag: Schema = { type: "boolean" };
const record = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
});
const list = (items: Schema): Schema => ({ type: "array", items });

const shownRoute = record({ backend: text, scalingTarget: text });
const routeBody = record({ serverAddress: text, backend: text });
const backendBody = record({ backend: text });
const levelBody: Schema = record({ level: { type: "string", enum: levels } });

const serverSchema = record({
  name: text,
  state: {
    type: "string",
    enum: ["unknown", "looking", "starting", "up", "failed", "fixed"],
    description: "fixed: the router can neither start nor stop it.",
  },
  stateMs: { ...countOrNull, description: "For how long it has been in this state." },
  by: { ...textOrNull, description: "What starts and stops it." },
  may: record({ start: flag, stop: flag }),
  address: textOrNull,
  hostnames: list(text),
  routes: list(record({ hostname: text, backend: text, source: text, row: text })),
  source: text,
  row: text,
  players: count,
  waiting: count,
  usualStartMs: { ...countOrNull, description: "The 75th percentile of the last ten starts." },
  startedBy: { ...textOrNull, description: "The player whose login started it." },
  icon: { ...textOrNull, description: "The path of its icon; it changes with the icon." },
  lastFailure: { ...textOrNull, description: "Why the last start failed." },
});

const statusSchema = record({
  version: text,
  commit: text,
  startedAt: text,
  isReady: flag,
  notReady: list(record({ name: text, reason: text })),
  listening: textOrNull,
  sessions: record({ opening: count, waiting: count, relaying: count, limit: countOrNull }),
  servers: {
    type: "object",
    description: "Servers by state.",
    additionalProperties: count,
  },
  sources: list(
    record({
      name: text,
      state: { type: "string", enum: ["reading", "up", "away", "snapshot"] },
      mode: textOrNull,
      routes: count,
      ageMs: { ...countOrNull, description: "How old its routes may be." },
      reason: textOrNull,
    }),
  ),
  services: list(record({ name: text, isUp: flag, reason: textOrNull })),
  warnings: list(record({ at: text, message: text })),
  logLevel: text,
});

const notFound: Answer = { about: "There is no such route or server." };
const conflict: Answer = { about: "Another source owns the route, or the state forbids it." };

/** Every operation, in the order in which the documentation lists them. */
export const operations = [
  {
    id: "listRoutes",
    method: "GET",
    path: "/routes",
    access: "read",
    isUpstreams: true,
    summary: "All routes but the default route, by hostname.",
    answers: {
      200: { about: "The routes.", schema: { type: "object", additionalProperties: shownRoute } },
    },
  },
  {
    id: "createRoute",
    method: "POST",
    path: "/routes",
    access: "change",
    isUpstreams: true,
    summary: "Adds or replaces a route.",
    body: routeBody,
    answers: {
      201: { about: "The route is in force, and saved where a routes file is set." },
      409: conflict,
    },
  },
  {
    id: "deleteRoute",
    method: "DELETE",
    path: "/routes/{serverAddress}",
    access: "change",
    isUpstreams: true,
    summary: "Removes a route of the API or of the routes file.",
    answers: { 200: { about: "The route is removed." }, 404: notFound, 409: conflict },
  },
  {
    id: "readDefaultRoute",
    method: "GET",
    path: "/defaultRoute",
    access: "read",
    isUpstreams: true,
    summary: "The default route.",
    answers: { 200: { about: "The default route.", schema: shownRoute }, 404: notFound },
  },
  {
    id: "setDefaultRoute",
    method: "POST",
    path: "/defaultRoute",
    access: "change",
    isUpstreams: true,
    summary: "Sets the default route.",
    body: backendBody,
    answers: { 200: { about: "The default route is in force." }, 409: conflict },
  },
  {
    id: "deleteDefaultRoute",
    method: "DELETE",
    path: "/defaultRoute",
    access: "change",
    isUpstreams: true,
    summary: "Removes the default route.",
    answers: { 200: { about: "The default route is removed." }, 404: notFound, 409: conflict },
  },
  {
    id: "readMetrics",
    method: "GET",
    path: "/metrics",
    access: "read",
    takesAnyMethod: true,
    summary: "Metrics for Prometheus.",
    answers: { 200: { about: "Text format 0.0.4.", schema: text, media: "text/plain" } },
  },
  {
    id: "readVars",
    method: "GET",
    path: "/vars",
    access: "read",
    takesAnyMethod: true,
    summary: "Variables as Go's expvar package prints them.",
    answers: { 200: { about: "The variables.", schema: { type: "object" } } },
  },
  {
    id: "explainHostname",
    method: "GET",
    path: "/explain",
    access: "read",
    summary: "Where a hostname leads, and every claim on it.",
    query: { host: { required: true, about: "The hostname as a player types it." } },
    answers: {
      200: {
        about: "The claims, the one that gets the players first.",
        schema: record({
          hostname: text,
          backend: textOrNull,
          claims: list(
            record({ pattern: text, backend: text, source: text, row: text, standing: text }),
          ),
        }),
      },
    },
  },
  {
    id: "listSessions",
    method: "GET",
    path: "/sessions",
    access: "read",
    summary: "The connected clients, oldest first.",
    answers: { 200: { about: "The sessions.", schema: list({ type: "object" }) } },
  },
  {
    id: "readStatus",
    method: "GET",
    path: "/status",
    access: "read",
    summary: "What the router does, on one page.",
    answers: { 200: { about: "The status.", schema: statusSchema } },
  },
  {
    id: "listServers",
    method: "GET",
    path: "/servers",
    access: "read",
    summary: "The servers behind the routes, with their states.",
    answers: { 200: { about: "The servers, by name.", schema: list(serverSchema) } },
  },
  {
    id: "readServerIcon",
    method: "GET",
    path: "/servers/{name}/icon",
    access: "read",
    summary: "The icon of a server that the router can start, as players last saw it.",
    answers: {
      200: { about: "64 by 64 pixels.", schema: text, media: "image/png" },
      404: { about: "There is no such server, or its icon is not known." },
    },
  },
  {
    id: "followEvents",
    method: "GET",
    path: "/events",
    access: "read",
    summary:
      "Server-sent events: logins, wakes, routes and sources. Last-Event-ID resumes from the last 1,000.",
    answers: { 200: { about: "The events.", schema: text, media: "text/event-stream" } },
  },
  {
    id: "wakeServer",
    method: "POST",
    path: "/servers/{name}/wake",
    access: "change",
    summary: "Starts a server, as a player who joins does.",
    answers: {
      202: { about: "The start is under way; the server's state shows how it goes." },
      404: notFound,
      409: conflict,
    },
  },
  {
    id: "stopServer",
    method: "POST",
    path: "/servers/{name}/stop",
    access: "change",
    summary: "Stops a server that has no players.",
    query: { force: { required: false, about: "true: also while players are on it." } },
    answers: {
      200: { about: "The server is stopped." },
      404: notFound,
      409: conflict,
      502: { about: "What stops the server refused, or did not answer." },
    },
  },
  {
    id: "readLogLevel",
    method: "GET",
    path: "/log-level",
    access: "read",
    summary: "The level of the log.",
    answers: { 200: { about: "The level.", schema: levelBody } },
  },
  {
    id: "setLogLevel",
    method: "PUT",
    path: "/log-level",
    access: "change",
    summary: "Sets the level of the log until the router's next start.",
    body: levelBody,
    answers: { 200: { about: "The level that is set now.", schema: levelBody } },
  },
  {
    id: "readHealth",
    method: "GET",
    path: "/healthz",
    access: "open",
    summary: "200 from a process that works.",
    answers: { 200: { about: "It works.", schema: record({ status: text }) } },
  },
  {
    id: "readReadiness",
    method: "GET",
    path: "/readyz",
    access: "open",
    summary: "Whether a load balancer may send players here.",
    answers: {
      200: {
        about:
          "It may. Routes of stale sources are as old as that; polled sources are read every few seconds.",
        schema: record({
          status: text,
          stale: list(record({ name: text, ageSeconds: count })),
          polled: list(text),
        }),
      },
      503: { about: "Not yet, or not any more; the members say why." },
    },
  },
  {
    id: "readOpenApi",
    method: "GET",
    path: "/openapi.json",
    access: "read",
    summary: "This document.",
    answers: { 200: { about: "OpenAPI 3.1.", schema: { type: "object" } } },
  },
  {
    id: "readPage",
    method: "GET",
    path: "/",
    access: "open",
    isPages: true,
    summary: "The page.",
    answers: { 200: { about: "The page.", media: "text/html" } },
  },
  {
    id: "readPageScript",
    method: "GET",
    path: "/page/app.js",
    access: "open",
    isPages: true,
    summary: "The page's script.",
    answers: { 200: { about: "The script.", media: "text/javascript" } },
  },
  {
    id: "readPageStyle",
    method: "GET",
    path: "/page/style.css",
    access: "open",
    isPages: true,
    summary: "The page's style.",
    answers: { 200: { about: "The style.", media: "text/css" } },
  },
  {
    id: "readPageIcon",
    method: "GET",
    path: "/page/icon.svg",
    access: "open",
    isPages: true,
    summary: "The page's icon.",
    answers: { 200: { about: "The icon.", media: "image/svg+xml" } },
  },
  {
    id: "readSignIn",
    method: "GET",
    path: "/sign-in",
    access: "open",
    isPages: true,
    summary: "What the caller may do.",
    answers: { 200: { about: "The scope: read, change, or null for nothing." } },
  },
  {
    id: "signIn",
    method: "POST",
    path: "/sign-in",
    access: "open",
    isPages: true,
    summary: "Gives the page a cookie for a token.",
    answers: { 200: { about: "The scope: read or change." } },
  },
  {
    id: "signOut",
    method: "POST",
    path: "/sign-out",
    access: "open",
    isPages: true,
    summary: "Takes the page's cookie back.",
    answers: { 200: { about: "The cookie is taken back." } },
  },
] as const satisfies readonly Operation[];

/** The names of the operations. */
export type OperationId = (typeof operations)[number]["id"];
