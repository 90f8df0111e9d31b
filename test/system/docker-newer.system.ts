import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { testAnyEngine } from "../support/engines/any-engine.ts";
import type { ContainerEngine } from "../support/engines/container-engine.ts";
import { startContainerTown } from "../support/engines/container-town.ts";
import { debian13 } from "../support/engines/debian-tree.ts";
import { startDockerEngine } from "../support/engines/docker-engine.ts";

setDefaultTimeout(120_000);

const tree = await debian13();

describe.skipIf(tree === null)("the Docker engine of Debian 13", () => {
  let engine: ContainerEngine;
  beforeAll(async () => {
    engine = await startDockerEngine({ tree: tree ?? "", args: ["--debug"] });
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  testAnyEngine(() => engine);

  test("is spoken to in the newest version that it knows", async () => {
    const version = await engine.docker("version", "--format", "{{.Server.APIVersion}}");
    expect(Bun.semver.order(`${version}.0`, "1.41.0")).toBe(1);
    await using town = await startContainerTown(engine);
    await town.router.waitForLine(({ event }) => event === "source-live");
    // Nobody else follows events here.
    expect(engine.log()).toContain(`Calling GET /v${version}/events?`);
  });
});
