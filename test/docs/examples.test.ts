import { expect, test } from "bun:test";
import { join } from "node:path";
import { settings } from "../../src/config/settings.ts";

const examples = join(import.meta.dir, "../../docs/examples");

interface ComposeFile {
  readonly services: Readonly<
    Record<string, { readonly environment?: Readonly<Record<string, string>> }>
  >;
}

test("the compose file's router has only settings that there are", async () => {
  const text = await Bun.file(join(examples, "compose.yml")).text();
  const { services } = Bun.YAML.parse(text) as ComposeFile;
  const known = new Set<string>(
    settings.flatMap(({ name, otherName }) =>
      otherName === undefined ? [name] : [name, otherName],
    ),
  );
  const used = Object.keys(services["router"]?.environment ?? {});
  expect(used.length).toBeGreaterThan(3);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test("the page of examples has every file, and no other", async () => {
  const page = await Bun.file(join(examples, "README.md")).text();
  const files = [...new Bun.Glob("*").scanSync(examples)].filter((name) => name !== "README.md");
  const linked = [...page.matchAll(/\]\(([^)/]+)\)/g)].map(([, name]) => name ?? "");
  expect(linked.toSorted()).toEqual(files.toSorted());
});
