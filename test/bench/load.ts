import { join } from "node:path";
import type { BackendPorts, Jobs, Order, Report } from "./jobs.ts";

/** The processes around the program under test: backends behind it, players in front of it. */
export interface Load {
  readonly backends: BackendPorts;
  /** Has the players do that job. Rejects with what went wrong. */
  run<Name extends keyof Jobs>(
    name: Name,
    input: Jobs[Name]["input"],
  ): Promise<Jobs[Name]["result"]>;
  stop(): Promise<void>;
}

/** Starts both processes; resolves when the backends listen. */
export async function startLoad(): Promise<Load> {
  const listening = Promise.withResolvers<BackendPorts>();
  const backends = spawn("backend-process.ts", listening.resolve);

  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  const clients = spawn("client-process.ts", (report: Report) => {
    const job = waiting.get(report.id);
    waiting.delete(report.id);
    if (report.error === undefined) job?.resolve(report.result);
    else job?.reject(new Error(report.error));
  });
  const lost = (who: string) => (): void => {
    const error = new Error(`the process of the ${who} has ended`);
    listening.reject(error);
    for (const job of waiting.values()) job.reject(error);
  };
  void backends.exited.then(lost("backends"));
  void clients.exited.then(lost("players"));

  return {
    backends: await listening.promise,
    run<Name extends keyof Jobs>(name: Name, input: Jobs[Name]["input"]) {
      lastId += 1;
      const job = Promise.withResolvers<unknown>();
      waiting.set(lastId, job);
      clients.send({ id: lastId, name, input } as Order);
      return job.promise as Promise<Jobs[Name]["result"]>;
    },
    async stop() {
      for (const child of [clients, backends]) {
        child.kill();
        await child.exited;
      }
    },
  };
}

function spawn<Message>(file: string, receive: (message: Message) => void) {
  return Bun.spawn([process.execPath, join(import.meta.dir, file)], {
    ipc: receive,
    serialization: "json",
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
}
