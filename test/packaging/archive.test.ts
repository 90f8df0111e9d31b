import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ar, type Entry, gzip, tar } from "../../src/packaging/archive.ts";

const date = new Date("2026-01-02T03:04:05Z");

test("tar unpacks an archive to the same files, permissions and links", () => {
  const entries: readonly Entry[] = [
    { path: "usr/bin/program", content: Buffer.alloc(1_000, 7), mode: 0o755 },
    { path: "etc/settings", content: "a=ä\n", mode: 0o640 },
    { path: "empty", content: "" },
    { path: "link", content: "", link: "usr/bin/program" },
  ];
  const folder = mkdtempSync(join(tmpdir(), "automc-archive-"));
  try {
    const archive = gzip(new Uint8Array(tar(entries, date)));
    const unpacked = Bun.spawnSync(["tar", "-xzpf", "-"], { cwd: folder, stdin: archive });
    expect(unpacked.stderr.toString()).toBe("");
    expect(readFileSync(join(folder, "usr/bin/program"))).toEqual(Buffer.alloc(1_000, 7));
    expect(statSync(join(folder, "usr/bin/program")).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(folder, "etc/settings"), "utf8")).toBe("a=ä\n");
    expect(statSync(join(folder, "etc/settings")).mode & 0o777).toBe(0o640);
    expect(statSync(join(folder, "etc/settings")).mtime).toEqual(date);
    expect(statSync(join(folder, "empty")).size).toBe(0);
    expect(readlinkSync(join(folder, "link"))).toBe("usr/bin/program");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a tar archive is the same in whatever order its files are given", () => {
  const entries: readonly Entry[] = [
    { path: "b/c", content: "1" },
    { path: "a", content: "2" },
  ];
  expect(tar(entries, date)).toEqual(tar(entries.toReversed(), date));
});

test("a name that a tar archive cannot hold is refused", () => {
  expect(() => tar([{ path: "a".repeat(99), content: "" }], date)).toThrow("too long");
});

test("an ar archive has each member on an even offset behind its header", () => {
  const members: readonly Entry[] = [
    { path: "debian-binary", content: "2.0\n" },
    { path: "odd", content: "abc" },
    { path: "last", content: "d" },
  ];
  const time = "1767323045  ";
  const header = (name: string, size: number): string =>
    `${name.padEnd(16)}${time}0     0     100644  ${String(size).padEnd(10)}\`\n`;
  expect(ar(members, date).toString()).toBe(
    `!<arch>\n${header("debian-binary", 4)}2.0\n${header("odd", 3)}abc\n${header("last", 1)}d\n`,
  );
});
