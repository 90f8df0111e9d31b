/** Where a flood goes: an IP literal and a port. */
export interface Place {
  readonly hostname: string;
  readonly port: number;
}

/** What became of connections that were held. */
export interface Lives {
  /** Not ended yet. */
  readonly open: number;
  /** Ended by the other side, and how long each had lived, ms. */
  readonly ended: readonly number[];
}

/** What the process of a flood can be asked to do. */
export interface FloodJobs {
  /** Opens so many connections and keeps them; gives how many opened. With `drip` each says these bytes, so many at a time at that pace, without it nothing. */
  readonly hold: {
    readonly input: Place & {
      readonly count: number;
      readonly drip: {
        readonly hex: string;
        readonly bytes: number;
        readonly everyMs: number;
      } | null;
    };
    readonly result: number;
  };
  /** What has become of the connections that are held: at once, or when all have ended or the time is over. */
  readonly lives: { readonly input: { readonly withinMs: number }; readonly result: Lives };
  /** Resets all that are held. */
  readonly release: { readonly input: null; readonly result: null };
  /** Says something malformed on each of so many connections; what is only the beginning of something is followed by FIN. All end, or it fails. */
  readonly junk: {
    readonly input: Place & {
      readonly count: number;
      readonly parallel: number;
      readonly seed: number;
    };
    /** How long the longest connection lasted, and what the other side said in all, bytes. */
    readonly result: { readonly longestMs: number; readonly bytesBack: number };
  };
  /**
   * Connects and ends as fast as it can; gives how often it did and how often it could not. With `waits` for the other side's end
   * before the next one, so that the kernel's queue is never full; without, no matter what the other side can take.
   */
  readonly churn: {
    readonly input: Place & {
      readonly parallel: number;
      readonly seconds: number;
      readonly waits: boolean;
    };
    readonly result: { readonly connections: number; readonly failures: number };
  };
  /** Connects so often and resets each connection as soon as the kernel has it, without waiting for the one that accepts. */
  readonly resets: { readonly input: Place & { readonly count: number }; readonly result: null };
  /** Logs in so often under names made up by chance, half of them below the suffix, and leaves at the first answer, which may be the end. */
  readonly names: {
    readonly input: Place & {
      readonly count: number;
      readonly parallel: number;
      readonly seed: number;
      readonly suffix: string;
    };
    /** How many heard something before the end. */
    readonly result: number;
  };
  /** Connects once from each of these addresses, says nothing, and gives from how many it was let in. All leave at the end. */
  readonly visit: {
    readonly input: Place & { readonly from: readonly string[] };
    readonly result: number;
  };
}
