import { ptr, toArrayBuffer } from "bun:ffi";
import { err, ok, type Result } from "../../base/result.ts";
import { type LibcOf, openLibc } from "../../system/libc.ts";

// Values of Linux: errno.h, fcntl.h, socket.h, splice(2), epoll(7). `struct epoll_event` is packed on
// x86-64 only.

/** Errors that a relay thread tells apart; every other one ends the connection that it happened on. */
export const errno = {
  interrupted: 4,
  again: 11,
  networkUnreachable: 101,
  timedOut: 110,
  hostUnreachable: 113,
} as const;

/** What a connection may be ready for, as epoll tells it. */
export const ready = {
  input: 0x1,
  output: 0x4,
  error: 0x8,
  hangUp: 0x10,
  peerFin: 0x2000,
} as const;

/**
 * The system calls of a relay thread, each as in its manual page. A count of bytes is negative where the
 * call failed: then it is the error's number. All of them return at once, but `wait`.
 */
export interface Kernel {
  /** Reads into the buffer; 0 behind the peer's FIN. */
  receive(socket: number, length: number): number;
  /** Sends the first `length` bytes of the buffer. */
  sendBuffer(socket: number, length: number): number;
  send(socket: number, bytes: Uint8Array): number;
  /**
   * Moves bytes from a socket into an empty pipe, up to its size, without copying them; 0 behind the peer's
   * FIN.
   */
  fill(pipeInput: number, socket: number): number;
  /** Moves `length` bytes of a pipe on to a socket. */
  empty(pipeOutput: number, socket: number, length: number): number;
  /**
   * Opens a pipe of `pipeSize` into `ends` (output, input). False where the system allows none of this
   * size.
   */
  openPipe(ends: Int32Array): boolean;
  sendFin(socket: number): void;
  close(descriptor: number): void;
  /**
   * Takes the error of a socket that epoll reports one for, negated as a failed call gives it; 0 for none.
   */
  takeError(socket: number): number;
  /** Closes so that the peer sees a reset, and what it was still owed is lost. */
  closeByReset(socket: number): void;
  /** A new epoll instance. */
  openEpoll(): number;
  /**
   * Reports readiness from now on, once for each change (edge-triggered), beginning with what is ready
   * already.
   */
  watch(epoll: number, socket: number, events: number, side: number, generation: number): number;
  /** Waits for readiness, for ever or not at all; gives how many events there are. */
  wait(epoll: number, forEver: boolean): number;
  /**
   * Of the event at `index` of the last wait: what is ready, and the side and generation that `watch` was
   * given.
   */
  eventBits(index: number): number;
  eventSide(index: number): number;
  eventGeneration(index: number): number;
  /** What `receive` reads into: a copy of its bytes outlives the next call. */
  readonly buffer: Uint8Array;
}

/** The most that one `receive` reads, bytes: what a thread copies at a time where it has no pipe. */
export const bufferSize = 512 * 1024;

/**
 * Bytes that a pipe holds. A quarter of it costs three times the processor time; four times as much is
 * refused to an ordinary user.
 */
const pipeSize = 256 * 1024;

const maxEvents = 512;

const msgDontWait = 0x40;
const msgNoSignal = 0x4000;
const spliceMove = 1;
const spliceNonBlock = 2;
const fSetPipeSize = 1031;
const oNonBlock = 0o4000;
const oCloseOnExec = 0o2000000;
const shutWrite = 1;
const solSocket = 1;
const soError = 4;
const soLinger = 13;
const sigpipe = 13;
const sigBlock = 0;
const epollAdd = 1;
const epollEdgeTriggered = 1 << 31;

