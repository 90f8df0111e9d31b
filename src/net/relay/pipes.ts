import type { Kernel } from "./kernel.ts";

/**
 * The pipes of one relay thread. A pipe is known by a number from 1 on; each is lent to one direction of
 * one session at a time.
 */
export interface Pipes {
  /** An empty pipe, or 0 where there is none to be had: too many, no descriptor left, or not allowed. */
  take(): number;
  /** Gives a pipe back that is empty again. */
  giveBack(pipe: number): void;
  /** Gives a pipe back with what it holds, which is lost. */
  discard(pipe: number): void;
  /** Its descriptors for writing and for reading. */
  input(pipe: number): number;
  output(pipe: number): number;
}

/**
 * At most so many pipes. Their descriptors are noted in `table`, for the main thread to close them should
 * this one fail.
 */
export function createPipes(kernel: Kernel, table: Int32Array, limit: number): Pipes {
  const ends = new Int32Array(2);
  const open: number[] = [];
  const unused: number[] = [];
  let numbered = 0;

  const output = (pipe: number): number => table[2 * pipe - 2] ?? 0;
  const input = (pipe: number): number => table[2 * pipe - 1] ?? 0;

  function take(): number {
    return open.pop() ?? openOne();
  }

  function openOne(): number {
    if (unused.length === 0 && numbered === limit) return 0;
    if (!kernel.openPipe(ends)) return 0;
    const pipe = unused.pop() ?? ++numbered;
    table.set(ends, 2 * pipe - 2);
    return pipe;
  }

  function discard(pipe: number): void {
    kernel.close(output(pipe));
    kernel.close(input(pipe));
    table.fill(0, 2 * pipe - 2, 2 * pipe);
    unused.push(pipe);
  }

  return { take, giveBack: (pipe) => void open.push(pipe), discard, input, output };
}
