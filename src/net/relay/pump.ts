import { messageOf } from "../../base/thrown.ts";
import { bufferSize, errno, type Kernel, ready } from "./kernel.ts";
import type { Pipes } from "./pipes.ts";
import { endings, news, newsWord, put, type SharedMemory, slotCount } from "./shared-memory.ts";

/**
 * Moves the bytes of all sessions of one relay thread. Everything about them lies in arrays by slot or by
 * side; `direction s` leads from side s to the other one. No call waits, and none allocates while bytes
 * flow.
 */
export interface Pump {
  /** Begins to relay between the two sockets that the memory has for the slot. */
  open(slot: number, epoll: number): void;
  /** Acts on what the kernel has become ready for on a side, unless the slot has another session by now. */
  step(side: number, generation: number, bits: number): void;
  /** Goes on with the directions whose turn was over. */
  continueTurns(): void;
  /** True while there are such directions. */
  hasTurns(): boolean;
  /** Ends a session at once: the client is reset, the backend closed. Without effect on one that is over. */
  cut(slot: number): void;
  /** Ends a session that stands still: a side that is owed bytes is reset, the other one is closed. */
  cutStill(slot: number): void;
}

/** How the kernel gives up waiting for the other machine. */
const unreachable: ReadonlySet<number> = new Set([
  errno.networkUnreachable,
  errno.timedOut,
  errno.hostUnreachable,
]);

// The bits of a side's state. What is readable or writable stays so until the kernel says that it is not
// (edge-triggered).
const readable = 1;
const writable = 2;
/** A FIN or an error has come, perhaps behind bytes: a short read does not mean that nothing is left. */
const hungUp = 4;
/** Nothing is left to read, and nothing will come. */
const ended = 8;
/** It gets nothing more from us. */
const finSent = 16;
/** The connection has failed: what is meant for it is dropped. */
const gone = 32;
/** Its reads are large, so they are spliced. */
const bulk = 64;
/** It waits for its next turn. */
const queued = 128;

/** What a direction reads at most where its reads are small, bytes. */
const readSize = 64 * 1024;
/** A read of this much makes a direction bulk, and one of less than that ends it. */
const bulkFrom = 32 * 1024;
const bulkUntil = 8 * 1024;
/** Reads of one direction before the others have their turn. */
const readsPerTurn = 16;
/**
 * Where slow readers are owed more than this without a pipe, no more than `readSize` is read for any of
 * them.
 */
const leftoverLimit = 16 * 1024 * 1024;

/** What a pump needs. */
export interface PumpDeps {
  readonly kernel: Kernel;
  /** Where the sockets are, and where the counts and what happens to sessions go. */
  readonly memory: SharedMemory;
  readonly pipes: Pipes;
  /** Code of ours threw on a session, which is cut. */
  readonly fault: (reason: string) => void;
}

