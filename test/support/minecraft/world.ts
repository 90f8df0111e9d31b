import { defaultTimeoutMs, withTimeout } from "../net/peer.ts";
import type { Order, Report, Role } from "./world-process.ts";

/** What a player said in a world. */
export interface Utterance {
  readonly username: string;
  readonly message: string;
}

/** A real world that players spawn in, in a process of its own. Dispose ends it. */
export interface World extends AsyncDisposable {
  readonly port: number;
  readonly address: string;
  /** Resolves with what the world hears next or has heard first, each utterance once. */
  hear(timeoutMs?: number): Promise<Utterance>;
}

/** A bot that stands in a world. Dispose makes it leave. */
export interface Bot extends AsyncDisposable {
  readonly uuid: string;
  /** Name of the block below its feet, which it can only know from the world's chunks. */
  readonly standsOn: string;
  chat(message: string): void;
}

/** Who enters which world, and how long that may take. The connection goes to 127.0.0.1; `host` is what the player typed. */
export interface BotOptions {
  readonly port: number;
  readonly host: string;
  readonly version: string;
  readonly username: string;
  readonly timeoutMs?: number;
}

/** Versions of the world that the bot is known to spawn in. */
export const worldVersions = ["1.8.8", "1.16.5", "1.20.4", "1.21.4"] as const;

/** Starts a superflat world. */
export async function startWorld(version: string): Promise<World> {
  const actor = startProcess({ kind: "world", version });
  const { port } = await actor.waitFor("listening", defaultTimeoutMs);
  return {
    port,
    address: `127.0.0.1:${port}`,
    hear: (timeoutMs = defaultTimeoutMs) => actor.waitFor("heard", timeoutMs),
    [Symbol.asyncDispose]: actor.stop,
  };
}

/** Sends a bot; resolves once it stands on a block it knows. Rejects with what the game said when it does not get there. */
export async function sendBot(options: BotOptions): Promise<Bot> {
  const { timeoutMs = defaultTimeoutMs, ...player } = options;
  const actor = startProcess({ kind: "bot", ...player });
  const { uuid, standsOn } = await actor.waitFor("spawned", timeoutMs);
  return {
    uuid,
    standsOn,
    chat: (message) => actor.order({ kind: "chat", message }),
    [Symbol.asyncDispose]: actor.stop,
  };
}

/** A world or a bot as its parent sees it. */
interface Actor {
  /** Takes the first report of that kind. Ends the process and rejects when a failure or the end of the time comes first. */
  waitFor<Kind extends Report["kind"]>(
    kind: Kind,
    timeoutMs: number,
  ): Promise<Extract<Report, { kind: Kind }>>;
  order(order: Order): void;
  stop(): Promise<void>;
}

function startProcess(role: Role): Actor {
  const reports: Report[] = [];
  let changed = Promise.withResolvers<void>();
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/world-process.ts`, JSON.stringify(role)],
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      ipc(report: Report) {
        reports.push(report);
        changed.resolve();
        changed = Promise.withResolvers<void>();
      },
    },
  );
  const complaints = child.stderr.text();

  async function stop(): Promise<void> {
    child.kill("SIGKILL");
    await child.exited;
  }

  async function fail(reason: string): Promise<never> {
    await stop();
    throw new Error(`${role.kind} of ${role.version}: ${reason}\n${await complaints}`);
  }

  return {
    async waitFor<Kind extends Report["kind"]>(kind: Kind, timeoutMs: number) {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const index = reports.findIndex((report) => report.kind === kind);
        if (index >= 0) return reports.splice(index, 1)[0] as Extract<Report, { kind: Kind }>;
        const failure = reports.find((report) => report.kind === "failed");
        if (failure) return await fail(failure.reason);
        if (child.exitCode !== null || child.signalCode !== null) {
          return await fail(`ended with ${child.signalCode ?? child.exitCode}`);
        }
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) return await fail(`nothing ${kind} within ${timeoutMs} ms`);
        await withTimeout(Promise.race([changed.promise, child.exited]), leftMs);
      }
    },
    order: (order) => child.send(order),
    stop,
  };
}
