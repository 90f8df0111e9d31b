import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promises } from "../support/docs/reliability.ts";

const root = join(import.meta.dir, "../..");

test.each(["docs/reliability.md"])(
  "%s prints all promises and names only tests that exist",
  async (name) => {
    const text = await Bun.file(join(root, name)).text();
    expect(promises.filter((promise) => !text.includes(`| ${promise} | **`))).toEqual([]);
    const named = [...text.matchAll(/`(test\/[^`*]+\.ts)`/g)].map(([, path = ""]) => path);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  },
);
