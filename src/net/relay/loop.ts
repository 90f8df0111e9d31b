import { errno, type Kernel, ready } from "./kernel.ts";
import { createPipes } from "./pipes.ts";
import { createPump, type Pump } from "./pump.ts";
import { controls, isEmpty, orders, type Ring, type SharedMemory, shift } from "./shared-memory.ts";

/** What a relay thread tells the main thread besides the news in their memory. */
export type Message =
  /** It takes sessions. */
  | { readonly kind: "ready" }
  /** There are news. Sent again only when the main thread has looked at them. */
  | { readonly kind: "news" }
  /** Code of ours threw on a session, which is cut; the others go on. */
  | { readonly kind: "fault"; readonly reason: string }
  /** It has ended, and leaves its descriptors to the main thread: null because it was told to. */
  | { readonly kind: "ended"; readonly reason: string | null };

/** What a relay thread needs. */
export interface LoopDeps {
  readonly kernel: Kernel;
  readonly memory: SharedMemory;
  /** What the main thread writes to when this one is asleep. */
  readonly eventFd: number;
  /** How many pipes it may have open. */
  readonly pipes: number;
  readonly send: (message: Message) => void;
}

/** The side that epoll reports for the event descriptor. No session has it. */
const wakeUpSide = -1;

/** Relays until it is told to stop. A throw means that the thread cannot go on. */
export function runLoop({ kernel, memory, eventFd, pipes, send }: LoopDeps): void {
  const { control } = memory;
  const pump = createPump({
    kernel,
    memory,
    pipes: createPipes(kernel, memory.pipes, pipes),
    fault: (reason) => send({ kind: "fault", reason }),
  });
  const epoll = checked("epoll_create1", kernel.openEpoll());
  control[controls.epoll] = epoll;
  // Each write to it is one edge, so it is never read.
  checked("epoll_ctl", kernel.watch(epoll, eventFd, ready.input, wakeUpSide, 0));
  send({ kind: "ready" });

  for (;;) {
    // Before the last look at the orders: one that comes after it finds this thread asleep and wakes it.
    Atomics.store(control, controls.isAsleep, 1);
    const isIdle = !pump.hasTurns() && isEmpty(memory.orders);
    const count = kernel.wait(epoll, isIdle);
    Atomics.store(control, controls.isAsleep, 0);
    if (count !== -errno.interrupted) checked("epoll_wait", count);

    for (let index = 0; index < count; index += 1) {
      const side = kernel.eventSide(index);
      if (side === wakeUpSide) continue;
      pump.step(side, kernel.eventGeneration(index), kernel.eventBits(index));
    }
    pump.continueTurns();
    if (!follow(pump, epoll, memory.orders)) return;
    if (isEmpty(memory.news) || Atomics.exchange(control, controls.isTold, 1) === 1) continue;
    send({ kind: "news" });
  }
}

/** Does what the main thread has ordered; false once it has ordered to stop. */
function follow(pump: Pump, epoll: number, ring: Ring): boolean {
  for (let word = shift(ring); word !== null; word = shift(ring)) {
    const slot = word >> 2;
    switch (word & 3) {
      case orders.join:
        pump.open(slot, epoll);
        break;
      case orders.cut:
        pump.cut(slot);
        break;
      case orders.cutStill:
        pump.cutStill(slot);
        break;
      case orders.stop:
        return false;
    }
  }
  return true;
}

function checked(call: string, result: number): number {
  if (result < 0) throw new Error(`${call} failed with error ${-result}`);
  return result;
}
