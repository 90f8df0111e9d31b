import { join } from "node:path";
import { startWorker, type Worker } from "../support/process/worker.ts";
import type { BackendPorts, Jobs } from "./jobs.ts";

/**
 * The processes around the program under test: backends behind it, players in front of it. Dispose ends
 * them.
 */
export interface Load extends AsyncDisposable {
  readonly backends: BackendPorts;
  /** The process that all backends are in. */
  readonly backendPid: number;
  /** Has the players do that job. Rejects with what went wrong. */
  readonly run: Worker<Jobs>["run"];
}

/**
 * Starts both processes; resolves when the backends listen. `within` is put in front of their commands,
 * such as `nsenter …`.
 */
export async function startLoad(within: readonly string[] = []): Promise<Load> {
  const listening = Promise.withResolvers<BackendPorts>();
  const backends = Bun.spawn(
    [...within, process.execPath, join(import.meta.dir, "backend-process.ts")],
    {
      ipc: listening.resolve,
      serialization: "json",
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    },
  );
  void backends.exited.then(() => listening.reject(new Error("the backends have ended")));
  const clients = startWorker<Jobs>(join(import.meta.dir, "client-process.ts"), within);
  return {
    backends: await listening.promise,
    backendPid: backends.pid,
    run: clients.run,
    async [Symbol.asyncDispose]() {
      await clients[Symbol.asyncDispose]();
      backends.kill("SIGKILL");
      await backends.exited;
    },
  };
}
