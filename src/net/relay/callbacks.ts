import type { Deadlines } from "../../base/deadlines.ts";
import { abort, type Conn, drop, finish, flush, type Relay, type RelayEnd, take } from "../conn.ts";
import type { CreateLoginRelay } from "./relay.ts";

/** What a relay in the callbacks needs. */
export interface RelayDeps {
  readonly deadlines: Deadlines;
  /** Told once, when both sides are closed; perhaps before `relay` returns. */
  over(end: RelayEnd): void;
  /** See `Relay.handOver`. Left out: the callbacks keep the relay. */
  readonly handOver?: Relay["handOver"];
}

/**
 * Idle timeout once one side has ended (of pings: from the start), ms. A slow reader frees the kernel's
 * buffers in large steps; but when the client is gone, nothing of what the backend still says can be
 * delivered.
 */
export const lingerMs = { client: 30_000, gone: 5_000 } as const;

/**
 * Joins client and backend until both are closed. Takes both over: from here on the socket handlers move
 * the bytes, by the functions below, and nothing else reads or writes.
 *
 * Bytes stay in order and none is dropped: a direction that ends passes its FIN on behind its last byte and
 * the other one goes on, for as long as something moves at least every 30 s (5 s when the client is gone).
 */
export function relay(
  client: Conn,
  backend: Conn,
  { deadlines, over, handOver = null }: RelayDeps,
): Relay {
  const joined: Relay = {
    kind: "callbacks",
    client,
    backend,
    deadlines,
    endedBy: null,
    ending: "aborted",
    linger: null,
    over,
    handOver: null,
  };
  client.relay = joined;
  backend.relay = joined;
  client.peer = backend;
  backend.peer = client;
  start(client, backend);
  start(backend, client);
  joined.handOver = handOver;
  return joined;
}

/**
 * The same for a ping: it is also cut when nothing moves for 30 s from the start, as no keep-alive asks
 * after its client.
 */
export function relayBriefly(client: Conn, backend: Conn, deps: RelayDeps): void {
  const joined = relay(client, backend, deps);
  if (joined.over !== null) cutWhenStill(joined);
}

/** Relays logins in the callbacks of their sockets. */
export const createCallbackRelay =
  (deadlines: Deadlines): CreateLoginRelay =>
  (owner) => ({
    join: (client, backend, session) =>
      relay(client, backend, { deadlines, over: (end) => owner.over(session, end) }),
    stop: () => Promise.resolve(),
  });

/** One side has ended or closed. */
function sideEnded(side: Conn): void {
  const joined = side.relay;
  if (joined === null || joined.over === null) return;
  const { client, backend, over } = joined;
  if (joined.endedBy === null) {
    joined.endedBy = side.side;
    joined.ending = side.ending ?? "aborted";
  }
  if (!client.closed || !backend.closed) {
    cutWhenStill(joined);
    return;
  }
  joined.linger?.cancel();
  joined.over = null;
  const { endedBy, ending } = joined;
  over({ toBackend: backend.sent, toClient: client.sent, endedBy, ending });
}

function cutWhenStill(joined: Relay): void {
  const { client, backend, deadlines } = joined;
  const moved = client.sent + backend.sent;
  joined.linger?.cancel();
  joined.linger = deadlines.after(client.closed ? lingerMs.gone : lingerMs.client, () => {
    if (client.sent + backend.sent !== moved) {
      cutWhenStill(joined);
      return;
    }
    cut(client);
    cut(backend);
  });
}

/**
 * Closes a side that stands still. What the kernel has taken for it may still arrive, so a reset is only
 * for a side that is owed more.
 */
function cut(side: Conn): void {
  if (side.unsent === null) drop(side);
  else abort(side);
}

/** Passes on what `from` had received before the relay, and the end that it may have come to. */
function start(from: Conn, to: Conn): void {
  const waiting = from.inbox;
  if (waiting.length > 0) {
    // It reads a paused socket again; `forward` pauses it where the other side does not take all of this.
    take(from, waiting.length);
    forward(from, to, waiting);
  }
  if (from.closed) relayClosed(from, to);
  else if (from.ending !== null) relayEnded(from, to);
}

/**
 * Writes the very Buffer that arrived to the other side. What the kernel does not take stays as the one
 * pending slice, and reading stops until it is gone.
 */
export function forward(from: Conn, to: Conn, chunk: Buffer): void {
  if (to.unsent !== null) {
    // Bun may deliver one more chunk after pause(), when the socket fails meanwhile.
    to.unsent = Buffer.concat([to.unsent, chunk]);
    if (!from.closed) from.socket.pause();
    return;
  }
  const taken = to.socket.write(chunk);
  if (taken === chunk.length) {
    to.sent += taken;
    if (from.side === "backend") handOver(from);
    return;
  }
  // Negative: that side is closed or has our FIN; its own close event ends the relay.
  if (taken < 0) return;
  to.sent += taken;
  to.unsent = taken === 0 ? chunk : chunk.subarray(taken);
  if (!from.closed) from.socket.pause();
}

/**
 * The kernel takes bytes for `to` again. Also called when nothing was pending: Bun emits `drain` after
 * every pause and resume.
 */
export function drained(to: Conn, from: Conn): void {
  if (to.unsent === null || !flush(to) || from.closed) return;
  if (from.side === "backend" && handOver(from)) return;
  from.socket.resume();
}

/**
 * Tries to hand the relay to a relay thread, which takes only what is whole: nothing waits, and neither
 * side has ended.
 */
function handOver({ relay: joined }: Conn): boolean {
  if (joined === null || joined.handOver === null || joined.endedBy !== null) return false;
  const { client, backend } = joined;
  return client.unsent === null && backend.unsent === null && joined.handOver(joined);
}

/** `from` sent FIN: pass it on behind the last byte. */
export function relayEnded(from: Conn, to: Conn): void {
  finish(to);
  sideEnded(from);
}

/**
 * `from` is gone: the other side gets what it is still owed and then FIN, and what it sends has nowhere to
 * go.
 */
export function relayClosed(from: Conn, to: Conn): void {
  // What it was still owed must not pile up with what `to` goes on sending.
  from.unsent = null;
  finish(to);
  // Without a reader on our side a paused socket would never see its peer's FIN.
  if (!to.closed) to.socket.resume();
  sideEnded(from);
}
