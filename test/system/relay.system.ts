import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { hostnameOf, type Jobs } from "../bench/jobs.ts";
import { startLoad } from "../bench/load.ts";
import { percentile } from "../bench/measure.ts";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { watchPeak } from "../support/net/arena.ts";
import { silent, startBackend } from "../support/net/backend.ts";
import { startChild } from "../support/net/child.ts";
import type { Peer } from "../support/net/peer.ts";
import { noQueue, sessionEnd } from "../support/process/e2e-network.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { startWorker } from "../support/process/worker.ts";

setDefaultTimeout(180_000);

const megabyte = 1024 * 1024;
const sha256 = (bytes: Uint8Array): string =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

const startRelay = (address: string): Promise<Router> =>
  startRouter({ env: { ...noQueue, DEFAULT: address } });

/** What one end of a transfer prints. */
interface Transfer {
  readonly sent: { readonly length: number; readonly sha256: string };
  readonly received: { readonly length: number; readonly sha256: string };
  readonly error: string | null;
}

test("256 MB each way at once arrive as they were sent", async () => {
  const bytes = 256 * megabyte;
  const host = "play.example.org";
  using backend = startChild("transfer-process", "listen", 0, bytes, host);
  const { port } = (await backend.next()) as { port: number };
  await using router = await startRelay(`127.0.0.1:${port}`);
  const base = router.rss();
  using peak = watchPeak(router.rss);
  const startedAt = performance.now();
  const cpuBefore = router.cpuMs();
  using player = startChild("transfer-process", "connect", router.port, bytes, host);
  const [ofPlayer, ofBackend] = (await Promise.all([player.next(), backend.next()])) as [
    Transfer,
    Transfer,
  ];
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (router.cpuMs() - cpuBefore) / 1000;
  const end = await sessionEnd(router, "Transfer");
  const opening = login({ host, name: "Transfer" }).length;
  measured({
    scenario: "T11",
    promise: "P4",
    what: "256 MB each way at once, in pieces of 1 B to 1 MB, between readers that pause",
    result: `SHA-256 equal on both sides; ${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s of processor time; memory +${megabytes(peak.value - base)}`,
  });
  expect([ofPlayer.error, ofBackend.error]).toEqual([null, null]);
  expect(ofPlayer.sent.length).toBe(bytes);
  expect(ofBackend.received).toEqual(ofPlayer.sent);
  expect(ofPlayer.received).toEqual(ofBackend.sent);
  expect(end).toMatchObject({ bytesToBackend: bytes + opening, bytesToClient: bytes });
});

test("1 GB for a client that does not read for 10 s is not kept, and all of it arrives", async () => {
  await using load = await startLoad();
  await using router = await startRelay(`127.0.0.1:${load.backends.roles.bulk}`);
  const wanted = Buffer.alloc(8);
  wanted.writeDoubleBE(1e9);
  const opening = Buffer.concat([login({ host: "play.example.org", name: "Slow" }), wanted]);
  const connect = (): Promise<Peer> => connectPlayer({ port: router.port, onData: () => {} });
  // One session before, so that what the runtime allocates once is part of the base.
  const warmUp = await connect();
  await warmUp.send(opening);
  await warmUp.waitForLength(64 * megabyte);
  warmUp.reset();

  const base = router.rss();
  using peak = watchPeak(router.rss);
  using player = await connect();
  player.pause();
  await player.send(opening);
  await Bun.sleep(10_000);
  const heldBack = player.receivedLength;
  const whileStalled = peak.value - base;
  player.resume();
  await player.waitForEnd(60_000);
  const growth = peak.value - base;
  measured({
    scenario: "T12",
    promise: "P2",
    what: "1 GB is offered to a client that reads nothing for 10 s, then all it can",
    result: `memory +${megabytes(whileStalled)} while it did not read, +${megabytes(growth)} in all (≤ 50); ${player.receivedLength.toLocaleString("en-US")} bytes arrived`,
  });
  expect(heldBack).toBeLessThan(16 * megabyte);
  expect(growth).toBeLessThan(50e6);
  expect(player.receivedLength).toBe(1e9);
});

