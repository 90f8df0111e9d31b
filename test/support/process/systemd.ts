import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Netns } from "../net/netns.ts";
import { withTimeout } from "../net/peer.ts";
import { until } from "../until.ts";
import { execute, spawn } from "./command.ts";
import { requireProgram } from "./debian.ts";

/** A machine of its own that a real systemd has booted, with this machine's programs and the router's binary. Dispose shuts it down. */
export interface Machine extends AsyncDisposable {
  /** Runs a command to its end and gives what it printed. Throws when it fails. */
  run(...command: readonly string[]): string;
  /** The same while our own loop goes on, on which backends and players live. */
  runBeside(...command: readonly string[]): Promise<string>;
  /** Writes a file there, with its directories; then systemd reads its units again. */
  write(path: string, text: string): void;
  /** Copies a file of this machine there. */
  copy(from: string, to: string): void;
  /** What systemd says about a property of a unit. */
  property(unit: string, name: string): string;
  /** Everything that a unit has logged. */
  journal(unit: string): string;
}

/** What a machine may have other than the defaults. */
export interface MachineOptions {
  /** The file tree below its root; this machine's own by default. */
  readonly tree?: string;
  /** Whether it has the router's binary, in /usr/local/bin; true by default. */
  readonly hasBinary?: boolean;
}

const checkout = join(import.meta.dir, "../../..");
const binary = join(checkout, "dist/automc-router");

/** Boots a machine in that namespace, with an overlay of the tree as its root. Resolves when its systemd answers. */
export async function bootMachine(
  netns: Netns,
  { tree = "/", hasBinary = true }: MachineOptions = {},
): Promise<Machine> {
  const nspawn = requireProgram("systemd-nspawn", "systemd-container");
  requireProgram("dbus-daemon", "dbus");
  const directory = mkdtempSync(join(tmpdir(), "automc-machine-"));
  const root = join(directory, "root");
  // The layer above is in memory, as it cannot be part of another overlay.
  execute(["mount", "-t", "tmpfs", "tmpfs", directory]);
  for (const name of ["upper", "work", "root"]) mkdirSync(join(directory, name));
  const layers = `lowerdir=${tree},upperdir=${directory}/upper,workdir=${directory}/work`;
  execute(["mount", "-t", "overlay", "overlay", "-o", layers, root]);
  // Nothing of this machine's own is started in it.
  const target = "[Unit]\nRequires=sysinit.target dbus.socket\nAfter=sysinit.target dbus.socket\n";
  writeFileSync(join(root, "etc/systemd/system/bare.target"), target);

  const container = Bun.spawn(
    [
      nspawn,
      "--quiet",
      `--directory=${root}`,
      `--machine=${netns.name}`,
      "--register=no",
      "--keep-unit",
      `--network-namespace-path=/run/netns/${netns.name}`,
      ...(hasBinary ? [`--bind-ro=${binary}:/usr/local/bin/automc-router`] : []),
      // It may lie below /tmp, where the machine has a file system of its own.
      `--bind-ro=${checkout}`,
      "--console=pipe",
      "--boot",
      "systemd.unit=bare.target",
      // systemd 256 and newer run on a machine with cgroups of version 1 only when told so.
      "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );

  let leader = "";
  const enter = (): readonly string[] => ["nsenter", `--target=${leader}`, "--all", "--"];
  const run = (...command: readonly string[]): string => execute([...enter(), ...command]);

  async function shutDown(): Promise<void> {
    if (leader !== "") spawn([...enter(), "systemctl", "poweroff", "--force", "--force"]);
    await withTimeout(container.exited, 10_000);
    container.kill("SIGKILL");
    await container.exited;
    spawn(["umount", "--lazy", root]);
    spawn(["umount", "--lazy", directory]);
    rmSync(directory, { recursive: true, force: true });
  }

  try {
    await until("the machine's systemd answers", () => {
      leader = spawn(["pgrep", "--parent", String(container.pid)])
        .stdout.toString()
        .trim();
      if (leader === "") return false;
      return spawn([...enter(), "systemctl", "is-active", "bare.target"]).exitCode === 0;
    });
  } catch (error) {
    await shutDown();
    throw error;
  }

  async function runBeside(...command: readonly string[]): Promise<string> {
    const child = Bun.spawn([...enter(), ...command], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [printed, said, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${said}`);
    return printed;
  }

  return {
    run,
    runBeside,
    write(path, text) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode: 0o600 });
      run("systemctl", "daemon-reload");
    },
    copy: (from, to) => copyFileSync(from, join(root, to)),
    property: (unit, name) =>
      run("systemctl", "show", "--value", `--property=${name}`, unit).trim(),
    journal: (unit) => run("journalctl", "--no-pager", `--unit=${unit}`),
    [Symbol.asyncDispose]: shutDown,
  };
}
