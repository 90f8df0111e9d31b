import { readFileSync } from "node:fs";

/**
 * A port of 127.0.0.1 that is closed and can be listened on later. It lies below the range that the kernel takes the client's
 * end of connections from: one of those, even one that waits out its TIME_WAIT, would keep a port of that range taken.
 */
export function laterPort(): number {
  const [lowest = 32_768] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
    .split(/\s+/)
    .map(Number);
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * (lowest - 10_000));
    if (isFree(port)) return port;
  }
  throw new Error("no free port below the range of the kernel's own");
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop();
    return true;
  } catch {
    return false;
  }
}
