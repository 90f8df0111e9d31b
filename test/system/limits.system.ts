import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login, loginDisconnect } from "../support/minecraft/wire.ts";
import { expectUnharmed, startArena } from "../support/net/arena.ts";
import { echo, running, startBackend } from "../support/net/backend.ts";
import type { FloodJobs } from "../support/net/flood-jobs.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { insertRows, linesOf, startNetwork } from "../support/process/e2e-network.ts";
import { startWorker } from "../support/process/worker.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

test("an address and a network have their share, and no more of it however many come", async () => {
  await using arena = await startArena({
    env: () => ({
      AUTOMC_BIND: "::",
      AUTOMC_CLIENT_EXEMPT: "127.0.0.0/8",
      AUTOMC_CLIENT_CONNECTIONS: "20",
    }),
  });
  const { netns, floods, place } = arena;
  netns.run("sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1");
  for (const network of networks) {
    netns.run("ip", "-6", "route", "add", "local", `${network}::/48`, "dev", "lo");
  }
  const [flooding, other] = networks;
  const visit = (from: readonly string[]) =>
    floods[0]?.run("visit", { hostname: `${flooding}::1`, port: place.port, from });
  const addresses = (network: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${network}:1::${(i + 1).toString(16)}`);
  const letIn = await visit(addresses(flooding, 200));
  const logins = await arena.login(20);
  const [ofFlooding, ofOther] = await Promise.all([
    visit(addresses(flooding, 200)),
    visit(addresses(other, 20)),
  ]);
  measured({
    scenario: "T10",
    promise: "P2",
    what: "AUTOMC_CLIENT_CONNECTIONS=20: 200 addresses of one /64 connect",
    result: `${letIn} were let in, and ${ofFlooding} when they came again; of 20 that came from another network at that moment ${ofOther}; ${logins.length} logins from a third in between`,
  });
  expect(letIn).toBe(20);
  expect(ofFlooding).toBe(20);
  expect(ofOther).toBe(20);
  await expectUnharmed(arena);
});

/** Networks of their own for IPv6 clients (RFC 3849). */
const networks = ["2001:db8:1", "2001:db8:2"] as const;

test("with 256 file descriptors and 500 clients the games go on, and so do the database and the control plane", async () => {
  await using started = new AsyncDisposableStack();
  const postgres = await startPostgres();
  started.defer(() => postgres.stop());
  await using plane = startControlPlane({ servers: [{ name: "sleepy", startMs: null }] });
  using backend = startBackend(echo);
  using awoken = startBackend(running(loginDisconnect("awake")));
  using closed = await reserveClosedPort();
  await using network = await startNetwork({
    postgres,
    plane,
    within: ["prlimit", "--nofile=256:256"],
    rows: [
      { name: "awake", domain: "awake.example", address: backend.address },
      { name: "sleepy", domain: "sleepy.example", address: `127.0.0.1:${closed.port}` },
    ],
  });
  const { router, database } = network;
  const enter = async (host: string, name: string) => {
    const player = await connectPlayer({ port: router.port });
    const opening = login({ host, name });
    await player.send(opening);
    return { player, opening };
  };
  const game = await enter("awake.example", "Player");
  using player = game.player;
  await player.read(game.opening.length);
  const wait = await enter("sleepy.example", "Waiting");
  using waiting = wait.player;
  await until("one waits", () => linesOf(router, "session-holding").length === 1);

  await using flood = startWorker<FloodJobs>(
    join(import.meta.dir, "../support/net/flood-process.ts"),
  );
  const place = { hostname: "127.0.0.1", port: router.port };
  await flood.run("hold", { ...place, count: 500, drip: null });
  const [since, cpuBefore, askedBefore] = [
    performance.now(),
    router.cpuMs(),
    plane.requests.length,
  ];
  await insertRows(database, [{ name: "new", domain: "new.example", address: backend.address }]);
  await router.waitForLine((line) => line["serverAddress"] === "new.example");
  const routedAfter = performance.now() - since;
  await player.send(Buffer.from("ping"));
  expect(await player.read(4)).toEqual(Buffer.from("ping"));
  await Bun.sleep(4_000 - (performance.now() - since));
  const cpu = (router.cpuMs() - cpuBefore) / (performance.now() - since);
  const asked = plane.requests.length - askedBefore;
  const most = router.fds();
  const { open, ended } = await flood.run("lives", { withinMs: 10_000 });

  plane.setRunning("sleepy", awoken.address);
  await waiting.waitForLength(1);
  await until("who waited is in the game", () =>
    awoken.connections.some((each) => each.received().includes("Waiting")),
  );
  measured({
    scenario: "T9",
    promise: "P1",
    what: "256 file descriptors, 500 clients that say nothing",
    result: `${most} descriptors in use; ${(cpu * 100).toFixed(0)} % of a core (≤ 20); a new row was routed after ${seconds(routedAfter)}, the control plane asked ${asked} times, a game went on; then who waited got in`,
  });
  expect(open).toBe(0);
  expect(ended.length).toBeGreaterThan(0);
  expect(most).toBeLessThan(240);
  expect(cpu).toBeLessThan(0.2);
  expect(asked).toBeGreaterThan(5);
  expect(router.lines.filter(({ level }) => level === "error")).toEqual([]);
});
