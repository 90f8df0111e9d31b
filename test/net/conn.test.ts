import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createDeadlines } from "../../src/base/deadlines.ts";
import {
  type Arrival,
  abort,
  type Conn,
  close,
  drop,
  finish,
  flush,
  inboxLimits,
  localEndpoint,
  more,
  peek,
  plainIp,
  receive,
  send,
  take,
} from "../../src/net/conn.ts";
import { createDice, freshSeed } from "../support/dice.ts";
import {
  createManualDeadlines,
  type LinkBench,
  never,
  settled,
  startLinkBench,
} from "../support/net/link-bench.ts";
import type { Peer } from "../support/net/peer.ts";
import { until } from "../support/until.ts";

let bench: LinkBench;
beforeEach(() => {
  bench = startLinkBench();
});
afterEach(() => {
  expect(bench.faults).toEqual([]);
  bench[Symbol.dispose]();
});

/** More than the kernel takes for a peer that does not read. */
const aLot = randomBytes(16 * 1024 * 1024);
const kick = Buffer.from("You are not wanted here.");

const forever = Number.POSITIVE_INFINITY;

describe("waiting for more", () => {
  interface Row {
    readonly name: string;
    readonly act: (player: Peer, client: Conn, gone: AbortController) => void | Promise<void>;
    readonly arrival: Arrival;
    readonly inbox: string;
  }
  const rows: Row[] = [
    {
      name: "bytes come",
      act: (player) => player.send(Buffer.from("hello")),
      arrival: "data",
      inbox: "hello",
    },
    {
      name: "the peer sends FIN",
      act: (player) => player.finish(),
      arrival: "ended",
      inbox: "",
    },
    {
      name: "the peer resets",
      act: (player) => player.reset(),
      arrival: "closed",
      inbox: "",
    },
    {
      name: "this side aborts",
      act: (_, client) => abort(client),
      arrival: "closed",
      inbox: "",
    },
    {
      name: "this side drops it",
      act: (_, client) => drop(client),
      arrival: "closed",
      inbox: "",
    },
    {
      name: "the signal aborts",
      act: (_player, _client, gone) => gone.abort(),
      arrival: "late",
      inbox: "",
    },
  ];
  test.each(rows)("ends when $name", async ({ act, arrival, inbox }) => {
    const { player, client } = await bench.open();
    const gone = new AbortController();
    const waiting = more(client, bench.deadlines, forever, gone.signal);
    await act(player, client, gone);
    expect(await waiting).toBe(arrival);
    expect(peek(client).toString()).toBe(inbox);
    expect(client.waiting).toBeNull();
  });

  test("ends when its time is over, and leaves no deadline behind when it ends before", async () => {
    const deadlines = createManualDeadlines();
    const { player, client } = await bench.open();
    const late = more(client, deadlines, 300, never);
    deadlines.advance(299);
    expect(deadlines.pending()).toBe(1);
    deadlines.advance(1);
    expect(await late).toBe("late");
    const fed = more(client, deadlines, 300, never);
    await player.send(Buffer.from("x"));
    expect(await fed).toBe("data");
    expect(deadlines.pending()).toBe(0);
  });

  test("is not disturbed by the signal of a wait before it", async () => {
    const { player, client } = await bench.open();
    const first = new AbortController();
    const waiting = more(client, bench.deadlines, forever, first.signal);
    await player.send(Buffer.from("a"));
    expect(await waiting).toBe("data");
    const next = more(client, bench.deadlines, forever);
    first.abort();
    await player.send(Buffer.from("b"));
    expect(await next).toBe("data");
  });

  test("is over at once without time, on an aborted signal, after FIN and on a closed connection", async () => {
    const { player, client } = await bench.open();
    expect(await more(client, bench.deadlines, 0)).toBe("late");
    expect(await more(client, bench.deadlines, forever, AbortSignal.abort())).toBe("late");
    player.finish();
    expect(await more(client, bench.deadlines, forever)).toBe("ended");
    expect(await more(client, bench.deadlines, forever)).toBe("ended");
    expect(client.ending).toBe("fin");
    abort(client);
    expect(await more(client, bench.deadlines, forever)).toBe("closed");
  });

  test("a FIN behind the last bytes leaves the bytes to be read", async () => {
    const { player, client } = await bench.open();
    await player.send(Buffer.from("last words"));
    player.finish();
    await until("the FIN", () => client.ending === "fin");
    expect(peek(client).toString()).toBe("last words");
  });

  test("a reset is told from a FIN that meets our own", async () => {
    const one = await bench.open();
    one.player.reset();
    await until("the reset", () => one.client.closed);
    expect(one.client.ending).toBe("reset");

    const other = await bench.open();
    finish(other.client);
    other.player.finish();
    await until("the close", () => other.client.closed);
    expect(other.client.ending).toBe("fin");

    const own = await bench.open();
    abort(own.client);
    expect(own.client.closed).toBe(true);
    expect(own.client.ending).toBe("aborted");
    expect(await own.player.waitForEnd()).toBe("reset");
  });
});

