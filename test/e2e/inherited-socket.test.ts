import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { until } from "../support/until.ts";

const binary = join(import.meta.dir, "../../dist/automc-router");
const folder = mkdtempSync(join(tmpdir(), "automc-inherited-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the binary with that descriptor as its number 3, as sd_listen_fds(3) describes it; the id is that of the shell, which becomes the binary. */
const startWith = (fd: number, env: Readonly<Record<string, string>>) =>
  Bun.spawn(
    ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=players exec "$0"', binary],
    {
      cwd: folder,
      env: { CONNECTION_RATE_LIMIT: "100000", ...env },
      stdio: ["ignore", "ignore", "pipe", fd],
    },
  );

test("players come in by a socket that was passed on, wherever PORT says", async () => {
  using backend = startBackend(echo);
  const socket = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = socket;
  const router = startWith(socket.fd, { PORT: "1", DEFAULT: backend.address });
  // Ours is closed; the router's own keeps the port open.
  socket.stop();
  using player = await connectPlayer({ port });
  const opening = login({ host: "play.example.org", name: "Steve" });
  await player.send(opening);
  expect(await player.read(opening.length)).toEqual(opening);
  player.close();
  router.kill("SIGTERM");
  expect(await router.exited).toBe(0);
  expect(await router.stderr.text()).toContain(`listenAddress="127.0.0.1:${port}"`);
  expect(connectPlayer({ port })).rejects.toThrow();
}, 20_000);

test("a stop lets those in who came just before, and still ends by its deadline", async () => {
  using backend = startBackend(echo);
  const socket = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = socket;
  const router = startWith(socket.fd, {
    DEFAULT: backend.address,
    AUTOMC_DRAIN_TIMEOUT: "2s",
    AUTOMC_LOG_FORMAT: "json",
  });
  socket.stop();
  using late = await connectPlayer({ port });
  using mute = await connectPlayer({ port });
  const opening = login({ host: "play.example.org", name: "Late" });
  await late.send(opening.subarray(0, 5));
  // Whoever is answered after them finds both accepted.
  using first = await connectPlayer({ port });
  await first.send(opening);
  await first.read(opening.length);
  const startedAt = performance.now();
  router.kill("SIGTERM");
  await until("the port is closed", async () => {
    const refused = await connectPlayer({ port }).catch(() => null);
    refused?.reset();
    return refused === null;
  });
  await late.send(opening.subarray(5));
  expect(await late.read(opening.length)).toEqual(opening);
  expect(await router.exited).toBe(0);
  const seconds = (performance.now() - startedAt) / 1000;
  expect(await mute.waitForEnd()).not.toBe("open");
  expect(seconds).toBeGreaterThan(1.9);
  expect(seconds).toBeLessThan(4.5);
}, 20_000);

test("a stop serves each client that waits for its turn in the queue", async () => {
  using backend = startBackend(echo);
  const socket = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = socket;
  const router = startWith(socket.fd, { DEFAULT: backend.address, CONNECTION_RATE_LIMIT: "1" });
  socket.stop();
  const opening = login({ host: "play.example.org", name: "Steve" });
  const players: Peer[] = [];
  for (let count = 0; count < 10; count++) {
    const player = await connectPlayer({ port });
    await player.send(opening);
    players.push(player);
  }
  // The first one is answered when the router has come up; the others have been accepted with it.
  await players[0]?.read(opening.length);
  await players[1]?.read(opening.length);
  router.kill("SIGTERM");
  for (const player of players.slice(2)) expect(await player.read(opening.length)).toEqual(opening);
  for (const player of players) player.close();
  expect(await router.exited).toBe(0);
}, 20_000);

test("what is passed on and is no listening socket ends it with 1, by name", async () => {
  const router = startWith(openSync("/dev/null", "r"), { DEFAULT: "h:1" });
  expect(await router.exited).toBe(1);
  expect(await router.stderr.text()).toContain("the socket 3 (players) that was passed on");
}, 20_000);
