/**
 * Runs the system tests, each file in a process of its own, one after the other:
 * `bun run test:system [FILTER]... [--doc]`. A filter is a part of a file's name. Installs the programs that they need
 * where it may. `--doc` puts the results into docs/reliability.md; that takes a whole run without a failure.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  measurementsText,
  readMeasurements,
  resultsVariable,
  writeResults,
} from "../support/docs/reliability.ts";
import { installPrograms, systemPath } from "./programs.ts";

/** How a file's tests went. */
interface Count {
  readonly passed: number;
  readonly failed: number;
}

/** A file that takes longer than this hangs. */
const fileLimitMs = 15 * 60_000;

const { values, positionals: filters } = parseArgs({
  options: { doc: { type: "boolean", default: false } },
  allowPositionals: true,
});

const names = [...new Bun.Glob("*.system.ts").scanSync(import.meta.dir)]
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .sort();

/** Runs one file. What ends without a report has failed once, whatever it did before. */
async function runFile(name: string, directory: string): Promise<Count> {
  const report = join(directory, `${name}.xml`);
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      `./${join("test/system", name)}`,
      "--timeout=60000",
      "--reporter=junit",
      `--reporter-outfile=${report}`,
    ],
    {
      cwd: join(import.meta.dir, "../.."),
      env: { ...process.env, PATH: systemPath(), [resultsVariable]: join(directory, "results") },
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      timeout: fileLimitMs,
      killSignal: "SIGKILL",
    },
  );
  const exitCode = await child.exited;
  const count = readReport(report);
  if (count === null) return { passed: 0, failed: 1 };
  return exitCode !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
}

/** The counts in a JUnit report; null when there is none. */
function readReport(path: string): Count | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  const suites = /<testsuites [^>]*>/.exec(text)?.[0] ?? "";
  const value = (key: string): number => Number(new RegExp(` ${key}="(\\d+)"`).exec(suites)?.[1]);
  const failed = value("failures");
  return { passed: value("tests") - failed - value("skipped"), failed };
}

async function runAll(directory: string): Promise<Count> {
  const total = { passed: 0, failed: 0 };
  const times: string[] = [];
  for (const name of names) {
    const startedAt = performance.now();
    console.error(`\n${name}`);
    const { passed, failed } = await runFile(name, directory);
    total.passed += passed;
    total.failed += failed;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    times.push(`${name}: ${passed} passed, ${failed} failed, ${seconds} s`);
  }
  const measurements = readMeasurements(join(directory, "results"));
  if (measurements.length > 0) console.log(`\n${measurementsText(measurements)}`);
  console.log(`\n${times.join("\n")}`);
  if (values.doc && total.failed === 0) await writeResults(measurements);
  return total;
}

/** A kube-apiserver takes minutes to build, once on a machine; the tests that need it wait for it. */
function startLongBuild(): void {
  if (filters.length > 0 && !names.some((name) => name.startsWith("kube"))) return;
  const build = Bun.spawn([join(import.meta.dir, "build-kube-apiserver.sh")], {
    env: { ...process.env, PATH: systemPath(), JOBS: "2" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  build.unref();
}

function complain(problem: string): never {
  console.error(problem);
  process.exit(2);
}

if (names.length === 0) complain(`no file of test/system is called like ${filters.join(" or ")}`);
if (values.doc && filters.length > 0) complain("--doc takes a whole run: name no files");
if (process.platform !== "linux" || process.getuid?.() !== 0) {
  complain("the system tests make network namespaces: run them as root on Linux");
}
const missing = installPrograms();
if (missing.length > 0) {
  complain(`install what the system tests run against: ${missing.join(", ")}`);
}
startLongBuild();

const directory = mkdtempSync(join(tmpdir(), "automc-system-"));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

const { passed, failed } = await runAll(directory);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
