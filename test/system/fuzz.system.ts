import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { corpusOrigin, readCorpus } from "../fuzz/corpus.ts";
import { measured } from "../support/docs/reliability.ts";

setDefaultTimeout(120_000);

test("half a minute of fuzzing finds nothing that is read wrong", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../fuzz/fuzz.ts"), "0.5"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const summary = stdout.trim().split("\n").at(-1) ?? "";
  const inputs = Number(/^([\d,]+) inputs/.exec(summary)?.[1]?.replaceAll(",", ""));
  expect({ exitCode: await child.exited, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const corpus = await readCorpus();
  measured({
    scenario: "T4",
    promise: "P1",
    what: "openings and PROXY headers, right and spoilt, are parsed whole and cut at each byte",
    result: `${inputs.toLocaleString("en-US")} in this run, the verdict of each settled once and for all by the byte that decides it`,
  });
  measured({
    scenario: "T5",
    promise: "P1",
    what: "coverage-guided fuzzing of the parsers of what a client says first",
    result: `this run: ${summary}. The corpus of ${corpus.length} is from a run of its own: ${await corpusOrigin()}`,
  });
  expect(inputs).toBeGreaterThan(20_000);
});