test("an end with megabytes still under way reaches the other side behind them, whoever is first", async () => {
  using backend = startBackend(silent);
  await using router = await startRelay(backend.address);
  const opening = login({ host: "play.example.org", name: "Half" });
  const eight = crypto.getRandomValues(Buffer.alloc(65_536));
  const bytes = Buffer.concat(Array.from({ length: 128 }, () => eight));
  const hash = sha256(bytes);

  /** A player and its backend, with the opening behind them. */
  async function meet(index: number): Promise<{ player: Peer; server: Peer }> {
    const player = await connectPlayer({ port: router.port });
    await player.send(opening);
    const server = await backend.waitForConnection(index);
    await server.read(opening.length);
    return { player, server };
  }

  const clientFirst = await meet(0);
  await clientFirst.player.send(bytes);
  clientFirst.player.finish();
  expect(sha256(await clientFirst.server.read(bytes.length))).toBe(hash);
  await clientFirst.server.waitForEnd();
  clientFirst.player.pause();
  const answered = clientFirst.server.send(bytes).then(() => clientFirst.server.finish());
  await Bun.sleep(500);
  clientFirst.player.resume();
  await answered;
  expect(sha256(await clientFirst.player.read(bytes.length))).toBe(hash);
  expect(await clientFirst.player.waitForEnd()).toBe("finished");

  const backendFirst = await meet(1);
  backendFirst.player.pause();
  const said = backendFirst.server.send(bytes).then(() => backendFirst.server.finish());
  // A chatty peer: bytes that arrive at a closed socket would be answered with a reset that drops what is under way.
  for (let times = 0; times < 50; times++) {
    await backendFirst.player.send(eight.subarray(0, 1_000));
    await Bun.sleep(10);
  }
  backendFirst.player.resume();
  await said;
  expect(sha256(await backendFirst.player.read(bytes.length))).toBe(hash);
  expect(await backendFirst.player.waitForEnd()).toBe("finished");
  backendFirst.player.finish();
  await backendFirst.server.waitForLength(opening.length + 50_000);
  measured({
    scenario: "T13",
    promise: "P4",
    what: "one side ends with 8 MB still under way, client first and backend first, against a side that goes on talking",
    result: "SHA-256 equal, the end behind the last byte, both times",
  });
});

test("64 players at 50 KB/s each wait hardly longer than on a direct connection", async () => {
  const seconds = 30;
  await using load = await startLoad();
  const { echo } = load.backends.roles;
  await using router = await startRelay(`127.0.0.1:${echo}`);
  const startProbe = () => startWorker<Jobs>(join(import.meta.dir, "../bench/client-process.ts"));
  await using direct = startProbe();
  await using routed = startProbe();
  const hostname = hostnameOf("echo");
  await load.run("open", { port: router.port, hostname, count: 64, held: false });
  const playing = load.run("exchange", { perSecond: 20, bytes: 2_500, seconds: seconds + 2 });
  const [throughRouter, withoutRouter] = await Promise.all([
    routed.run("probe", { port: router.port, hostname, seconds }),
    direct.run("probe", { port: echo, hostname, seconds }),
  ]);
  await playing;
  const at = (share: number) => {
    const ours = percentile(throughRouter, share);
    const theirs = percentile(withoutRouter, share);
    return { ours, theirs, added: ours - theirs };
  };
  const text = (share: number): string => {
    const { ours, theirs } = at(share);
    return `${ours.toFixed(2)} ms, direct ${theirs.toFixed(2)} (× ${(ours / theirs).toFixed(1)})`;
  };
  measured({
    scenario: "T18",
    promise: "P7",
    what: `64 players exchange 50 KB/s each for ${seconds} s; a byte each millisecond there and back`,
    result: `p50 ${text(0.5)}; p99 ${text(0.99)}, added ${at(0.99).added.toFixed(2)} (≤ 1, or twice the direct one on a machine that is slow itself); longest ${text(1)}`,
  });
  expect(throughRouter.length).toBeGreaterThan(seconds * 500);
  expect(at(0.99).added).toBeLessThan(Math.max(1, 2 * at(0.99).theirs));
});
