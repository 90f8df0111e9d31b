import { expect, test } from "bun:test";
import { linesOf } from "../process/e2e-network.ts";
import { until } from "../until.ts";
import type { ContainerEngine } from "./container-engine.ts";
import { startContainerTown } from "./container-town.ts";

/** Settings of a router that may start containers. */
export const scaled = { AUTO_SCALE_UP: "true", AUTO_SCALE_ASLEEP_MOTD: "asleep" } as const;

/** The tests that every engine has to pass which speaks Docker's API, whatever version of it. */
export function testAnyEngine(engine: () => ContainerEngine): void {
  const docker = (...words: readonly string[]): Promise<string> => engine().docker(...words);
  const status = (name: string): Promise<string> =>
    docker("inspect", "--format", "{{.State.Status}}", name);

  test("containers are routed as they come, pause, stop, start, move and go", async () => {
    await using town = await startContainerTown(engine(), scaled);
    await town.server("one", { host: "one.example" });
    await town.shows("one.example", "one");
    await docker("pause", "one");
    await town.shows("one.example", "asleep");
    await docker("unpause", "one");
    await town.shows("one.example", "one");
    await docker("stop", "--time", "2", "one");
    await town.shows("one.example", "asleep");
    await docker("start", "one");
    await town.shows("one.example", "one");

    await docker("rename", "one", "two");
    await until("it is called two", async () =>
      (await town.explain("one.example")).includes("from docker two"),
    );
    await docker("rm", "--force", "two");
    await town.routed("one.example", null);
    expect(linesOf(town.router, "source-lost")).toEqual([]);
  });

  test("a container that is removed while it sleeps is heard of", async () => {
    await using town = await startContainerTown(engine(), scaled);
    await town.server("short", { host: "short.example" }, { verb: "create" });
    await town.shows("short.example", "asleep");
    await docker("rm", "short");
    await town.routed("short.example", null);
  });

  test("of two networks one is chosen by its name, and by an alias there", async () => {
    await using town = await startContainerTown(engine(), scaled);
    await docker("network", "create", "--subnet", "198.18.3.0/24", "default-games");
    await docker("network", "create", "--subnet", "198.18.2.0/24", "games");
    for (const [name, network] of [
      ["named", "games"],
      ["alias", "party"],
    ] as const) {
      const args = ["--network", "default-games"];
      const host = `${name}.example`;
      await town.server(name, { host, network }, { args });
      await town.event("row-skipped", name);
      await docker("network", "connect", "--alias", "party", "games", name);
      await town.routed(host, /^198\.18\.2\.\d+:25565$/);
      await town.shows(host, name);
    }
    await docker("rm", "--force", "named", "alias");
    await docker("network", "rm", "games", "default-games");
  });

  test("a sleeping container is started when somebody joins, and stopped when nobody is there", async () => {
    await using town = await startContainerTown(engine(), {
      ...scaled,
      AUTO_SCALE_DOWN: "true",
      AUTO_SCALE_DOWN_AFTER: "1s",
    });
    await town.server("sleepy", { host: "sleepy.example" }, { verb: "create" });
    await town.shows("sleepy.example", "asleep");
    const joined = await town.join("sleepy.example", "Steve");
    if (joined.kind !== "joined") throw new Error(town.router.log());
    expect(await status("sleepy")).toBe("running");
    expect(joined.session.isConnected).toBe(true);
    joined.session[Symbol.dispose]();
    await town.event("sleep-done", "sleepy");
    await town.shows("sleepy.example", "asleep");
    expect(await status("sleepy")).toBe("exited");
  });

  test("a paused container is woken by unpausing it", async () => {
    await using town = await startContainerTown(engine(), scaled);
    await town.server("frozen", { host: "frozen.example" });
    await town.shows("frozen.example", "frozen");
    await docker("pause", "frozen");
    await town.shows("frozen.example", "asleep");
    const joined = await town.join("frozen.example", "Alex");
    if (joined.kind !== "joined") throw new Error(town.router.log());
    expect(await status("frozen")).toBe("running");
    expect(joined.session.isConnected).toBe(true);
    joined.session[Symbol.dispose]();
  });
}
