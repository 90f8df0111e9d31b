import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { median, percentile } from "../bench/measure.ts";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer, firstWord } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import type { FloodJobs } from "../support/net/flood-jobs.ts";
import { makeNetns } from "../support/net/netns.ts";
import type { Peer } from "../support/net/peer.ts";
import { linesOf, noQueue } from "../support/process/e2e-network.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { startWorker } from "../support/process/worker.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const host = "play.example.org";
const opening = login({ host, name: "Steve" });
const floodProcess = join(import.meta.dir, "../support/net/flood-process.ts");
const ms = (value: number): string => `${value.toFixed(1)} ms`;

/** Joins, and gives the connection and how long the first byte took, ms. */
async function enter(router: Router, hostname: string): Promise<{ player: Peer; tookMs: number }> {
  const startedAt = performance.now();
  const player = await connectPlayer({ port: router.port, hostname });
  await player.send(opening);
  await player.waitForLength(opening.length);
  return { player, tookMs: performance.now() - startedAt };
}

test("beyond 1,000 connections exactly the others are refused, at once, and there is room again as soon as somebody goes", async () => {
  using backend = startBackend(echo);
  await using router = await startRouter({
    env: { ...noQueue, MAPPING: `${host}=${backend.address}`, AUTOMC_MAX_CONNECTIONS: "1000" },
  });
  using games = new DisposableStack();
  const players: Peer[] = [];
  for (let count = 0; count < 1_000; count += 1) {
    players.push(games.use((await enter(router, "127.0.0.1")).player));
  }
  await using flood = startWorker<FloodJobs>(floodProcess);
  const place = { hostname: "127.0.0.1", port: router.port };
  const opened = await flood.run("hold", { ...place, count: 500, drip: null });
  // The reset may come before the connect is reported.
  const word = await firstWord(router, host).catch(() => "");
  const lives = await flood.run("lives", { withinMs: 10_000 });
  const echoes: number[] = [];
  for (const player of players) {
    const startedAt = performance.now();
    await player.send(Buffer.from("still"));
    await player.waitForLength(opening.length + 5);
    echoes.push(performance.now() - startedAt);
  }
  for (const player of players.slice(0, 10)) player.reset();
  await until("ten have left", () =>
    Promise.resolve(linesOf(router, "session-ended").length >= 10),
  );
  const again: number[] = [];
  for (let count = 0; count < 10; count += 1) {
    const { player, tookMs } = await enter(router, "127.0.0.1");
    games.use(player);
    again.push(tookMs);
  }
  const longest = Math.max(...lives.ended);
  measured({
    scenario: "T8",
    promise: "P2",
    what: "500 connections beyond the 1,000 that AUTOMC_MAX_CONNECTIONS allows",
    result: `${500 - opened + lives.ended.length} refused, ${lives.open} left; the longest lived ${ms(longest)} (≤ 2,000: 64 have a second to log in and be told), half of them ${ms(median(lives.ended))}; the 1,000 echoed all they were sent, p99 ${ms(percentile(echoes, 0.99))}; when 10 had left 10 got in, the slowest after ${ms(Math.max(...again))}`,
  });
  expect(lives).toMatchObject({ open: 0 });
  expect(word === "" || word.includes("All places are taken")).toBe(true);
  expect(longest).toBeLessThan(2_000);
  expect(again).toHaveLength(10);
  expect(router.lines.filter(({ level }) => level === "error")).toEqual([]);
});

test("of 200 connections from one address those beyond its limit are refused, and others do not notice", async () => {
  using backend = startBackend(echo);
  using netns = makeNetns();
  await using router = await startRouter({
    env: {
      ...noQueue,
      AUTOMC_BIND: netns.outside,
      MAPPING: `${host}=${backend.address}`,
      AUTOMC_CLIENT_CONNECTIONS: "100",
    },
  });
  const place = { hostname: netns.outside, port: router.port };
  await using flood = startWorker<FloodJobs>(floodProcess, netns.enter);
  const drip = { hex: opening.toString("hex"), bytes: 1, everyMs: 1_000 };
  const opened = await flood.run("hold", { ...place, count: 200, drip });
  const during = await flood.run("lives", { withinMs: 1_000 });
  const logins: number[] = [];
  for (let count = 0; count < 100; count += 1) {
    const { player, tookMs } = await enter(router, netns.outside);
    player.reset();
    logins.push(tookMs);
  }
  await flood.run("lives", { withinMs: 10_000 });
  await flood.run("release", null);
  await flood.run("hold", { ...place, count: 50, drip: null });
  const after = await flood.run("lives", { withinMs: 1_000 });
  measured({
    scenario: "T10",
    promise: "P1",
    what: "200 connections from one address, of which AUTOMC_CLIENT_CONNECTIONS allows 100",
    result: `${during.open} were let in, ${200 - opened + during.ended.length} refused as they connected; 100 logins from another address of the same network meanwhile all got in, p99 ${ms(percentile(logins, 0.99))}; when the first had ended ${after.open} of 50 got in`,
  });
  expect(during).toMatchObject({ open: 100 });
  expect(logins).toHaveLength(100);
  expect(after).toMatchObject({ open: 50 });
  expect(router.lines.filter(({ level }) => level === "error")).toEqual([]);
});
