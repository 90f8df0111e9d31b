import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../../.github/workflows");

for (const name of ["ci.yml", "release.yml"]) {
  test(`${name} pins every action by its commit, and grants no job more than it needs`, async () => {
    const text = await Bun.file(join(root, name)).text();
    const uses = text.match(/uses: .*/g) ?? [];
    expect(uses.filter((line) => !/^uses: actions\/[\w-]+@[0-9a-f]{40} # v\d/.test(line))).toEqual(
      [],
    );
    expect(text).toMatch(/^permissions:( \{\}|\n {2}contents: read)\n/m);
    expect(text).not.toContain("secrets.");
    expect(text).not.toContain("pull_request_target");
  });
}
