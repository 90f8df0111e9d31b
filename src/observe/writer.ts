import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { codeOf } from "../base/thrown.ts";

/**
 * Writes log lines to a file descriptor that may be slow, full or gone without ever holding the program up.
 */
interface LineWriter {
  /** Writes one whole line, or queues it, or drops it when the queue is full. Never waits, never throws. */
  write(line: string): void;
  /** Resolves when nothing is queued any more, or when the signal aborts; for the end of the process. */
  flush(signal: AbortSignal): Promise<void>;
  /** Lines lost since the start: the queue was full, or the descriptor failed. */
  readonly dropped: number;
}

/** What a writer needs. `droppedLine` makes the line that tells how many lines are missing. */
interface LineWriterOptions {
  readonly fd: number;
  readonly droppedLine: (count: number) => string;
  /** Most bytes held back while the descriptor is full; 1 MiB. */
  readonly limitBytes?: number;
}

interface Queued {
  readonly bytes: Buffer;
  /** How many lost lines this one tells about; null for an ordinary line. */
  readonly tellsOf: number | null;
}

/**
 * The pause before a full descriptor is tried again, ms. A pipe holds 64 KiB, so a fast reader gets 3 MB/s.
 */
const retryMs = 20;

/** A writer on `fd`, which it neither owns nor closes. It lasts as long as the process. */
export function createLineWriter(options: LineWriterOptions): LineWriter {
  const { droppedLine, limitBytes = 1024 * 1024 } = options;
  const fd = withoutBlocking(options.fd);
  const queue: Queued[] = [];
  let queuedBytes = 0;
  let headOffset = 0;
  let retry: Timer | null = null;
  let isOverflowing = false;
  let dropped = 0;
  let untold = 0;
  const drained: (() => void)[] = [];

  function write(line: string): void {
    const bytes = Buffer.from(line);
    if (isOverflowing || queuedBytes + bytes.length > limitBytes) {
      // An empty queue never drains, so that it must not be taken for a full one.
      isOverflowing = queue.length > 0;
      drop();
      return;
    }
    tellOfDropped();
    enqueue({ bytes, tellsOf: null });
    if (retry === null) pump();
  }

  function pump(): void {
    retry = null;
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      try {
        headOffset += writeSync(fd, head.bytes, headOffset);
      } catch (error) {
        if (codeOf(error) === "EAGAIN") {
          retry = setTimeout(pump, retryMs);
          return;
        }
        // The reader is gone or the disk is full. The next line is the next attempt.
        dropAll();
        break;
      }
      if (headOffset === head.bytes.length) dequeue(head);
    }
    for (const resolve of drained.splice(0)) resolve();
  }

  function enqueue(item: Queued): void {
    queue.push(item);
    queuedBytes += item.bytes.length;
  }

  function dequeue(head: Queued): void {
    queue.shift();
    queuedBytes -= head.bytes.length;
    headOffset = 0;
    // Taking lines again only at half full leaves one gap in the log instead of a sieve.
    if (isOverflowing && queuedBytes <= limitBytes / 2) {
      isOverflowing = false;
      tellOfDropped();
    }
  }

  function tellOfDropped(): void {
    if (untold === 0) return;
    const tellsOf = untold;
    untold = 0;
    enqueue({ bytes: Buffer.from(droppedLine(tellsOf)), tellsOf });
  }

  function drop(): void {
    dropped += 1;
    untold += 1;
  }

  function dropAll(): void {
    for (const { tellsOf } of queue.splice(0)) {
      if (tellsOf === null) drop();
      else untold += tellsOf;
    }
    queuedBytes = 0;
    headOffset = 0;
    isOverflowing = false;
  }

  async function flush(signal: AbortSignal): Promise<void> {
    if (queue.length === 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    drained.push(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  return {
    write,
    flush,
    get dropped() {
      return dropped;
    },
  };
}

/**
 * True when the descriptor is the journal's own stream. systemd.exec(5) asks to compare `$JOURNAL_STREAM`
 * with the device and inode, because the variable also reaches programs whose output goes elsewhere.
 */
export function isJournal(fd: number, journalStream: string): boolean {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return journalStream === `${dev}:${ino}`;
  } catch {
    // A descriptor that is closed leads nowhere.
    return false;
  }
}

/**
 * A descriptor for the same file on which a full reader gives EAGAIN instead of blocking the process.
 *
 * A pipe and a terminal are opened once more: O_NONBLOCK belongs to the open file description, which a
 * terminal shares with the shell and a pipe with every program that writes to it. A socket cannot be opened
 * again, nor can a pipe that another user made; a Bun writer on it sets O_NONBLOCK on the shared description,
 * which under systemd and in a container no other program has. Files and devices do not fill up. A terminal
 * that cannot be opened (or is not Linux') stays blocking.
 */
function withoutBlocking(fd: number): number {
  try {
    const kind = fstatSync(fd);
    const isTerminal = isatty(fd);
    if (!isTerminal && !kind.isFIFO() && !kind.isSocket()) return fd;
    const own = kind.isSocket() ? null : reopened(fd);
    if (own !== null) return own;
    if (!isTerminal) Bun.file(fd).writer();
  } catch {
    // Nothing to write to: each line will fail, and be counted.
  }
  return fd;
}

function reopened(fd: number): number | null {
  const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return openSync(`/proc/self/fd/${fd}`, flags);
  } catch {
    return null;
  }
}
