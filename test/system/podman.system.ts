import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { scaled, testAnyEngine } from "../support/engines/any-engine.ts";
import type { ContainerEngine } from "../support/engines/container-engine.ts";
import { startContainerTown } from "../support/engines/container-town.ts";
import { startPodmanEngine } from "../support/engines/podman-engine.ts";
import { linesOf } from "../support/process/e2e-network.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

let engine: ContainerEngine;
beforeAll(async () => {
  engine = await startPodmanEngine();
});
afterAll(() => engine[Symbol.asyncDispose]());

testAnyEngine(() => engine);

test("a service that is killed and comes back takes no route away", async () => {
  await using town = await startContainerTown(engine, scaled);
  await town.server("game", { host: "game.example" });
  await town.shows("game.example", "game");
  await engine.stop("SIGKILL");
  await town.router.waitForLine(({ event }) => event === "source-lost");
  await town.shows("game.example", "game");
  await engine.start();
  await until("it is live again", () => linesOf(town.router, "source-live").length === 2, 30_000);
  await town.server("late", { host: "late.example" });
  await town.shows("late.example", "late");
});
