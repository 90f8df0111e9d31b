import { readFileSync } from "node:fs";

/**
 * Whether the kernel resets connections that are just being made to an instance which stops listening on a shared port, instead of
 * handing them to another one. False where the system does not say.
 */
export function losesHandshakes(path = "/proc/sys/net/ipv4/tcp_migrate_req"): boolean {
  try {
    return readFileSync(path, "utf8").trim() === "0";
  } catch {
    // Linux before 5.14, which has no choice, or another system.
    return false;
  }
}
