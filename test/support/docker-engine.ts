import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { requireProgram } from "./debian.ts";
import { makeNetns, type Netns } from "./netns.ts";
import { until } from "./postgres.ts";

/** The image that every test engine has: a BusyBox and nothing else. */
export const busyboxImage = "automc-test/busybox:1";

/** A real Docker engine in a network namespace of its own. Dispose removes its containers, ends it, and removes what it kept. */
export interface DockerEngine extends AsyncDisposable {
  readonly netns: Netns;
  /** Path of its socket. */
  readonly socket: string;
  /** Runs Docker's own client to its end and gives what it printed, without the line feed at its end. Throws when it fails. */
  docker(...args: readonly string[]): Promise<string>;
  /** Ends the engine by this signal; containers end with it but for SIGKILL. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on what it kept. Resolves when it answers. */
  start(): Promise<void>;
  /** Stops it where it is, as a machine does that swaps itself to death. */
  freeze(): void;
  thaw(): void;
}

/** What an engine may be given. */
export interface DockerEngineOptions {
  /** Further arguments of `dockerd`. */
  readonly args?: readonly string[];
  /** The name that it has for itself, and for others of its swarm. */
  readonly hostname?: string;
}

const root = resolve(import.meta.dir, "../..");

/** Starts an engine with the image `busyboxImage`. It needs root and the packages that the messages name. */
export async function startDockerEngine(options: DockerEngineOptions = {}): Promise<DockerEngine> {
  const dockerd = requireProgram("dockerd", "docker.io");
  const client = requireProgram("docker", "docker.io");
  const busybox = requireProgram("busybox", "busybox-static");
  const directory = mkdtempSync(join(tmpdir(), "automc-docker-"));
  const netns = makeNetns();
  const socket = join(directory, "sock");
  const { args = [], hostname = netns.name } = options;
  // What it mounts is gone with it.
  const apart = ["unshare", "--mount", "--propagation", "private", "--uts"];
  const command = [
    ...netns.enter,
    ...apart,
    ...["sh", "-c", 'hostname "$0" && exec "$@"', hostname, dockerd],
    ...["--host", `unix://${socket}`, "--data-root", join(directory, "data")],
    ...["--exec-root", join(directory, "exec"), "--pidfile", join(directory, "pid")],
    ...["--bip", "198.18.0.1/24", "--default-address-pool", "base=198.18.128.0/17,size=24"],
    ...args,
  ];
  let daemon: Bun.Subprocess | null = null;

  async function docker(...words: readonly string[]): Promise<string> {
    const child = Bun.spawn([client, "--host", `unix://${socket}`, ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    if (exitCode !== 0)
      throw new Error(`docker ${words.join(" ")} ended with ${exitCode}: ${stderr}`);
    return stdout.trimEnd();
  }

  async function start(): Promise<void> {
    const log = Bun.file(join(directory, "log"));
    const started = Bun.spawn(command, { stdin: "ignore", stdout: log, stderr: log });
    daemon = started;
    await until(
      "the engine answers",
      async () => {
        if (started.exitCode !== null) throw new Error(`dockerd ended: ${await log.text()}`);
        return isAnswering(socket);
      },
      30_000,
    );
  }

  async function stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    daemon?.kill(signal);
    await daemon?.exited;
    daemon = null;
  }

  async function removeContainers(): Promise<void> {
    const ids = (await docker("ps", "--all", "--quiet")).split("\n").filter((id) => id !== "");
    if (ids.length > 0) await docker("rm", "--force", "--volumes", ...ids);
  }

  async function dispose(): Promise<void> {
    try {
      if (daemon === null) await start();
      await removeContainers();
    } finally {
      await stop();
      netns[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  try {
    await start();
    await importImage(docker, busybox, join(directory, "image"));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    netns,
    socket,
    docker,
    stop,
    start,
    freeze: () => daemon?.kill("SIGSTOP"),
    thaw: () => daemon?.kill("SIGCONT"),
    [Symbol.asyncDispose]: dispose,
  };
}

async function isAnswering(socket: string): Promise<boolean> {
  try {
    return (await fetch("http://localhost/_ping", { unix: socket })).ok;
  } catch {
    // Not yet.
    return false;
  }
}

/** Makes an image out of a file tree, without any registry. */
async function importImage(
  docker: DockerEngine["docker"],
  busybox: string,
  tree: string,
): Promise<void> {
  mkdirSync(join(tree, "bin"), { recursive: true });
  cpSync(busybox, join(tree, "bin/busybox"));
  for (const applet of ["sh", "sleep", "nc", "httpd"])
    symlinkSync("busybox", join(tree, "bin", applet));
  const archive = `${tree}.tar`;
  const packed = Bun.spawnSync(["tar", "-C", tree, "-cf", archive, "."]);
  if (packed.exitCode !== 0) throw new Error(`tar: ${packed.stderr}`);
  await docker("import", archive, busyboxImage);
}

/** Arguments for `docker run` that give a container this machine's libraries, Bun and the tests, to read only. */
export function testsInside(): readonly string[] {
  const bun = dirname(process.execPath);
  return ["/usr", "/lib", "/lib64", bun, root].flatMap((path) => ["-v", `${path}:${path}:ro`]);
}

/** The command that runs a real Minecraft server at port 25565 in such a container. */
export const minecraftInside: readonly string[] = [
  process.execPath,
  join(import.meta.dir, "minecraft-inside.ts"),
];
