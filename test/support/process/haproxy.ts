import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childrenOf } from "../../bench/measure.ts";
import { laterPort } from "../net/ports.ts";
import { until } from "../until.ts";
import { requireProgram } from "./debian.ts";

/** One way through HAProxy: from a port of 127.0.0.1 to a target. */
export interface HaproxyRoute {
  /** `host:port`. */
  readonly target: string;
  /** Clients begin with a PROXY protocol header of either version, or are refused. */
  readonly accepts?: true;
  /** What the target hears first. */
  readonly sends?: "v1" | "v2";
}

/** Both ends of a connection as HAProxy sees them. */
export interface HaproxyConnection {
  readonly client: string;
  readonly local: string;
}

/** A real HAProxy. Dispose ends it and removes its files. */
export interface Haproxy extends AsyncDisposable {
  readonly port: number;
  /** The connections that have got through so far, once there are as many. */
  connections(count: number): Promise<readonly HaproxyConnection[]>;
  /** Stops its processes: the kernel still takes connections and bytes, and nothing comes of them. */
  freeze(): void;
  thaw(): void;
}

const senders = { v1: "send-proxy", v2: "send-proxy-v2" } as const;

/** Starts HAProxy with one route; resolves once it listens. */
export async function startHaproxy({ target, accepts, sends }: HaproxyRoute): Promise<Haproxy> {
  const folder = mkdtempSync(join(tmpdir(), "automc-haproxy-"));
  const config = join(folder, "haproxy.cfg");
  const port = laterPort();
  // Connections are logged as soon as they have reached the target; the check of the port further down is none of them.
  writeFileSync(
    config,
    `global
  maxconn 100
  log stdout format raw local0
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  option logasap
  log global
listen route
  bind 127.0.0.1:${port} ${accepts === true ? "accept-proxy" : ""}
  log-format "connected %ci %cp %fi %fp"
  server target ${target} ${sends === undefined ? "" : senders[sends]}
`,
  );
  const child = Bun.spawn([requireProgram("haproxy", "haproxy"), "-W", "-f", config], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let said = "";
  const follow = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) said += new TextDecoder().decode(chunk);
  };
  const followed = Promise.all([follow(child.stdout), follow(child.stderr)]);

  const signal = (name: NodeJS.Signals): void => {
    for (const pid of [child.pid, ...childrenOf(child.pid)]) process.kill(pid, name);
  };

  async function dispose(): Promise<void> {
    signal("SIGCONT");
    child.kill("SIGTERM");
    await child.exited;
    await followed;
    rmSync(folder, { recursive: true, force: true });
  }

  const connections = (): readonly HaproxyConnection[] =>
    Array.from(said.matchAll(/^connected (\S+) (\d+) (\S+) (\d+)$/gm), (match) => ({
      client: endpoint(match[1], match[2]),
      local: endpoint(match[3], match[4]),
    }));

  try {
    // The master says so once its worker has opened the port.
    await until("HAProxy is ready", () => {
      if (child.exitCode !== null) throw new Error(said);
      return /Loading success/.test(said);
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    port,
    async connections(count) {
      await until(`${count} connections in: ${said}`, () => connections().length >= count);
      return connections();
    },
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    [Symbol.asyncDispose]: dispose,
  };
}

const endpoint = (ip = "", port = ""): string =>
  ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
