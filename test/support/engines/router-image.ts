import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { execute } from "../process/command.ts";
import type { ContainerEngine } from "./container-engine.ts";

const binary = resolve(import.meta.dir, "../../../dist/automc-router");

/** Makes an image of the built binary and the libraries that it is linked to, without any registry. */
export async function importRouterImage(
  docker: ContainerEngine["docker"],
  name: string,
): Promise<void> {
  const tree = mkdtempSync(join(tmpdir(), "automc-image-"));
  const archive = `${tree}.tar`;
  try {
    const copy = (from: string, to: string): void => {
      mkdirSync(join(tree, dirname(to)), { recursive: true });
      cpSync(from, join(tree, to), { dereference: true });
    };
    copy(binary, "/usr/local/bin/automc-router");
    for (const [library] of execute(["ldd", binary]).matchAll(/\/\S+/g)) copy(library, library);
    execute(["tar", "--directory", tree, "--create", "--file", archive, "."]);
    const entry = 'ENTRYPOINT ["/usr/local/bin/automc-router"]';
    await docker("import", "--change", entry, archive, name);
  } finally {
    rmSync(tree, { recursive: true });
    rmSync(archive, { force: true });
  }
}
