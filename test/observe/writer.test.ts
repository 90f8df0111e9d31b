import { afterEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLineWriter, isJournal } from "../../src/observe/writer.ts";
import type { Command, Status } from "./writer-process.ts";

const limitBytes = 1024 * 1024;
/** More than any pipe or socket buffer of the kernel is by default. */
const kernelBytes = 1024 * 1024;
const lineBytes = 200;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** The far end of a log: nothing reads it until the test does. */
interface Reader {
  /** What has arrived by now. */
  read(): string;
  close(): void;
}

interface Logger {
  command(command: Command): Promise<Status>;
  readonly exited: Promise<number>;
  /** The other end of the socket. */
  readonly output: ReadableStream<Uint8Array> | null;
  stop(): void;
}

/** A logger on that fd, or on a terminal, or (as a child of Bun has it) on a socket that nobody reads. */
function start(stdio: { stderr: number | "pipe" } | { terminal: Bun.Terminal }): Logger {
  const waiting: ((status: Status) => void)[] = [];
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "writer-process.ts")], {
    ...("stderr" in stdio ? { stdin: "ignore", stdout: "ignore" } : {}),
    ...stdio,
    ipc: (status: Status) => waiting.shift()?.(status),
  });
  cleanups.push(() => child.kill("SIGKILL"));
  return {
    command(command) {
      const { promise, resolve } = Promise.withResolvers<Status>();
      waiting.push(resolve);
      child.send(command);
      return promise;
    },
    exited: child.exited,
    output: child.stderr instanceof ReadableStream ? child.stderr : null,
    stop: () => child.disconnect(),
  };
}

function tempDir(): string {
  const path = mkdtempSync(join(tmpdir(), "automc-writer-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A logger whose fd 2 is a pipe, with the pipe's path. */
function startOnPipe(): { logger: Logger; reader: Reader; reopen: () => Reader } {
  const path = join(tempDir(), "log");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const reopen = () => readerOf(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  const reader = reopen();
  const stderr = openSync(path, constants.O_WRONLY);
  const logger = start({ stderr });
  closeSync(stderr);
  return { logger, reader, reopen };
}

function readerOf(fd: number): Reader {
  const buffer = Buffer.alloc(1 << 16);
  let text = "";
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  cleanups.push(close);
  return {
    read() {
      try {
        for (let count = -1; count !== 0; ) {
          count = readSync(fd, buffer);
          text += buffer.toString("utf8", 0, count);
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      }
      return text;
    },
    close,
  };
}

/** Polls until the condition holds; the test's own time limit is the deadline. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(5);
}

/** Waits until the timer of the process has turned a few times more. */
async function expectLoopRuns(logger: Logger): Promise<void> {
  const { ticks } = await logger.command({ kind: "status" });
  await until(async () => (await logger.command({ kind: "status" })).ticks >= ticks + 10);
}

/** The lines, with their numbers and without their padding. */
const linesOf = (text: string): readonly string[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => /^(line|dropped) \d+/.exec(line)?.[0] ?? line);

const numbered = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

describe("a pipe", () => {
  test("that is read gets every line in order, and keeps the flags that it shares with others", async () => {
    const { logger, reader } = startOnPipe();
    const { dropped, flags } = await logger.command({
      kind: "write",
      count: 100,
      bytes: lineBytes,
    });
    await until(() => linesOf(reader.read()).length === 100);
    expect(linesOf(reader.read())).toEqual(numbered(0, 100));
    expect(dropped).toBe(0);
    if (process.platform === "linux")
      expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).toBe(0);
  });

  test("that is not read costs lines, but neither time nor memory; then the log says how many", async () => {
    const { logger, reader } = startOnPipe();
    const count = 20_000;
    const full = await logger.command({ kind: "write", count, bytes: lineBytes });
    await expectLoopRuns(logger);

    expect(full.written).toBe(count);
    const kept = count - full.dropped;
    expect(kept * lineBytes).toBeGreaterThan(limitBytes / 2);
    expect(kept * lineBytes).toBeLessThanOrEqual(limitBytes + kernelBytes);

    await until(() => reader.read().includes("dropped"));
    const { isFlushed } = await logger.command({ kind: "flush", withinMs: 60_000 });
    expect(isFlushed).toBe(true);
    await logger.command({ kind: "write", count: 3, bytes: lineBytes });
    await until(() => reader.read().includes(`line ${count + 2} `));
    expect(linesOf(reader.read())).toEqual([
      ...numbered(0, kept),
      `dropped ${full.dropped}`,
      ...numbered(count, count + 3),
    ]);
  });

  test("that is not read lets a flush end in time", async () => {
    const { logger } = startOnPipe();
    await logger.command({ kind: "write", count: 2_000, bytes: lineBytes });
    const { isFlushed } = await logger.command({ kind: "flush", withinMs: 50 });
    expect(isFlushed).toBe(false);
  });

  test("gets lines whole when they are larger than what fits at once", async () => {
    const { logger, reader } = startOnPipe();
    await logger.command({ kind: "write", count: 5, bytes: 150_000 });
    await until(() => reader.read().split("\n").length === 6);
    const lines = reader.read().split("\n").slice(0, -1);
    expect(lines.map((line) => line.length)).toEqual(Array(5).fill(149_999));
    expect(linesOf(reader.read())).toEqual(numbered(0, 5));
  });

  test("whose reader goes away ends nothing; a reader that comes back learns how many lines are missing", async () => {
    const { logger, reader, reopen } = startOnPipe();
    await logger.command({ kind: "write", count: 1, bytes: lineBytes });
    await until(() => reader.read() !== "");
    reader.close();
    const alone = await logger.command({ kind: "write", count: 10, bytes: lineBytes });
    expect(alone.dropped).toBe(10);
    await expectLoopRuns(logger);

    const second = reopen();
    const { dropped } = await logger.command({ kind: "write", count: 2, bytes: lineBytes });
    expect(dropped).toBe(10);
    await until(() => linesOf(second.read()).length === 3);
    expect(linesOf(second.read())).toEqual(["dropped 10", ...numbered(11, 13)]);
    logger.stop();
    expect(await logger.exited).toBe(0);
  });

  test("whose reader goes away while lines wait ends nothing either", async () => {
    const { logger, reader } = startOnPipe();
    const before = await logger.command({ kind: "write", count: 2_000, bytes: lineBytes });
    expect(before.dropped).toBe(0);
    reader.close();
    await until(async () => (await logger.command({ kind: "status" })).dropped > 0);
    const { isFlushed } = await logger.command({ kind: "flush", withinMs: 60_000 });
    expect(isFlushed).toBe(true);
    logger.stop();
    expect(await logger.exited).toBe(0);
  });
});

describe("a socket, as the journal has it,", () => {
  test("that is not read costs lines, but no time; then the log says how many", async () => {
    const logger = start({ stderr: "pipe" });
    const count = 20_000;
    const full = await logger.command({ kind: "write", count, bytes: lineBytes });
    await expectLoopRuns(logger);
    const now = await logger.command({ kind: "status" });
    expect(full.dropped).toBeGreaterThan(0);

    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of logger.output!) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("dropped")) break;
    }
    const [kept, notice] = [count - now.dropped, `dropped ${now.dropped}`];
    expect(linesOf(text)).toEqual([...numbered(0, kept), notice]);
  });

  test("whose reader goes away ends nothing", async () => {
    const logger = start({ stderr: "pipe" });
    await logger.command({ kind: "write", count: 1, bytes: lineBytes });
    await logger.output!.cancel();
    // The reader's end is closed a little after that.
    const line = { kind: "write", count: 1, bytes: lineBytes } as const;
    await until(async () => (await logger.command(line)).dropped > 0);
    const before = await logger.command({ kind: "status" });
    const after = await logger.command({ kind: "write", count: 10, bytes: lineBytes });
    expect(after.dropped - before.dropped).toBe(10);
    await expectLoopRuns(logger);
    logger.stop();
    expect(await logger.exited).toBe(0);
  });
});

describe("a terminal", () => {
  test("that is stopped by Ctrl-S does not stop the process; Ctrl-Q brings the lines", async () => {
    let text = "";
    const decoder = new TextDecoder();
    const terminal = new Bun.Terminal({
      data: (_, chunk) => {
        text += decoder.decode(chunk, { stream: true });
      },
    });
    cleanups.push(() => terminal.close());
    const logger = start({ terminal });
    const shown = (): readonly string[] => linesOf(text.replaceAll("\r\n", "\n").replace("^S", ""));

    const { flags } = await logger.command({ kind: "write", count: 1, bytes: lineBytes });
    if (process.platform === "linux")
      expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).toBe(0);
    await until(() => shown().length === 1);

    terminal.write("\x13");
    await logger.command({ kind: "write", count: 1_000, bytes: lineBytes });
    await expectLoopRuns(logger);
    const { isFlushed } = await logger.command({ kind: "flush", withinMs: 50 });
    expect(isFlushed).toBe(false);

    terminal.write("\x11");
    await until(() => shown().length === 1_001);
    expect(shown()).toEqual(numbered(0, 1_001));
  });
});

