import { setTimeout as sleep } from "node:timers/promises";
import { startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { startWorld, type World } from "../support/minecraft/world.ts";
import { type ClosedPort, reserveClosedPort } from "../support/net/ports.ts";
import { type ControlPlane, startControlPlane } from "../support/process/control-plane.ts";
import { type EarlyPort, openEarlyPort } from "./early-port.ts";
import type { DemoPostgres } from "./postgres.ts";
import { seconds, type Timeline } from "./timeline.ts";

/** One server of the network as it is planned. */
interface Plan {
  readonly name: string;
  readonly hostname: string;
  readonly version: string;
  readonly startMs: number;
  /** How long its port is open before it answers. */
  readonly loadMs?: number;
  /** What players meet: a small flat world to walk in, or a server that lets them in and has no world. */
  readonly kind: "world" | "lobby";
}

/** The servers of the demo. All sleep at first. */
export const plans = [
  {
    name: "survival",
    hostname: "survival.localhost",
    version: "1.20.4",
    startMs: 3_000,
    loadMs: 2_000,
    kind: "world",
  },
  {
    name: "creative",
    hostname: "creative.localhost",
    version: "1.8.8",
    startMs: 3_000,
    kind: "world",
  },
  {
    name: "latest",
    hostname: "latest.localhost",
    version: "26.1",
    startMs: 3_000,
    kind: "lobby",
  },
] as const satisfies readonly Plan[];

/** What the operator runs beside the router: it starts and stops servers and keeps their rows. Dispose stops everything. */
export interface ServerManager extends AsyncDisposable {
  readonly plane: ControlPlane;
  /** The world behind a running server; throws when there is none. */
  world(name: string): World;
  /** Stops every server and writes all rows as they were at the start. */
  sleepAll(): Promise<void>;
}

/** What a server manager needs. */
export interface ServerManagerDeps {
  readonly sql: DemoPostgres["sql"];
  readonly token: string;
  readonly timeline: Timeline;
}

/** Starts the control plane and writes the rows of the sleeping servers. The table must be there. */
export async function startServerManager(deps: ServerManagerDeps): Promise<ServerManager> {
  const { sql, token, timeline } = deps;
  const closing = new AbortController();
  const running = new Map<string, AsyncDisposable>();
  const starting = new Set<Promise<string>>();
  /** Where the rows of sleeping servers point: ports that refuse. */
  const closedPorts: ClosedPort[] = [];
  const earlyPorts: EarlyPort[] = [];

  async function start(plan: Plan): Promise<string> {
    const { name, startMs, loadMs = 0 } = plan;
    timeline.tell(
      "control plane",
      `POST /servers/${name}/start: takes ${seconds(startMs + loadMs)}`,
    );
    await sleep(startMs, undefined, { signal: closing.signal });
    const address = await (loadMs > 0 ? openAndLoad(plan, loadMs) : open(plan));
    await sql`UPDATE servers SET address = ${address}, state = 'running' WHERE name = ${name}`;
    timeline.tell("control plane", `${name} runs at ${address}`);
    return address;
  }

  async function open({ name, version, kind }: Plan): Promise<string> {
    const server =
      kind === "world" ? await startWorld(version) : await startMinecraftServer({ version });
    running.set(name, server);
    return server.address;
  }

  /** The port is open, and the control plane calls it running, before the world has loaded. */
  async function openAndLoad(plan: Plan, loadMs: number): Promise<string> {
    const port = await openEarlyPort();
    earlyPorts.push(port);
    plane.setRunning(plan.name, port.address);
    timeline.tell("control plane", `${plan.name} has opened its port, and answers nothing yet`);
    await sleep(loadMs, undefined, { signal: closing.signal });
    port.lead(Number((await open(plan)).split(":")[1]));
    return port.address;
  }

  const plane = startControlPlane({
    token,
    servers: plans,
    onStart(name) {
      const plan = plans.find((planned) => planned.name === name);
      if (!plan) return Promise.reject(new Error(`no server ${name}`));
      const started = start(plan);
      starting.add(started);
      return started.finally(() => starting.delete(started));
    },
  });

  async function stopServers(): Promise<void> {
    for (const [name, server] of running) {
      running.delete(name);
      plane.setStopped(name);
      await server[Symbol.asyncDispose]();
    }
    for (const port of earlyPorts.splice(0)) await port[Symbol.asyncDispose]();
  }

  async function writeRows(): Promise<void> {
    for (const [index, { name, hostname }] of plans.entries()) {
      const address = `127.0.0.1:${closedPorts[index]?.port}`;
      await sql`
        INSERT INTO servers (name, domain, address) VALUES (${name}, ${hostname}, ${address})
        ON CONFLICT (name) DO UPDATE SET domain = ${hostname}, address = ${address}, state = 'stopped'`;
    }
  }

  for (const _ of plans) closedPorts.push(await reserveClosedPort());
  await writeRows();

  return {
    plane,
    world(name) {
      const server = running.get(name);
      if (!server || !("hear" in server)) throw new Error(`no world of ${name} runs`);
      return server as World;
    },
    async sleepAll() {
      await stopServers();
      await writeRows();
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.allSettled(starting);
      await stopServers();
      await plane[Symbol.asyncDispose]();
      for (const port of closedPorts) port[Symbol.dispose]();
    },
  };
}
