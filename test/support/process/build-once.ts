import { join } from "node:path";

/** What a script of test/system builds into a cache folder, once on a machine. */
export interface CachedBuild {
  readonly script: string;
  /** What is built, such as `kube-apiserver`. */
  readonly product: string;
  /** The tests that cannot run without, such as `Kubernetes`. */
  readonly tests: string;
}

/** The path that the script prints, once it is all there; null when it could not be built, which is told on stderr. */
export async function buildOnce({ script, product, tests }: CachedBuild): Promise<string | null> {
  const path = join(import.meta.dir, "../../system", script);
  const build = Bun.spawn([path], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [printed, said, code] = await Promise.all([
    build.stdout.text(),
    build.stderr.text(),
    build.exited,
  ]);
  if (code === 0) return printed.trim();
  const why = said.trim().split("\n").slice(-5).join("\n");
  console.error(`SKIPPED: the ${tests} tests, as no ${product} could be built:\n${why}`);
  return null;
}
