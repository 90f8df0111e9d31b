import type { Socket } from "bun";
import type { Deadline, Deadlines } from "../base/deadlines.ts";
import { codeOf } from "../base/thrown.ts";
import { setUserTimeout } from "./socket-options.ts";

/**
 * One side of a TCP connection. `ip` is a literal in its plain form: an IPv4 peer of a dual-stack listener
 * reads `192.0.2.1`.
 */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/**
 * What ended the wait for more bytes: they came, the peer sent FIN, the connection is gone, or the wait was
 * over first.
 */
export type Arrival = "data" | "ended" | "closed" | "late";

/**
 * How a connection stopped being readable: by the peer's FIN, by a reset, because the other machine
 * acknowledged nothing or cannot be reached any more, or by our own doing.
 */
export type Ending = "fin" | "reset" | "timed-out" | "aborted";

/**
 * One TCP connection, to a client or to a backend.
 *
 * Before the relay it is read by `more`, `peek` and `take` and written by `send`; then `relay` takes it over
 * together with its peer. Plain data, so that the relay's callbacks reach everything by one property read.
 * Only net/ writes its fields.
 */
export interface Conn {
  readonly socket: Socket<Conn>;
  readonly side: "client" | "backend";
  /** The client's end as its socket tells it; of a backend, what was dialled. */
  remote: Endpoint;
  /** The other end of the relay; null before it. */
  peer: Conn | null;
  /** What it shares with its peer; null before the relay. */
  relay: Relay | null;
  /** Bytes that arrived and were not taken; empty during the relay. */
  inbox: Buffer;
  /** How many bytes can be put behind the inbox where it lies. */
  inboxRoom: number;
  /** How many bytes of the inbox count towards `spareBytes`. */
  spareBytes: number;
  /** Not read from, as the inbox is full. */
  isPaused: boolean;
  /** Bytes that the kernel has not accepted yet. At most one arrived chunk during the relay. */
  unsent: Buffer | null;
  /** Bytes handed to the kernel so far. */
  sent: number;
  /** Send FIN as soon as `unsent` is empty. */
  finWhenSent: boolean;
  /** The peer can send nothing more. Null while it can. */
  ending: Ending | null;
  /** We have sent FIN. */
  finSent: boolean;
  closed: boolean;
  /** Bytes dropped since the goodbye was sent. Null while what arrives still matters. */
  discarded: number | null;
  /** Told of every arrival: by the one wait in progress, or as `watch` was asked to. */
  waiting: ((arrival: Arrival) => void) | null;
  /** Told once, when the connection is gone. One function for all, where there are many of them. */
  onClose: ((conn: Conn) => void) | null;
}

/** Bytes given to either side of a relay. */
export interface RelayBytes {
  readonly toBackend: number;
  readonly toClient: number;
}

/**
 * How a relay went: bytes given to either side in the whole session, and which side ended first and how. A
 * relay that failed by a fault of the router's own was ended by neither.
 */
export interface RelayEnd extends RelayBytes {
  readonly endedBy: "client" | "backend";
  readonly ending: Ending | "relay-failed";
}

/**
 * A relay in the socket callbacks: what its two connections share. Plain data. Only `relay/` writes its
 * fields.
 */
export interface Relay {
  readonly kind: "callbacks";
  readonly client: Conn;
  readonly backend: Conn;
  readonly deadlines: Deadlines;
  /** Which side ended first, and how; null while neither has. */
  endedBy: Conn["side"] | null;
  ending: Ending;
  /** Cuts what stands still once one side has ended; null before. */
  linger: Deadline | null;
  /** Told once, when both sides are closed; null after that. */
  over: ((end: RelayEnd) => void) | null;
  /**
   * Asked whenever bytes of the backend have been passed on and none wait: true when it has handed both
   * sockets to a relay thread, after which neither Conn is used any more. Null where the callbacks keep the
   * relay.
   */
  handOver: ((relay: Relay) => boolean) | null;
}

/**
 * How full an inbox may be before its socket is paused, bytes: what comes after that waits in the kernel
 * until the relay reads on. One read may fill it to half a megabyte more. A client's has room for a PROXY
 * header (4 KiB), a handshake (16 KiB) and a Login Start (5 KiB), each as long as it may be.
 */
export const inboxLimits = { client: 26 * 1024, backend: 64 * 1024 } as const;

/**
 * Bytes that all clients together may have in their inboxes beyond the first 8 KiB of each. A client that
 * would exceed it is reset: otherwise 10,000 waiting clients could have half a megabyte kept for each.
 */
const spareLimit = 64 * 1024 * 1024;
const inboxShare = 8 * 1024;
let spareBytes = 0;

const nothing = Buffer.alloc(0);

/** After how long without a packet the kernel asks the other machine whether it is there, ms. */
const probeMs = 30_000;
/**
 * After how long without an acknowledgement the kernel gives the connection up, ms. It counts the time for
 * which a receiver's window is closed as well, and a game that loads many mods reads nothing for more than a
 * minute.
 */
