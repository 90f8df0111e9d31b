import type { Socket } from "bun";
import { readVarint } from "../minecraft/wire.ts";

/** How the other side ended, as this side saw it: a reset after a half-close counts as reset, and what we ended ourselves stays `open`. */
export type Ending = "open" | "finished" | "reset";

/** One packet as it stood on the wire. `id` is null for the empty frame, the single byte 00. */
export interface Frame {
  readonly id: number | null;
  readonly body: Buffer;
  /** Everything, the length prefix included. */
  readonly raw: Buffer;
}

/** How many bytes arrived together, and when on the clock of `performance.now()`. */
export interface Arrival {
  readonly atMs: number;
  readonly length: number;
}

/** What is done with the bytes that arrive. With `onData` they are handed over and not kept, so that a test may move gigabytes. */
export interface PeerOptions {
  readonly onData?: (bytes: Buffer) => void;
}

/** Our end of one TCP connection: everything it received, and every way to speak and to end. Half-open connections are allowed. */
export interface Peer extends Disposable {
  readonly openedAtMs: number;
  readonly arrivals: readonly Arrival[];
  /** Bytes received so far, kept or not. */
  readonly receivedLength: number;
  readonly ending: Ending;
  /** The socket underneath is closed in both directions. */
  readonly isClosed: boolean;
  readonly localPort: number;
  readonly remotePort: number;
  /** Everything received so far, whether read or not. */
  received(): Buffer;
  /** Resolves when the kernel has taken every byte; rejects when the connection is gone. */
  send(bytes: Uint8Array): Promise<void>;
  /** Sends one byte at a time, each in a segment of its own. */
  sendByteByByte(bytes: Uint8Array, pauseMs: number): Promise<void>;
  /** The next `length` bytes not read yet. Rejects when the other side ends first or the time is over. */
  read(length: number, timeoutMs?: number): Promise<Buffer>;
  /** The next packet not read yet. Rejects as `read` does. */
  readFrame(timeoutMs?: number): Promise<Frame>;
  /** Resolves once `length` bytes have arrived in all; reads none of them. */
  waitForLength(length: number, timeoutMs?: number): Promise<void>;
  /** Resolves when the other side has ended; rejects when it has not in time. */
  waitForEnd(timeoutMs?: number): Promise<Ending>;
  /** Ends our direction only. */
  finish(): void;
  /** Closes both directions at once with a RST. */
  reset(): void;
  /** Closes both directions in the ordinary way. */
  close(): void;
  /** Stops reading from the kernel, as a slow reader does. */
  pause(): void;
  resume(): void;
  /** The longest time without a byte, from the opening until the last byte or, while open, until now. */
  largestSilenceMs(): number;
}

/** What the socket's callbacks call. */
interface PeerEvents {
  data(bytes: Buffer): void;
  drain(): void;
  end(): void;
  close(error: Error | undefined): void;
}

/** The state that a socket of this file carries: null until it is open. */
export interface PeerSlot {
  peer: (Peer & { readonly events: PeerEvents }) | null;
}

/** How long every wait lasts unless told otherwise. */
export const defaultTimeoutMs = 20_000;

