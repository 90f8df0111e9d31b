import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { laterPort } from "../support/net/ports.ts";
import { postgresBinaries } from "../support/postgres/binaries.ts";
import { requireProgram } from "../support/process/debian.ts";
import { until } from "../support/until.ts";
import { type BackendPorts, hostnameOf, type Role, roles } from "./jobs.ts";
import { childrenOf } from "./measure.ts";

/** A program under test that runs and takes players. Dispose ends it. */
export interface Target extends AsyncDisposable {
  readonly name: string;
  /** The process that moves the bytes. */
  readonly pid: number;
  /** Time from starting the process to the first connection that it let in, ms. */
  readonly startMs: number;
  /** Where players of that role's backend connect. */
  port(role: Role): number;
}

/** How a program under test is started, with the same routes as all others. */
export interface Contender {
  readonly name: string;
  start(backends: BackendPorts): Promise<Target>;
}

/** Sessions that HAProxy and nginx make room for: two descriptors each, within a limit of 20,000. */
const connections = 9_500;

/**
 * The router, or another one that takes mc-router's variables; with more settings, and more entries of
 * MAPPING, than every one has.
 */
export const minecraftRouter = (
  name: string,
  command: string | readonly string[],
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
): Contender => ({
  name,
  async start(backends) {
    const port = laterPort();
    const mapping = roles.map((role) => `${hostnameOf(role)}=127.0.0.1:${backends.roles[role]}`);
    const target = await launch(name, [port], () => ({
      command: typeof command === "string" ? [command] : command,
      env: {
        PORT: String(port),
        AUTOMC_BIND: "127.0.0.1",
        CONNECTION_RATE_LIMIT: "1000000",
        MAPPING: [...mapping, ...more].join(","),
        ...env,
      },
    }));
    return { ...target, port: () => port };
  },
});

/** The floor: a relay on the router's own runtime that does nothing else. */
export const bareBun: Contender = minecraftRouter("bare Bun", [
  process.execPath,
  join(import.meta.dir, "floor-process.ts"),
]);

/**
 * A relay of 70 lines of Go, built here: the runtime of mc-router, which moves bytes by splice(2), and
 * nothing else of a router.
 */
export const goRelay: Contender = {
  name: "Go relay",
  async start(backends) {
    const go = requireProgram("go", "golang-go");
    const path = join(tmpdir(), `automc-go-relay-${process.pid}`);
    const source = join(import.meta.dir, "go-relay/main.go");
    const built = Bun.spawnSync([go, "build", "-o", path, source]);
    if (built.exitCode !== 0) throw new Error(`go build: ${built.stderr}`);
    return await minecraftRouter("Go relay", path).start(backends);
  },
};

/** HAProxy from Debian in TCP mode with one thread: a port for each backend, as it reads no hostnames. */
export const haproxy: Contender = {
  name: "HAProxy",
  async start(backends) {
    const program = requireProgram("haproxy", "haproxy");
    const ports = portPerRole();
    const target = await launch("HAProxy", Object.values(ports), (folder) => {
      const proxies = roles.map(
        (role) => `
listen ${role}
  bind 127.0.0.1:${ports[role]}
  server backend 127.0.0.1:${backends.roles[role]}`,
      );
      const path = join(folder, "haproxy.cfg");
      writeFileSync(
        path,
        `global
  nbthread 1
  maxconn ${connections}
defaults
  mode tcp
  maxconn ${connections}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
${proxies.join("\n")}
`,
      );
      return { command: [program, "-db", "-f", path], env: {} };
    });
    return { ...target, port: (role) => ports[role] };
  },
};

/** nginx from Debian with its stream module and one worker: a port for each backend. */
export const nginx: Contender = {
  name: "nginx",
  async start(backends) {
    const program = requireProgram("nginx", "nginx libnginx-mod-stream");
    const module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    const ports = portPerRole();
    const target = await launch("nginx", Object.values(ports), (folder) => {
      const servers = roles.map(
        (role) => `
  server {
    listen 127.0.0.1:${ports[role]};
    proxy_pass 127.0.0.1:${backends.roles[role]};
  }`,
      );
      const path = join(folder, "nginx.conf");
      writeFileSync(
        path,
        `${existsSync(module) ? `load_module ${module};` : ""}
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? "user root;" : ""}
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections ${2 * connections}; }
stream {
  proxy_timeout 1h;${servers.join("")}
}
`,
      );
      return { command: [program, "-p", folder, "-c", path, "-e", `${folder}/error.log`], env: {} };
    });
    // Its ports are open before the worker is there.
    await until("nginx has a worker", () => childrenOf(target.pid).length > 0);
    const [worker = target.pid] = childrenOf(target.pid);
    return { ...target, pid: worker, port: (role) => ports[role] };
  },
};

/** The versions of the others, and of Postgres, where they are installed. */
export function programsText(): string {
  const commands = [
    ["HAProxy", "haproxy", "-v"],
    ["nginx", "nginx", "-v"],
    ["PostgreSQL", join(postgresBinaries(), "postgres"), "--version"],
  ] as const;
  return commands
    .flatMap(([name, program, flag]) => {
      if (Bun.which(program) === null) return [];
      const { stdout, stderr } = Bun.spawnSync([program, flag]);
      return `${name} ${/\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? "of an unknown version"}`;
    })
    .join(", ");
}

/** Programs that must not outlive the bench, however it ends. */
const running = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const child of running) child.kill();
});

/**
 * Starts a program in a folder of its own, with its log in a file there, and waits until its ports are
 * open.
 */
async function launch(
  name: string,
  ports: readonly number[],
  plan: (folder: string) => {
    readonly command: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  },
): Promise<Omit<Target, "port">> {
  const folder = mkdtempSync(join(tmpdir(), "automc-bench-"));
  const { command, env } = plan(folder);
  const log = join(folder, "log");
  const descriptor = openSync(log, "w");
  const { PATH = "", HOME = "" } = process.env;
  const startedAt = performance.now();
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: { PATH, HOME, ...env },
    stdin: "ignore",
    stdout: descriptor,
    stderr: descriptor,
  });
  closeSync(descriptor);
  running.add(child);

  async function end(): Promise<void> {
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), 2_000);
    await child.exited;
    running.delete(child);
    clearTimeout(killer);
    rmSync(folder, { recursive: true, force: true });
  }

  try {
    let startMs = 0;
    for (const port of ports) {
      await untilOpen(name, port, () => child.exitCode ?? child.signalCode);
      startMs ||= performance.now() - startedAt;
    }
    return { name, pid: child.pid, startMs, [Symbol.asyncDispose]: end };
  } catch (cause) {
    const said = await Bun.file(log).text();
    await end();
    throw new Error(`${name} did not start: ${said}`, { cause });
  }
}

/** Tries each millisecond, so that the time to the first connection is known as exactly. */
async function untilOpen(
  name: string,
  port: number,
  hasEnded: () => number | string | null,
): Promise<void> {
  await until(
    `${name} takes connections on port ${port}`,
    async () => {
      if (hasEnded() !== null) throw new Error(`${name} has ended`);
      try {
        const socket = await Bun.connect({
          hostname: "127.0.0.1",
          port,
          socket: { data() {}, error() {} },
        });
        socket.end();
        return true;
      } catch {
        return false;
      }
    },
    30_000,
  );
}

function portPerRole(): Readonly<Record<Role, number>> {
  return { echo: laterPort(), echo2: laterPort(), bulk: laterPort(), status: laterPort() };
}
