import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The library that gives a program another clock when it is preloaded (Debian package libfaketime). Throws when it is not installed. */
export function faketimeLibrary(): string {
  for (const folder of readdirSync("/usr/lib")) {
    const path = join("/usr/lib", folder, "faketime/libfaketimeMT.so.1");
    if (existsSync(path)) return path;
  }
  throw new Error(
    "libfaketime is not installed: apt-get install -y --no-install-recommends libfaketime",
  );
}
