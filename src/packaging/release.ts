/**
 * Makes everything that a release offers, in dist/release: `bun run release [TARGET]...`. A target is a name of
 * targets.ts; by default all are built. The same commit gives the same bytes.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzip, tar } from "./archive.ts";
import { compile, readStamp, type Stamp } from "./compile.ts";
import { type DebianArchitecture, debianPackage } from "./deb.ts";
import { releaseNotes } from "./notes.ts";
import { sbom } from "./sbom.ts";
import { type Target, targets } from "./targets.ts";

const root = join(import.meta.dir, "../..");
const folder = join(root, "dist/release");

/** Targets whose binary goes into a Debian package too. */
const debianTargets: Readonly<Record<string, DebianArchitecture>> = {
  "linux-amd64-glibc": "amd64",
  "linux-arm64-glibc": "arm64",
};

async function release(chosen: readonly Target[]): Promise<void> {
  const stamp = readStamp();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const sums: string[] = [];
  const put = async (name: string, content: string | Uint8Array): Promise<void> => {
    await Bun.write(join(folder, name), content);
    const hash = new Bun.CryptoHasher("sha256").update(content).digest("hex");
    sums.push(`${hash}  ${name}\n`);
    console.log(`dist/release/${name}`);
  };

  const license = await Bun.file(join(root, "LICENSE")).text();
  for (const target of chosen) {
    const { name, binary } = await build(target, stamp);
    const entries = [
      { path: name, content: binary, mode: 0o755 },
      { path: "LICENSE", content: license },
    ];
    const archive = gzip(new Uint8Array(tar(entries, stamp.date)));
    await put(`automc-router-${stamp.version}-${target.name}.tar.gz`, archive);
    const architecture = debianTargets[target.name];
    if (architecture === undefined) continue;
    const file = `automc-router_${stamp.version}_${architecture}.deb`;
    await put(file, await debianPackage(binary, architecture, stamp));
  }
  await put(`automc-router-${stamp.version}.cdx.json`, sbom(stamp));
  const changes = await Bun.file(join(root, "CHANGELOG.md")).text();
  await put("RELEASE_NOTES.md", releaseNotes(changes, stamp));
  await Bun.write(join(folder, "SHA256SUMS"), sums.join(""));
  console.log("dist/release/SHA256SUMS");
}

/** The binary of a target. The compiler puts the file's name into it, so that name must always be the same. */
async function build(
  target: Target,
  stamp: Stamp,
): Promise<{ readonly name: string; readonly binary: Uint8Array }> {
  const scratch = mkdtempSync(join(tmpdir(), "automc-release-"));
  try {
    const suffix = target.name.startsWith("windows") ? ".exe" : "";
    const path = join(scratch, `automc-router${suffix}`);
    await compile(path, stamp, target.bun);
    return { name: basename(path), binary: await Bun.file(path).bytes() };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => targets.every((target) => target.name !== name));
if (unknown.length > 0) {
  const names = targets.map(({ name }) => name).join(", ");
  console.error(`there is no target ${unknown.join(", ")}; there are ${names}`);
  process.exit(2);
}
await release(targets.filter(({ name }) => asked.length === 0 || asked.includes(name)));
