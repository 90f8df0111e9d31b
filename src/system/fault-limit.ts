/** How many defects may show, and in which time, ms, before a process is better started anew. */
const most = 10;
const withinMs = 60_000;

/**
 * Counts the defects that show themselves: true for one that makes it more than ten within a minute. Each has ended one session and no
 * more, but so many speak of a state that does not heal by itself.
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
