import { readdirSync, readFileSync } from "node:fs";

/** What Linux calls the states of a TCP socket in /proc/net/tcp. */
const states = { established: "01", connecting: "02", listening: "0A" } as const;

/** How many sockets of this machine are in that state towards 127.0.0.1:`port`. */
export function countSocketsTo(port: number, state: keyof typeof states): number {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "latin1").split("\n").slice(1);
  return rows.filter((row) => {
    const fields = row.trim().split(/\s+/);
    return fields[2] === remote && fields[3] === states[state];
  }).length;
}

/** How many file descriptors this process holds. */
export const countDescriptors = (): number => readdirSync("/dev/fd").length;

/** Resident memory of a process, bytes: now, and at most so far. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const bytes = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
  return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
}
