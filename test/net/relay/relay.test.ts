import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import type { RelayEnd } from "../../../src/net/conn.ts";
import { peek, send, take } from "../../../src/net/conn.ts";
import { connectPlayer } from "../../support/minecraft/player.ts";
import { startChild } from "../../support/net/child.ts";
import {
  createManualDeadlines,
  type Link,
  type LinkBench,
  type ManualDeadlines,
  never,
  settled,
  startLinkBench,
} from "../../support/net/link-bench.ts";
import type { Peer } from "../../support/net/peer.ts";
import { memoryOf } from "../../support/net/proc.ts";
import { planes, startRelay, type TestRelay, type TestSession } from "../../support/net/relayed.ts";
import { until } from "../../support/until.ts";

// What a relay of logins promises, for each way to relay them.

const megabyte = 1024 * 1024;

/** More than the kernel takes for a peer that does not read, so that some of it waits in the router. */
const aLot = randomBytes(16 * megabyte);
const eightMegabytes = aLot.subarray(0, 8 * megabyte);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Compares by digest: a difference in megabytes is not worth printing. */
function expectSame(received: Buffer, sent: Uint8Array): void {
  expect(received.length).toBe(sent.length);
  expect(sha256(received)).toBe(sha256(sent));
}

/** Lets a peer read a little at a time. */
function readSlowly(peer: Peer): Disposable {
  let isReading = false;
  const timer = setInterval(() => {
    if (isReading) peer.pause();
    else peer.resume();
    isReading = !isReading;
  }, 3);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      peer.resume();
    },
  };
}

/** Resolves when the kernel takes nothing more in that direction, and goes on taking nothing. */
async function stalled(session: TestSession, direction: "toClient" | "toBackend"): Promise<void> {
  let taken = -1;
  for (let round = 0; taken <= 0 || session.bytes()[direction] !== taken; round += 1) {
    if (round === 100) throw new Error("the kernel goes on taking bytes");
    taken = session.bytes()[direction];
    await Bun.sleep(100);
  }
}

interface Transfer {
  readonly error: string | null;
  readonly sent: { readonly length: number; readonly sha256: string };
  readonly received: { readonly length: number; readonly sha256: string };
}