describe("the inbox", () => {
  test("keeps what came in any number of pieces until it is taken", async () => {
    const { player, client } = await bench.open();
    await player.sendByteByByte(Buffer.from("abcdef"), 1);
    await until("six bytes", () => peek(client).length === 6);
    take(client, 2);
    expect(peek(client).toString()).toBe("cdef");
    await player.send(Buffer.from("gh"));
    await until("two more", () => peek(client).length === 6);
    take(client, 5);
    expect(peek(client).toString()).toBe("h");
    take(client, 1);
    expect(peek(client).length).toBe(0);
  });

  test("is the bytes that have come and were not taken, in any pieces; and whoever has looked at it sees them as they were", async () => {
    const { client } = await bench.open();
    const all = randomBytes(40_000);
    const dice = createDice(freshSeed());
    const looks: { readonly seen: Buffer; readonly from: number; readonly to: number }[] = [];
    let from = 0;
    for (let to = 0; to < all.length; ) {
      const piece = all.subarray(to, to + 1 + dice.below(200));
      // A copy of its own, as Bun hands it over.
      receive(client, Buffer.from(new Uint8Array(piece).buffer));
      to += piece.length;
      looks.push({ seen: peek(client), from, to });
      const count = dice.below(3) === 0 ? dice.below(to - from + 1) : 0;
      take(client, count);
      from += count;
    }
    const wrong = looks.filter(({ seen, from, to }) => !seen.equals(all.subarray(from, to)));
    expect({ seed: dice.seed, wrong }).toEqual({ seed: dice.seed, wrong: [] });
  });

  test("lets a client that says more wait, and reads on when there is room: nothing is lost", async () => {
    const { player, client } = await bench.open();
    const sent = settled(player.send(aLot));
    await until("a full inbox", () => client.isPaused);
    const kept = peek(client).length;
    expect(kept).toBeGreaterThan(inboxLimits.client);
    expect(kept).toBeLessThan(inboxLimits.client + 1_048_576);
    // Time enough for the kernel to hand over everything, if it were read.
    await bench.deadlines.sleep(200, never);
    expect(peek(client).length).toBe(kept);
    expect(sent()).toBe(false);

    let seen = 0;
    await until("all of it has come", () => {
      const part = peek(client);
      expect(part.equals(aLot.subarray(seen, seen + part.length))).toBe(true);
      take(client, part.length);
      seen += part.length;
      return seen === aLot.length;
    });
    expect(client.isPaused).toBe(false);
  });

  test("clients together keep 64 MiB beyond the first 8 KiB of each; the one that would keep more is reset", async () => {
    const ends: { readonly player: Peer; readonly client: Conn }[] = [];
    // As sockets hand it over: many times half a megabyte.
    const chunk = randomBytes(6 * 1024 * 1024);
    const fit = Math.floor((64 * 1024 * 1024) / (chunk.length - 8 * 1024));
    for (let count = 0; count <= fit; count += 1) {
      const end = await bench.open();
      receive(end.client, chunk);
      ends.push(end);
    }
    const last = ends.pop();
    expect(await last?.player.waitForEnd()).toBe("reset");
    expect(ends.every(({ client }) => !client.closed)).toBe(true);

    // What is taken, and what clients had that are gone, is free for others.
    const [taken, gone] = ends;
    if (taken === undefined || gone === undefined) throw new Error("too few clients");
    take(taken.client, chunk.length);
    gone.player.reset();
    await until("it is gone", () => gone.client.closed);
    for (let count = 0; count < 2; count += 1) {
      const next = await bench.open();
      receive(next.client, chunk);
      expect(next.client.closed).toBe(false);
    }
  });

  test("lets a backend that says more wait instead", async () => {
    const { server, backend } = await bench.open();
    const sent = settled(backend.send(aLot).catch(() => {}));
    await until("a full inbox", () => peek(server).length > inboxLimits.backend);
    const kept = peek(server).length;
    // Time enough for the kernel to hand over everything, if anybody read.
    await bench.deadlines.sleep(200, never);
    expect(peek(server).length).toBe(kept);
    expect(sent()).toBe(false);
    expect(server.closed).toBe(false);
    expect(aLot.subarray(0, kept).equals(peek(server))).toBe(true);
  });
});

