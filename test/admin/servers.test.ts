import { expect, test } from "bun:test";
import { serversOf, serverViews } from "../../src/admin/servers.ts";
import { makeAddress, nowhere } from "../../src/routing/address.ts";
import type { Route } from "../../src/routing/route.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import type { LiveSession } from "../../src/session/sessions.ts";
import { patternOf } from "../providers/static/run-static-routes.ts";

const routeOf = (given: Partial<Route> & { readonly id: string }, ...hosts: string[]): Route => ({
  source: "postgres",
  patterns: hosts.map(patternOf),
  address: makeAddress("10.0.0.5", 25565),
  wake: { kind: "control-plane", server: given.id },
  ...given,
});

const session = (route: string, isRelayed: boolean, intent = "login" as const): LiveSession => ({
  facts: {
    id: 1,
    client: { ip: "192.0.2.1", port: 1 },
    intent,
    protocol: 770,
    rawHost: null,
    hostname: route,
    route,
    row: null,
    backend: null,
    player: null,
    waitedMs: null,
  },
  durationMs: 1,
  relayed: isRelayed ? { toBackend: 0, toClient: 0 } : null,
});

const mayStart = () => ({ start: true, stop: false });

test("hostnames that lead to one server are one server, whoever routes them", () => {
  const table = createRouteTable();
  table.replace("env", [routeOf({ id: "a.x", source: "env", wake: null }, "a.x")]);
  table.replace("api", [routeOf({ id: "b.x", source: "api", wake: null }, "b.x")]);
  table.replace("postgres", [routeOf({ id: "survival" }, "s.x", "*.s.x")]);
  expect(serversOf(table.entries()).map(({ name, routes }) => [name, routes])).toEqual([
    [
      "10.0.0.5:25565",
      [
        { hostname: "a.x", backend: "10.0.0.5:25565", source: "env", row: "a.x" },
        { hostname: "b.x", backend: "10.0.0.5:25565", source: "api", row: "b.x" },
      ],
    ],
    [
      "survival",
      [
        { hostname: "*.s.x", backend: "10.0.0.5:25565", source: "postgres", row: "survival" },
        { hostname: "s.x", backend: "10.0.0.5:25565", source: "postgres", row: "survival" },
      ],
    ],
  ]);
});

test("a server has its state, its address of the moment, and who is on it or waits for it", () => {
  const table = createRouteTable();
  table.replace("postgres", [
    routeOf({ id: "survival", address: nowhere }, "s.x", "t.x"),
    routeOf({ id: "creative" }, "c.x"),
  ]);
  const views = serverViews(serversOf(table.entries()), {
    wakes: new Map([
      [
        "control-plane:survival",
        {
          state: "up",
          stateMs: 1_200.4,
          address: "10.0.0.9:25565",
          waiting: 1,
          startedBy: "Alex",
          lastFailure: null,
          usualStartMs: 8_000,
        },
      ],
    ]),
    sessions: [session("s.x", true), session("t.x", true), session("t.x", false)],
    may: mayStart,
    icon: ({ id }) => (id === "survival" ? { png: new Uint8Array(), version: "abc" } : null),
  });
  expect(views).toMatchObject([
    { name: "creative", state: "unknown", stateMs: null, address: "10.0.0.5:25565", icon: null },
    {
      name: "survival",
      state: "up",
      stateMs: 1_200,
      address: "10.0.0.9:25565",
      players: 2,
      waiting: 1,
      startedBy: "Alex",
      usualStartMs: 8_000,
      may: { start: true, stop: false },
      icon: "/servers/survival/icon?v=abc",
    },
  ]);
});
