import { join } from "node:path";

const root = join(import.meta.dir, "../../..");

/** A block of shell commands in a page, ```` ```sh ````. */
export interface ShellBlock {
  /** Path of the page in the repository. */
  readonly page: string;
  readonly line: number;
  /** Marked ```` ```sh run ````: test/system/commands.system.ts runs it. */
  readonly isRun: boolean;
  readonly text: string;
}

/** Every page for operators. */
export const pages: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  ...[...new Bun.Glob("docs/**/*.md").scanSync(root)].toSorted(),
];

/** The blocks of a page, in their order, without the indentation of a list that they are in. */
export async function shellBlocks(page: string): Promise<readonly ShellBlock[]> {
  const text = await Bun.file(join(root, page)).text();
  const found = text.matchAll(/^( *)```sh( run)?\n([\s\S]*?)^ *```$/gm);
  return [...found].map(({ 1: indent = "", 2: run, 3: body = "", index }) => ({
    page,
    line: text.slice(0, index).split("\n").length,
    isRun: run !== undefined,
    text: body.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  }));
}
