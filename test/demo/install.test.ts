import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reserveClosedPort } from "../support/net/ports.ts";

const root = join(import.meta.dir, "../..");

test("without a registry the demo says in plain words what it needs", async () => {
  const folder = mkdtempSync(join(tmpdir(), "automc-install-"));
  using registry = await reserveClosedPort();
  try {
    mkdirSync(join(folder, "test/demo"), { recursive: true });
    for (const file of ["package.json", "bun.lock", "bunfig.toml", "test/demo/install.ts"]) {
      cpSync(join(root, file), join(folder, file));
    }
    const install = Bun.spawn([process.execPath, join(folder, "test/demo/install.ts")], {
      cwd: folder,
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        BUN_CONFIG_REGISTRY: `http://127.0.0.1:${registry.port}/`,
        BUN_CONFIG_HTTP_RETRY_COUNT: "0",
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const [complaints, code] = await Promise.all([install.stderr.text(), install.exited]);
    expect(complaints).toContain(
      "The demo cannot start: the router's packages could not be installed.",
    );
    expect(complaints).toContain("Is this machine online?");
    expect(code).toBe(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
