/** Tells the service manager that the process works, while it does. */
export interface Watchdog {
  stop(): void;
}

/** What a watchdog needs. */
interface WatchdogDeps {
  /** After how long without a word the process is killed, ms. */
  readonly timeoutMs: number;
  /** False while the process does not do its work, although its event loop turns. Called once each beat. */
  isWell(): boolean;
  /** Sends the service manager a sign of life. */
  feed(): void;
}

/** Beats within the service manager's timeout: several, so that a missed one has no effect. */
const beatsPerTimeout = 4;

/** A timer that fires this much too late means a stuck event loop, ms. */
const longestLagMs = 5_000;

/**
 * Sends signs of life from a timer of the event loop: none while the loop is stuck, far too late, or the
 * process does not do its work.
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

/**
 * The timeout that systemd has set for the process with this id by sd_watchdog_enabled(3), ms; null for none.
 */
export function watchdogTimeout(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null {
  const { WATCHDOG_USEC = "", WATCHDOG_PID = String(pid) } = variables;
  // With another id it is another process's, from which this one has inherited the variables.
  if (WATCHDOG_PID !== String(pid) || !/^[1-9]\d{0,14}$/.test(WATCHDOG_USEC)) return null;
  return Number(WATCHDOG_USEC) / 1_000;
}
