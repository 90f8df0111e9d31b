import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { requireProgram } from "../support/process/debian.ts";
import { noQueue } from "../support/process/e2e-network.ts";
import { type NotifySocket, openNotifySocket } from "../support/process/notify-socket.ts";
import { startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "automc-notify-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const watchdogMs = 2_000;

const start = (socket: NotifySocket, env: Readonly<Record<string, string>>) =>
  startRouter({
    env: {
      ...noQueue,
      NOTIFY_SOCKET: socket.path,
      WATCHDOG_USEC: String(watchdogMs * 1_000),
      ...env,
    },
  });

const names = { path: "path", abstract: "abstract name" } as const;

const opening = login({ host: "play.example.org", name: "Steve" });

/** The longest time without a word to the watchdog, from that moment until now, ms. */
function longestGap(socket: NotifySocket, sinceMs: number): number {
  let last = sinceMs;
  let longest = 0;
  for (const { atMs } of [...socket.of("WATCHDOG"), { atMs: performance.now() }]) {
    if (atMs < sinceMs) continue;
    longest = Math.max(longest, atMs - last);
    last = atMs;
  }
  return longest;
}

test.each(["path", "abstract"] as const)(
  "systemd hears of start, players, reload and stop (socket: %s)",
  async (kind) => {
    using socket = openNotifySocket(kind);
    using backend = startBackend(echo);
    await using router = await start(socket, { DEFAULT: backend.address });
    await until("it is ready", () => socket.of("READY").length > 0);
    const readyAt = performance.now();
    expect(socket.notices()[0]?.fields).toEqual({
      READY: "1",
      STATUS: "1 route, 0 players, 0 waiting",
    });

    const player = await connectPlayer({ port: router.port });
    await player.send(opening);
    await player.read(opening.length);
    await until("the status has the player", () =>
      socket.of("STATUS").some(({ fields }) => fields["STATUS"]?.includes("1 player,")),
    );
    // Reads what has come in small steps, so that the times are those of the arrivals.
    while (performance.now() < readyAt + 3 * watchdogMs) {
      socket.notices();
      await Bun.sleep(20);
    }
    const gap = longestGap(socket, readyAt);
    expect(socket.of("READY").length).toBe(1);

    router.signal("SIGHUP");
    await until("it is ready again", () => socket.of("READY").length === 2);
    const [reloading] = socket.of("RELOADING");
    expect(Number(reloading?.fields["MONOTONIC_USEC"])).toBeGreaterThan(0);

    router.signal("SIGTERM");
    await until("it says that it stops", () => socket.of("STOPPING").length === 1);
    const [stopping] = socket.of("STOPPING");
    expect(stopping?.fields["STATUS"]).toBe("stopping: 1 route, 1 player, 0 waiting");
    expect(socket.of("EXTEND_TIMEOUT_USEC").length).toBeGreaterThan(0);
    player.close();
    expect(await router.waitForExit()).toBe(0);
    measured({
      scenario: "T34",
      promise: "P8",
      what: `Type=notify with WatchdogSec=2, a NOTIFY_SOCKET by ${names[kind]}`,
      result: `READY once, after the routes; at most ${Math.round(gap)} ms between two words to the watchdog (limit: half the time); RELOADING and READY at SIGHUP; STOPPING at SIGTERM`,
    });
    expect(gap).toBeLessThan(watchdogMs / 2);
  },
);

test("a loop that stands still feeds no watchdog", async () => {
  using socket = openNotifySocket();
  const preload = join(folder, "block.ts");
  // The binary has no way to stand still; a script that Bun loads before it does that at a signal. The
  // router refuses to run with the variable that loads it.
  writeFileSync(
    preload,
    `delete process.env.BUN_OPTIONS; process.on("SIGUSR2", () => Bun.sleepSync(4_000));`,
  );
  await using router = await start(socket, {
    DEFAULT: "127.0.0.1:1",
    BUN_OPTIONS: `--preload=${preload}`,
  });
  await until("it is fed", () => socket.of("WATCHDOG").length > 0);
  router.signal("SIGUSR2");
  await Bun.sleep(200);
  const before = socket.of("WATCHDOG").length;
  await Bun.sleep(3_000);
  const during = socket.of("WATCHDOG").length - before;
  await until("it is fed again", () => socket.of("WATCHDOG").length > before);
  measured({
    scenario: "T34",
    promise: "P8",
    what: "the event loop stands still for 4 s, twice WatchdogSec",
    result: `${during} words to the watchdog meanwhile; systemd kills and restarts it after WatchdogSec`,
  });
  expect(during).toBe(0);
});

test("a router that lets nobody in feeds no watchdog, though its loop turns", async () => {
  using socket = openNotifySocket();
  requireProgram("prlimit", "util-linux");
  await using router = await start(socket, { DEFAULT: "127.0.0.1:1" });
  await until("it is fed", () => socket.of("WATCHDOG").length > 0);
  const limit = (files: number): void => {
    const done = Bun.spawnSync(["prlimit", `--pid=${router.pid}`, `--nofile=${files}:`]);
    expect(done.stderr.toString()).toBe("");
  };
  // No file descriptor is left to accept with.
  limit(1);
  using player = await connectPlayer({ port: router.port });
  await Bun.sleep(watchdogMs / 2);
  const before = socket.of("WATCHDOG").length;
  await Bun.sleep(2 * watchdogMs);
  const during = socket.of("WATCHDOG").length - before;
  limit(4_096);
  await until("it is fed again", () => socket.of("WATCHDOG").length > before + during);
  measured({
    scenario: "T34",
    promise: "P8",
    what: "no client is accepted for 5 s, because no file descriptor is left, while one waits",
    result: `${during} words to the watchdog meanwhile, and again once clients are accepted`,
  });
  expect(during).toBe(0);
  expect(player.ending).toBe("open");
});

test("a NOTIFY_SOCKET that leads nowhere is a warning, and the router runs", async () => {
  using backend = startBackend(echo);
  await using router = await startRouter({
    env: { NOTIFY_SOCKET: "vsock:2:1234", DEFAULT: backend.address },
  });
  expect(router.lines.find(({ event }) => event === "setting-warning")?.["msg"]).toBe(
    'systemd is told nothing: NOTIFY_SOCKET="vsock:2:1234" is no Unix socket',
  );
  using player = await connectPlayer({ port: router.port });
  await player.send(opening);
  expect(await player.read(opening.length)).toEqual(opening);
});