describe("a file", () => {
  test("gets every line at once, and whatever the process writes there itself stays", async () => {
    const path = join(tempDir(), "log");
    const stderr = openSync(path, "w");
    writeSync(stderr, "first\n");
    const logger = start({ stderr });
    closeSync(stderr);
    const { dropped } = await logger.command({ kind: "write", count: 20_000, bytes: lineBytes });
    expect(dropped).toBe(0);
    expect(linesOf(readFileSync(path, "utf8"))).toEqual(["first", ...numbered(0, 20_000)]);
  });
});

test("a line longer than the whole queue costs that line only", () => {
  const path = join(tempDir(), "log");
  const fd = openSync(path, "w");
  cleanups.push(() => closeSync(fd));
  const writer = createLineWriter({
    fd,
    droppedLine: (count) => `lost ${count}\n`,
    limitBytes: 64,
  });
  writer.write(`${"x".repeat(65)}\n`);
  writer.write("after\n");
  expect(readFileSync(path, "utf8")).toBe("lost 1\nafter\n");
});

test("a descriptor that takes nothing costs lines only", async () => {
  const writer = createLineWriter({ fd: 1 << 20, droppedLine: (count) => `dropped ${count}\n` });
  for (let index = 0; index < 5; index++) writer.write("line\n");
  await writer.flush(new AbortController().signal);
  expect(writer.dropped).toBe(5);
});

test("the journal is known by its device and inode", () => {
  const fd = openSync(join(tempDir(), "journal"), "w");
  cleanups.push(() => closeSync(fd));
  const { dev, ino } = fstatSync(fd, { bigint: true });
  expect(isJournal(fd, `${dev}:${ino}`)).toBe(true);
  expect(isJournal(fd, `${dev}:${ino + 1n}`)).toBe(false);
  expect(isJournal(fd, "")).toBe(false);
  expect(isJournal(1 << 20, `${dev}:${ino}`)).toBe(false);
});
