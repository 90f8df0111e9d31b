/**
 * Makes the process's first request, to a closed port. Bun starts its HTTP thread at the first `fetch`, and
 * ends the process if no file descriptors are left for it; at the start there are some, in a flood there may
 * be none.
 */
export function makeFirstFetch(): void {
  fetch("http://127.0.0.1:9/", { proxy: false, signal: AbortSignal.timeout(1_000) }).catch(() => {
    // No service listens there.
  });
}
