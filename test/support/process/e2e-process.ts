import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectPlayer } from "../minecraft/player.ts";
import { defaultTimeoutMs, withTimeout } from "../net/peer.ts";
import { until } from "../until.ts";

/** The router's binary as a bare process, for what `startRouter` keeps out of a test's way. Dispose kills it and removes its directory. */
export interface BareRouter extends AsyncDisposable {
  readonly pid: number;
  readonly directory: string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code; rejects when it still runs after that time. */
  waitForExit(timeoutMs?: number): Promise<number>;
}

/** What a bare router is started with: nothing comes from the test's own environment but PATH and HOME. */
export interface BareRouterOptions {
  readonly env: Readonly<Record<string, string>>;
  /** A file descriptor of ours that becomes its standard error. */
  readonly stderr: number;
  /** Files of its working directory, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

const binary = join(import.meta.dir, "../../../dist/automc-router");

/** Starts the binary and waits for nothing. */
export function startBareRouter(options: BareRouterOptions): BareRouter {
  const directory = mkdtempSync(join(tmpdir(), "automc-router-"));
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(directory, name), text);
  }
  const { PATH = "", HOME = "" } = process.env;
  const child = Bun.spawn([binary], {
    cwd: directory,
    env: { PATH, HOME, AUTOMC_BIND: "127.0.0.1", ...options.env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: options.stderr,
  });
  return {
    pid: child.pid,
    directory,
    signal: (signal) => child.kill(signal),
    async waitForExit(timeoutMs = defaultTimeoutMs) {
      await withTimeout(child.exited, timeoutMs);
      if (child.exitCode === null && child.signalCode === null) {
        throw new Error(`still running after ${timeoutMs} ms`);
      }
      return await child.exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Waits until somebody takes connections on that port. */
export const untilOpen = (port: number, timeoutMs = defaultTimeoutMs): Promise<void> =>
  until(
    `port ${port} is open`,
    async () => {
      try {
        (await connectPlayer({ port })).reset();
        return true;
      } catch {
        return false;
      }
    },
    timeoutMs,
  );

/** Both ends of a pipe, of which neither blocks us and nobody reads. Dispose removes it; ends that were closed before stay closed. */
export interface Pipe extends Disposable {
  readonly writer: number;
  closeReader(): void;
  closeWriter(): void;
}

/** A pipe with a reader that never reads. */
export function openPipe(): Pipe {
  const directory = mkdtempSync(join(tmpdir(), "automc-pipe-"));
  const path = join(directory, "pipe");
  if (Bun.spawnSync(["mkfifo", path]).exitCode !== 0) throw new Error(`no pipe at ${path}`);
  // The reader comes first: a writer that does not wait is refused without one.
  const open = new Set([openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)]);
  const [reader] = open;
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  open.add(writer);
  const close = (end: number | undefined): void => {
    if (end !== undefined && open.delete(end)) closeSync(end);
  };
  return {
    writer,
    closeReader: () => close(reader),
    closeWriter: () => close(writer),
    [Symbol.dispose]() {
      close(reader);
      close(writer);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
