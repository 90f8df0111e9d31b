import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultTimeoutMs, withTimeout } from "../net/peer.ts";

/** The program under test, as `bun run build` leaves it. */
const binary = join(import.meta.dir, "../../../dist/automc-router");

/** One line of the router's JSON log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A running router in a process of its own. Dispose kills it and removes its directory. */
export interface Router extends AsyncDisposable {
  /** The port that players connect to. */
  readonly port: number;
  readonly pid: number;
  /** Its working directory: empty at the start, its own, gone with it. */
  readonly directory: string;
  /** Every log line so far, oldest first. */
  readonly lines: readonly LogLine[];
  /** Everything it wrote to stderr and stdout, for messages of failed tests. */
  log(): string;
  /** The first line, past or future, that is wanted. Rejects with the whole log when it does not come in time. */
  waitForLine(wanted: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** Sends a signal and leaves the rest to the router. */
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code once the router has ended by itself; rejects when it has not in time. */
  waitForExit(timeoutMs?: number): Promise<number>;
  /** Sends the signal and resolves with the exit code, or with 128 plus the number of the signal that killed it. */
  stop(signal?: NodeJS.Signals, timeoutMs?: number): Promise<number>;
  /** Resident memory in bytes. */
  rss(): number;
  /** Processor time used so far, in milliseconds, kernel included. */
  cpuMs(): number;
  /** Open file descriptors. */
  fds(): number;
}

/** What a router is started with. */
export interface RouterOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs it as the same process, such as `nsenter …` or `prlimit …`. */
  readonly within?: readonly string[];
  /** How long it may take until it listens. */
  readonly timeoutMs?: number;
}

/** Settings of every test router unless the test gives its own: a port of its own on loopback, and a log that can be read. */
const baseEnv = { PORT: "0", AUTOMC_BIND: "127.0.0.1", AUTOMC_LOG_FORMAT: "json" } as const;

/** Starts the compiled binary with these settings and nothing of ours but PATH, HOME and TMPDIR; resolves once it listens. Rejects with its log when it ends before. */
export async function startRouter(options: RouterOptions = {}): Promise<Router> {
  const directory = mkdtempSync(join(tmpdir(), "automc-router-"));
  const child = Bun.spawn([...(options.within ?? []), binary], {
    cwd: directory,
    env: { ...inheritedEnv(), ...baseEnv, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

  const lines: LogLine[] = [];
  let text = "";
  let changed = Promise.withResolvers<void>();
  const change = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };

  async function follow(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void) {
    let unfinished = "";
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const part = decoder.decode(chunk, { stream: true });
      text += part;
      const complete = (unfinished + part).split("\n");
      unfinished = complete.pop() ?? "";
      for (const line of complete) onLine(line);
      change();
    }
  }
  const followed = Promise.all([
    follow(child.stderr, (line) => {
      const parsed = parseLine(line);
      if (parsed) lines.push(parsed);
    }),
    follow(child.stdout, () => {}),
  ]);
  const ended = followed.then(() => child.exited).finally(change);

  async function waitForLine(
    wanted: (line: LogLine) => boolean,
    timeoutMs = defaultTimeoutMs,
  ): Promise<LogLine> {
    const deadline = performance.now() + timeoutMs;
    for (let seen = 0; ; ) {
      for (; seen < lines.length; seen++) {
        const line = lines[seen];
        if (line && wanted(line)) return line;
      }
      if (child.exitCode !== null || child.signalCode !== null) {
        await ended;
        if (seen < lines.length) continue;
        throw new Error(`the router ended with ${child.signalCode ?? child.exitCode}:\n${text}`);
      }
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`no such line within ${timeoutMs} ms:\n${text}`);
      await withTimeout(Promise.race([changed.promise, child.exited]), leftMs);
    }
  }

  async function dispose(): Promise<void> {
    child.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }

  async function waitForExit(timeoutMs = defaultTimeoutMs): Promise<number> {
    await withTimeout(ended, timeoutMs);
    if (child.exitCode === null && child.signalCode === null) {
      throw new Error(`still running after ${timeoutMs} ms:\n${text}`);
    }
    return await ended;
  }

  let port: number;
  try {
    const listening = await waitForLine((line) => line["event"] === "listening", options.timeoutMs);
    port = Number(listening["port"]);
    if (!(port > 0)) throw new Error(`the router does not name its port:\n${text}`);
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    port,
    pid: child.pid,
    directory,
    lines,
    log: () => text,
    waitForLine,
    signal: (signal) => child.kill(signal),
    waitForExit,
    stop(signal = "SIGTERM", timeoutMs = defaultTimeoutMs) {
      child.kill(signal);
      return waitForExit(timeoutMs);
    },
    rss: () => procNumber(child.pid, "status", /VmRSS:\s+(\d+) kB/) * 1024,
    // Fields 14 and 15 of /proc/pid/stat, in ticks of 10 ms; the name in field 2 may hold spaces.
    cpuMs: () =>
      10 *
      (procNumber(child.pid, "stat", /\) (?:\S+ ){11}(\d+) /) +
        procNumber(child.pid, "stat", /\) (?:\S+ ){12}(\d+) /)),
    fds: () => readdirSync(`/proc/${child.pid}/fd`).length,
    [Symbol.asyncDispose]: dispose,
  };
}

/** How a sub-command ended, and what it wrote. */
export interface CommandOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the binary with these arguments until it ends, in an empty directory of its own. */
export async function runRouter(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandOutcome> {
  const directory = mkdtempSync(join(tmpdir(), "automc-router-"));
  try {
    const child = Bun.spawn([binary, ...args], {
      cwd: directory,
      env: { ...inheritedEnv(), ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: defaultTimeoutMs,
      killSignal: "SIGKILL",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { exitCode, stdout, stderr };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What even a program that takes nothing from us needs to run. */
function inheritedEnv(): Record<string, string> {
  const { PATH, HOME, TMPDIR } = process.env;
  return { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }) };
}

/** The line as an object; null when it is not JSON (a crash of the runtime is not). */
function parseLine(line: string): LogLine | null {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** A number out of a file of that process in /proc, which only Linux has. */
function procNumber(pid: number, file: string, pattern: RegExp): number {
  const found = readFileSync(`/proc/${pid}/${file}`, "utf8").match(pattern);
  if (!found) throw new Error(`/proc/${pid}/${file} does not hold ${pattern}`);
  return Number(found[1]);
}
