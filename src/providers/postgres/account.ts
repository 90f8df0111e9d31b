import { readFileSync } from "node:fs";
import { userInfo } from "node:os";

/**
 * The account this program runs as, libpq's default for the user. Bun's `userInfo` believes the variable
 * USER, so the system's own list comes first.
 */
export function accountName(): string {
  const id = process.geteuid?.();
  try {
    for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
      const [name = "", , uid] = line.split(":");
      if (name !== "" && uid === String(id)) return name;
    }
  } catch {
    // Without that list, and for accounts that a service manager makes up, the system's answer counts.
  }
  return userInfo().username;
}
