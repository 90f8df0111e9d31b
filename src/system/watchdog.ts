/** Tells the service manager, for as long as it is true, that the process works. */
export interface Watchdog {
  stop(): void;
}

/** What a watchdog needs. */
export interface WatchdogDeps {
  /** After how long without a word the process is killed, ms. */
  readonly timeoutMs: number;
  /** Whether there is anything to be said for the process besides that its event loop turns. Called once each beat. */
  isWell(): boolean;
  /** Says that the process works. */
  feed(): void;
}

/** Beats in the time that the service manager waits: several, so that one that is missed costs nothing. */
const beatsPerTimeout = 4;

/** A loop that comes round this much too late does not count as turning, ms. */
const longestLagMs = 5_000;

/**
 * Feeds from a timer of the event loop, so a loop that is stuck feeds nothing; and neither does one that comes round far too late, nor a
 * process that is not well.
 */
export function startWatchdog({ timeoutMs, isWell, feed }: WatchdogDeps): Watchdog {
  const beatMs = timeoutMs / beatsPerTimeout;
  let due = performance.now() + beatMs;
  let timer = setTimeout(beat, beatMs);

  function beat(): void {
    const now = performance.now();
    const isOnTime = now - due < longestLagMs;
    if (isWell() && isOnTime) feed();
    due = now + beatMs;
    timer = setTimeout(beat, beatMs);
  }

  return { stop: () => clearTimeout(timer) };
}

/** The timeout that systemd has set for the process with this id by sd_watchdog_enabled(3), ms; null for none. */
export function watchdogTimeout(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null {
  const { WATCHDOG_USEC = "", WATCHDOG_PID = String(pid) } = variables;
  // It is another process's when the id differs: whoever started this one has passed its own variables on.
  if (WATCHDOG_PID !== String(pid) || !/^[1-9]\d{0,14}$/.test(WATCHDOG_USEC)) return null;
  return Number(WATCHDOG_USEC) / 1_000;
}
