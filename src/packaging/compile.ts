import { join } from "node:path";
import { version } from "../../package.json";

const root = join(import.meta.dir, "../..");

/** Which source a build is of. */
export interface Stamp {
  readonly version: string;
  /** Twelve digits, or "unknown" outside a checkout. */
  readonly commit: string;
  /** Time of that commit, or now outside a checkout. */
  readonly date: Date;
}

/** The stamp of the checkout. SOURCE_DATE_EPOCH, in seconds, overrides the date. */
export function readStamp(): Stamp {
  const [commit = "", seconds] = git("log", "-1", "--abbrev=12", "--format=%h %ct").split(" ");
  const epoch = process.env["SOURCE_DATE_EPOCH"] ?? seconds;
  return {
    version,
    commit: commit === "" ? "unknown" : commit,
    date: epoch === undefined ? new Date() : new Date(Number(epoch) * 1000),
  };
}

function git(...words: readonly string[]): string {
  if (Bun.which("git") === null) return "";
  const asked = Bun.spawnSync(["git", ...words], { cwd: root });
  return asked.exitCode === 0 ? asked.stdout.toString().trim() : "";
}

/**
 * Compiles the router into one file; the same stamp, target and file name give the same bytes. Throws with the
 * compiler's messages.
 */
export async function compile(
  outfile: string,
  stamp: Stamp,
  target?: Bun.Build.CompileTarget,
): Promise<void> {
  const built = await Bun.build({
    // A worker's script is part of the executable only when it is named here.
    entrypoints: [join(root, "src/main.ts"), join(root, "src/net/relay/worker.ts")],
    minify: { whitespace: true, syntax: true },
    define: {
      BUILD_VERSION: JSON.stringify(stamp.version),
      BUILD_COMMIT: JSON.stringify(stamp.commit),
      BUILD_DATE: JSON.stringify(stamp.date.toISOString()),
    },
    compile: {
      outfile,
      ...(target === undefined ? {} : { target }),
      // The binary must not read .env and bunfig.toml in its working directory.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
}