/** A pump without sessions. */
export function createPump({ kernel, memory, pipes, fault }: PumpDeps): Pump {
  const { sockets, bytes } = memory;
  const state = new Uint8Array(2 * slotCount);
  /**
   * Which slots have a session. Their sockets in the memory may already be those of the next one, which has
   * not joined yet.
   */
  const joined = new Uint8Array(slotCount);
  /** How many sessions each slot has had: an event may be older than the session that has its slot. */
  const generations = new Int32Array(slotCount);
  /** 0 while no side of the session has ended; then 1, the side and its ending. */
  const ends = new Uint8Array(slotCount);
  /** Bytes that each direction has read and not delivered: in a pipe, or else in `leftovers`. */
  const held = new Int32Array(2 * slotCount);
  const pipeOf = new Uint16Array(2 * slotCount);
  const leftovers = new Map<number, Uint8Array>();
  let leftoverBytes = 0;
  const turns = new Int32Array(2 * slotCount);
  let turnsTaken = 0;
  let turnsQueued = 0;

  const has = (side: number, bit: number): boolean => ((state[side] ?? 0) & bit) !== 0;
  const set = (side: number, bits: number): void => {
    state[side] = (state[side] ?? 0) | bits;
  };
  const clear = (side: number, bits: number): void => {
    state[side] = (state[side] ?? 0) & ~bits;
  };
  const socket = (side: number): number => sockets[side] ?? 0;
  const isOpen = (slot: number): boolean => joined[slot] === 1;

  /** A throw ends the session that it is about, and no other. */
  function guarded(act: (side: number, value: number) => void, side: number, value: number): void {
    const slot = side >> 1;
    try {
      act(side, value);
      if (ends[slot] !== 0) settle(slot);
    } catch (thrown) {
      ends[slot] = 1 | (endings.failed << 2);
      end(slot, true, true);
      fault(messageOf(thrown));
    }
  }

  function watch(side: number, epoll: number): void {
    const events = ready.input | ready.output | ready.peerFin;
    const generation = generations[side >> 1] ?? 0;
    const code = kernel.watch(epoll, socket(side), events, side, generation);
    if (code < 0) throw new Error(`epoll_ctl failed with error ${-code}`);
  }

  function react(side: number, bits: number): void {
    if ((bits & (ready.peerFin | ready.hangUp | ready.error)) !== 0) set(side, hungUp | readable);
    if ((bits & ready.input) !== 0) set(side, readable);
    const wasBlocked = !has(side, writable);
    if ((bits & (ready.output | ready.hangUp | ready.error)) !== 0) set(side, writable);
    // Seen at once, also where its input is not read because the other side is slow.
    if ((bits & ready.error) !== 0) lose(side, kernel.takeError(socket(side)));
    if (has(side, readable)) pump(side);
    if (wasBlocked && has(side, writable)) pump(side ^ 1);
  }

  /** Moves what there is in a direction until one of its sides has to wait or its turn is over. */
  function pump(side: number): void {
    for (let reads = 0; reads < readsPerTurn; reads += 1) {
      if (!deliver(side)) return;
      if (has(side, ended)) {
        passFin(side);
        return;
      }
      if (!has(side, readable)) return;
      read(side);
    }
    if (has(side, queued)) return;
    set(side, queued);
    turns[turnsQueued & (turns.length - 1)] = side;
    turnsQueued += 1;
  }

  /** Gives the other side what the direction holds. True when nothing is left. */
  function deliver(side: number): boolean {
    const other = side ^ 1;
    for (;;) {
      const length = held[side] ?? 0;
      if (length === 0) return true;
      if (!has(other, writable)) return false;
      const pipe = pipeOf[side] ?? 0;
      const sent =
        pipe === 0
          ? kernel.send(socket(other), leftovers.get(side) ?? nothing)
          : kernel.empty(pipes.output(pipe), socket(other), length);
      if (sent > 0) release(side, sent);
      else if (sent === -errno.again) clear(other, writable);
      else if (sent === 0) throw new Error("less is held than was read");
      else if (sent !== -errno.interrupted) lose(other, sent);
    }
  }

  /** The other side has taken some of what the direction holds. */
  function release(side: number, count: number): void {
    const left = (held[side] ?? 0) - count;
    held[side] = left;
    bytes[side] = (bytes[side] ?? 0) + count;
    const pipe = pipeOf[side] ?? 0;
    if (pipe === 0) {
      leftoverBytes -= count;
      if (left === 0) leftovers.delete(side);
      else leftovers.set(side, (leftovers.get(side) ?? nothing).subarray(count));
    } else if (left === 0) {
      pipeOf[side] = 0;
      pipes.giveBack(pipe);
    }
  }

  /** Drops what the direction holds. */
  function drop(side: number): void {
    const length = held[side] ?? 0;
    if (length === 0) return;
    held[side] = 0;
    const pipe = pipeOf[side] ?? 0;
    pipeOf[side] = 0;
    if (pipe !== 0) pipes.discard(pipe);
    else if (leftovers.delete(side)) leftoverBytes -= length;
  }

  /** Reads once, with everything that was read before delivered. */
  function read(side: number): void {
    const pipe = has(side, bulk) && !has(side ^ 1, gone) ? pipes.take() : 0;
    if (pipe === 0) copy(side);
    else splice(side, pipe);
  }

  function splice(side: number, pipe: number): void {
    const count = kernel.fill(pipes.input(pipe), socket(side));
    if (count <= 0) {
      pipes.giveBack(pipe);
      nothingRead(side, count);
      return;
    }
    if (count < bulkUntil) clear(side, bulk);
    pipeOf[side] = pipe;
    held[side] = count;
  }

  function copy(side: number): void {
    const other = side ^ 1;
    const isLarge = has(side, bulk) && leftoverBytes < leftoverLimit;
    const length = isLarge ? bufferSize : readSize;
    const count = kernel.receive(socket(side), length);
    if (count <= 0) {
      nothingRead(side, count);
      return;
    }
    if (count < length && !has(side, hungUp)) clear(side, readable);
    if (count >= bulkFrom) set(side, bulk);
    else if (count < bulkUntil) clear(side, bulk);
    if (has(other, gone)) return;

    const sent = kernel.sendBuffer(socket(other), count);
    const isTaken = sent >= 0;
    if (isTaken) bytes[side] = (bytes[side] ?? 0) + sent;
    if (sent === count) return;
    if (!isTaken && sent !== -errno.again && sent !== -errno.interrupted) {
      lose(other, sent);
      return;
    }
    const leftover = kernel.buffer.slice(Math.max(sent, 0), count);
    leftovers.set(side, leftover);
    leftoverBytes += leftover.length;
    held[side] = leftover.length;
    if (sent !== -errno.interrupted) clear(other, writable);
  }

  function nothingRead(side: number, result: number): void {
    switch (result) {
      case -errno.interrupted:
        return;
      case -errno.again:
        clear(side, readable);
        return;
      case 0:
        set(side, ended);
        noteEnd(side, endings.fin);
        return;
      default:
        set(side, ended);
        lose(side, result);
    }
  }

  /** The direction has delivered its last byte. */
  function passFin(side: number): void {
    const other = side ^ 1;
    if (has(other, finSent)) return;
    set(other, finSent);
    kernel.sendFin(socket(other));
  }

  /**
   * The side has failed, as this result of a system call tells. What it has said already still goes to the
   * other one.
   */
  function lose(side: number, result: number): void {
    if (has(side, gone)) return;
    set(side, gone | finSent);
    drop(side ^ 1);
    noteEnd(side, unreachable.has(-result) ? endings.timedOut : endings.reset);
    if ((side & 1) === 0) tell(side >> 1, news.clientGone);
  }

  function noteEnd(side: number, ending: number): void {
    const slot = side >> 1;
    if (ends[slot] !== 0) return;
    ends[slot] = 1 | ((side & 1) << 1) | (ending << 2);
    tell(slot, news.sideEnded);
  }

  function tell(slot: number, told: number): void {
    const end = ends[slot] ?? 0;
    put(memory.news, newsWord(slot, told, (end >> 1) & 1, end >> 2));
  }

  /** Ends the session when both sides have said and got everything. */
  function settle(slot: number): void {
    const both = (state[2 * slot] ?? 0) & (state[2 * slot + 1] ?? 0);
    if ((both & (ended | finSent)) === (ended | finSent)) end(slot, false, false);
  }

  function end(slot: number, resetsClient: boolean, resetsBackend: boolean): void {
    if (ends[slot] === 0) ends[slot] = 1 | (endings.aborted << 2);
    closeSide(2 * slot, resetsClient);
    closeSide(2 * slot + 1, resetsBackend);
    tell(slot, news.over);
    ends[slot] = 0;
    joined[slot] = 0;
  }

  function cutOpen(side: number): void {
    // The last words of the client may still find room.
    deliver(side);
    end(side >> 1, true, false);
  }

  function closeSide(side: number, resets: boolean): void {
    drop(side);
    if (resets) kernel.closeByReset(socket(side));
    else kernel.close(socket(side));
    sockets[side] = 0;
    state[side] = 0;
  }

  return {
    open(slot, epoll) {
      joined[slot] = 1;
      generations[slot] = ((generations[slot] ?? 0) + 1) | 0;
      guarded(watch, 2 * slot, epoll);
      if (isOpen(slot)) guarded(watch, 2 * slot + 1, epoll);
    },
    step(side, generation, bits) {
      const slot = side >> 1;
      if (generations[slot] === generation && isOpen(slot)) guarded(react, side, bits);
    },
    hasTurns: () => turnsTaken !== turnsQueued,
    continueTurns() {
      // Those that are queued meanwhile wait for the next time.
      for (const until = turnsQueued; turnsTaken !== until; turnsTaken += 1) {
        const side = turns[turnsTaken & (turns.length - 1)] ?? 0;
        clear(side, queued);
        if (isOpen(side >> 1)) guarded(pump, side, 0);
      }
    },
    cut(slot) {
      if (isOpen(slot)) guarded(cutOpen, 2 * slot, 0);
    },
    cutStill(slot) {
      if (isOpen(slot)) end(slot, (held[2 * slot + 1] ?? 0) > 0, (held[2 * slot] ?? 0) > 0);
    },
  };
}

const nothing = new Uint8Array(0);
