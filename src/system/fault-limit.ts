/** How many unexpected errors within how many milliseconds call for a restart. */
const most = 10;
const withinMs = 60_000;

/**
 * Counts unexpected errors: true for each beyond ten within a minute. One of them ends one session at most;
 * so many mean a state that only a restart mends.
 */
export function createFaultLimit(now: () => number = () => performance.now()): () => boolean {
  const times: number[] = [];
  return () => {
    times.push(now());
    if (times.length <= most) return false;
    const first = times.shift();
    return first !== undefined && now() - first < withinMs;
  };
}