const symbols = {
  __errno_location: { args: [], returns: "ptr" },
  close: { args: ["i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  pthread_sigmask: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  recv: { args: ["i32", "ptr", "usize", "i32"], returns: "i32" },
  send: { args: ["i32", "ptr", "usize", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  splice: { args: ["i32", "ptr", "i32", "ptr", "usize", "u32"], returns: "i32" },
} as const;

/** splice(2) has no flag against the signal for a connection that is gone; the error says it too. */
function blockSigpipe(c: LibcOf<typeof symbols>): void {
  const set = new Uint32Array(32);
  set[0] = 1 << (sigpipe - 1);
  c.pthread_sigmask(sigBlock, set, null);
}

/**
 * The kernel of this machine, for the thread that calls this and no other: errno is each thread's own. The
 * error says why there is none.
 */
export function openKernel(): Result<Kernel, string> {
  const library = openLibc(symbols);
  if (!library.ok) return library;
  const c = library.value;
  const errnoAt = c.__errno_location();
  if (errnoAt === null) return err("the C library has no errno");

  const lastErrno = new Int32Array(toArrayBuffer(errnoAt, 0, 4));
  blockSigpipe(c);
  const counted = (result: number): number => (result < 0 ? -(lastErrno[0] ?? 0) : result);

  // What is passed by address stays referenced by the closures below, as an address alone keeps nothing
  // alive.
  const buffer = new Uint8Array(bufferSize);
  const bufferAt = ptr(buffer);
  const isPacked = process.arch === "x64";
  const eventWords = isPacked ? 3 : 4;
  const dataWord = isPacked ? 1 : 2;
  const events = new Int32Array(eventWords * maxEvents);
  const eventsAt = ptr(events);
  const watched = new Int32Array(4);
  const resetLinger = new Int32Array([1, 0]);
  const option = new Int32Array(1);
  const optionLength = new Uint32Array(1);

  return ok({
    buffer,
    receive: (socket, length) => counted(c.recv(socket, bufferAt, length, msgDontWait)),
    sendBuffer: (socket, length) =>
      counted(c.send(socket, bufferAt, length, msgDontWait | msgNoSignal)),
    send: (socket, bytes) =>
      counted(c.send(socket, bytes, bytes.length, msgDontWait | msgNoSignal)),
    fill: (pipeInput, socket) =>
      counted(c.splice(socket, null, pipeInput, null, pipeSize, spliceMove | spliceNonBlock)),
    empty: (pipeOutput, socket, length) =>
      counted(c.splice(pipeOutput, null, socket, null, length, spliceMove | spliceNonBlock)),
    openPipe(ends) {
      if (c.pipe2(ends, oNonBlock | oCloseOnExec) < 0) return false;
      const [output = -1, input = -1] = ends;
      if (c.fcntl(input, fSetPipeSize, pipeSize) >= pipeSize) return true;
      c.close(output);
      c.close(input);
      return false;
    },
    sendFin: (socket) => void c.shutdown(socket, shutWrite),
    close: (descriptor) => void c.close(descriptor),
    takeError(socket) {
      optionLength[0] = option.byteLength;
      const code = c.getsockopt(socket, solSocket, soError, option, optionLength);
      return code < 0 ? 0 : -(option[0] ?? 0);
    },
    closeByReset(socket) {
      c.setsockopt(socket, solSocket, soLinger, resetLinger, 8);
      c.close(socket);
    },
    openEpoll: () => counted(c.epoll_create1(oCloseOnExec)),
    watch(epoll, socket, bits, side, generation) {
      watched[0] = bits | epollEdgeTriggered;
      watched[dataWord] = side;
      watched[dataWord + 1] = generation;
      return counted(c.epoll_ctl(epoll, epollAdd, socket, watched));
    },
    wait: (epoll, forEver) => counted(c.epoll_wait(epoll, eventsAt, maxEvents, forEver ? -1 : 0)),
    eventBits: (index) => events[eventWords * index] ?? 0,
    eventSide: (index) => events[eventWords * index + dataWord] ?? 0,
    eventGeneration: (index) => events[eventWords * index + dataWord + 1] ?? 0,
  });
}
