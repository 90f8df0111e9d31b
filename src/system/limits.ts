import { readFileSync } from "node:fs";

/** Files kept free for everything that is not a session: the database, the control plane, the log. */
const reserve = 256;
/** Where the system does not say, as outside Linux. */
const fallback = 4_096;

/**
 * How many sessions the process has file descriptors for: a relayed one takes two. Bun raises the soft limit
 * to the hard one by itself; with none left it would spin in its accept loop, so the router stops short of
 * that.
 */
export function sessionLimit(limitsPath = "/proc/self/limits"): number {
  const files = hardFileLimit(limitsPath) ?? fallback;
  return Math.max(16, Math.floor((files - reserve) / 2));
}

function hardFileLimit(path: string): number | null {
  try {
    const line = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync(path, "utf8"));
    return line === null ? null : Number(line[1]);
  } catch {
    // No /proc: another system, which has its own limits.
    return null;
  }
}
