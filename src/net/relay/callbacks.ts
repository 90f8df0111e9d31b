import type { Deadlines } from "../../base/deadlines.ts";
import {
  abort,
  type Conn,
  drop,
  finish,
  flush,
  inboxLimits,
  type Relay,
  type RelayEnd,
  take,
} from "../conn.ts";

/**
 * How long what is left of a relay may stand still once one side has ended, and one for a moment from the start, ms. A slow reader frees the kernel's buffers in
 * large steps; but nobody is left to read what a backend still says when its client is gone.
 */
const lingerMs = 30_000;
const afterClientMs = 5_000;

/**
 * Joins client and backend until both are closed, and tells `over`. Takes both over: from here on the socket handlers move the
 * bytes, by the functions below, and nobody else reads or writes. `over` may be told before this returns.
 *
 * Bytes stay in order and none is dropped: a direction that ends passes its FIN on behind its last byte and the other one
 * goes on, for as long as something moves at least every 30 s (5 s when the client is gone).
 */
export function relay(
  client: Conn,
  backend: Conn,
  deadlines: Deadlines,
  over: (end: RelayEnd) => void,
): void {
  const joined: Relay = {
    client,
    backend,
    deadlines,
    endedBy: null,
    ending: "aborted",
    linger: null,
    over,
  };
  client.relay = joined;
  backend.relay = joined;
  client.peer = backend;
  backend.peer = client;
  start(client, backend);
  start(backend, client);
}

/** The same for those who stay a moment only, such as a ping: it is also cut when nothing moves for 30 s, as nobody asks whether they are still there. */
export function relayBriefly(
  client: Conn,
  backend: Conn,
  deadlines: Deadlines,
  over: (end: RelayEnd) => void,
): void {
  relay(client, backend, deadlines, over);
  const joined = client.relay;
  if (joined !== null && joined.over !== null) cutWhenStill(joined);
}

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
  joined.linger = deadlines.after(client.closed ? afterClientMs : lingerMs, () => {
    if (client.sent + backend.sent !== moved) {
      cutWhenStill(joined);
      return;
    }
    cut(client);
    cut(backend);
  });
}

/** Closes a side that stands still. What the kernel has taken for it may still arrive, so a reset is only for a side that is owed more. */
function cut(side: Conn): void {
  if (side.unsent === null) drop(side);
  else abort(side);
}

/** Passes on what `from` had received before the relay, and the end that it may have come to. */
function start(from: Conn, to: Conn): void {
  const waiting = from.inbox;
  if (waiting.length > 0) {
    take(from, waiting.length);
    forward(from, to, waiting);
    // A backend that said more than the inbox holds was paused.
    if (waiting.length > inboxLimits.backend && to.unsent === null && !from.closed)
      from.socket.resume();
  }
  if (from.closed) relayClosed(from, to);
  else if (from.ending !== null) relayEnded(from, to);
}

/** Writes the very Buffer that arrived to the other side. What the kernel does not take stays as the one pending slice, and reading stops until it is gone. */
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
    return;
  }
  // Negative: that side is closed or has our FIN; its own close event ends the relay.
  if (taken < 0) return;
  to.sent += taken;
  to.unsent = taken === 0 ? chunk : chunk.subarray(taken);
  if (!from.closed) from.socket.pause();
}

/** The kernel takes bytes for `to` again. Also called when nothing was pending: Bun emits `drain` after every pause and resume. */
export function drained(to: Conn, from: Conn): void {
  if (to.unsent === null) return;
  if (flush(to) && !from.closed) from.socket.resume();
}

/** `from` sent FIN: pass it on behind the last byte. */
export function relayEnded(from: Conn, to: Conn): void {
  finish(to);
  sideEnded(from);
}

/** `from` is gone: the other side gets what it is still owed and then FIN, and what it sends has nowhere to go. */
export function relayClosed(from: Conn, to: Conn): void {
  // What it was still owed must not pile up with what `to` goes on sending.
  from.unsent = null;
  finish(to);
  // Without a reader on our side a paused socket would never see its peer's FIN.
  if (!to.closed) to.socket.resume();
  sideEnded(from);
}
