import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilOpen } from "../support/process/e2e-process.ts";

/** The built router for a long run: its log is read and counted, and only the end of what matters in it kept. Dispose kills it. */
export interface SoakRouter extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** How often each level was logged. */
  readonly levels: ReadonlyMap<string, number>;
  /** The last warnings, errors and lines that are no log lines, for whoever has to find out what went wrong. */
  tail(): string;
  signal(signal: NodeJS.Signals): void;
  /** How it has ended; null as long as it runs. */
  ended(): string | null;
  /** Resolves with the exit code after a SIGTERM. */
  stop(): Promise<number>;
}

const binary = join(import.meta.dir, "../../dist/automc-router");
const tailLength = 60;

/** Starts the binary at that port of 127.0.0.1; resolves when it takes connections. */
export async function startSoakRouter(
  port: number,
  env: Readonly<Record<string, string>>,
): Promise<SoakRouter> {
  const directory = mkdtempSync(join(tmpdir(), "automc-soak-"));
  const { PATH = "", HOME = "" } = process.env;
  const child = Bun.spawn([binary], {
    cwd: directory,
    env: { PATH, HOME, AUTOMC_BIND: "127.0.0.1", PORT: String(port), ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const levels = new Map<string, number>();
  const tail: string[] = [];
  const followed = (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of child.stderr) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const level = / level=(\w+)/.exec(line)?.[1] ?? "none";
        levels.set(level, (levels.get(level) ?? 0) + 1);
        if (level !== "info") tail.push(line);
      }
      tail.splice(0, tail.length - tailLength);
    }
  })();
  await untilOpen(port, 30_000);

  return {
    pid: child.pid,
    port,
    levels,
    tail: () => tail.join("\n"),
    signal: (signal) => child.kill(signal),
    ended: () => (child.signalCode ?? child.exitCode)?.toString() ?? null,
    async stop() {
      child.kill("SIGTERM");
      return await child.exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      await followed;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
