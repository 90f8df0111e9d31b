import { expect, setDefaultTimeout, test } from "bun:test";
import { hostnameOf } from "../bench/jobs.ts";
import { percentile } from "../bench/measure.ts";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { type Arena, expectUnharmed, startArena, watchPeak } from "../support/net/arena.ts";
import { type Backend, echo, startBackend } from "../support/net/backend.ts";
import type { Netns } from "../support/net/netns.ts";
import type { Peer } from "../support/net/peer.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { linesOf, sessionEnd, startNetwork } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(300_000);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

/** A player in the game, whose opening has come back from an echo. */
async function play(arena: Arena, host: string, hostname = arena.netns.inside): Promise<Peer> {
  const player = await connectPlayer({ hostname, port: arena.router.port, onData: () => {} });
  const opening = login({ host, name: "Player" });
  await player.send(opening);
  await player.waitForLength(1);
  return player;
}

/** Has a player say something ten times a second. Dispose ends that. */
function keepTalking(player: Peer): Disposable {
  const timer = setInterval(() => {
    // Whoever has been cut says nothing more.
    if (!player.isClosed) void player.send(Buffer.alloc(64)).catch(() => {});
  }, 100);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** How long it takes from now until the router has ended the player's connection, ms. */
async function endOf(player: Peer, timeoutMs: number): Promise<number> {
  const since = performance.now();
  await player.waitForEnd(timeoutMs);
  return performance.now() - since;
}

test("a backend that resets, ends or is killed takes its player along within a second", async () => {
  await using started = new AsyncDisposableStack();
  const backends: Backend[] = [];
  await using arena = await startArena({
    routes({ outside }) {
      const backend = started.use(startBackend(echo, outside));
      backends.push(backend);
      return [`outside.example.org=${backend.address}`];
    },
  });

  const [backend] = backends;
  const reset = await play(arena, "outside.example.org");
  const ended = await play(arena, "outside.example.org");
  const killed = await play(arena, hostnameOf("echo"));
  using _talk = keepTalking(reset);
  using _talkToo = keepTalking(ended);
  using _talkAsWell = keepTalking(killed);
  (await backend?.waitForConnection(0))?.reset();
  const afterReset = await endOf(reset, 5_000);
  (await backend?.waitForConnection(1))?.close();
  const afterEnd = await endOf(ended, 5_000);
  process.kill(arena.load.backendPid, "SIGKILL");
  const afterKill = await endOf(killed, 5_000);
  measured({
    scenario: "T14",
    promise: "P3",
    what: "a backend dies in the game by RST, FIN or SIGKILL",
    result: `its player was cut after ${seconds(afterReset)}, ${seconds(afterEnd)}, ${seconds(afterKill)} (≤ 1 each)`,
  });
  expect(Math.max(afterReset, afterEnd, afterKill)).toBeLessThan(1_000);
});

test("a game outlives a backend that stands still for 30 s, and ends when a machine has vanished", async () => {
  await using started = new AsyncDisposableStack();
  await using arena = await startArena({
    routes: ({ outside }) =>
      ["talking", "still", "lost"].map(
        (name) => `${name}.example.org=${started.use(startBackend(echo, outside)).address}`,
      ),
  });
  const { netns, load, router } = arena;
  using faults = new DisposableStack();
  const vanishing = netns.addAddress("inside", 3);
  const stopped = await play(arena, hostnameOf("echo"));
  const talking = await play(arena, "talking.example.org");
  const still = await play(arena, "still.example.org");
  const client = await play(arena, "lost.example.org", vanishing);
  using _talk = keepTalking(talking);

  process.kill(load.backendPid, "SIGSTOP");
  faults.defer(() => void process.kill(load.backendPid, "SIGCONT"));
  const before = stopped.receivedLength;
  for (let times = 0; times < 10; times++) await stopped.send(Buffer.alloc(1_000));
  // The backends of the three are behind the black hole, and the fourth player's own machine.
  const ports = ["talking", "still"].map((name) => portOf(arena, `${name}.example.org`));
  for (const port of ports) faults.use(netns.iptables(`-A OUTPUT -p tcp --dport ${port} -j DROP`));
  for (const port of ports) faults.use(netns.iptables(`-A INPUT -p tcp --sport ${port} -j DROP`));
  faults.use(netns.iptables(`-A INPUT -d ${vanishing} -j DROP`));
  faults.use(netns.iptables(`-A OUTPUT -s ${vanishing} -j DROP`));
  const startedAt = performance.now();
  const lost = router.waitForLine(
    (line) => line["event"] === "session-ended" && line["server"] === "lost.example.org",
    150_000,
  );
  const [afterTalk, afterSilence, afterLoss] = await Promise.all([
    endOf(talking, 150_000),
    endOf(still, 150_000),
    lost.then(() => performance.now() - startedAt),
    Bun.sleep(30_000),
  ]);
  client.reset();

  const stillOpen = stopped.ending === "open";
  process.kill(load.backendPid, "SIGCONT");
  await stopped.waitForLength(before + 10_000);
  const limit = 135_000;
  measured({
    scenario: "T14",
    promise: "P3",
    what: "the backend's machine vanishes behind a black hole, or the player's",
    result: `a player who talked was cut after ${seconds(afterTalk)}, one who did not after ${seconds(afterSilence)}; a player's machine that vanished was noticed after ${seconds(afterLoss)} (≤ 135 each)`,
  });
  measured({
    scenario: "T14",
    promise: "P7",
    what: "a backend is stopped by SIGSTOP for 30 s and goes on",
    result: "the game went on, every byte arrived",
  });
  expect(stillOpen).toBe(true);
  expect(await lost).toMatchObject({ endedBy: "client", how: "timed-out" });
  expect(Math.max(afterTalk, afterSilence, afterLoss)).toBeLessThan(limit);
  await expectUnharmed(arena);
});

test("a game that reads nothing for 50 s, as one that loads many mods, goes on", async () => {
  using backend = startBackend({
    // More than the kernel keeps for a player who does not read.
    data: (connection) => connection.send(Buffer.alloc(16 * 1024 * 1024, 7)),
  });
  await using router = await startRouter({
    env: { CONNECTION_RATE_LIMIT: "1000", DEFAULT: backend.address },
  });
  const player = await connectPlayer({ port: router.port, onData: () => {} });
  await player.send(login({ host: "modded.example.org", name: "Modded" }));
  await player.waitForLength(1);
  player.pause();
  await Bun.sleep(50_000);
  player.resume();
  await player.waitForLength(16 * 1024 * 1024, 60_000);
  expect(linesOf(router, "session-ended")).toEqual([]);
  player.close();
});

test("players who leave while their server starts are gone at once, and it is started once", async () => {
  const count = 100;
  await using started = new AsyncDisposableStack();
  const postgres = await startPostgres();
  started.defer(() => postgres.stop());
  await using plane = startControlPlane({ servers: [{ name: "sleepy", startMs: null }] });
  using closed = await reserveClosedPort();
  await using network = await startNetwork({
    postgres,
    plane,
    rows: [{ name: "sleepy", domain: "sleepy.example", address: `127.0.0.1:${closed.port}` }],
  });
  const { router } = network;
  const descriptors = router.fds();
  const players: Peer[] = [];
  for (let each = 0; each < count; each++) {
    const player = await connectPlayer({ port: router.port });
    players.push(player);
    await player.send(login({ host: "sleepy.example", name: `Player${each}` }));
  }
  await until("all wait", () => linesOf(router, "session-holding").length === count);
  const since = performance.now();
  for (const player of players) player.reset();
  await until("all are gone", () => linesOf(router, "session-ended").length === count);
  const noticed = performance.now() - since;
  await router.waitForLine(({ event }) => event === "wake-abandoned");
  // The connection that asks the control plane may be kept for the next question.
  await until("their descriptors are free", () => router.fds() <= descriptors + 2);
  const asked = plane.requests.length;
  await Bun.sleep(1_000);
  measured({
    scenario: "T15",
    promise: "P3",
    what: `${count} players leave while their server starts`,
    result: `noticed within ${seconds(noticed)} (≤ 1); ${plane.starts("sleepy")} start; nobody asks for it any more, all descriptors free`,
  });
  expect(noticed).toBeLessThan(1_000);
  expect(plane.starts("sleepy")).toBe(1);
  expect(plane.requests.length).toBe(asked);
});

test("players who leave while their backend is dialled are gone at once, and the dials when the kernel gives up", async () => {
  const count = 100;
  await using arena = await startArena({ routes: deadRoute });
  const { netns, router } = arena;
  netns.run("sysctl", "-qw", "net.ipv4.tcp_syn_retries=1");
  using _rule = dropDead(netns);
  const descriptors = router.fds();
  const players: Peer[] = [];
  for (let each = 0; each < count; each++) {
    const player = await connectPlayer({ hostname: netns.inside, port: router.port });
    players.push(player);
    await player.send(login({ host: "dead.example.org", name: `Player${each}` }));
  }
  await until("they are dialled", () => pendingDials(netns) > 0);
  expect(await arena.metric("automc_sessions")).toBe(count);
  const since = performance.now();
  for (const player of players) player.reset();
  await until("all are gone", async () => (await arena.metric("automc_sessions")) === 0);
  const noticed = performance.now() - since;
  await until("the dials are over", () => pendingDials(netns) === 0, 20_000);
  const dialled = performance.now() - since;
  await until("all descriptors are free", () => router.fds() <= descriptors);
  measured({
    scenario: "T15",
    promise: "P3",
    what: `${count} players leave while their backend, which does not answer, is dialled`,
    result: `noticed within ${seconds(noticed)} (≤ 1); the last dial was over after ${seconds(dialled)}, with tcp_syn_retries=1; all descriptors free`,
  });
  expect(noticed).toBeLessThan(1_000);
  await expectUnharmed(arena);
});

test("500 players to a backend in a black hole are told in time and cost others nothing", async () => {
  const count = 500;
  await using arena = await startArena({ routes: deadRoute });
  const { netns, router } = arena;
  const before = await arena.login(200);
  using _rule = dropDead(netns);
  using pending = watchPeak(() => pendingDials(netns));
  const players: Peer[] = [];
  for (let each = 0; each < count; each++) {
    const player = await connectPlayer({ hostname: netns.inside, port: router.port });
    players.push(player);
    await player.send(login({ host: "dead.example.org", name: `Player${each}` }));
  }
  const others = arena.login(200);
  const waits = await Promise.all(
    players.map(async (player) => {
      await player.waitForEnd();
      return performance.now() - player.openedAtMs;
    }),
  );
  const meanwhile = await others;
  await sessionEnd(router, "Player0");
  const [shortest, longest] = [Math.min(...waits), Math.max(...waits)];
  measured({
    scenario: "T16",
    promise: "P3",
    what: `${count} players join a backend whose packets are dropped`,
    result: `told after ${seconds(shortest)} to ${seconds(longest)} (BACKEND_DIAL_TIMEOUT is 2 s); at most ${pending.value} dials pending (≤ 32); a login elsewhere took p99 ${ms(percentile(meanwhile, 0.99))}, before ${ms(percentile(before, 0.99))}`,
  });
  expect(shortest).toBeGreaterThan(1_800);
  expect(longest).toBeLessThan(3_000);
  expect(pending.value).toBeGreaterThan(0);
  expect(pending.value).toBeLessThanOrEqual(32);
  expect(percentile(meanwhile, 0.99)).toBeLessThan(100);
  await expectUnharmed(arena);
});

/** A port outside that nobody listens on and whose packets `dropDead` drops. */
const deadPort = 9;

const deadRoute = ({ outside }: Netns) => [`dead.example.org=${outside}:${deadPort}`];

const dropDead = (netns: Netns): Disposable =>
  netns.iptables(`-A OUTPUT -p tcp --dport ${deadPort} -j DROP`);

/** Connects inside that have no answer yet. */
const pendingDials = (netns: Netns): number =>
  netns.run("ss", "-tnH", "state", "syn-sent").split("\n").filter(Boolean).length;

/** The port of the backend that this hostname has led to, as the log tells. */
function portOf({ router }: Arena, hostname: string): string {
  const line = router.lines.find(
    (line) => line["event"] === "session-relaying" && line["server"] === hostname,
  );
  return String(line?.["backendHostPort"]).split(":").at(-1) ?? "";
}