describe("sending", () => {
  test("to a peer that reads later: short writes keep the rest, in order, and every byte is counted", async () => {
    const { player, client } = await bench.open();
    player.pause();
    const pieces = [aLot, Buffer.from("second"), aLot.subarray(0, 100_000), Buffer.from("last")];
    for (const piece of pieces) expect(send(client, piece)).toBe(true);
    const whole = Buffer.concat(pieces);
    expect(client.unsent).not.toBeNull();
    expect(client.sent + (client.unsent?.length ?? 0)).toBe(whole.length);
    expect(flush(client)).toBe(false);
    finish(client);
    expect(client.finWhenSent).toBe(true);
    expect(send(client, kick)).toBe(false);
    player.resume();
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received().equals(whole)).toBe(true);
    expect(client.sent).toBe(whole.length);
    expect(client.unsent).toBeNull();
    expect(client.finSent).toBe(true);
  });

  test("keeps a copy of the rest: the caller may reuse its buffer", async () => {
    const { player, client } = await bench.open();
    player.pause();
    const own = Buffer.from(aLot);
    send(client, own);
    own.fill(0);
    player.resume();
    await player.waitForLength(aLot.length);
    expect(player.received().equals(aLot)).toBe(true);
  });

  test("after the connection is gone is false and throws nothing", async () => {
    const { player, client } = await bench.open();
    player.reset();
    await until("the close", () => client.closed);
    expect(send(client, kick)).toBe(false);
    expect(flush(client)).toBe(true);
    finish(client);
    close(client, bench.deadlines);
    drop(client);
    abort(client);
    expect(client.sent).toBe(0);
  });

  test("drain events without anything to send do nothing: Bun emits one for each pause and resume", async () => {
    const { player, client } = await bench.open();
    for (let each = 0; each < 50; each += 1) {
      client.socket.pause();
      client.socket.resume();
    }
    send(client, kick);
    await player.waitForLength(kick.length);
    await player.send(Buffer.from("still here"));
    await until("the answer", () => peek(client).length === 10);
    expect(player.received().equals(kick)).toBe(true);
    expect(client.sent).toBe(kick.length);
  });
});

