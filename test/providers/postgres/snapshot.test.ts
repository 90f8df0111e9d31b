import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerRow } from "../../../src/providers/postgres/reader.ts";
import { createSnapshotWriter, loadSnapshot } from "../../../src/providers/postgres/snapshot.ts";
import { until } from "../../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "automc-snapshot-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const freshPath = () => {
  files += 1;
  const own = join(folder, String(files));
  mkdirSync(own);
  return join(own, "routes.json");
};

const rows: readonly ServerRow[] = [
  { name: "a", domain: "a.example.com", address: "10.0.0.1:1" },
  { name: 'quo"te\n', domain: "ü.example.com", address: "[::1]:2" },
  { name: "with", domain: "c.example.com", address: "10.0.0.1:3", proxyProtocol: true },
  { name: "without", domain: "d.example.com", address: "10.0.0.1:4", proxyProtocol: false },
  { name: "else", domain: "e.example.com", address: "10.0.0.1:5", fallback: "lobby.example.com" },
];

function writerTo(path: string, everyMs = 0, read = () => rows) {
  const failures: string[] = [];
  const writer = createSnapshotWriter({
    path,
    everyMs,
    rows: read,
    onFailure: (reason) => failures.push(reason),
  });
  return { writer, failures };
}

describe("a snapshot", () => {
  test("comes back as it was written, readable for its owner only", async () => {
    const path = freshPath();
    writeFileSync(`${path}.${process.pid}.new`, "left over from a crash", { mode: 0o644 });
    const before = Date.now();
    const { writer, failures } = writerTo(path);
    writer.changed();
    await writer.stop();
    const loaded = await loadSnapshot(path);
    expect(loaded.ok && loaded.value?.rows).toEqual([...rows]);
    const savedAt = loaded.ok ? (loaded.value?.savedAt.getTime() ?? 0) : 0;
    expect(savedAt).toBeGreaterThanOrEqual(before);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, ".."))).toEqual(["routes.json"]);
    expect(failures).toEqual([]);
  });

  test("is not written when nothing has changed", async () => {
    const path = freshPath();
    await writerTo(path).writer.stop();
    expect(await loadSnapshot(path)).toEqual({ ok: true, value: null });
  });

  test("is written at once, then not before its time, and at the stop", async () => {
    const path = freshPath();
    let reads = 0;
    const { writer } = writerTo(path, 3_600_000, () => {
      reads += 1;
      return rows.slice(0, reads);
    });
    writer.changed();
    await until("the first write", async () => {
      const loaded = await loadSnapshot(path);
      return loaded.ok && loaded.value?.rows.length === 1;
    });
    writer.changed();
    writer.changed();
    await Bun.sleep(20);
    expect(reads).toBe(1);
    await writer.stop();
    expect(reads).toBe(2);
    const loaded = await loadSnapshot(path);
    expect(loaded.ok && loaded.value?.rows).toHaveLength(2);
  });

  test("that cannot be written is told once, and tried again", async () => {
    const path = join(freshPath(), "not-a-folder", "routes.json");
    const { writer, failures } = writerTo(path, 1);
    writer.changed();
    await until("a failure", () => failures.length > 0);
    mkdirSync(join(path, ".."), { recursive: true });
    await until("a write", async () => {
      const loaded = await loadSnapshot(path);
      return loaded.ok && loaded.value !== null;
    });
    await writer.stop();
    expect(failures).toHaveLength(1);
    expect(failures[0]).toContain("ENOENT");
  });

  const damaged: readonly { name: string; text: string; says: string }[] = [
    { name: "an empty file", text: "", says: "it is no JSON" },
    { name: "half a file", text: '{"version":1,"savedAt":"2026-', says: "it is no JSON" },
    { name: "another kind of file", text: '["routes"]', says: "version 1" },
    { name: "a later version", text: '{"version":2}', says: "version 1" },
    { name: "no time", text: '{"version":1,"servers":[]}', says: "when it was written" },
    {
      name: "a row without an address",
      text: '{"version":1,"savedAt":"2026-01-01T00:00:00Z","servers":[{"name":"a","domain":"b"}]}',
      says: "its rows are damaged",
    },
    {
      name: "a row with a word for the PROXY protocol",
      text: '{"version":1,"savedAt":"2026-01-01T00:00:00Z","servers":[{"name":"a","domain":"b","address":"c","proxyProtocol":"on"}]}',
      says: "its rows are damaged",
    },
    {
      name: "no rows",
      text: '{"version":1,"savedAt":"2026-01-01T00:00:00Z","servers":{}}',
      says: "its rows are damaged",
    },
  ];
  test.each([...damaged])("is refused in words: $name", async ({ text, says }) => {
    const path = freshPath();
    writeFileSync(path, text);
    const loaded = await loadSnapshot(path);
    expect(loaded.ok ? "accepted" : loaded.error).toContain(says);
  });

  test("that is a folder is refused in words", async () => {
    const path = freshPath();
    mkdirSync(path);
    chmodSync(path, 0o700);
    const loaded = await loadSnapshot(path);
    expect(loaded.ok ? "accepted" : loaded.error).toContain("EISDIR");
  });
});