/** Makes the peer for a socket that has just opened and puts it in the socket's slot. */
export function openPeer(socket: Socket<PeerSlot>, options: PeerOptions = {}): Peer {
  const openedAtMs = performance.now();
  const arrivals: Arrival[] = [];
  let kept: Buffer[] = [];
  let readOffset = 0;
  let receivedLength = 0;
  let ending: Ending = "open";
  let isClosed = false;
  let endedByUs = false;
  // One promise for "something happened": every wait looks again and waits for the next one.
  let changed = Promise.withResolvers<void>();

  function change(): void {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  }

  function received(): Buffer {
    if (kept.length !== 1) kept = [Buffer.concat(kept)];
    return kept[0] as Buffer;
  }

  const isOver = (): boolean => ending !== "open" || isClosed;

  function describe(): string {
    const head = received().subarray(0, 64).toString("hex");
    return `${receivedLength} bytes received (${head}), other side ${ending}${isClosed ? ", closed" : ""}`;
  }

  /** Resolves with the first value of `look` that is not null; `over` says whether the end of the stream makes waiting pointless. */
  async function waitFor<T>(
    what: string,
    timeoutMs: number,
    look: () => T | null,
    over: () => boolean,
  ): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = look();
      if (found !== null) return found;
      if (over()) throw new Error(`ended before ${what}: ${describe()}`);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`no ${what} within ${timeoutMs} ms: ${describe()}`);
      await withTimeout(changed.promise, leftMs);
    }
  }

  function take(length: number): Buffer | null {
    if (receivedLength - readOffset < length) return null;
    const bytes = received().subarray(readOffset, readOffset + length);
    readOffset += length;
    return bytes;
  }

  function takeFrame(): Frame | null {
    const unread = received().subarray(readOffset);
    const length = readVarint(unread, 0);
    if (length === null) return null;
    const raw = take(length.end + length.value);
    if (raw === null) return null;
    const id = length.value === 0 ? null : readVarint(raw, length.end);
    return { id: id?.value ?? null, body: raw.subarray(id?.end ?? length.end), raw };
  }

  async function send(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      const written = isClosed ? -1 : socket.write(rest);
      if (written < 0) throw new Error(`cannot send: ${describe()}`);
      rest = rest.subarray(written);
      if (rest.length > 0) await changed.promise;
    }
  }

  function reset(): void {
    endedByUs = true;
    socket.terminate();
  }

  const peer: Peer & { readonly events: PeerEvents } = {
    openedAtMs,
    arrivals,
    get receivedLength() {
      return receivedLength;
    },
    get ending() {
      return ending;
    },
    get isClosed() {
      return isClosed;
    },
    localPort: socket.localPort,
    remotePort: socket.remotePort,
    received,
    send,
    async sendByteByByte(bytes, pauseMs) {
      for (let index = 0; index < bytes.length; index++) {
        await send(bytes.subarray(index, index + 1));
        await Bun.sleep(pauseMs);
      }
    },
    read: (length, timeoutMs = defaultTimeoutMs) =>
      waitFor(`${length} bytes`, timeoutMs, () => take(length), isOver),
    readFrame: (timeoutMs = defaultTimeoutMs) => waitFor("frame", timeoutMs, takeFrame, isOver),
    async waitForLength(length, timeoutMs = defaultTimeoutMs) {
      await waitFor(
        `${length} bytes`,
        timeoutMs,
        () => (receivedLength >= length ? true : null),
        isOver,
      );
    },
    waitForEnd: (timeoutMs = defaultTimeoutMs) =>
      waitFor(
        "end",
        timeoutMs,
        () => (ending === "open" ? null : ending),
        () => isClosed,
      ),
    finish: () => void socket.shutdown(),
    reset,
    close() {
      endedByUs = true;
      socket.end();
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    largestSilenceMs() {
      const last = isOver() ? [] : [performance.now()];
      let since = openedAtMs;
      let largest = 0;
      for (const atMs of [...arrivals.map((arrival) => arrival.atMs), ...last]) {
        largest = Math.max(largest, atMs - since);
        since = atMs;
      }
      return largest;
    },
    [Symbol.dispose]: reset,
    events: {
      data(bytes) {
        arrivals.push({ atMs: performance.now(), length: bytes.length });
        receivedLength += bytes.length;
        if (options.onData) options.onData(bytes);
        else kept.push(bytes);
        change();
      },
      drain: change,
      end() {
        if (ending === "open") ending = "finished";
        change();
      },
      close(error) {
        isClosed = true;
        // After our own half-close Bun reports the other side's FIN by `close` alone, without `end`.
        if (error) ending = "reset";
        else if (ending === "open" && !endedByUs) ending = "finished";
        change();
      },
    },
  };
  socket.data.peer = peer;
  return peer;
}

/** Socket callbacks that feed the peer of each socket; `open` is left to whoever makes the peer. */
export const peerHandlers = {
  data: (socket: Socket<PeerSlot>, bytes: Buffer) => socket.data.peer?.events.data(bytes),
  drain: (socket: Socket<PeerSlot>) => socket.data.peer?.events.drain(),
  end: (socket: Socket<PeerSlot>) => socket.data.peer?.events.end(),
  close: (socket: Socket<PeerSlot>, error?: Error) => socket.data.peer?.events.close(error),
  // The close that follows carries the same error.
  error: () => {},
};

/** Settles as the promise does, or resolves after that time; leaves no timer behind. */
export async function withTimeout(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