const unacknowledgedMs = 120_000;

/**
 * How long a goodbye may take to be read before the connection is cut, ms; and how much is read meanwhile,
 * bytes.
 */
const farewellMs = 2_000;
const farewellBytes = 64 * 1024;

/** The remote end of a backend's Conn until the dialer fills it in. */
const nowhere: Endpoint = { ip: "", port: 0 };

/** Where the socket's peer is, as the kernel tells it: two system calls. Null when it is gone already. */
export function remoteEndpoint(socket: Socket<Conn>): Endpoint | null {
  const address: string | undefined = socket.remoteAddress;
  return address === undefined ? null : { ip: plainIp(address), port: socket.remotePort };
}

/** The Conn of a socket that has just opened. */
export function createConn(
  socket: Socket<Conn>,
  side: Conn["side"],
  remote: Endpoint = nowhere,
): Conn {
  return {
    socket,
    side,
    remote,
    peer: null,
    relay: null,
    inbox: nothing,
    inboxRoom: 0,
    spareBytes: 0,
    isPaused: false,
    unsent: null,
    sent: 0,
    finWhenSent: false,
    ending: null,
    finSent: false,
    closed: false,
    discarded: null,
    waiting: null,
    onClose: null,
  };
}

/** Where on this machine the connection ends. */
export const localEndpoint = (conn: Conn): Endpoint => ({
  ip: plainIp(conn.socket.localAddress),
  port: conn.socket.localPort,
});

/**
 * An IPv4-mapped IPv6 address as the IPv4 address that it means (RFC 4291 section 2.5.5.2); others unchanged.
 */
export const plainIp = (ip: string): string =>
  ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;

/** Bytes that have arrived and were not taken. Valid until the next wait. */
export const peek = (conn: Conn): Buffer => conn.inbox;

/**
 * Drops the first `count` bytes of what has arrived. A socket that was paused is read again when there is
 * room.
 */
export function take(conn: Conn, count: number): void {
  if (conn.inbox.length > count) {
    conn.inbox = conn.inbox.subarray(count);
  } else {
    conn.inbox = nothing;
    conn.inboxRoom = 0;
  }
  countSpare(conn);
  if (!conn.isPaused || conn.inbox.length > inboxLimits[conn.side]) return;
  conn.isPaused = false;
  if (!conn.closed) conn.socket.resume();
}

/** Counts what the inbox holds beyond its share; false when the clients together hold too much. */
function countSpare(conn: Conn): boolean {
  if (conn.side === "backend") return true;
  const now = conn.closed ? 0 : Math.max(0, conn.inbox.length - inboxShare);
  if (now === conn.spareBytes) return true;
  spareBytes += now - conn.spareBytes;
  conn.spareBytes = now;
  return spareBytes <= spareLimit;
}

/**
 * Waits for bytes that were not there before, for at most `ms` (Infinity: without limit) and until the signal
 * aborts. One wait at a time.
 */
export function more(
  conn: Conn,
  deadlines: Deadlines,
  ms: number,
  signal?: AbortSignal,
): Promise<Arrival> {
  if (conn.closed) return Promise.resolve("closed");
  if (conn.ending !== null) return Promise.resolve("ended");
  if (ms <= 0 || signal?.aborted) return Promise.resolve("late");
  return new Promise((resolve) => {
    const settle = (arrival: Arrival): void => {
      conn.waiting = null;
      deadline?.cancel();
      signal?.removeEventListener("abort", tooLate);
      resolve(arrival);
    };
    const tooLate = (): void => settle("late");
    const deadline = ms === Number.POSITIVE_INFINITY ? null : deadlines.after(ms, tooLate);
    signal?.addEventListener("abort", tooLate, { once: true });
    conn.waiting = settle;
  });
}

/**
 * Calls back at every arrival from now on, until the next wait or `unwatch`: for waits that are long and
 * many.
 */
export function watch(conn: Conn, onArrival: (arrival: Arrival) => void): void {
  conn.waiting = onArrival;
}

/** Ends `watch`. */
export function unwatch(conn: Conn): void {
  conn.waiting = null;
}

/**
 * Has the kernel ask, after 30 s of silence, whether the other machine is still there, and give the
 * connection up when nothing has been acknowledged for 120 s. Otherwise a session would last for ever when
 * both its machines vanish. It takes five system calls, so it is for sessions that stay; shorter ones have a
 * deadline.
 */
export function probeWhenSilent(conn: Conn): void {
  if (conn.closed) return;
  conn.socket.setKeepAlive(true, probeMs);
  setUserTimeout(conn.socket.fd, unacknowledgedMs);
}

/**
 * Sends bytes in order. False when the connection cannot be written any more; what the kernel does not take
 * at once is kept.
 */
