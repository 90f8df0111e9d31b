import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { ContainerEngine } from "../support/container-engine.ts";
import { startContainerTown } from "../support/container-town.ts";
import { linesOf } from "../support/e2e-network.ts";
import { startPodmanEngine } from "../support/podman-engine.ts";
import { until } from "../support/postgres.ts";

setDefaultTimeout(120_000);

let engine: ContainerEngine;
beforeAll(async () => {
  engine = await startPodmanEngine();
});
afterAll(() => engine[Symbol.asyncDispose]());

const scaled = { AUTO_SCALE_UP: "true", AUTO_SCALE_ASLEEP_MOTD: "asleep" } as const;

test("containers are routed as they come, pause, stop, start, move and go", async () => {
  await using town = await startContainerTown(engine, scaled);
  await town.server("one", { host: "one.example" });
  await town.shows("one.example", "one");
  await engine.docker("pause", "one");
  await town.shows("one.example", "asleep");
  await engine.docker("unpause", "one");
  await town.shows("one.example", "one");
  await engine.docker("stop", "--time", "2", "one");
  await town.shows("one.example", "asleep");
  await engine.docker("start", "one");
  await town.shows("one.example", "one");

  await engine.docker("rename", "one", "two");
  await until("it is called two", async () =>
    (await town.explain("one.example")).includes("from docker two"),
  );
  await engine.docker("rm", "--force", "two");
  await town.routed("one.example", null);
  expect(linesOf(town.router, "source-lost")).toEqual([]);
});

test("a container that is removed while it sleeps is heard of: Podman calls that remove", async () => {
  await using town = await startContainerTown(engine, scaled);
  await town.server("short", { host: "short.example" }, { verb: "create" });
  await town.shows("short.example", "asleep");
  await engine.docker("rm", "short");
  await town.routed("short.example", null);
});

test("a network is chosen by its name, and an alias does too", async () => {
  await using town = await startContainerTown(engine, scaled);
  await engine.docker("network", "create", "--subnet", "198.18.2.0/24", "games");
  const args = ["--network", "games", "--network-alias", "party"];
  await town.server("named", { host: "named.example", network: "games" }, { args });
  await town.shows("named.example", "named");
  await town.server("alias", { host: "alias.example", network: "party" }, { args });
  await town.routed("alias.example", /^198\.18\.2\.\d+:25565$/);
  await town.shows("alias.example", "alias");
  await engine.docker("rm", "--force", "named", "alias");
  await engine.docker("network", "rm", "games");
});

test("a sleeping container is started when somebody joins, and stopped when nobody is there", async () => {
  await using town = await startContainerTown(engine, {
    ...scaled,
    AUTO_SCALE_DOWN: "true",
    AUTO_SCALE_DOWN_AFTER: "1s",
  });
  await town.server("sleepy", { host: "sleepy.example" }, { verb: "create" });
  await town.shows("sleepy.example", "asleep");
  const joined = await town.join("sleepy.example", "Steve");
  if (joined.kind !== "joined") throw new Error(town.router.log());
  joined.session[Symbol.dispose]();
  await town.event("sleep-done", "sleepy");
  await town.shows("sleepy.example", "asleep");
  expect(await engine.docker("inspect", "--format", "{{.State.Status}}", "sleepy")).toBe("exited");
});

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
