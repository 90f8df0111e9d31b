import { Worker } from "node:worker_threads";
import type { Deadline, Deadlines } from "../../base/deadlines.ts";
import type { RelayBytes, RelayEnd } from "../conn.ts";
import { lingerMs } from "./callbacks.ts";
import type { Descriptors } from "./descriptors.ts";
import type { Message } from "./loop.ts";
import type { RelayThread } from "./relay.ts";
import {
  controls,
  createSharedMemory,
  endings,
  news,
  newsOf,
  orders,
  put,
  shift,
  slotCount,
} from "./shared-memory.ts";

/** What a relay thread's script is given. */
export interface WorkerInput {
  readonly memory: SharedArrayBuffer;
  /** What the main thread writes to when the relay thread is asleep. */
  readonly eventFd: number;
  /** How many pipes it may have open. */
  readonly pipes: number;
}

/** What the main thread's side of a relay thread needs. */
export interface ThreadDeps<Player> {
  /** The worker's script, that is `worker.ts`. */
  readonly script: URL;
  /** How many pipes the thread may have open. */
  readonly pipes: number;
  readonly descriptors: Descriptors;
  readonly deadlines: Deadlines;
  readonly left: (player: Player, end: RelayEnd) => void;
  /** Code of ours threw on a session, which is over. */
  readonly fault: (error: Error) => void;
  /** The thread has ended without having been told to, and so many sessions with it. Told once. */
  readonly failed: (reason: string, sessions: number) => void;
}

/** The descriptors of two sockets to be relayed, and the bytes that they were given before. */
export interface Joined<Player> extends RelayBytes {
  readonly client: number;
  readonly backend: number;
  readonly player: Player;
}

/** A relay thread, as the main thread sees it. */
export interface OwnedThread<Player> extends RelayThread {
  /** Whether it takes another session. */
  hasRoom(): boolean;
  /** How many sessions it has. */
  count(): number;
  /** A slot for the next session, in a thread that has room. */
  freeSlot(): number;
  /** Takes a session into that slot, and with it both descriptors, which it closes at the end. */
  take(slot: number, joined: Joined<Player>): void;
  /** Ends the thread. */
  stop(): Promise<void>;
}

/** How long a thread may take to end, ms. */
const stopMs = 1_000;

const endingNames = ["fin", "reset", "aborted", "relay-failed", "timed-out"] as const;

/** Starts a relay thread; it has room when it is ready. Null where there is no descriptor left for it. */
export function startThread<Player>(deps: ThreadDeps<Player>): OwnedThread<Player> | null {
  const { descriptors, deadlines } = deps;
  const event = descriptors.openEvent();
  if (event === null) return null;
  const memory = createSharedMemory();
  const input: WorkerInput = { memory: memory.buffer, eventFd: event, pipes: deps.pipes };
  const worker = new Worker(deps.script, { workerData: input });
  const players: (Player | undefined)[] = [];
  const free: number[] = [];
  /** Of the sessions one side of which has ended: cuts those that stand still. */
  const lingers = new Map<number, Deadline>();
  const goneClients = new Set<number>();
  const stopped = Promise.withResolvers<void>();
  let count = 0;
  let state: "starting" | "ready" | "ended" = "starting";

  const bytes = (slot: number): RelayBytes => ({
    toBackend: memory.bytes[2 * slot] ?? 0,
    toClient: memory.bytes[2 * slot + 1] ?? 0,
  });

  function order(slot: number, what: number): void {
    put(memory.orders, (slot << 2) | what);
    if (Atomics.exchange(memory.control, controls.isAsleep, 0) === 1) descriptors.wake(event ?? 0);
  }

  function take(slot: number, joined: Joined<Player>): void {
    players[slot] = joined.player;
    count += 1;
    memory.bytes[2 * slot] = joined.toBackend;
    memory.bytes[2 * slot + 1] = joined.toClient;
    memory.sockets[2 * slot] = joined.client;
    memory.sockets[2 * slot + 1] = joined.backend;
    order(slot, orders.join);
  }

  function readNews(): void {
    Atomics.store(memory.control, controls.isTold, 0);
    for (let word = shift(memory.news); word !== null; word = shift(memory.news)) {
      const { slot, told, isBackend, ending } = newsOf(word);
      switch (told) {
        case news.clientGone:
          goneClients.add(slot);
          cutWhenStill(slot);
          break;
        case news.sideEnded:
          cutWhenStill(slot);
          break;
        case news.over:
          over(slot, isBackend ? "backend" : "client", ending);
      }
    }
  }

  /** The linger rules of the callbacks. */
  function cutWhenStill(slot: number): void {
    const moved = bytesInAll(bytes(slot));
    lingers.get(slot)?.cancel();
    const ms = goneClients.has(slot) ? lingerMs.gone : lingerMs.client;
    const deadline = deadlines.after(ms, () => {
      if (bytesInAll(bytes(slot)) === moved) order(slot, orders.cutStill);
      else cutWhenStill(slot);
    });
    lingers.set(slot, deadline);
  }

  function over(slot: number, endedBy: RelayEnd["endedBy"], ending: number): void {
    const player = players[slot];
    if (player === undefined) return;
    const end = { ...bytes(slot), endedBy, ending: endingNames[ending] ?? "relay-failed" };
    lingers.get(slot)?.cancel();
    lingers.delete(slot);
    goneClients.delete(slot);
    players[slot] = undefined;
    free.push(slot);
    count -= 1;
    deps.left(player, end);
  }

  /** The thread is no more. What it had open belongs to the process, so it is closed here. */
  function ended(reason: string): void {
    if (state === "ended") return;
    state = "ended";
    const left = count;
    readNews();
    for (const opened of [memory.sockets, memory.pipes]) {
      for (const descriptor of opened) if (descriptor !== 0) descriptors.close(descriptor);
    }
    const epoll = memory.control[controls.epoll] ?? 0;
    if (epoll !== 0) descriptors.close(epoll);
    descriptors.close(event ?? 0);
    for (const slot of players.keys()) over(slot, "client", endings.failed);
    void worker.terminate();
    if (isStopping) stopped.resolve();
    else deps.failed(reason, left);
  }
  let isStopping = false;

  worker.on("message", (message: Message) => {
    switch (message.kind) {
      case "ready":
        state = "ready";
        break;
      case "news":
        readNews();
        break;
      case "fault":
        deps.fault(new Error(`relay thread: ${message.reason}`));
        break;
      case "ended":
        ended(message.reason ?? "it was told to");
    }
  });
  worker.on("error", (error: Error) => ended(error.message));
  worker.on("exit", () => ended("it exited"));
  worker.unref();

  return {
    hasRoom: () => state === "ready" && count < slotCount,
    count: () => count,
    freeSlot: () => free.pop() ?? players.length,
    take,
    bytes,
    cut: (slot) => order(slot, orders.cut),
    stop() {
      if (state === "ended") return Promise.resolve();
      isStopping = true;
      order(0, orders.stop);
      const late = deadlines.after(stopMs, stopped.resolve);
      return stopped.promise.then(() => late.cancel());
    },
  };
}

const bytesInAll = ({ toBackend, toClient }: RelayBytes): number => toBackend + toClient;
