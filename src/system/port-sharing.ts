import { readFileSync } from "node:fs";

/**
 * True when the kernel resets connections in their handshake with an instance that stops listening on a
 * shared port, instead of handing them to another instance (tcp_migrate_req). False where the system does not
 * say.
 */
export function losesHandshakes(path = "/proc/sys/net/ipv4/tcp_migrate_req"): boolean {
  try {
    return readFileSync(path, "utf8").trim() === "0";
  } catch {
    // Linux before 5.14, which has no choice, or another system.
    return false;
  }
}
