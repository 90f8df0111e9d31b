import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile } from "../../src/base/write-file.ts";

const root = mkdtempSync(join(tmpdir(), "automc-write-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const folder = (): string => mkdtempSync(join(root, "case-"));

test("a file that does not exist is created for owner and group", async () => {
  const path = join(folder(), "routes.json");
  expect(await replaceFile(path, "é")).toBeNull();
  expect(readFileSync(path, "utf8")).toBe("é");
  expect(statSync(path).mode & 0o777).toBe(0o664 & ~process.umask());
});

test("a file is replaced by another one with its mode, and nothing is left beside it", async () => {
  const home = folder();
  const path = join(home, "routes.json");
  writeFileSync(path, "old");
  chmodSync(path, 0o640);
  const { ino } = statSync(path);
  expect(await replaceFile(path, "new")).toBeNull();
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(statSync(path).ino).not.toBe(ino);
  expect(readdirSync(home)).toEqual(["routes.json"]);
});

test("a file keeps its owner", async () => {
  const path = join(folder(), "routes.json");
  writeFileSync(path, "old");
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(path, 65_534, 65_534);
  const { uid, gid } = statSync(path);
  expect(await replaceFile(path, "new")).toBeNull();
  expect(statSync(path)).toMatchObject({ uid, gid });
});

test("a link stays a link, and the file it leads to is replaced", async () => {
  const home = folder();
  mkdirSync(join(home, "real"));
  writeFileSync(join(home, "real", "file.json"), "old");
  const path = join(home, "routes.json");
  symlinkSync("real/file.json", path);
  expect(await replaceFile(path, "new")).toBeNull();
  expect(lstatSync(path).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(home, "real", "file.json"), "utf8")).toBe("new");
});

for (const code of ["EBUSY", "EXDEV", "EPERM"]) {
  test(`a file that cannot be replaced (${code}) is written in place, shorter or longer`, async () => {
    const home = folder();
    const path = join(home, "routes.json");
    const move = () => Promise.reject(Object.assign(new Error("no"), { code }));
    writeFileSync(path, "the old content");
    const { ino } = statSync(path);
    for (const text of ["short", "something that is longer than it was"]) {
      expect(await replaceFile(path, text, { move })).toBeNull();
      expect(readFileSync(path, "utf8")).toBe(text);
    }
    expect(statSync(path).ino).toBe(ino);
    expect(readdirSync(home)).toEqual(["routes.json"]);
  });
}

const failures: readonly { name: string; code: string; exists: boolean }[] = [
  { name: "a full disk", code: "ENOSPC", exists: true },
  { name: "a new file that cannot be put in place", code: "EBUSY", exists: false },
];
for (const { name, code, exists } of failures) {
  test(`${name} leaves everything as it was, and says why`, async () => {
    const home = folder();
    const path = join(home, "routes.json");
    if (exists) writeFileSync(path, "old");
    const move = () => Promise.reject(Object.assign(new Error(`the reason: ${code}`), { code }));
    expect(await replaceFile(path, "new", { move })).toBe(`the reason: ${code}`);
    expect(readdirSync(home)).toEqual(exists ? ["routes.json"] : []);
    if (exists) expect(readFileSync(path, "utf8")).toBe("old");
  });
}

test("a folder that does not exist is the reason", async () => {
  expect(await replaceFile(join(root, "nowhere", "routes.json"), "new")).toContain("ENOENT");
});

test("a file that is given in chunks is written as one, with the mode that was asked for", async () => {
  const path = join(folder(), "routes.json");
  writeFileSync(path, "old", { mode: 0o644 });
  async function* chunks(): AsyncGenerator<string, void> {
    yield "ä";
    await Promise.resolve();
    yield "b";
  }
  expect(await replaceFile(path, chunks, { mode: 0o600 })).toBeNull();
  expect(readFileSync(path, "utf8")).toBe("äb");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
