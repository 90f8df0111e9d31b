import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type Conn, peek, type RelayEnd } from "../../../src/net/conn.ts";
import {
  createManualDeadlines,
  type Link,
  type LinkBench,
  never,
  settled,
  startLinkBench,
} from "../../support/net/link-bench.ts";
import { relayed, relayedBriefly } from "../../support/net/relayed.ts";
import { until } from "../../support/until.ts";

// What only the relay in the callbacks does; relay.test.ts has what it shares with the threads.

const megabyte = 1024 * 1024;

/** More than the kernel takes for a peer that does not read, so that some of it waits in the router. */
const aLot = randomBytes(16 * megabyte);

/** Resolves when the kernel takes nothing more for this side, and goes on taking nothing. */
async function stalled(conn: Conn): Promise<void> {
  let sent = -1;
  for (let round = 0; conn.unsent === null || conn.sent !== sent; round += 1) {
    if (round === 100) throw new Error("the kernel goes on taking bytes");
    sent = conn.sent;
    await Bun.sleep(100);
  }
}

let bench: LinkBench;
beforeEach(() => {
  bench = startLinkBench();
});
afterEach(() => {
  expect(bench.faults).toEqual([]);
  bench[Symbol.dispose]();
});

/** A link whose relay has begun. */
async function openRelay(
  deadlines = bench.deadlines,
): Promise<Link & { readonly ended: Promise<RelayEnd> }> {
  const link = await bench.open();
  return { ...link, ended: relayed(link.client, link.server, deadlines) };
}

test("bytes that wait for a slow player are one chunk at most, and the backend is not read meanwhile", async () => {
  const { player, client, server, backend } = await openRelay();
  player.pause();
  const offered = Buffer.concat([aLot, aLot, aLot, aLot]);
  const sending = backend.send(offered);
  const sent = settled(sending);
  await stalled(client);
  const waiting = client.unsent;
  const passed = client.sent;
  // Bun emits a drain for each of these; the player has not read on.
  server.socket.pause();
  client.socket.resume();
  await bench.deadlines.sleep(200, never);
  expect(sent()).toBe(false);
  expect(client.sent).toBe(passed);
  expect(client.unsent).toBe(waiting);
  expect(client.unsent?.buffer.byteLength).toBeLessThanOrEqual(megabyte);
  player.resume();
  await sending;
  await player.waitForLength(offered.length);
  expect(player.received().equals(offered)).toBe(true);
});

test("bytes that do not wait need no drain: those that Bun emits for each pause and resume move nothing", async () => {
  const { player, client, server, backend } = await openRelay();
  const resumed = spyOn(server.socket, "resume");
  for (let each = 0; each < 10; each += 1) {
    client.socket.pause();
    client.socket.resume();
  }
  await player.send(Buffer.from("ping"));
  await backend.waitForLength(4);
  expect(resumed).toHaveBeenCalledTimes(0);
});

test("a backend that was owed bytes and is gone frees them, and what the client goes on sending is not kept", async () => {
  const { player, server, backend, ended } = await openRelay();
  backend.pause();
  const sending = player.send(Buffer.concat([aLot, aLot, aLot, aLot]));
  await stalled(server);
  backend.reset();
  await until("the reset", () => server.closed);
  expect(server.unsent).toBeNull();
  await sending;
  expect(server.unsent).toBeNull();
  player.finish();
  expect(await ended).toMatchObject({ endedBy: "backend", ending: "reset" });
});

test("a ping is cut after 30 s in which nothing moves", async () => {
  const deadlines = createManualDeadlines();
  const { player, client, server, backend } = await bench.open();
  const ended = relayedBriefly(client, server, deadlines);
  deadlines.advance(29_999);
  await player.send(Buffer.from("x"));
  await backend.waitForLength(1);
  // It is looked at every 30 s: something had moved in the first of them.
  deadlines.advance(30_000);
  expect(client.closed || server.closed).toBe(false);
  deadlines.advance(1);
  expect(client.closed && server.closed).toBe(true);
  expect(await ended).toMatchObject({ toBackend: 1, ending: "aborted" });
  expect(deadlines.pending()).toBe(0);
});

test("bytes that came before leave nothing of the inbox behind", async () => {
  const { player, client, server, backend } = await bench.open();
  await player.send(Buffer.from("opening"));
  await until("the inbox", () => peek(client).length === 7);
  void relayed(client, server, bench.deadlines);
  expect((await backend.read(7)).toString()).toBe("opening");
  expect(client.inbox.buffer.byteLength).toBe(0);
});
