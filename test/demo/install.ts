/** Installs what the demo needs, as the lock files say, and builds the router. Imports nothing that would have to be installed first. */
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const packages = ["install", "--frozen-lockfile"];
const jobs = [
  { what: "the router's packages could not be installed", words: packages, folder: root },
  { what: "the demo's packages could not be installed", words: packages, folder: `${root}/test` },
  { what: "the router could not be built", words: ["build.ts"], folder: root },
];

process.stdout.write("Installing packages and building the router; the first time takes longer.\n");
for (const { what, words, folder } of jobs) {
  const job = Bun.spawn([process.execPath, ...words], {
    cwd: folder,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complaints, code] = await Promise.all([
    job.stdout.text(),
    job.stderr.text(),
    job.exited,
  ]);
  if (code === 0) continue;
  process.stderr.write(`\nThe demo cannot start: ${what}.\n`);
  if (words === packages) {
    process.stderr.write("It needs the npm registry once. Is this machine online?\n");
  }
  process.stderr.write(`\n${said}${complaints}`);
  process.exit(1);
}
