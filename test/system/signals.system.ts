import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostnameOf, type Jobs } from "../bench/jobs.ts";
import { type Load, startLoad } from "../bench/load.ts";
import { median, percentile } from "../bench/measure.ts";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { laterPort } from "../support/net/ports.ts";
import { startOpenRouter } from "../support/postgres/live-table.ts";
import { linesOf, noQueue } from "../support/process/e2e-network.ts";
import { openPipe, startBareRouter, untilOpen } from "../support/process/e2e-process.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { reserveRouterApi } from "../support/process/router-api.ts";
import { expectUnharmed } from "../support/process/unharmed.ts";
import { startWorker } from "../support/process/worker.ts";

setDefaultTimeout(120_000);

const players = 100;
const packets = { perSecond: 20, bytes: 64 } as const;
const host = hostnameOf("echo");
const addressOf = ({ backends }: Load): string => `127.0.0.1:${backends.roles.echo}`;

/** A router before an echo, with a hundred players in the game. */
async function startGame(env: Readonly<Record<string, string>>) {
  const stack = new AsyncDisposableStack();
  const load = stack.use(await startLoad());
  const { router } = stack.use(
    await startOpenRouter({ MAPPING: `${host}=${addressOf(load)}`, ...env }),
  );
  await load.run("open", { port: router.port, hostname: host, count: players, held: false });
  return { load, router, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function isRefused({ port }: Router): Promise<boolean> {
  try {
    (await connectPlayer({ port })).reset();
    return false;
  } catch {
    return true;
  }
}

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;

test("signals that mean nothing, and reloads of good and bad files, cut nobody", async () => {
  const folder = mkdtempSync(join(tmpdir(), "automc-reload-"));
  using _folder = {
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
  const path = join(folder, "routes.json");
  const write = (text: string): void => writeFileSync(path, text);
  write("{}");
  await using game = await startGame({ ROUTES_CONFIG: path });
  const { load, router } = game;

  const seconds = 8;
  const exchanging = load.run("exchange", { ...packets, seconds });
  const harmless = ["SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
  const endsAt = performance.now() + (seconds - 2) * 1000;
  let sent = 0;
  let reloads = 0;
  while (performance.now() < endsAt) {
    const isBad = reloads % 2 === 1;
    write(isBad ? '{"mappings": ' : JSON.stringify({ mappings: { "f.x": addressOf(load) } }));
    for (const signal of harmless) router.signal(signal);
    router.signal("SIGHUP");
    sent += harmless.length;
    reloads += 1;
    // One by one: the same signal twice at once is one signal.
    const done = () => linesOf(router, "reloading").length === reloads;
    while (!done()) await Bun.sleep(5);
    await Bun.sleep(50);
  }
  const exchanged = await exchanging;
  // The last good file is in force, whatever came after it.
  await load.run("logins", { port: router.port, hostnames: ["f.x"] });
  const cut = await load.run("close", {});
  measured({
    scenario: "T31",
    promise: "P7",
    what: `${sent} of ${harmless.join(", ")} and ${reloads} of SIGHUP, with a good and a broken routes file in turn, in ${seconds} s of ${players} games`,
    result: `${cut} of ${players} games cut; all ${exchanged.toLocaleString("en-US")} packets came back; the last good file is in force`,
  });
  expect(reloads).toBeGreaterThan(20);
  expect(cut).toBe(0);
  expectUnharmed(router);
  expect(await router.stop()).toBe(0);
});

test("SIGTERM refuses newcomers at once, lets games go on until the drain's limit, and ends with 0", async () => {
  const limit = 6;
  await using game = await startGame({ AUTOMC_DRAIN_TIMEOUT: `${limit}s` });
  const { load, router } = game;
  const startedAt = performance.now();
  router.signal("SIGTERM");
  while (!(await isRefused(router))) await Bun.sleep(1);
  const refusedAfter = performance.now() - startedAt;
  const exchanged = await load.run("exchange", { ...packets, seconds: limit - 2 });
  const code = await router.waitForExit(20_000);
  const endedAfter = secondsSince(startedAt);
  const [stopped] = linesOf(router, "stopped");
  measured({
    scenario: "T31",
    promise: "P8",
    what: `SIGTERM with ${players} games, AUTOMC_DRAIN_TIMEOUT=${limit}s`,
    result: `newcomers refused after ${refusedAfter.toFixed(0)} ms; all ${exchanged.toLocaleString("en-US")} packets of the next ${limit - 2} s came back; ended with ${code} after ${endedAfter.toFixed(1)} s`,
  });
  expect(code).toBe(0);
  expect(stopped).toMatchObject({ cut: players });
  expect(endedAfter).toBeGreaterThan(limit - 0.5);
  expect(endedAfter).toBeLessThan(limit + 2);
});

const hurries = [
  { name: "SIGTERM twice", first: "SIGTERM", second: "SIGTERM" },
  { name: "SIGINT twice", first: "SIGINT", second: "SIGINT" },
  { name: "SIGTERM and SIGINT", first: "SIGTERM", second: "SIGINT" },
] as const;
test.each(hurries)("$name ends it at once", async ({ name, first, second }) => {
  await using game = await startGame({ AUTOMC_DRAIN_TIMEOUT: "10m" });
  const { router } = game;
  router.signal(first);
  await router.waitForLine(({ event }) => event === "draining");
  const startedAt = performance.now();
  router.signal(second);
  const code = await router.waitForExit();
  const endedAfter = secondsSince(startedAt);
  measured({
    scenario: "T31",
    promise: "P8",
    what: `${name} with ${players} games, AUTOMC_DRAIN_TIMEOUT=10m`,
    result: `ended with ${code} ${endedAfter.toFixed(2)} s after the second`,
  });
  expect(code).toBe(0);
  expect(endedAfter).toBeLessThan(3);
});

test("SIGINT with nobody there ends it at once", async () => {
  await using router = await startRouter({
    env: { DEFAULT: "127.0.0.1:1", AUTOMC_DRAIN_TIMEOUT: "10m" },
  });
  expect(await router.stop("SIGINT", 5_000)).toBe(0);
});

test("a reader of the log that is stopped costs lines and nothing else", async () => {
  await using load = await startLoad();
  await using crowd = startWorker<Jobs>(join(import.meta.dir, "../bench/client-process.ts"));
  const api = reserveRouterApi();
  const port = laterPort();
  using pipe = openPipe();
  await using _router = startBareRouter({
    env: {
      ...noQueue,
      ...api.env,
      PORT: String(port),
      MAPPING: `${host}=${addressOf(load)}`,
      LOG_LEVEL: "trace",
    },
    stderr: pipe.writer,
  });
  pipe.closeWriter();
  await untilOpen(port);
  const dropped = (): Promise<number> => api.metric("automc_log_lines_dropped_total");

  const seconds = 10;
  const rounds = async () => {
    const enough = new AbortController();
    const coming = (async () => {
      let count = 0;
      while (!enough.signal.aborted) {
        const hostnames = Array.from({ length: 50 }, () => host);
        count += (await crowd.run("logins", { port, hostnames })).length;
      }
      return count;
    })();
    const times = await load.run("probe", { port, hostname: host, seconds });
    enough.abort();
    return { times, logins: await coming };
  };
  const before = await rounds();
  // Fill the pipe and the queue behind it.
  for (let round = 0; (await dropped()) === 0 && round < 200; round++) {
    await crowd.run("logins", { port, hostnames: Array.from({ length: 100 }, () => host) });
  }
  const droppedBefore = await dropped();
  const full = await rounds();
  const lost = (await dropped()) - droppedBefore;
  const figures = ({ times }: typeof before) =>
    `${median(times).toFixed(2)} ms, p99 ${percentile(times, 0.99).toFixed(2)} ms`;
  measured({
    scenario: "T32",
    promise: "P7",
    what: `the pipe of the log is full and nobody reads it, for ${seconds} s of ${full.logins} logins at LOG_LEVEL=trace beside a game`,
    result: `a byte and its echo took ${figures(full)}, before the pipe was full ${figures(before)}; ${lost.toLocaleString("en-US")} lines dropped and counted`,
  });
  expect(droppedBefore).toBeGreaterThan(0);
  expect(lost).toBeGreaterThan(0);
  expect(median(full.times)).toBeLessThan(2 * median(before.times) + 2);
  expect(await api.metric("automc_faults_total")).toBe(0);
});
