import { expect, test } from "bun:test";
import { createReadiness, readinessResponse } from "../../src/admin/health.ts";
import type { SourceName } from "../../src/routing/route.ts";

test("the router is ready when the port is open and every source has been read, until it stops", () => {
  const published = new Set<SourceName>(["env"]);
  const readiness = createReadiness({ sources: ["env", "postgres"], published: () => published });
  const names = () => readiness.notReady().map(({ name }) => name);

  expect(names()).toEqual(["listener", "postgres"]);
  readiness.observe({ kind: "listening", address: "::", port: 25565, sessionLimit: 1 });
  expect(readiness.notReady()).toEqual([{ name: "postgres", reason: "its routes are being read" }]);
  const lost = { kind: "source-lost", source: "postgres", reason: "refused", routes: 0 } as const;
  readiness.observe(lost);
  expect(readiness.notReady()).toEqual([{ name: "postgres", reason: "refused" }]);
  published.add("postgres");
  expect(names()).toEqual([]);
  readiness.observe(lost);
  expect(names()).toEqual([]);
  readiness.observe({ kind: "draining", signal: "SIGTERM", sessions: 0, drainMs: 1 });
  expect(readiness.notReady()).toEqual([{ name: "listener", reason: "the router is stopping" }]);
});

test("who is not ready is told to people and to programs", async () => {
  const sources = [
    { name: "env", ageMs: null, mode: null },
    { name: "docker", ageMs: 0, mode: "notify" },
    { name: "postgres", ageMs: 86_400_400, mode: "poll" },
  ] as const;
  expect(await readinessResponse([], []).json()).toEqual({
    status: "ready",
    stale: [],
    polled: [],
  });
  expect(await readinessResponse([], sources).json()).toEqual({
    status: "ready",
    stale: [{ name: "postgres", ageSeconds: 86_400 }],
    polled: ["postgres"],
  });
  const notReady = [{ name: "postgres", reason: "refused" }];
  const response = readinessResponse(notReady, sources);
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "The router is not ready",
    status: 503,
    detail: "postgres: refused",
    notReady,
  });
});
