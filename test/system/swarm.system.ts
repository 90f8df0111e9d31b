import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { busyboxImage } from "../support/engines/container-engine.ts";
import { importRouterImage } from "../support/engines/router-image.ts";
import { minecraftScript, type SwarmPair, startSwarmPair } from "../support/engines/swarm-pair.ts";
import { startSwarmTown } from "../support/engines/swarm-town.ts";
import {
  type JoinOutcome,
  join as joinServer,
  pingServer,
} from "../support/minecraft/minecraft.ts";
import { townVersion } from "../support/minecraft/town.ts";
import { linesOf } from "../support/process/e2e-network.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

let swarm: SwarmPair;
beforeAll(async () => {
  swarm = await startSwarmPair();
});
afterAll(() => swarm[Symbol.asyncDispose]());

const scaled = { AUTO_SCALE_UP: "true", AUTO_SCALE_ASLEEP_MOTD: "asleep" } as const;
/** An address on the overlay network, or of a service on it. */
const inside = /^198\.18\.\d+\.\d+:25565$/;

/** The game of a player who must have got in. */
function gameOf(outcome: JoinOutcome) {
  if (outcome.kind !== "joined") throw new Error(JSON.stringify(outcome));
  return outcome.session;
}

/** A file that goes with the test. */
function ownFile(text: string): { readonly path: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "automc-stack-"));
  const path = join(directory, "swarm.yml");
  writeFileSync(path, text);
  return { path, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

const ends = { replicas: 1, script: "exit 3" } as const;

describe("a sleeping service", () => {
  test("is given a replica by a login, is played on, and loses it when nobody is there", async () => {
    await using town = await startSwarmTown(swarm, {
      ...scaled,
      AUTO_SCALE_DOWN: "true",
      AUTO_SCALE_DOWN_AFTER: "3s",
      AUTO_SCALE_LOADING_MOTD: "loading",
    });
    await swarm.service("lobby", { host: "lobby.example" }, { replicas: 0, motd: "awake" });
    await town.shows("lobby.example", "asleep");
    expect(await swarm.replicas("lobby")).toBe(0);

    const joining = town.join("lobby.example", "Steve");
    await town.shows("lobby.example", "loading");
    using game = gameOf(await joining);
    expect(await swarm.replicas("lobby")).toBe(1);
    await town.routed("lobby.example", inside);
    await town.shows("lobby.example", "awake");
    using second = gameOf(await town.join("lobby.example", "Alex"));
    expect(game.isConnected && second.isConnected).toBe(true);

    game[Symbol.dispose]();
    second[Symbol.dispose]();
    await until("it is asleep", async () => (await swarm.replicas("lobby")) === 0, 30_000);
    await town.shows("lobby.example", "asleep");
    expect(linesOf(town.router, "wake-started")).toHaveLength(1);
  });

  test("is started although others change it all the time", async () => {
    await using town = await startSwarmTown(swarm, scaled);
    await swarm.service("busy", { host: "busy.example" }, { replicas: 0 });
    await town.shows("busy.example", "asleep");
    let changes = 0;
    let isOver = false;
    const changing = (async () => {
      for (; !isOver; changes += 1) {
        const words = ["service", "update", "--detach", "--label-add", `n=${changes}`, "busy"];
        await swarm.manager.docker(...words).catch((error: Error) => {
          // Docker's own client does not try again where the router was faster.
          if (!error.message.includes("out of sequence")) throw error;
        });
      }
    })();
    using game = gameOf(await town.join("busy.example", "Steve"));
    isOver = true;
    await changing;
    expect(changes).toBeGreaterThan(3);
    expect(game.isConnected).toBe(true);
    expect(await swarm.replicas("busy")).toBe(1);
  });

  test("that ends on its way up is waited for while the Swarm starts it again", async () => {
    await using town = await startSwarmTown(swarm, scaled);
    const mark = "/tmp/once";
    await swarm.service(
      "second-try",
      { host: "second-try.example", "auto-scale-wait-timeout": "8s" },
      {
        replicas: 0,
        args: [
          "--restart-delay",
          "6s",
          "--mount",
          "type=volume,source=once,destination=/tmp",
          "--constraint",
          "node.role==manager",
        ],
        script: `test -e ${mark} && exec ${minecraftScript}; : > ${mark}; exit 1`,
      },
    );
    await town.shows("second-try.example", "asleep");
    using game = gameOf(await town.join("second-try.example", "Steve"));
    expect(game.isConnected).toBe(true);
    expect(linesOf(town.router, "wake-failed")).toEqual([]);
  });
});

test("a service that is being updated counts as starting, and who joins meanwhile gets in after it", async () => {
  await using town = await startSwarmTown(swarm, scaled);
  await swarm.service(
    "updated",
    { host: "updated.example", "auto-scale-loading-motd": "updating" },
    {
      args: ["--stop-grace-period", "30s"],
      // It takes its time to stop, as a server with worlds to save does.
      script: `trap : TERM; ${minecraftScript} & wait; sleep 4`,
    },
  );
  await town.shows("updated.example", "A server in a container");
  await swarm.manager.docker("service", "update", "--detach", "--force", "updated");
  await town.shows("updated.example", "updating");
  using game = gameOf(await town.join("updated.example", "Steve"));
  expect(game.isConnected).toBe(true);
  const states = linesOf(town.router, "service-state").map(({ state }) => state);
  expect(new Set(states)).toEqual(new Set(["waking", "running"]));
});

describe("a service that does not stay up", () => {
  test("tells when it comes back, and lets nobody wait for that", async () => {
    await using town = await startSwarmTown(swarm, scaled);
    const labels = { host: "crash.example", "auto-scale-restart-delay-motd": "back in {duration}" };
    await swarm.service("crash", labels, { ...ends, args: ["--restart-delay", "5m"] });
    await town.shows("crash.example", /^back in (5m0s|4m\d+s)$/);
    const outcome = await town.join("crash.example", "Steve");
    expect(outcome).toMatchObject({ kind: "disconnected" });
    expect(JSON.stringify(outcome)).toMatch(/back in (5m0s|4m\d+s)/);
    await town.line({ event: "service-state", service: "crash", state: "restart-delay" });
    expect(linesOf(town.router, "wake-started")).toEqual([]);
  });

  test("and is not started again has failed, and says so", async () => {
    await using town = await startSwarmTown(swarm, scaled);
    const args = ["--restart-condition", "none"];
    await swarm.service("broken", { host: "broken.example" }, { ...ends, args });
    await swarm.service(
      "explained",
      { host: "explained.example", "auto-scale-failed-motd": "Call the admin" },
      { ...ends, args },
    );
    await town.shows("broken.example", "Server failed to start.");
    await town.shows("explained.example", "Call the admin");
    expect(JSON.stringify(await town.join("explained.example", "Steve"))).toContain(
      "Call the admin",
    );
    expect(await swarm.replicas("broken")).toBe(1);
  });

  test("when it is woken has the player told at once", async () => {
    await using town = await startSwarmTown(swarm, scaled);
    await swarm.service(
      "stillborn",
      { host: "stillborn.example" },
      {
        ...ends,
        replicas: 0,
        args: ["--restart-condition", "none"],
      },
    );
    await town.shows("stillborn.example", "asleep");
    const outcome = await town.join("stillborn.example", "Steve");
    expect(outcome).toMatchObject({ kind: "disconnected" });
    expect((await town.line({ event: "wake-failed" }))["reason"]).toBe(
      "its last task has ended, and the Swarm starts no other",
    );
  });
});

// The kernels that tests run on have no IPVS, without which virtual IPs lead nowhere: what is tested of them is that the router knows them.
describe("services are reached", () => {
  test("by their task, by their virtual IP, by their name, or not yet, as the Swarm says", async () => {
    await using town = await startSwarmTown(swarm, { AUTO_SCALE_ASLEEP_MOTD: "asleep" });
    const script = "sleep 600";
    const host = (name: string) => ({ host: `${name}.example` });
    await swarm.service("one", host("one"), { script });
    await swarm.service("two", host("two"), { script, replicas: 2 });
    await swarm.service("named", host("named"), {
      script,
      replicas: 2,
      args: ["--endpoint-mode", "dnsrr"],
    });
    await swarm.service("nobody", host("nobody"), {
      script,
      args: ["--constraint", "node.labels.none==such"],
    });
    const virtual = await swarm.manager.docker(
      ...["service", "inspect", "--format", "{{(index .Endpoint.VirtualIPs 0).Addr}}", "two"],
    );
    await town.routed("two.example", new RegExp(`^${virtual.split("/")[0]}:25565$`));
    await town.routed("one.example", inside);
    await town.routed("named.example", /^named:25565$/);
    await town.routed("nobody.example", /^$/);
    expect(await town.motd("nobody.example")).toBe("asleep");
    expect((await town.routes())["one.example"]?.scalingTarget).toBe("");
  });

  test("by a name that leads to all of their tasks", async () => {
    await using town = await startSwarmTown(swarm);
    const args = ["--endpoint-mode", "dnsrr"];
    await swarm.service(
      "crowd",
      { host: "crowd.example" },
      { replicas: 2, args, motd: "one of us" },
    );
    await town.shows("crowd.example", "one of us");
    using game = gameOf(await town.join("crowd.example", "Steve"));
    expect(game.isConnected).toBe(true);
  });

  test("by the older one of two with one hostname, and by the other one when that is gone", async () => {
    await using town = await startSwarmTown(swarm, { AUTO_SCALE_ASLEEP_MOTD: "asleep" });
    const labels = (motd: string) => ({ host: "shared.example", "auto-scale-asleep-motd": motd });
    await swarm.service("older", labels("older"), { replicas: 0 });
    await swarm.service("a-younger", labels("younger"), { replicas: 0 });
    const complaint = await town.line({ event: "row-skipped", row: "a-younger" });
    expect(complaint["reason"]).toBe(
      "the hostname shared.example belongs to older, which is older",
    );
    expect(await town.motd("shared.example")).toBe("older");
    await swarm.manager.docker("service", "rm", "older");
    await town.shows("shared.example", "younger");
  });
});

test("the stack file of the documentation runs the router in the Swarm that it routes", async () => {
  const { docker, netns, socket } = swarm.manager;
  await importRouterImage(docker, "registry.example.org/automc-router:1.0.0");
  await docker("tag", busyboxImage, "itzg/minecraft-server");
  // The test's engine has its socket elsewhere; nothing else is changed.
  const text = await Bun.file(join(import.meta.dir, "../../docs/swarm.yml")).text();
  using stack = ownFile(text.replace("- /var/run/docker.sock:", `- ${socket}:`));
  await docker("stack", "deploy", "--resolve-image", "never", "-c", stack.path, "minecraft");
  const host = "survival.example.org";
  const player = { address: netns.inside, port: 25565, host, version: townVersion };
  const motd = async (): Promise<string> => {
    try {
      return JSON.stringify((await pingServer({ ...player, timeoutMs: 3_000 })).status);
    } catch {
      // The router is on its way.
      return "";
    }
  };
  try {
    await until("it sleeps", async () => (await motd()).includes("Join to start it."), 60_000);
    // What has no command to run ends at once, and the restart policy has the Swarm try again.
    const joined = await joinServer({ ...player, username: "Steve", timeoutMs: 3_000 });
    expect(joined.kind).toBe("failed");
    expect(await swarm.replicas("minecraft_survival")).toBe(1);
    await until("it is down", async () => /comes back in \d+s/.test(await motd()), 30_000);
  } finally {
    await docker("stack", "rm", "minecraft");
    await swarm.clear();
  }
});

describe("the Swarm", () => {
  test("whose manager hangs keeps its routes, and players get in", async () => {
    await using town = await startSwarmTown(swarm, { ...scaled, DOCKER_TIMEOUT: "2s" });
    // A node that misses the manager takes it out of the overlay network, which no router can help.
    const args = ["--constraint", "node.role==manager"];
    await swarm.service("lobby", { host: "lobby.example" }, { args, motd: "here" });
    await town.routed("lobby.example", inside);
    await town.shows("lobby.example", "here");
    const isUp = async (): Promise<string | undefined> =>
      /^automc_source_up\{source="swarm"\} (\d)$/m.exec(
        await (await town.ask("/metrics")).text(),
      )?.[1];
    expect(await isUp()).toBe("1");
    swarm.manager.freeze();
    try {
      await until("it is missed", async () => (await isUp()) === "0", 30_000);
      expect((await town.routes())["lobby.example"]?.backend).toMatch(inside);
      expect(await town.motd("lobby.example")).toBe("here");
      using game = gameOf(await town.join("lobby.example", "Steve"));
      expect(game.isConnected).toBe(true);
    } finally {
      swarm.manager.thaw();
    }
    await until("it is back", async () => (await isUp()) === "1", 30_000);
    await town.line({ event: "source-live", source: "swarm", changes: "heard at once" });
    expect(linesOf(town.router, "source-lost")).toHaveLength(1);
  });

  test("that loses a node is followed to where it starts the service again", async () => {
    await using town = await startSwarmTown(swarm, scaled);
    await swarm.service(
      "stays",
      { host: "stays.example" },
      {
        args: ["--constraint", "node.role==manager"],
        motd: "stays",
      },
    );
    await swarm.service(
      "moves",
      { host: "moves.example" },
      {
        args: ["--placement-pref", "spread=node.role", "--restart-delay", "1s"],
        motd: "moves",
      },
    );
    await until("it runs on the worker", async () =>
      (await swarm.tasks("moves")).some((task) => task.startsWith("worker running running")),
    );
    await town.shows("moves.example", "moves");
    await town.shows("stays.example", "stays");
    const before = (await town.routes())["moves.example"]?.backend;
    using game = gameOf(await town.join("stays.example", "Steve"));
    swarm.setLink(false);
    try {
      await until(
        "it runs on the manager",
        async () =>
          (await swarm.tasks("moves")).some((task) => task.startsWith("manager running running")),
        60_000,
      );
      await until("its route follows", async () => {
        const backend = (await town.routes())["moves.example"]?.backend ?? "";
        return inside.test(backend) && backend !== before;
      });
      using moved = gameOf(await town.join("moves.example", "Alex"));
      expect(moved.isConnected).toBe(true);
      expect(game.isConnected).toBe(true);
    } finally {
      swarm.setLink(true);
    }
  });
});