describe.each(planes)("logins relayed by %s", (plane) => {
  let bench: LinkBench;
  let relay: TestRelay;
  let clock: ManualDeadlines;
  beforeEach(() => {
    bench = startLinkBench();
    clock = createManualDeadlines();
    relay = startRelay(plane, { deadlines: clock, fault: (error) => bench.faults.push(error) });
  });
  afterEach(async () => {
    expect(bench.faults).toEqual([]);
    bench[Symbol.dispose]();
    await relay[Symbol.asyncDispose]();
  });

  /** A link whose relay has begun. */
  async function openRelay(): Promise<
    Link & { readonly session: TestSession; readonly ended: Promise<RelayEnd> }
  > {
    const link = await bench.open();
    const session = await relay.join(link.client, link.server);
    expect(session.isHandedOver()).toBe(plane === "thread");
    return { ...link, session, ended: session.ended };
  }

  /**
   * Resolves when it is known that one side has ended: from then on the relay is cut when it stands still.
   */
  const lingers = (): Promise<void> => until("a deadline", () => clock.pending() > 0);

  describe("bytes", () => {
    test("256 MB each way at once, in chunks of 1 B to 1 MB between readers that pause: all arrive, in order, and are counted", async () => {
      const bytes = 256 * megabyte;
      using backend = startChild("transfer-process", "listen", 0, bytes);
      const { port } = (await backend.next()) as { port: number };
      using router = startChild("relay-process", port, plane);
      const routerPort = ((await router.next()) as { port: number }).port;
      using player = startChild("transfer-process", "connect", routerPort, bytes);
      const end = (await router.next()) as RelayEnd;
      const [ofPlayer, ofBackend] = (await Promise.all([player.next(), backend.next()])) as [
        Transfer,
        Transfer,
      ];
      expect([ofPlayer.error, ofBackend.error]).toEqual([null, null]);
      expect(ofPlayer.sent.length).toBe(bytes);
      expect(ofBackend.received).toEqual(ofPlayer.sent);
      expect(ofPlayer.received).toEqual(ofBackend.sent);
      expect({ toBackend: end.toBackend, toClient: end.toClient, ending: end.ending }).toEqual({
        toBackend: bytes,
        toClient: bytes,
        ending: "fin",
      });
    }, 60_000);

    test("of a player that stops reading while 1 GB is offered are not kept: memory stays within 50 MB, and all arrive once it reads", async () => {
      const bytes = 1024 * megabyte;
      using backend = startChild("backend-process", bytes);
      const { port } = (await backend.next()) as { port: number };
      using router = startChild("relay-process", port, plane);
      const routerPort = ((await router.next()) as { port: number }).port;
      // One session before, so that what the runtime allocates once is part of the measure's beginning.
      const warmUp = await connectPlayer({ port: routerPort, onData: () => {} });
      await warmUp.waitForLength(16 * megabyte);
      warmUp.reset();
      await router.next();

      const before = memoryOf(router.process.pid).peak;
      using player = await connectPlayer({ port: routerPort, onData: () => {} });
      player.pause();
      await bench.deadlines.sleep(3_000, never);
      const stalledAt = player.receivedLength;
      expect(stalledAt).toBeLessThan(16 * megabyte);
      player.resume();
      await player.waitForLength(bytes, 60_000);
      const grown = memoryOf(router.process.pid).peak - before;
      expect(grown).toBeLessThan(50 * megabyte);
      expect(player.receivedLength).toBe(bytes);
      player.finish();
      expect(await router.next()).toEqual({
        toBackend: 0,
        toClient: bytes,
        endedBy: "client",
        ending: "fin",
      });
    }, 90_000);

    test("that wait for a slow player keep the backend from being read", async () => {
      const { player, session, backend } = await openRelay();
      player.pause();
      const offered = Buffer.concat([aLot, aLot, aLot, aLot]);
      const sending = backend.send(offered);
      const sent = settled(sending);
      await stalled(session, "toClient");
      expect(sent()).toBe(false);
      player.resume();
      await sending;
      await player.waitForLength(offered.length);
      expectSame(player.received(), offered);
    });

    test("of the two directions do not wait for each other", async () => {
      const { player, session, backend } = await openRelay();
      player.pause();
      const sending = backend.send(aLot);
      await stalled(session, "toClient");
      await player.send(eightMegabytes);
      await backend.waitForLength(eightMegabytes.length);
      expectSame(backend.received(), eightMegabytes);
      player.resume();
      await sending;
      await player.waitForLength(aLot.length);
    });

    test("of one session that moves all the time leave the others their turn", async () => {
      const busy = await openRelay();
      const { player, backend } = await openRelay();
      let isOver = false;
      const flood = (async () => {
        while (!isOver) await busy.backend.send(eightMegabytes);
      })();
      for (let round = 1; round <= 20; round += 1) {
        await player.send(Buffer.from("ping"));
        await backend.waitForLength(4 * round);
        await backend.send(Buffer.from("pong"));
        await player.waitForLength(4 * round);
      }
      isOver = true;
      await flood;
    });
  });

  describe("half-close", () => {
    test("client first: its FIN is passed on, and 8 MB come back to a slow reader afterwards", async () => {
      const { player, backend, ended } = await openRelay();
      await player.send(eightMegabytes);
      player.finish();
      expect(await backend.waitForEnd()).toBe("finished");
      expectSame(backend.received(), eightMegabytes);
      player.pause();
      const answering = backend.send(eightMegabytes);
      {
        using _ = readSlowly(player);
        await answering;
        backend.finish();
        expect(await player.waitForEnd()).toBe("finished");
      }
      expectSame(player.received(), eightMegabytes);
      expect(await ended).toEqual({
        toBackend: eightMegabytes.length,
        toClient: eightMegabytes.length,
        endedBy: "client",
        ending: "fin",
      });
    });

    test("client first, with its own bytes still waiting for a slow backend", async () => {
      const { player, session, backend, ended } = await openRelay();
      backend.pause();
      const sending = player.send(aLot).then(() => player.finish());
      await stalled(session, "toBackend");
      await backend.send(eightMegabytes);
      await player.waitForLength(eightMegabytes.length);
      backend.resume();
      await sending;
      expect(await backend.waitForEnd()).toBe("finished");
      expectSame(backend.received(), aLot);
      backend.finish();
      expect(await player.waitForEnd()).toBe("finished");
      expect(await ended).toEqual({
        toBackend: aLot.length,
        toClient: eightMegabytes.length,
        endedBy: "client",
        ending: "fin",
      });
    });

    test("backend first, with 16 MB still waiting for a slow client that goes on talking", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.pause();
      const sending = backend.send(aLot).then(() => backend.finish());
      await stalled(session, "toClient");
      {
        using _ = readSlowly(player);
        await player.send(eightMegabytes);
        await sending;
        expect(await player.waitForEnd()).toBe("finished");
      }
      expectSame(player.received(), aLot);
      await player.send(Buffer.from("and goodbye"));
      player.finish();
      expect(await backend.waitForEnd()).toBe("finished");
      expectSame(backend.received(), Buffer.concat([eightMegabytes, Buffer.from("and goodbye")]));
      expect(await ended).toEqual({
        toBackend: eightMegabytes.length + 11,
        toClient: aLot.length,
        endedBy: "backend",
        ending: "fin",
      });
    });

    test("of both at once ends the relay", async () => {
      const { player, backend, ended } = await openRelay();
      player.finish();
      backend.finish();
      expect((await ended).ending).toBe("fin");
      expect(await player.waitForEnd()).toBe("finished");
      expect(await backend.waitForEnd()).toBe("finished");
    });
  });

  describe("an end", () => {
    interface Row {
      readonly name: string;
      readonly act: (link: Link & { readonly session: TestSession }) => void;
      readonly end: { readonly endedBy: "client" | "backend"; readonly ending: string };
      /** The peer that sees it. */
      readonly witness: "player" | "backend";
    }
    const rows: Row[] = [
      {
        name: "FIN of the backend",
        act: ({ backend }) => backend.close(),
        end: { endedBy: "backend", ending: "fin" },
        witness: "player",
      },
      {
        name: "reset of the backend",
        act: ({ backend }) => backend.reset(),
        end: { endedBy: "backend", ending: "reset" },
        witness: "player",
      },
      {
        name: "FIN of the client",
        act: ({ player }) => player.close(),
        end: { endedBy: "client", ending: "fin" },
        witness: "backend",
      },
      {
        name: "reset of the client",
        act: ({ player }) => player.reset(),
        end: { endedBy: "client", ending: "reset" },
        witness: "backend",
      },
      {
        name: "cut by the router",
        act: ({ session }) => session.cut(),
        end: { endedBy: "client", ending: "aborted" },
        witness: "backend",
      },
    ];
    test.each(rows)("by $name reaches the other side behind the last byte", async (row) => {
      const link = await openRelay();
      const { player, backend, ended } = link;
      await player.send(Buffer.from("to the backend"));
      await backend.waitForLength(14);
      await backend.send(Buffer.from("to the client"));
      await player.waitForLength(13);
      row.act(link);
      const witness = row.witness === "player" ? player : backend;
      expect(await witness.waitForEnd()).toBe("finished");
      witness.close();
      expect(await ended).toMatchObject({ toBackend: 14, toClient: 13, ...row.end });
    });

    test("by the router resets the client", async () => {
      const { player, session } = await openRelay();
      session.cut();
      expect(await player.waitForEnd()).toBe("reset");
    });

    test("by SIGKILL of the backend's process reaches the client, with everything sent before", async () => {
      using process = startChild("backend-process", 4 * megabyte);
      const { port } = (await process.next()) as { port: number };
      const { player, client } = await bench.open();
      const dialled = await bench.dialer.dial({ host: "127.0.0.1", port }, never);
      if (!dialled.ok) throw new Error(dialled.error.message);
      const { ended } = await relay.join(client, dialled.value);
      await player.waitForLength(4 * megabyte);
      process.process.kill("SIGKILL");
      expect(await player.waitForEnd()).toBe("finished");
      player.close();
      expect(await ended).toMatchObject({ toClient: 4 * megabyte, endedBy: "backend" });
    });

    test("of a backend whose last bytes the kernel still holds comes behind them", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.pause();
      const sending = backend.send(aLot).then(() => backend.close());
      await stalled(session, "toClient");
      player.resume();
      await sending;
      expect(await player.waitForEnd()).toBe("finished");
      expectSame(player.received(), aLot);
      player.close();
      expect(await ended).toMatchObject({
        toClient: aLot.length,
        endedBy: "backend",
        ending: "fin",
      });
    });

    test("by reset is seen although that side is not read, and what was read before is still delivered", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.pause();
      backend.send(aLot).catch(() => {});
      await stalled(session, "toClient");
      backend.reset();
      await lingers();
      player.resume();
      expect(await player.waitForEnd()).toBe("finished");
      const received = player.received();
      expectSame(received, aLot.subarray(0, received.length));
      player.close();
      expect(await ended).toEqual({
        toBackend: 0,
        toClient: received.length,
        endedBy: "backend",
        ending: "reset",
      });
    });

    test("of a backend that was owed bytes takes in what the client goes on sending, until its FIN", async () => {
      const { player, session, backend, ended } = await openRelay();
      backend.pause();
      const sending = player.send(Buffer.concat([aLot, aLot, aLot, aLot]));
      await stalled(session, "toBackend");
      backend.reset();
      await sending;
      player.finish();
      expect(await ended).toMatchObject({ endedBy: "backend", ending: "reset" });
    });
  });

  describe("what came before the relay", () => {
    test("is passed on first, on both sides, and without what was taken", async () => {
      const { player, client, server, backend } = await bench.open();
      await player.send(Buffer.from("opening, and more"));
      await backend.send(Buffer.from("greeting, "));
      await until("both", () => peek(client).length === 17 && peek(server).length === 10);
      send(server, Buffer.from("opening"));
      take(client, 7);
      const { ended } = await relay.join(client, server);
      await player.send(Buffer.from(", and the rest"));
      await backend.send(Buffer.from("and the rest"));
      expect((await backend.read(31)).toString()).toBe("opening, and more, and the rest");
      expect((await player.read(22)).toString()).toBe("greeting, and the rest");
      player.close();
      await backend.waitForEnd();
      backend.close();
      expect(await ended).toMatchObject({ toBackend: 31, toClient: 22 });
    });

    test("is passed on behind what the kernel has not taken yet", async () => {
      const { player, client, server, backend } = await bench.open();
      player.pause();
      await backend.send(Buffer.from("behind"));
      await until("the inbox", () => peek(server).length === 6);
      send(client, aLot);
      expect(client.unsent).not.toBeNull();
      const session = await relay.join(client, server);
      expect(session.isHandedOver()).toBe(false);
      const sending = backend.send(eightMegabytes);
      player.resume();
      await sending;
      const whole = Buffer.concat([aLot, Buffer.from("behind"), eightMegabytes]);
      await player.waitForLength(whole.length);
      expectSame(player.received(), whole);
    });

    test("may be more than the inbox holds when a backend said it: nothing is lost, and it is read again", async () => {
      const { player, client, server, backend } = await bench.open();
      const sending = backend.send(aLot).then(() => backend.finish());
      await until("a full inbox", () => peek(server).length > 64 * 1024);
      const { ended } = await relay.join(client, server);
      await sending;
      expect(await player.waitForEnd()).toBe("finished");
      expectSame(player.received(), aLot);
      player.finish();
      expect(await ended).toMatchObject({
        toClient: aLot.length,
        endedBy: "backend",
        ending: "fin",
      });
    });

    interface Row {
      readonly name: string;
      readonly act: (link: Link) => Promise<unknown>;
      readonly end: { readonly endedBy: "client" | "backend"; readonly ending: string };
      /** The peer that is left. */
      readonly witness: "player" | "backend";
    }
    const rows: Row[] = [
      {
        name: "the client's FIN",
        act: async ({ player, client }) => {
          player.finish();
          await until("the FIN", () => client.ending !== null);
        },
        end: { endedBy: "client", ending: "fin" },
        witness: "backend",
      },
      {
        name: "the backend's FIN",
        act: async ({ backend, server }) => {
          backend.finish();
          await until("the FIN", () => server.ending !== null);
        },
        end: { endedBy: "backend", ending: "fin" },
        witness: "player",
      },
      {
        name: "the client's reset",
        act: async ({ player, client }) => {
          player.reset();
          await until("the close", () => client.closed);
        },
        end: { endedBy: "client", ending: "reset" },
        witness: "backend",
      },
      {
        name: "the backend's reset",
        act: async ({ backend, server }) => {
          backend.reset();
          await until("the close", () => server.closed);
        },
        end: { endedBy: "backend", ending: "reset" },
        witness: "player",
      },
    ];
    test.each(rows)("$name is passed on behind the last words of either side", async (row) => {
      const link = await bench.open();
      const { player, client, server, backend } = link;
      await player.send(Buffer.from("client's last"));
      await backend.send(Buffer.from("backend's last"));
      await until("both", () => peek(client).length === 13 && peek(server).length === 14);
      await row.act(link);
      const { ended } = await relay.join(client, server);
      const witness = row.witness === "player" ? player : backend;
      expect(await witness.waitForEnd()).toBe("finished");
      const words = row.witness === "player" ? "backend's last" : "client's last";
      expect(witness.received().toString()).toBe(words);
      player.close();
      backend.close();
      expect(await ended).toMatchObject(row.end);
    });

    test("was the end of both: the relay is over at once", async () => {
      const { player, client, server, backend } = await bench.open();
      player.reset();
      backend.reset();
      await until("both are gone", () => client.closed && server.closed);
      const { ended } = await relay.join(client, server);
      expect(await ended).toEqual({
        toBackend: 0,
        toClient: 0,
        endedBy: "client",
        ending: "reset",
      });
    });
  });

  describe("a relay that stands still", () => {
    test("lasts for as long as both sides are open", async () => {
      const { player, backend } = await openRelay();
      clock.advance(24 * 3_600_000);
      await player.send(Buffer.from("good morning"));
      await backend.waitForLength(12);
      expect(clock.pending()).toBe(0);
    });

    test("is cut 30 s after one side ended, when nothing moves any more", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.finish();
      await backend.waitForEnd();
      await lingers();
      clock.advance(29_999);
      expect(session.isOver()).toBe(false);
      clock.advance(1);
      expect(await ended).toMatchObject({ endedBy: "client", ending: "fin" });
      expect(clock.pending()).toBe(0);
    });

    test("goes on for as long as something moves every 30 s", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.finish();
      await backend.waitForEnd();
      await lingers();
      for (let round = 1; round <= 5; round += 1) {
        clock.advance(29_000);
        await backend.send(Buffer.from("x"));
        await player.waitForLength(round);
        await until("it is counted", () => session.bytes().toClient === round);
        expect(session.isOver()).toBe(false);
      }
      clock.advance(60_000);
      await ended;
    });

    test("gives a slow player 30 s for the next bytes when its backend is gone, and resets it then", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.pause();
      const sending = backend.send(aLot).catch(() => {});
      await stalled(session, "toClient");
      backend.reset();
      await lingers();
      await sending;
      clock.advance(29_999);
      expect(session.isOver()).toBe(false);
      clock.advance(1);
      expect(await ended).toMatchObject({ endedBy: "backend", ending: "reset" });
      player.resume();
      expect(await player.waitForEnd()).toBe("reset");
    });

    test("leaves to the kernel what it has taken already: a slow player still gets it all", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.pause();
      const words = aLot.subarray(0, megabyte);
      await backend.send(words);
      await until("all is relayed", () => session.bytes().toClient === words.length);
      backend.close();
      await lingers();
      clock.advance(60_000);
      await ended;
      player.resume();
      expect(await player.waitForEnd()).toBe("finished");
      expectSame(player.received(), words);
    });

    test("whose client keeps talking to a backend that is gone is cut all the same", async () => {
      const { player, backend, ended } = await openRelay();
      backend.reset();
      expect(await player.waitForEnd()).toBe("finished");
      await lingers();
      for (let second = 0; second < 30; second += 1) {
        await player.send(Buffer.from("hello?"));
        clock.advance(1_000);
      }
      await ended;
    });

    test("is cut after 5 s when its client is gone, however little its backend has noticed", async () => {
      const { player, session, backend, ended } = await openRelay();
      player.reset();
      expect(await backend.waitForEnd()).toBe("finished");
      await lingers();
      clock.advance(4_999);
      expect(session.isOver()).toBe(false);
      clock.advance(1);
      expect(await ended).toMatchObject({ endedBy: "client", ending: "reset" });
    });
  });
});
