import { describe, expect, test } from "bun:test";
import { dependencies } from "../../package.json";
import { commands } from "../../src/config/commands.ts";
import { settings } from "../../src/config/settings.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../src/packaging/completion.ts";
import { manPage } from "../../src/packaging/man.ts";
import { releaseNotes } from "../../src/packaging/notes.ts";
import { sbom } from "../../src/packaging/sbom.ts";
import { targets } from "../../src/packaging/targets.ts";

const stamp = { version: "1.2.3", commit: "0123456789ab", date: new Date("2026-01-02T03:04:05Z") };

describe("the man page", () => {
  const page = manPage(stamp);

  test("has every command and every supported setting", () => {
    const plain = page.replaceAll("\\-", "-").replaceAll("\\fB", "").replaceAll("\\fR", "");
    for (const { name } of commands) expect(plain).toMatch(new RegExp(`^${name}\\b`, "m"));
    for (const { name, status } of settings) {
      if (status === "supported") expect(plain).toMatch(new RegExp(`^${name}\\b`, "m"));
    }
  });

  test("has no line that roff would take for a request of its own", () => {
    const requests = page.split("\n").filter((line) => /^[.']/.test(line));
    expect(requests.filter((line) => !/^\.(TH|SH|SS|TP|B|BR|I|IR)( |$)/.test(line))).toEqual([]);
  });
});

describe("completion", () => {
  test.each([
    ["bash", bashCompletion()],
    ["zsh", zshCompletion()],
    ["fish", fishCompletion()],
  ])("for %s knows every command and the kinds of unit", (_, text) => {
    for (const { name } of commands) expect(text).toMatch(new RegExp(`\\b${name}\\b`));
    expect(text).toContain("service template socket");
  });

  test.each([
    { words: ["automc-router", "ex"], offered: "explain" },
    { words: ["automc-router", "unit", "te"], offered: "template" },
    { words: ["automc-router", "check", ""], offered: "--dry" },
    { words: ["automc-router", "help", "AUTOMC_DS"], offered: "AUTOMC_DSN" },
    { words: ["automc-router", "version", ""], offered: "" },
  ])("by bash of $words offers $offered", ({ words, offered }) => {
    const line = words.map((word) => `'${word}'`).join(" ");
    const script = `${bashCompletion()}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}\n_automc_router; echo "\${COMPREPLY[*]}"`;
    const shell = Bun.spawnSync(["bash", "-c", script]);
    expect({ said: shell.stderr.toString(), offered: shell.stdout.toString().trim() }).toEqual({
      said: "",
      offered,
    });
  });
});

describe("the release notes", () => {
  const changes = "# Changes\n\n## 1.2.3\n\n### Features\n\n- New.\n\n## 1.2.2\n\n- Old.\n";

  test("are the section of the version, with every file", () => {
    const notes = releaseNotes(changes, stamp);
    expect(notes).toStartWith("# automc-router 1.2.3\n");
    expect(notes).toEndWith("\n## Changes\n\n### Features\n\n- New.\n");
    expect(notes).not.toContain("Old");
    for (const { name } of targets) expect(notes).toContain(`automc-router-1.2.3-${name}.tar.gz`);
  });

  test("need such a section", () => {
    expect(() => releaseNotes(changes, { ...stamp, version: "2.0.0" })).toThrow("no section 2.0.0");
  });
});

test("the list of components has Bun and each dependency with its checksum", () => {
  const list = JSON.parse(sbom(stamp));
  expect(list).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
  expect(list.metadata.component).toMatchObject({ name: "automc-router", version: "1.2.3" });
  expect(list.components).toEqual([
    expect.objectContaining({ purl: `pkg:npm/bun@${Bun.version}` }),
    ...Object.entries(dependencies).map(([name, version]) =>
      expect.objectContaining({
        purl: `pkg:npm/${name}@${version}`,
        hashes: [{ alg: "SHA-512", content: expect.stringMatching(/^[0-9a-f]{128}$/) }],
      }),
    ),
  ]);
});
