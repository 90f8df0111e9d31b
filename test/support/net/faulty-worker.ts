/**
 * A relay thread whose kernel misbehaves: AUTOMC_TEST_FAULT says how, and players set it off by what they
 * send.
 *
 * `throw`: a read of "boom" throws. `die`: behind a read of "boom" the wait throws. `exit`: there the
 * worker exits. `no-pipes`: no pipe can be opened. `no-watch`: epoll takes no more sockets. `interrupted`:
 * calls are interrupted at random.
 */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../../src/base/thrown.ts";
import { errno, type Kernel, openKernel } from "../../../src/net/relay/kernel.ts";
import { type Message, runLoop } from "../../../src/net/relay/loop.ts";
import { shareMemory } from "../../../src/net/relay/shared-memory.ts";
import type { WorkerInput } from "../../../src/net/relay/thread.ts";

const fault = process.env["AUTOMC_TEST_FAULT"];
const { memory, eventFd, pipes } = workerData as WorkerInput;
const send = (message: Message): void => parentPort?.postMessage(message);

function misbehaving(kernel: Kernel): Kernel {
  let isSetOff = false;
  const sometimes = (call: () => number): number =>
    fault === "interrupted" && Math.random() < 0.2 ? -errno.interrupted : call();
  return {
    ...kernel,
    receive(socket, length) {
      const count = sometimes(() => kernel.receive(socket, length));
      if (Buffer.from(kernel.buffer.subarray(0, 4)).toString() === "boom") {
        kernel.buffer.fill(0, 0, 4);
        isSetOff = true;
        if (fault === "throw") throw new Error("boom in a read");
      }
      return count;
    },
    wait(epoll, forEver) {
      if (isSetOff && fault === "die") throw new Error("boom in the wait");
      if (isSetOff && fault === "exit") process.exit(3);
      return sometimes(() => kernel.wait(epoll, forEver));
    },
    sendBuffer: (socket, length) => sometimes(() => kernel.sendBuffer(socket, length)),
    send: (socket, bytes) => sometimes(() => kernel.send(socket, bytes)),
    fill: (pipe, socket) => sometimes(() => kernel.fill(pipe, socket)),
    empty: (pipe, socket, length) => sometimes(() => kernel.empty(pipe, socket, length)),
    openPipe: (ends) => fault !== "no-pipes" && kernel.openPipe(ends),
    watch: (epoll, socket, bits, side, generation) =>
      fault === "no-watch" && socket !== eventFd
        ? -28
        : kernel.watch(epoll, socket, bits, side, generation),
  };
}

function run(): string | null {
  const kernel = openKernel();
  if (!kernel.ok) return kernel.error;
  try {
    runLoop({
      kernel: misbehaving(kernel.value),
      memory: shareMemory(memory),
      eventFd,
      pipes,
      send,
    });
    return null;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

send({ kind: "ended", reason: run() });
