/** How long to pause after failures, ms. */
export interface BackoffTimings {
  /** After the first one; it doubles with each further one, up to `backoffMaxMs`. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
}

/** The pauses between attempts of one kind. */
export interface Backoff {
  /**
   * The pause before the next attempt, ms: less up to a half by chance, so that routers do not all
   * come back at once.
   */
  next(): number;
  /** An attempt has worked: the pauses begin anew. */
  reset(): void;
  /** How many pauses in a row there have been. */
  failures(): number;
}

/** No attempt has failed yet. */
export function createBackoff({ backoffMs, backoffMaxMs }: BackoffTimings): Backoff {
  let failures = 0;
  return {
    next() {
      const grownMs = Math.min(backoffMaxMs, backoffMs * 2 ** failures);
      failures += 1;
      return Math.round(grownMs * (0.5 + Math.random() / 2));
    },
    reset() {
      failures = 0;
    },
    failures: () => failures,
  };
}
