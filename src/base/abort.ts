/**
 * Calls `stop` once when the signal aborts, at once if it has already. The function given back
 * takes that back.
 */
export function onAbort(signal: AbortSignal, stop: () => void): () => void {
  if (signal.aborted) {
    stop();
    return () => undefined;
  }
  signal.addEventListener("abort", stop, { once: true });
  return () => signal.removeEventListener("abort", stop);
}

/** A piece of work with a signal of its own. */
export interface Scope {
  readonly signal: AbortSignal;
  /** Aborts the work. */
  abort(): void;
  /** Lets go of the signal it was made from; to be called when the work is over. Aborts nothing. */
  release(): void;
}

/**
 * A signal that aborts with `parent`, or by itself. `AbortSignal.any` would stay registered for the
 * parent's whole life.
 */
export function createScope(parent: AbortSignal): Scope {
  const control = new AbortController();
  const abort = (): void => control.abort();
  const release = onAbort(parent, abort);
  return { signal: control.signal, abort, release };
}

/** A piece of work that is given up after a time. */
interface TimedScope extends Scope {
  /** True once the time was over before the work. */
  isLate(): boolean;
  /** Lets the work go on without a limit. */
  endTimeout(): void;
}

/** A signal that aborts with `parent`, or after `ms`. */
export function createTimedScope(ms: number, parent: AbortSignal): TimedScope {
  const { signal, abort, release } = createScope(parent);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    abort();
  }, ms);
  return {
    signal,
    abort,
    isLate: () => isLate,
    endTimeout: () => clearTimeout(timer),
    release() {
      clearTimeout(timer);
      release();
    },
  };
}
