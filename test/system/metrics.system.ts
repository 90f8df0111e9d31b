import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { startLoad } from "../bench/load.ts";
import { rssBytes } from "../bench/measure.ts";
import { createDice, freshSeed } from "../support/dice.ts";
import { measured } from "../support/docs/reliability.ts";
import type { FloodJobs } from "../support/net/flood-jobs.ts";
import { laterPort } from "../support/net/ports.ts";
import { noQueue } from "../support/process/e2e-network.ts";
import { startBareRouter, untilOpen } from "../support/process/e2e-process.ts";
import { reserveRouterApi } from "../support/process/router-api.ts";
import { startWorker } from "../support/process/worker.ts";

setDefaultTimeout(300_000);

const thousands = (count: number): string => count.toLocaleString("en-US");

test("hostnames and names that clients make up add no series to the metrics, and nothing to memory", async () => {
  await using load = await startLoad();
  const suffix = "wild.example.org";
  const api = reserveRouterApi();
  const port = laterPort();
  const stderr = openSync("/dev/null", "w");
  await using router = startBareRouter({
    env: {
      ...noQueue,
      ...api.env,
      PORT: String(port),
      MAPPING: `*.${suffix}=127.0.0.1:${load.backends.roles.echo}`,
    },
    stderr,
  });
  closeSync(stderr);
  await untilOpen(port);
  const path = join(import.meta.dir, "../support/net/flood-process.ts");
  await using flood = startWorker<FloodJobs>(path);
  const { seed } = createDice(freshSeed());
  const place = { hostname: "127.0.0.1", port, parallel: 64, suffix };

  // After some of everything, all series that there will ever be are there.
  await flood.run("names", { ...place, count: 20_000, seed });
  const before = await api.metrics();
  const base = rssBytes(router.pid);
  const count = 200_000;
  const startedAt = performance.now();
  const answered = await flood.run("names", { ...place, count, seed: seed + 1 });
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await api.metrics();
  const grown = (rssBytes(router.pid) - base) / 1e6;
  const connections = (metrics: ReadonlyMap<string, number>): number =>
    metrics.get('mc_router_frontend_connections{side="frontend"}') ?? 0;
  measured({
    scenario: "T36",
    promise: "P2",
    what: `${thousands(count)} logins with hostnames and names by chance (${thousands(Math.round(count / seconds))}/s), half of them below a wildcard, seed ${seed}`,
    result: `${before.size} series before, ${after.size} after; ${thousands(answered)} were answered by the backend; memory ${grown < 0 ? "" : "+"}${grown.toFixed(1)} MB`,
  });
  expect([...after.keys()].filter((series) => !before.has(series))).toEqual([]);
  expect(connections(after) - connections(before)).toBe(count);
  expect(answered).toBeGreaterThan(count / 3);
  expect(grown).toBeLessThan(20);
  expect(after.get("automc_faults_total")).toBe(0);
});
