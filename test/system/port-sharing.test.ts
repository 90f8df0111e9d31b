import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { losesHandshakes } from "../../src/system/port-sharing.ts";

const folder = mkdtempSync(join(tmpdir(), "automc-port-sharing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  { setting: 0, loses: true },
  { setting: 1, loses: false },
])("with tcp_migrate_req=$setting handshakes are lost: $loses", ({ setting, loses }) => {
  const path = join(folder, `setting-${loses}`);
  writeFileSync(path, `${setting}\n`);
  expect(losesHandshakes(path)).toBe(loses);
});

test("a kernel without the setting says nothing", () => {
  expect(losesHandshakes(join(folder, "nothing"))).toBe(false);
});