describe("a goodbye", () => {
  /** A client whose last 32 KiB are in the kernel, not read by the router. */
  async function openWithUnreadInput() {
    const link = await bench.open();
    link.client.socket.pause();
    await link.player.send(randomBytes(32 * 1024));
    return link;
  }

  test("arrives in full, and then FIN, although the client's input was not read", async () => {
    const { player, client } = await openWithUnreadInput();
    send(client, kick);
    close(client, bench.deadlines);
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received().equals(kick)).toBe(true);
    await player.send(randomBytes(1_000));
    player.finish();
    await until("the close", () => client.closed);
    expect(client.ending).toBe("fin");
  });

  test("would be a reset if the socket were simply closed", async () => {
    const { player, client } = await openWithUnreadInput();
    send(client, kick);
    drop(client);
    expect(await player.waitForEnd()).toBe("reset");
  });

  test("that the kernel does not take at once arrives in full as well", async () => {
    const { player, client } = await bench.open();
    player.pause();
    send(client, aLot);
    close(client, bench.deadlines);
    expect(client.finSent).toBe(false);
    player.resume();
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received().equals(aLot)).toBe(true);
  });

  test("waits 2 s for the client, and then cuts it", async () => {
    const deadlines = createManualDeadlines();
    const { player, client } = await bench.open();
    send(client, kick);
    close(client, deadlines);
    close(client, deadlines);
    expect(await player.waitForEnd()).toBe("finished");
    deadlines.advance(1_999);
    expect(client.closed).toBe(false);
    deadlines.advance(1);
    expect(client.closed).toBe(true);
    expect(deadlines.pending()).toBe(0);
  });

  test("reads 64 KiB of a client that goes on talking, keeps none of it, and then cuts it", async () => {
    const deadlines = createManualDeadlines();
    const { player, client } = await bench.open();
    let closes = 0;
    client.onClose = () => {
      closes += 1;
    };
    send(client, kick);
    close(client, deadlines);
    await player.send(randomBytes(64 * 1024));
    await until("the limit", () => client.discarded === 64 * 1024);
    expect(client.closed).toBe(false);
    expect(client.inbox.length).toBe(0);
    await player.send(Buffer.from("x"));
    await until("the close", () => client.closed);
    expect(await player.waitForEnd()).toBe("reset");
    expect(deadlines.pending()).toBe(0);
    expect(closes).toBe(1);
  });

  test("to a client that has ended already is over as soon as it is sent", async () => {
    const deadlines = createManualDeadlines();
    const { player, client } = await bench.open();
    player.finish();
    await until("the FIN", () => client.ending === "fin");
    send(client, kick);
    close(client, deadlines);
    await until("the close", () => client.closed);
    expect(client.ending).toBe("fin");
    expect(deadlines.pending()).toBe(0);
    await player.waitForLength(kick.length);
  });

  test("ends a wait that is still in progress when the connection is gone", async () => {
    const { player, client } = await bench.open();
    const waiting = more(client, bench.deadlines, forever);
    close(client, createDeadlines());
    player.finish();
    expect(await waiting).toBe("closed");
  });
});

describe("addresses", () => {
  test("both ends are named as the peer sees them", async () => {
    const { player, client, server, backend } = await bench.open();
    expect(client.remote).toEqual({ ip: "127.0.0.1", port: player.localPort });
    expect(localEndpoint(client)).toEqual({ ip: "127.0.0.1", port: bench.listener.port });
    expect(server.remote).toEqual({ ip: "127.0.0.1", port: bench.backend.port });
    expect(localEndpoint(server)).toEqual({ ip: "127.0.0.1", port: backend.remotePort });
  });

  test.each([
    { name: "an IPv4-mapped one", ip: "::ffff:192.0.2.1", plain: "192.0.2.1" },
    { name: "an IPv4 one", ip: "192.0.2.1", plain: "192.0.2.1" },
    { name: "an IPv6 one", ip: "2001:db8::1", plain: "2001:db8::1" },
    { name: "one that merely begins alike", ip: "::ffff:c000:201", plain: "::ffff:c000:201" },
  ])("$name is plain", ({ ip, plain }) => {
    expect(plainIp(ip)).toBe(plain);
  });
});
