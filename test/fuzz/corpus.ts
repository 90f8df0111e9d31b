import { join } from "node:path";

/** Where the corpus is kept: an input a line, in hex, behind a line that says how it was found. */
export const corpusPath = join(import.meta.dir, "corpus.txt");

/** The inputs that were kept; none where there is no corpus yet. */
export async function readCorpus(): Promise<readonly Buffer[]> {
  const file = Bun.file(corpusPath);
  if (!(await file.exists())) return [];
  const lines = (await file.text()).split("\n");
  return lines.filter((line) => !line.startsWith("#")).map((line) => Buffer.from(line, "hex"));
}

/** How the corpus that is kept was found, in a phrase. */
export async function corpusOrigin(): Promise<string> {
  const [first = ""] = (await Bun.file(corpusPath).text()).split("\n");
  return first.replace(/^# /, "");
}

/** The corpus as a file's text. */
export const corpusText = (corpus: readonly Buffer[], origin: string): string =>
  `# ${origin}\n${corpus.map((input) => input.toString("hex")).join("\n")}\n`;
