import { connect, type Socket } from "node:net";
import { until } from "../until.ts";
import { type Child, startChild } from "./child.ts";
import { countSocketsTo } from "./proc.ts";

/** A backend that the kernel answers for no more: stopped, its backlog full. Connects to it stay without any answer. */
export interface DeafBackend extends Disposable {
  readonly port: number;
  /** Lets it accept again. */
  wake(): void;
}

/** A deaf backend, which will send each client so many bytes once it is awake. */
export async function startDeafBackend(bytes = 0): Promise<DeafBackend> {
  const child: Child = startChild("backend-process", bytes);
  const { port } = (await child.next()) as { port: number };
  child.process.kill("SIGSTOP");
  const fillers: Socket[] = [];
  // The kernel of a loopback connect decides within the call: a connect that waits is one that found the backlog full.
  while (countSocketsTo(port, "connecting") === 0) {
    for (let each = 0; each < 64; each += 1) {
      const filler = connect({ host: "127.0.0.1", port });
      filler.on("error", () => {});
      fillers.push(filler);
    }
    await Bun.sleep(1);
  }
  await until("the backlog", () => fillers.some((filler) => !filler.connecting));
  for (const filler of fillers) if (filler.connecting) filler.destroy();
  await until("only our own", () => countSocketsTo(port, "connecting") === 0);
  return {
    port,
    wake() {
      child.process.kill("SIGCONT");
    },
    [Symbol.dispose]() {
      child[Symbol.dispose]();
      for (const filler of fillers) filler.destroy();
    },
  };
}
