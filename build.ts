/** Builds dist/automc-router for this machine; with `--all`, one binary for each system into dist, and their SHA256SUMS. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { compile, readStamp } from "./src/packaging/compile.ts";
import { targets } from "./src/packaging/targets.ts";

const dist = join(import.meta.dir, "dist");
const stamp = readStamp();
mkdirSync(dist, { recursive: true });

async function buildAll(): Promise<void> {
  const sums: string[] = [];
  for (const target of targets) {
    const name = `automc-router-${target.name}${target.name.startsWith("windows") ? ".exe" : ""}`;
    await compile(join(dist, name), stamp, target.bun);
    const hash = new Bun.CryptoHasher("sha256");
    hash.update(await Bun.file(join(dist, name)).bytes());
    sums.push(`${hash.digest("hex")}  ${name}\n`);
    console.log(`dist/${name}`);
  }
  await Bun.write(join(dist, "SHA256SUMS"), sums.join(""));
  console.log("dist/SHA256SUMS");
}

if (process.argv.includes("--all")) {
  await buildAll();
} else {
  await compile(join(dist, "automc-router"), stamp);
  console.log("dist/automc-router");
}
