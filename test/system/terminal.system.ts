import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noQueue } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";
import { openScreen } from "../support/process/tmux.ts";

setDefaultTimeout(60_000);

const binary = join(import.meta.dir, "../../dist/automc-router");

/** The path of a control socket in a folder that goes with the test. */
function controlSocket(): { readonly path: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "automc-control-"));
  return {
    path: join(folder, "control"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

test("status --watch shows a table of 80 columns in place, and follows a new server", async () => {
  using control = controlSocket();
  const env = { AUTOMC_CONTROL: control.path };
  const hostnames = Array.from({ length: 9 }, (_, i) => `lobby-${i}.example.org`);
  const mapping = hostnames.map((hostname) => `${hostname}=127.0.0.1:1`).join(",");
  await using _router = await startRouter({ env: { ...noQueue, ...env, MAPPING: mapping } });
  using screen = openScreen([binary, "status", "--watch"], env);

  await screen.shows(/^127\.0\.0\.1:1 +fixed .*lobby-0\.example\.org/);
  const before = screen.lines();
  expect(before[0]).toMatch(/^automc-router .*, ready$/);
  expect(before.find((line) => line.startsWith("SERVER"))).toMatch(/STATE.*PLAYERS.*HOSTNAMES/);
  expect(Math.max(...before.map((line) => line.length))).toBe(80);

  await fetch("http://router/routes", {
    unix: control.path,
    method: "POST",
    body: JSON.stringify({ serverAddress: "new.example.org", backend: "127.0.0.2:2" }),
  });
  await screen.shows(/^127\.0\.0\.2:2 +fixed .*new\.example\.org/);
  expect(screen.lines().filter((line) => line.startsWith("automc-router "))).toHaveLength(1);
  expect(screen.lines()[0]).toMatch(/^automc-router /);
});

test("the log on a terminal is short and coloured, each line with the time of day", async () => {
  const env = {
    ...noQueue,
    PORT: "0",
    AUTOMC_BIND: "127.0.0.1",
    MAPPING: "a.example.org=127.0.0.1:1",
  };
  using screen = openScreen([binary], env, { columns: 160, rows: 30 });
  await screen.shows(/^\d\d:\d\d:\d\d INFO {2}listening/);
  for (const line of screen.lines()) expect(line).toMatch(/^\d\d:\d\d:\d\d (INFO|WARN) {1,2}\S/);
  expect(screen.coloured()).toContain("\u001b[32mINFO");
});
