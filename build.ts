import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { version } from "./package.json";

/** The systems that get a binary, by the name of the file they get. */
const targets: Readonly<Record<string, Bun.Build.CompileTarget>> = {
  "automc-router-linux-x64": "bun-linux-x64",
  "automc-router-linux-x64-baseline": "bun-linux-x64-baseline",
  "automc-router-linux-arm64": "bun-linux-arm64",
  "automc-router-linux-x64-musl": "bun-linux-x64-musl",
  "automc-router-linux-arm64-musl": "bun-linux-arm64-musl",
  "automc-router-darwin-arm64": "bun-darwin-arm64",
  "automc-router-darwin-x64": "bun-darwin-x64",
  "automc-router-windows-x64.exe": "bun-windows-x64",
};

const root = import.meta.dir;
const dist = join(root, "dist");

function commit(): string {
  if (Bun.which("git") === null) return "unknown";
  const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root });
  return git.exitCode === 0 ? git.stdout.toString().trim() : "unknown";
}

async function compile(name: string, target?: Bun.Build.CompileTarget): Promise<void> {
  const built = await Bun.build({
    // A worker's script is part of the executable only when it is named here.
    entrypoints: [join(root, "src/main.ts"), join(root, "src/net/relay/worker.ts")],
    minify: { whitespace: true, syntax: true },
    define: {
      BUILD_VERSION: JSON.stringify(version),
      BUILD_COMMIT: JSON.stringify(commit()),
      BUILD_DATE: JSON.stringify(new Date().toISOString()),
    },
    compile: {
      outfile: join(dist, name),
      ...(target === undefined ? {} : { target }),
      // What lies in the working directory is no business of the router's.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  if (!built.success) {
    for (const log of built.logs) console.error(log);
    process.exit(1);
  }
  console.log(`dist/${name}`);
}

async function writeSums(names: readonly string[]): Promise<void> {
  const lines: string[] = [];
  for (const name of names) {
    const hash = new Bun.CryptoHasher("sha256");
    hash.update(await Bun.file(join(dist, name)).bytes());
    lines.push(`${hash.digest("hex")}  ${name}\n`);
  }
  await Bun.write(join(dist, "SHA256SUMS"), lines.join(""));
  console.log("dist/SHA256SUMS");
}

mkdirSync(dist, { recursive: true });
if (process.argv.includes("--all")) {
  for (const [name, target] of Object.entries(targets)) await compile(name, target);
  await writeSums(Object.keys(targets));
} else {
  await compile("automc-router");
}
