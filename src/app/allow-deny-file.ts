import { readFile } from "node:fs/promises";
import { messageOf } from "../base/thrown.ts";
import { parseAllowDeny } from "../config/allow-deny.ts";
import type { Config } from "../config/config.ts";
import { allPlayers, type WakePermissions } from "../session/wake-permission.ts";

/** The players that may start servers, as the operator's file lists them. */
export interface AllowDenyFile {
  /** What is in force now. */
  permissions(): WakePermissions;
  /** Reads the file again. One that cannot be used changes nothing, and `warn` is told. */
  reload(): Promise<void>;
}

/** The file that the settings name, as it was read with them; without one every player may. */
export function openAllowDenyFile(
  { allowDeny, simplifySrv }: Config,
  warn: (message: string) => void,
): AllowDenyFile {
  let permissions = allowDeny?.permissions ?? allPlayers;

  async function reload(): Promise<void> {
    if (allowDeny === null) return;
    const refuse = (reason: string): void =>
      warn(
        `AUTO_SCALE_ALLOW_DENY=${allowDeny.path} cannot be used, what it said before stays in force: ${reason}`,
      );
    try {
      const read = parseAllowDeny(await readFile(allowDeny.path, "utf8"), simplifySrv);
      if (read.ok) permissions = read.value;
      else refuse(read.error);
    } catch (cause) {
      refuse(messageOf(cause));
    }
  }

  return { permissions: () => permissions, reload };
}
