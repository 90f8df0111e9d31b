/** Serves connections at a limited rate, in the order in which they came. */
export interface AcceptQueue {
  /**
   * Runs `start` at once when a token is there and the queue is empty, otherwise later and in turn. Returns
   * how to leave the queue without using a token (no effect once started), or null when the queue is full or
   * stopped: then `start` never runs.
   */
  enter(start: () => void): (() => void) | null;
  /** Tokens in the bucket besides the one in hand; -1 while the next one is awaited. */
  available(): number;
  /** How long a connection that comes now would wait, ms. */
  waitMs(): number;
  /**
   * Runs the `start` of every connection that waits, in order and at once, and takes no more. Safe to call
   * twice.
   */
  stop(): void;
}

/** What an accept queue needs. */
export interface AcceptQueueDeps {
  /** Connections per second in the long run, a whole number from 1. */
  readonly perSecond: number;
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now?: () => number;
  /** How many may wait before the newest is refused. */
  readonly waitingLimit?: number;
}

interface Waiter {
  readonly start: () => void;
}

/**
 * Upstream's `CONNECTION_RATE_LIMIT`: a bucket of twice the rate that starts full, and an acceptor that takes
 * a token before it accepts. It therefore sits idle with one token in hand while the bucket fills up behind
 * it: `2 x rate` connections get in right after start, `2 x rate + 1` after a long idle time.
 */
export function createAcceptQueue(deps: AcceptQueueDeps): AcceptQueue {
  const { now = () => performance.now(), waitingLimit = 10_000 } = deps;
  const bucket = createTokenBucket(deps.perSecond, now);
  // A set keeps the order, and leaving from the middle costs nothing.
  const waiting = new Set<Waiter>();
  let inHandAt = bucket.take();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let stopped = false;

  function begin(start: () => void): void {
    // The next token is taken first, so that a `start` which throws or enters again finds the books in order.
    inHandAt = bucket.take();
    start();
  }

  function admitDue(): void {
    timer = null;
    try {
      for (const waiter of waiting) {
        if (now() < inHandAt) break;
        waiting.delete(waiter);
        begin(waiter.start);
      }
    } finally {
      if (waiting.size === 0) stopTimer();
      else awaitToken();
    }
  }

  function awaitToken(): void {
    if (timer !== null) return;
    // Rounded up, as timers drop the fraction; one that fires early all the same only waits once more.
    timer = setTimeout(admitDue, Math.max(0, Math.ceil(inHandAt - now())));
  }

  function leave(waiter: Waiter): void {
    waiting.delete(waiter);
    if (waiting.size === 0) stopTimer();
  }

  function stopTimer(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  }

  function enter(start: () => void): (() => void) | null {
    if (stopped || waiting.size >= waitingLimit) return null;
    if (waiting.size === 0 && now() >= inHandAt) {
      begin(start);
      return () => undefined;
    }
    const waiter = { start };
    waiting.add(waiter);
    awaitToken();
    return () => leave(waiter);
  }

  function stop(): void {
    stopped = true;
    stopTimer();
    for (const waiter of waiting) {
      waiting.delete(waiter);
      waiter.start();
    }
  }

  const waitMs = (): number =>
    Math.max(0, inHandAt - now()) + (waiting.size * 1_000) / deps.perSecond;

  return { enter, available: bucket.available, waitMs, stop };
}

interface TokenBucket {
  /**
   * Takes a token, on credit if need be. Gives the time, on the bucket's clock, from which it may be used.
   */
  take(): number;
  available(): number;
}

/**
 * The token bucket of github.com/juju/ratelimit 1.0.2: whole tokens, at ticks counted from the bucket's
 * creation.
 */
function createTokenBucket(perSecond: number, now: () => number): TokenBucket {
  const nanosecondsPerMs = 1e6;
  // Truncated like upstream's time.Duration, so that three per second is a token each 333,333,333 ns.
  const fillIntervalNs = Math.max(1, Math.trunc(1e9 / perSecond));
  const capacity = 2 * perSecond;
  const createdAt = now();
  let tokens = capacity;
  let filledTick = 0;

  function fill(): void {
    const elapsedNs = Math.round((now() - createdAt) * nanosecondsPerMs);
    const tick = Math.floor(elapsedNs / fillIntervalNs);
    tokens = Math.min(capacity, tokens + tick - filledTick);
    filledTick = tick;
  }

  function take(): number {
    fill();
    tokens -= 1;
    const missing = Math.max(0, -tokens);
    return createdAt + ((filledTick + missing) * fillIntervalNs) / nanosecondsPerMs;
  }

  function available(): number {
    fill();
    return tokens;
  }

  return { take, available };
}
