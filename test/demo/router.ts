import { readFileSync } from "node:fs";
import { join } from "node:path";
import { withTimeout } from "../support/net/peer.ts";
import { until } from "../support/until.ts";

/** The router of the demo: the compiled program, with its log in a file. Dispose ends it. */
export interface DemoRouter extends AsyncDisposable {
  readonly port: number;
  readonly logPath: string;
  /** The last lines of its log. */
  logTail(): string;
}

/** The port that players need not type. */
const minecraftPort = 25565;

/** How long the router may take to end before it is killed, ms. */
const stopMs = 5_000;

/** Starts the router in that folder with these settings and nothing else of our environment, on port 25565 where that is free. Rejects with its log when it does not listen. */
export async function startDemoRouter(
  folder: string,
  settings: Readonly<Record<string, string>>,
): Promise<DemoRouter> {
  const logPath = join(folder, "router.log");
  const logTail = (): string => readFileSync(logPath, "utf8").split("\n").slice(-20).join("\n");
  const bind = "127.0.0.1";
  const port = isFree(bind, minecraftPort) ? minecraftPort : 0;
  const child = Bun.spawn([join(import.meta.dir, "../../dist/automc-router")], {
    cwd: folder,
    env: { ...settings, AUTOMC_BIND: bind, PORT: String(port) },
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(logPath),
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await withTimeout(child.exited, stopMs);
    child.kill("SIGKILL");
    await child.exited;
  };
  const listeningPort = (): number =>
    Number(readFileSync(logPath, "utf8").match(/event=listening .*\bport=(\d+)/)?.[1] ?? 0);
  try {
    await until("the router listens", () => {
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      if (hasEnded) throw new Error("the router has ended");
      return listeningPort() > 0;
    });
    return { port: listeningPort(), logPath, logTail, [Symbol.asyncDispose]: stop };
  } catch (cause) {
    await stop();
    throw new Error(`the router did not start. Its log:\n${logTail()}`, { cause });
  }
}

function isFree(hostname: string, port: number): boolean {
  try {
    Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
