import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Netns } from "../net/netns.ts";
import { requireProgram } from "../process/debian.ts";
import { until } from "../until.ts";

/** The image that every test engine has: a BusyBox and nothing else. */
export const busyboxImage = "automc-test/busybox:1";

/** A real engine that speaks Docker's API, in a network namespace of its own. Dispose removes its containers, ends it, and removes what it kept. */
export interface ContainerEngine extends AsyncDisposable {
  readonly netns: Netns;
  /** Path of its socket. */
  readonly socket: string;
  /** Runs Docker's own client to its end and gives what it printed, without the line feed at its end. Throws when it fails. */
  docker(...args: readonly string[]): Promise<string>;
  /** What it has written so far. */
  log(): string;
  /** Ends the engine by this signal. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on what it kept. Resolves when it answers. */
  start(): Promise<void>;
  /** Stops it where it is, as a machine does that swaps itself to death. */
  freeze(): void;
  thaw(): void;
}

/** An engine as it is started: a command that stays in the foreground as one process, given a directory of its own and its socket. */
export interface EngineProgram {
  readonly netns: Netns;
  command(directory: string, socket: string): readonly string[];
  readonly env?: (directory: string) => Readonly<Record<string, string>>;
}

/** Where the tests and what they need are. */
export const repository = resolve(import.meta.dir, "../../..");

/** Starts an engine with the image `busyboxImage`, and takes its namespace over. */
export async function startEngine({
  netns,
  command,
  env = () => ({}),
}: EngineProgram): Promise<ContainerEngine> {
  const client = requireProgram("docker", "docker.io");
  const directory = mkdtempSync(join(tmpdir(), "automc-engine-"));
  const socket = join(directory, "sock");
  const logPath = join(directory, "log");
  const readLog = (): string => readFileSync(logPath, "utf8");
  // What it mounts is gone with this process, and there again for an engine that is started a second time.
  const apart = ["unshare", "--mount", "--propagation", "private", "--uts"];
  const keeper = Bun.spawn([...netns.enter, ...apart, "sleep", "infinity"], { stdin: "ignore" });
  const enter = ["nsenter", "--target", String(keeper.pid), "--net", "--mount", "--uts"];
  const whole = [...enter, ...command(directory, socket)];
  const variables = { ...process.env, ...env(directory) };
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

  /** True once the keeper has become what it is started for: until then its namespaces are still ours. */
  const isApart = (): boolean =>
    readlinkSync(`/proc/${keeper.pid}/ns/mnt`) !== readlinkSync("/proc/self/ns/mnt");

  async function start(): Promise<void> {
    await until("its namespaces are there", isApart);
    const log = openSync(logPath, "a");
    const started = Bun.spawn(whole, { stdin: "ignore", stdout: log, stderr: log, env: variables });
    closeSync(log);
    daemon = started;
    await until(
      "the engine answers",
      () => {
        if (started.exitCode !== null) throw new Error(`it ended: ${readLog().slice(-2_000)}`);
        return isAnswering(socket);
      },
      30_000,
    );
  }

  async function stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    daemon?.kill("SIGCONT");
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
      daemon?.kill("SIGCONT");
      if (daemon === null) await start();
      await removeContainers();
    } finally {
      await stop();
      keeper.kill("SIGKILL");
      await keeper.exited;
      netns[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  try {
    await start();
    await importImage(docker, join(directory, "image"));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    netns,
    socket,
    docker,
    log: readLog,
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
async function importImage(docker: ContainerEngine["docker"], tree: string): Promise<void> {
  const busybox = requireProgram("busybox", "busybox-static");
  mkdirSync(join(tree, "bin"), { recursive: true });
  cpSync(busybox, join(tree, "bin/busybox"));
  for (const applet of ["sh", "sleep", "nc", "httpd"]) {
    symlinkSync("busybox", join(tree, "bin", applet));
  }
  const archive = `${tree}.tar`;
  const packed = Bun.spawnSync(["tar", "-C", tree, "-cf", archive, "."]);
  if (packed.exitCode !== 0) throw new Error(`tar: ${packed.stderr}`);
  await docker("import", archive, busyboxImage);
}

/** Arguments for `docker run` that give a container this machine's libraries, Bun and the tests, to read only. */
export function testsInside(): readonly string[] {
  const bun = dirname(process.execPath);
  return ["/usr", "/lib", "/lib64", bun, repository].flatMap((path) => [
    "-v",
    `${path}:${path}:ro`,
  ]);
}

/** The command that runs a real Minecraft server at port 25565 in such a container. */
export const minecraftInside: readonly string[] = [
  process.execPath,
  join(import.meta.dir, "minecraft-inside.ts"),
];
