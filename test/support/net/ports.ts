import { readFileSync } from "node:fs";

/** A port of 127.0.0.1 that refuses connections for as long as nobody here listens on it. Dispose gives it back. */
export interface ClosedPort extends Disposable {
  readonly port: number;
}

/** Ports that were given out by this process; none is given out twice. */
const given = new Set<number>();

/**
 * A port of 127.0.0.1 that refuses connections and can be listened on later. It lies below the range that the kernel takes the
 * client's end of connections from: one of those, even one that waits out its TIME_WAIT, would keep a port of that range taken.
 */
export function laterPort(): number {
  const lowest = lowestOfKernel();
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * (lowest - 10_000));
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
  throw new Error("no free port below the range of the kernel's own");
}

/** The first port that the kernel takes by itself; macOS has a fixed range. */
function lowestOfKernel(): number {
  if (process.platform !== "linux") return 49_152;
  return Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop();
    return true;
  } catch {
    return false;
  }
}

/** A port for something that is down, perhaps for good. */
export function reserveClosedPort(): Promise<ClosedPort> {
  const port = laterPort();
  return Promise.resolve({ port, [Symbol.dispose]: () => void given.delete(port) });
}
