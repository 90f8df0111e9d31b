import { describe, expect, test } from "bun:test";
import { pages, type ShellBlock, shellBlocks } from "../support/docs/shell-blocks.ts";

/** Blocks that cannot be run as they stand, by page and a word of theirs, and the test that does the same. */
const runElsewhere: readonly { page: string; has: string; by: string }[] = [
  { page: "README.md", has: "apt install", by: "test/system/package.system.ts" },
  { page: "README.md", has: "automc-router unit", by: "docs/service.md in commands.system.ts" },
  { page: "docs/api.md", has: "$api/events", by: "test/admin/server.test.ts" },
  { page: "CONTRIBUTING.md", has: "run build", by: ".ci/run" },
  { page: "CONTRIBUTING.md", has: "run test:system", by: ".ci/run" },
  { page: "docs/docker.md", has: "docker stack deploy", by: "test/system/swarm.system.ts" },
  { page: "docs/kubernetes.md", has: "kubectl apply", by: "test/system/kubernetes.system.ts" },
  { page: "docs/image.md", has: "docker build", by: "test/system/image.system.ts" },
];

const blocks: readonly ShellBlock[] = (await Promise.all(pages.map(shellBlocks))).flat();

describe("a block of commands", () => {
  test.each(blocks.map((block) => ({ ...block, at: `${block.page}:${block.line}` })))(
    "at $at is shell, and is run by a test",
    ({ page, text, isRun }) => {
      const read = Bun.spawnSync(["bash", "-n"], { stdin: Buffer.from(text) });
      expect(read.stderr.toString()).toBe("");
      const other = runElsewhere.find((block) => block.page === page && text.includes(block.has));
      expect(isRun || other !== undefined).toBe(true);
    },
  );
});
