/** What the process does on signals. */
export interface SignalActions {
  /** SIGTERM or SIGINT for the first time. */
  stop(signal: string): void;
  /** One of them again: at once. */
  stopNow(signal: string): void;
  /** SIGHUP. */
  reload(): void;
}

/** Takes the process's signals over. SIGHUP never ends it, and neither does a closed log pipe. */
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
  process.on("SIGPIPE", () => {
    // Whoever wrote to the closed pipe is told by its own error.
  });
}