export function send(conn: Conn, bytes: Uint8Array): boolean {
  if (conn.closed || conn.finSent || conn.finWhenSent) return false;
  if (conn.unsent !== null) {
    conn.unsent = Buffer.concat([conn.unsent, bytes]);
    return true;
  }
  const taken = conn.socket.write(bytes);
  if (taken < 0) return false;
  conn.sent += taken;
  if (taken < bytes.length) conn.unsent = Buffer.from(bytes.subarray(taken));
  return true;
}

/** Gives the kernel what it would not take before; true when nothing is left. Safe to call at any time. */
export function flush(conn: Conn): boolean {
  const rest = conn.unsent;
  if (rest === null) return true;
  const taken = conn.socket.write(rest);
  if (taken < 0) return false;
  conn.sent += taken;
  if (taken < rest.length) {
    conn.unsent = taken === 0 ? rest : rest.subarray(taken);
    return false;
  }
  conn.unsent = null;
  if (conn.finWhenSent) sendFin(conn);
  return true;
}

/** Sends FIN once everything before it is sent. The peer may go on sending. */
export function finish(conn: Conn): void {
  if (conn.closed || conn.finSent) return;
  if (conn.unsent === null) sendFin(conn);
  else conn.finWhenSent = true;
}

/**
 * Ends the connection so that the peer reads everything sent so far: FIN behind the last byte, then whatever
 * still comes is read and dropped. Bun's `end()` would close at once, and unread input then turns the goodbye
 * into a reset.
 */
export function close(conn: Conn, deadlines: Deadlines): void {
  if (conn.closed || conn.discarded !== null) return;
  conn.discarded = 0;
  conn.peer = null;
  take(conn, conn.inbox.length);
  const cut = deadlines.after(farewellMs, () => abort(conn));
  const tell = conn.onClose;
  conn.onClose = () => {
    cut.cancel();
    tell?.(conn);
  };
  finish(conn);
  if (!conn.closed) conn.socket.resume();
}

/**
 * Closes the connection at once. What the kernel has taken is still delivered, unless input is unread or the
 * peer goes on sending: that makes it a reset.
 */
export function drop(conn: Conn): void {
  if (conn.closed) return;
  conn.ending ??= "aborted";
  conn.socket.end();
}

/** Ends the connection at once with a reset; bytes on their way may be lost. */
export function abort(conn: Conn): void {
  if (conn.closed) return;
  conn.ending ??= "aborted";
  conn.socket.terminate();
}

/** Takes in what arrived before the relay. Called by the socket handlers only. */
export function receive(conn: Conn, chunk: Buffer): void {
  if (conn.discarded !== null) {
    conn.discarded += chunk.length;
    if (conn.discarded > farewellBytes) abort(conn);
    return;
  }
  if (conn.inbox.length === 0) conn.inbox = chunk;
  else append(conn, chunk);
  if (!countSpare(conn)) {
    abort(conn);
    return;
  }
  conn.waiting?.("data");
  if (conn.inbox.length <= inboxLimits[conn.side] || conn.closed) return;
  conn.isPaused = true;
  conn.socket.pause();
}

/** The socket is closed, with this error if with any. Called by the socket handlers only. */
export function noteClosed(conn: Conn, error: Error | undefined): void {
  conn.closed = true;
  conn.ending ??= endingOf(error);
  countSpare(conn);
}

/** A FIN that meets our own is reported by the close event alone, without an error. */
function endingOf(error: Error | undefined): Ending {
  if (error === undefined) return "fin";
  return unreachable.has(codeOf(error)) ? "timed-out" : "reset";
}

/** How the kernel gives up waiting for the other machine. */
const unreachable: ReadonlySet<string> = new Set(["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]);

/**
 * Puts a chunk behind what is in the inbox. Each time that there is no room, three times as much is made: a
 * client that sends its 16 KiB in pieces of a few bytes would otherwise leave megabytes of copies to the
 * garbage collector.
 */
function append(conn: Conn, chunk: Buffer): void {
  const { inbox } = conn;
  const length = inbox.length + chunk.length;
  const { buffer, byteOffset } = inbox;
  if (conn.inboxRoom >= chunk.length) {
    conn.inboxRoom -= chunk.length;
    conn.inbox = Buffer.from(buffer, byteOffset, length);
    conn.inbox.set(chunk, inbox.length);
    return;
  }
  const capacity = Math.max(length, Math.min(4 * length, inboxLimits[conn.side]));
  // Memory of its own, not a piece of Node's pool, which it would keep alive.
  const grown = Buffer.allocUnsafeSlow(capacity);
  grown.set(inbox);
  grown.set(chunk, inbox.length);
  conn.inbox = grown.subarray(0, length);
  conn.inboxRoom = capacity - length;
}

/**
 * Behind the peer's own FIN nothing can come that would turn a plain close into a reset, and that is one
 * system call instead of two.
 */
function sendFin(conn: Conn): void {
  conn.finWhenSent = false;
  conn.finSent = true;
  if (conn.ending === "fin") conn.socket.end();
  else conn.socket.shutdown();
}
