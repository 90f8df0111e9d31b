import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The files of the page, as the browser gets them. */
interface PageFiles {
  readonly html: string;
  readonly style: string;
  readonly script: string;
  readonly icon: string;
}

/**
 * Builds the page. It is called as a macro, when the program is bundled or a file that imports it is loaded,
 * so that the
 * executable holds the texts: https://bun.com/docs/bundler/macros
 */
export function pageFiles(): PageFiles {
  const folder = join(import.meta.dir, "page");
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  // The bundler cannot be called from within itself, but started beside.
  const built = Bun.spawnSync([
    process.execPath,
    "build",
    join(folder, "app.ts"),
    "--target=browser",
    "--minify",
  ]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  return {
    html: read("index.html"),
    style: read("style.css"),
    script: built.stdout.toString(),
    icon: read("icon.svg"),
  };
}
