import { onAbort } from "./abort.ts";
import { err, ok, type Result } from "./result.ts";

/** Why a wait gave nothing: the promise rejected, the time was over, or the signal aborted. */
export type WaitFailure =
  | { readonly kind: "rejected"; readonly cause: unknown }
  | { readonly kind: "late" }
  | { readonly kind: "stopped" };

/** Resolves after `ms`, or at once when the signal aborts; it never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      release();
      resolve();
    };
    const timer = setTimeout(finish, ms);
    const release = onAbort(signal, finish);
  });
}

/**
 * The promise's outcome within `ms`. A promise that is left behind stays handled, so it can never
 * become an unhandled rejection.
 */
export function within<T>(
  ms: number,
  promise: PromiseLike<T>,
  signal: AbortSignal,
): Promise<Result<T, WaitFailure>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(err({ kind: "late" })), ms);
    let release = (): void => undefined;
    const finish = (result: Result<T, WaitFailure>) => {
      clearTimeout(timer);
      release();
      resolve(result);
    };
    promise.then(
      (value) => finish(ok(value)),
      (cause) => finish(err({ kind: "rejected", cause })),
    );
    release = onAbort(signal, () => finish(err({ kind: "stopped" })));
  });
}

/** The promise's value, or `late()` after `ms`; the promise is then left behind and must not reject. */
export async function withinOr<T>(ms: number, promise: Promise<T>, late: () => T): Promise<T> {
  const { promise: timeout, resolve: expire } = Promise.withResolvers<T>();
  const timer = setTimeout(() => expire(late()), ms);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, resolve));
}

/** Lets everything else on the event loop run before it resolves. */
export const yieldToLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Items of a long piece of work that are done in one go: a millisecond or two. */
const chunkSize = 500;

/** The items in chunks, with a turn of the event loop behind each. */
export async function* inChunks<T>(items: readonly T[]): AsyncGenerator<readonly T[], void> {
  for (let from = 0; from < items.length; from += chunkSize) {
    yield items.slice(from, from + chunkSize);
    await yieldToLoop();
  }
}

/** A bell that one loop waits for; a ring that comes while it does not wait is kept. */
export interface Alarm {
  ring(): void;
  /** Resolves at the next ring, after `ms`, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** A bell that has not been rung. */
export function createAlarm(): Alarm {
  let hasRung = false;
  let wake: (() => void) | null = null;
  return {
    ring() {
      hasRung = true;
      wake?.();
    },
    async wait(ms, signal) {
      if (!hasRung) {
        const rung = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await within(ms, rung, signal);
        wake = null;
      }
      hasRung = false;
    },
  };
}
