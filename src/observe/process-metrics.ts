import { readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { createReading, type Family, type Metric } from "./family.ts";

/** Metrics of the process, by the names that Prometheus' client libraries use. */
interface ProcessMetrics {
  readonly families: readonly Family[];
  /** Reads what takes a moment; call it before the families are asked for their numbers. Never rejects. */
  refresh(): Promise<void>;
}

const describe = (name: string, type: Metric["type"], help: string): Metric => ({
  name,
  type,
  help,
  labels: [],
});

/** Metrics of this process. Where there is no /proc, those that need it have no numbers. */
export function createProcessMetrics(): ProcessMetrics {
  const startedAt = Date.now() / 1000 - process.uptime();
  const maxFds = readMaxFds();
  let openFds: number | null = null;

  const numbers: readonly (readonly [Metric, () => number | null])[] = [
    [
      describe("process_cpu_seconds_total", "counter", "User and system CPU time, in seconds."),
      () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      },
    ],
    [
      describe("process_resident_memory_bytes", "gauge", "Resident memory, in bytes."),
      () => process.memoryUsage.rss(),
    ],
    [describe("process_open_fds", "gauge", "Open file descriptors."), () => openFds],
    [
      describe("process_max_fds", "gauge", "Highest number of file descriptors that may be open."),
      () => maxFds,
    ],
    [
      describe(
        "process_start_time_seconds",
        "gauge",
        "When the process started, in seconds since 1970.",
      ),
      () => startedAt,
    ],
  ];

  return {
    families: numbers.map(([metric, read]) =>
      createReading(metric, () => [{ labels: {}, value: read() }]),
    ),
    async refresh() {
      openFds = await countOpenFds();
    },
  };
}

/** The soft limit, which is what counts: proc_pid_limits(5). */
function readMaxFds(): number | null {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return line === null ? null : Number(line[1]);
  } catch {
    // Not Linux.
    return null;
  }
}

async function countOpenFds(): Promise<number | null> {
  const folder = "/proc/self/fd";
  try {
    // Since Linux 6.2 the folder's size is the number of descriptors. Listing it takes 1 ms per thousand.
    const { size } = statSync(folder);
    return size > 0 ? size : (await readdir(folder)).length;
  } catch {
    // Not Linux, or no descriptor is left to list the others with.
    return null;
  }
}
