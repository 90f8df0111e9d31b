/**
 * The memory that the main thread shares with one relay thread. Each session has a slot, and two sides:
 * twice the slot is the client, one more the backend, so that `side ^ 1` is the other one.
 */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
  /** Where the rings stand, and the words of `controls`. */
  readonly control: Int32Array;
  /**
   * The descriptor of each side; 0 for none. Set by the main thread before it says `join`, taken back by
   * the relay thread.
   */
  readonly sockets: Int32Array;
  /** Bytes of each side that the kernel has taken for the other one, in the whole session. */
  readonly bytes: Float64Array;
  /** Output and input of each pipe that the relay thread has open; 0 for none. */
  readonly pipes: Int32Array;
  /** From the main thread: a slot and one of `orders`. */
  readonly orders: Ring;
  /** From the relay thread: a slot, and one of `news`. */
  readonly news: Ring;
}

/** Words in a circle that one thread writes and another one reads. */
export interface Ring {
  readonly words: Int32Array;
  readonly control: Int32Array;
  /** The words of `control` that count what has been read and written. */
  readonly read: number;
  readonly written: number;
}

/** Sessions that one thread has room for: more than it can carry. A power of two. */
export const slotCount = 32_768;

/**
 * The most pipes that all threads together may have open. Their descriptors come out of those that the
 * session limit leaves free, and a bulk direction holds a pipe only while its reader is slow; further ones
 * are copied.
 */
export const pipeCount = 48;

/** Words of `control` that both threads look at. */
export const controls = {
  ordersRead: 0,
  ordersWritten: 1,
  newsRead: 2,
  newsWritten: 3,
  /** 1 while the relay thread may wait for the kernel: the main thread then has to wake it. */
  isAsleep: 4,
  /** 1 from when the main thread has been sent a message until it looks at the news. */
  isTold: 5,
  /** The epoll instance of the relay thread. */
  epoll: 6,
} as const;

/** What the main thread may say of a slot. */
export const orders = {
  /** Relay between its two sockets. */
  join: 0,
  /** Reset the client and close the backend. */
  cut: 1,
  /** Close both; reset a side that is owed bytes. */
  cutStill: 2,
  /** Leave everything as it is and end. The slot says nothing. */
  stop: 3,
} as const;

/**
 * What the relay thread may say of a slot, in the low bits of the word, with how its session ended above
 * them.
 */
export const news = {
  /** One side has ended, and the other one may go on. */
  sideEnded: 0,
  /** The client is gone and can be told nothing more. */
  clientGone: 1,
  /** Both sockets are closed, and the slot is free. */
  over: 2,
} as const;

/** How a session ended, as `RelayEnd` names it. */
export const endings = { fin: 0, reset: 1, aborted: 2, failed: 3, timedOut: 4 } as const;

/**
 * How many words each ring has for each slot: a slot is not used again before all that was said of it is
 * read, and that is not more.
 */
const wordsPerSlot = 4;

const controlBytes = 64;

/** The bits of a word of news: two for what is told, one for the side, three for its ending, and the slot. */
export const newsWord = (slot: number, told: number, isBackend: number, ending: number): number =>
  (slot << 6) | (ending << 3) | (isBackend << 2) | told;

/** Takes a word of news apart. */
export const newsOf = (word: number) => ({
  slot: word >> 6,
  told: word & 3,
  isBackend: ((word >> 2) & 1) === 1,
  ending: (word >> 3) & 7,
});

/** The memory of a thread that has no session yet. */
export function createSharedMemory(): SharedMemory {
  const ringBytes = 4 * wordsPerSlot * slotCount;
  const total = controlBytes + slotCount * 2 * (8 + 4) + pipeCount * 2 * 4 + 2 * ringBytes;
  return shareMemory(new SharedArrayBuffer(total));
}

/** The same memory, as the other thread sees it. */
export function shareMemory(buffer: SharedArrayBuffer): SharedMemory {
  let at = 0;
  const next = (bytes: number): number => {
    const start = at;
    at += bytes;
    return start;
  };
  const control = new Int32Array(buffer, next(controlBytes), controlBytes / 4);
  const bytes = new Float64Array(buffer, next(8 * 2 * slotCount), 2 * slotCount);
  const sockets = new Int32Array(buffer, next(4 * 2 * slotCount), 2 * slotCount);
  const pipes = new Int32Array(buffer, next(4 * 2 * pipeCount), 2 * pipeCount);
  const ring = (read: number, written: number): Ring => {
    const words = wordsPerSlot * slotCount;
    return { words: new Int32Array(buffer, next(4 * words), words), control, read, written };
  };
  return {
    buffer,
    control,
    sockets,
    bytes,
    pipes,
    orders: ring(controls.ordersRead, controls.ordersWritten),
    news: ring(controls.newsRead, controls.newsWritten),
  };
}

/** Puts a word behind the others. There is always room for it. */
export function put({ words, control, written }: Ring, word: number): void {
  const count = control[written] ?? 0;
  words[count & (words.length - 1)] = word;
  // Behind the word, so that no reader finds the count raised and the word not there.
  Atomics.store(control, written, (count + 1) | 0);
}

/** Takes the first word; null when there is none. */
export function shift({ words, control, read, written }: Ring): number | null {
  const count = control[read] ?? 0;
  if (count === Atomics.load(control, written)) return null;
  const word = words[count & (words.length - 1)] ?? 0;
  Atomics.store(control, read, (count + 1) | 0);
  return word;
}

/** True when nothing is left to read. */
export const isEmpty = ({ control, read, written }: Ring): boolean =>
  control[read] === Atomics.load(control, written);
