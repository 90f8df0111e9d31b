/** Every wait of the Postgres source, in milliseconds. */
export interface PostgresTimings {
  /** One round over all hosts: look-ups, connects, TLS, startup, login and the first statements. */
  readonly roundMs: number;
  /** The connection that cancels a statement. */
  readonly cancelMs: number;
  /** One answer to a query, or one piece of a long one. */
  readonly readMs: number;
  /** How long a read waits for a lock on the table. */
  readonly lockMs: number;
  /** Between two heartbeats. */
  readonly heartbeatMs: number;
  /** How long a heartbeat may take to come back. */
  readonly echoMs: number;
  /** Between two full reads while LISTEN does not work. */
  readonly pollMs: number;
  /** Between two attempts to LISTEN while polling. */
  readonly relistenMs: number;
  /** The first pause after a failure; it doubles with each further one. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Dials at once, and the time that earns one more: 7 and 3.75 s make at most 15 in any 30 s. */
  readonly dialBurst: number;
  readonly dialEveryMs: number;
  /** From the first notification to the read it causes: those of one transaction come in several packets. */
  readonly gatherMs: number;
  /**
   * Least time between the starts of two reads that notifications cause; what comes meanwhile is one read.
   */
  readonly coalesceMs: number;
  /** The same, averaged over the last two: a table that changes all the time is read less often. */
  readonly readGapMs: number;
  /** Between the two reads that must agree before most routes are dropped. */
  readonly confirmMs: number;
  /** At least this long between two writes of the snapshot. */
  readonly snapshotMs: number;
}

/** The waits a router runs with. Tests scale them down. */
export const defaultTimings: PostgresTimings = {
  roundMs: 6_000,
  cancelMs: 1_000,
  readMs: 15_000,
  lockMs: 2_000,
  heartbeatMs: 10_000,
  echoMs: 5_000,
  pollMs: 5_000,
  relistenMs: 60_000,
  backoffMs: 250,
  backoffMaxMs: 15_000,
  dialBurst: 7,
  dialEveryMs: 3_750,
  gatherMs: 2,
  coalesceMs: 50,
  readGapMs: 100,
  confirmMs: 5_000,
  snapshotMs: 30_000,
};
