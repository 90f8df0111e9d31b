import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../base/thrown.ts";
import { openKernel } from "./kernel.ts";
import { type Message, runLoop } from "./loop.ts";
import { shareMemory } from "./shared-memory.ts";
import type { WorkerInput } from "./thread.ts";

// The script of a relay thread. It never returns to its event loop while it relays; what it sends arrives
// all the same.

const send = (message: Message): void => parentPort?.postMessage(message);

/** Relays until it is told to stop; gives the reason when it has to end before that. */
function run({ memory, eventFd, pipes }: WorkerInput): string | null {
  const kernel = openKernel();
  if (!kernel.ok) return kernel.error;
  try {
    runLoop({ kernel: kernel.value, memory: shareMemory(memory), eventFd, pipes, send });
    return null;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

const input: WorkerInput = workerData;
send({ kind: "ended", reason: run(input) });
