/** What the process does on signals. */
interface SignalActions {
  /** SIGTERM or SIGINT for the first time. */
  stop(signal: string): void;
  /** One of them again: at once. */
  stopNow(signal: string): void;
  /** SIGHUP. */
  reload(): void;
}

/**
 * Signals that mean nothing to the router and would end it. SIGPIPE: a write to a closed pipe fails with an
 * error of its own. SIGQUIT is a key of every terminal, and SIGUSR1 and SIGUSR2 are what tools for log files
 * send to daemons of all kinds.
 */
const harmless = ["SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/**
 * Takes the process's signals over. Nothing but SIGTERM, SIGINT and what no process can take over ends it.
 */
export function handleSignals(actions: SignalActions): void {
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) {
        actions.stopNow(signal);
        return;
      }
      stopping = true;
      actions.stop(signal);
    });
  }
  process.on("SIGHUP", () => actions.reload());
  for (const signal of harmless) {
    process.on(signal, () => {
      // Without a listener the signal would end the process.
    });
  }
}
