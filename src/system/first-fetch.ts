/**
 * Makes the process's first request, to nobody. Bun sets its HTTP thread up at the first `fetch`, and ends the process if no file
 * descriptors are left for it then; so that happens at the start, and not in a flood.
 */
export function makeFirstFetch(): void {
  fetch("http://127.0.0.1:9/", { proxy: false, signal: AbortSignal.timeout(1_000) }).catch(() => {
    // Nothing listens there, and nothing is meant to.
  });
}
