import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dir, "../..");
const pages = ["*.md", "docs/**/*.md"].flatMap((pattern) =>
  [...new Bun.Glob(pattern).scanSync({ cwd: root })].toSorted(),
);

/** The text of a page without what stands in code blocks. */
async function proseOf(page: string): Promise<string> {
  const text = await Bun.file(join(root, page)).text();
  return text.replace(/^```.*?^```/gms, "");
}

/** The anchors that GitHub gives the headings of a page. */
async function anchorsOf(page: string): Promise<ReadonlySet<string>> {
  const headings = [...(await proseOf(page)).matchAll(/^#+ +(.+)$/gm)].map(([, text = ""]) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
  return new Set(headings);
}

/** What is wrong with a link of a page; null when it leads to a file of the repository and to a heading there. */
async function problemOf(page: string, link: string): Promise<string | null> {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(root, target))) return "no such file";
  if (anchor === undefined || !target.endsWith(".md")) return null;
  return (await anchorsOf(target)).has(anchor) ? null : "no such heading";
}

test.each(pages)("every link of %s leads somewhere", async (page) => {
  const links = [...(await proseOf(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, link = ""]) => link,
  );
  const inside = links.filter((link) => !/^[a-z]+:/.test(link));
  const problems: string[] = [];
  for (const link of inside) {
    const problem = await problemOf(page, link);
    if (problem !== null) problems.push(`${link}: ${problem}`);
  }
  expect(problems).toEqual([]);
});
