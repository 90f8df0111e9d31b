import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readStamp } from "../../src/packaging/compile.ts";
import { debianPackage } from "../../src/packaging/deb.ts";
import { debian13 } from "../support/engines/debian-tree.ts";
import { crowdSettings, joinGame, speak, startCrowd } from "../support/minecraft/crowd.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { makeNetns } from "../support/net/netns.ts";
import { bootMachine, type Machine } from "../support/process/systemd.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const folder = mkdtempSync(join(tmpdir(), "automc-package-"));
const versions = ["1.0.0", "1.0.1"] as const;
const packagePath = (version: string): string => join(folder, `automc-router_${version}_amd64.deb`);
beforeAll(async () => {
  const binary = await Bun.file(join(import.meta.dir, "../../dist/automc-router")).bytes();
  for (const version of versions) {
    const made = await debianPackage(binary, "amd64", { ...readStamp(), version });
    await Bun.write(packagePath(version), made);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

test("lintian finds no error in the package", () => {
  const report = Bun.spawnSync(["lintian", "--fail-on=error", packagePath("1.0.0")]);
  expect(report.stdout.toString()).not.toMatch(/^E:/m);
  expect(report.exitCode).toBe(0);
});

test("the program runs on the first CPU with SSE4.2, and on none before", () => {
  const binary = join(import.meta.dir, "../../dist/automc-router");
  const emulate = (cpu: string) =>
    Bun.spawnSync(["qemu-x86_64-static", "-cpu", cpu, binary, "version"]);
  expect(emulate("Nehalem").exitCode).toBe(0);
  expect(emulate("core2duo").exitCode).not.toBe(0);
});

const systems = [
  { name: "Debian 12", tree: (): Promise<string | null> => Promise.resolve("/") },
  { name: "Debian 13", tree: debian13 },
];

describe.each(systems)("on $name", ({ tree }) => {
  const unit = "automc-router.service";
  const isActive = (machine: Machine, name: string): boolean =>
    machine.property(name, "ActiveState") === "active";

  test("the package is installed, upgraded and purged, and disturbs no player unasked", async () => {
    const path = await tree();
    if (path === null) throw new Error("there is no file tree of Debian 13");
    await using scene = new AsyncDisposableStack();
    const netns = scene.use(makeNetns());
    const backend = scene.use(startBackend(echo, netns.outside));
    const machine = scene.use(await bootMachine(netns, { tree: path, hasBinary: false }));
    const place = { hostname: netns.inside, port: 25_565 };
    for (const version of versions) machine.copy(packagePath(version), `/root/${version}.deb`);
    const systemctl = (...words: readonly string[]): Promise<string> =>
      machine.runBeside("systemctl", ...words);
    const exists = (file: string): boolean =>
      machine.run("sh", "-c", `test -e ${file} && echo yes || echo no`).trim() === "yes";

    // Installed, it neither runs nor starts at boot; its settings are root's.
    await machine.runBeside("dpkg", "--install", "/root/1.0.0.deb");
    expect(isActive(machine, unit)).toBe(false);
    expect(machine.property(unit, "UnitFileState")).toBe("disabled");
    expect(machine.run("stat", "--format=%a %U", "/etc/automc-router.env")).toBe("640 root\n");
    expect(machine.run("automc-router", "version")).toStartWith("1.");

    const settings = Object.entries({ ...crowdSettings, DEFAULT: backend.address })
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");
    machine.write("/etc/automc-router.env", settings);
    await systemctl("enable", "--now", "automc-router");
    const player = await joinGame(place);

    // Upgraded, the old version goes on until it is restarted, and the settings stay.
    const pid = machine.property(unit, "MainPID");
    const said = await machine.runBeside("dpkg", "--install", "/root/1.0.1.deb");
    expect(said).toContain(`restart it: systemctl restart ${unit}`);
    expect(machine.property(unit, "MainPID")).toBe(pid);
    expect(machine.run("cat", "/etc/automc-router.env")).toBe(settings);
    await speak(player, "still here");
    player.close();
    await systemctl("restart", "--no-block", "automc-router");
    await until("the new one runs", () => {
      return machine.property(unit, "MainPID") !== pid && isActive(machine, unit);
    });
    (await joinGame(place)).close();

    // With instances behind a socket, an upgrade refuses no player.
    await systemctl("disable", "--now", "automc-router");
    await systemctl("enable", "--now", "automc-router.socket", "automc-router@1");
    const crowd = startCrowd(place, 30_000);
    await until("players join", () => crowd.count() > 100, 20_000);
    await machine.runBeside("dpkg", "--install", "/root/1.0.1.deb");
    await systemctl("enable", "--now", "automc-router@2");
    await systemctl("disable", "--now", "--no-block", "automc-router@1");
    const before = crowd.count();
    await until("the new one serves", () => crowd.count() > before + 500, 30_000);
    await until("the old instance is gone", () => !isActive(machine, "automc-router@1"), 60_000);
    const { joined, refused, lost } = await crowd.stop();
    expect(joined).toBeGreaterThan(500);
    expect({ refused, lost }).toEqual({ refused: 0, lost: 0 });

    // Removed, it has stopped, and its settings wait; purged, nothing is left.
    await machine.runBeside("dpkg", "--remove", "automc-router");
    expect(isActive(machine, "automc-router@2")).toBe(false);
    expect(exists("/etc/automc-router.env")).toBe(true);
    await machine.runBeside("dpkg", "--purge", "automc-router");
    for (const left of [
      "/etc/automc-router.env",
      "/var/lib/automc-router",
      "/var/lib/private/automc-router",
      "/usr/bin/automc-router",
      "/etc/systemd/system/multi-user.target.wants/automc-router@2.service",
      "/etc/systemd/system/sockets.target.wants/automc-router.socket",
    ]) {
      expect({ left, exists: exists(left) }).toEqual({ left, exists: false });
    }
  });
});

test("the same commit gives the same bytes", () => {
  const root = join(import.meta.dir, "../..");
  const release = (): string => {
    const made = Bun.spawnSync(
      [process.execPath, "src/packaging/release.ts", "linux-amd64-glibc"],
      {
        cwd: root,
      },
    );
    expect(made.stderr.toString()).toBe("");
    const cwd = join(root, "dist/release");
    expect(Bun.spawnSync(["sha256sum", "--check", "SHA256SUMS"], { cwd }).exitCode).toBe(0);
    return readFileSync(join(cwd, "SHA256SUMS"), "utf8");
  };
  const first = release();
  expect(first).toContain("_amd64.deb");
  expect(first).toContain("RELEASE_NOTES.md");
  expect(release()).toBe(first);
});
