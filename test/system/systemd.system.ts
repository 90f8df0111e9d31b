import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { measured } from "../support/docs/reliability.ts";
import {
  crowdSettings,
  type Joined,
  join,
  joinGame,
  speak,
  startCrowd,
  tally,
} from "../support/minecraft/crowd.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { type Backend, echo, startBackend } from "../support/net/backend.ts";
import { makeNetns, type Netns } from "../support/net/netns.ts";
import { printedUnit } from "../support/process/e2e-network.ts";
import { bootMachine, type Machine } from "../support/process/systemd.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

const unit = "automc-router.service";

let scene: AsyncDisposableStack;
let netns: Netns;
let backend: Backend;
let machine: Machine;
let place: { hostname: string; port: number };
beforeEach(async () => {
  scene = new AsyncDisposableStack();
  netns = scene.use(makeNetns());
  backend = scene.use(startBackend(echo, netns.outside));
  place = { hostname: netns.inside, port: 25_565 };
  machine = scene.use(await bootMachine(netns));
  for (const [kind, name] of [
    ["service", "automc-router.service"],
    ["template", "automc-router@.service"],
    ["socket", "automc-router.socket"],
  ] as const) {
    machine.write(`/etc/systemd/system/${name}`, await printedUnit(kind));
  }
  configure({});
});
afterEach(() => scene.disposeAsync());

/** The environment file; every route leads to the backend. */
function configure(settings: Readonly<Record<string, string>>): void {
  const all = { ...crowdSettings, DEFAULT: backend.address, ...settings };
  const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
  machine.write("/etc/automc-router.env", lines.join(""));
}

/** A change to the service, as `systemctl edit` makes it. */
const edit = (lines: string): void =>
  machine.write(`/etc/systemd/system/${unit}.d/test.conf`, `[Service]\n${lines}\n`);

const systemctl = (...words: readonly string[]): string => machine.run("systemctl", ...words);
/** Stops a unit while our own loop goes on, on which the backend lives. */
async function stopped(name: string): Promise<void> {
  systemctl("stop", "--no-block", name);
  await until(`${name} has stopped`, () => machine.property(name, "ActiveState") === "inactive");
}

const mainPid = (name = unit): string => machine.property(name, "MainPID");
const status = (name = unit): string => machine.property(name, "StatusText");

test("systemd's own tools find nothing wrong with the units", () => {
  const names = ["automc-router.service", "automc-router@.service", "automc-router.socket"];
  const paths = names.map((name) => `/etc/systemd/system/${name}`);
  expect(machine.run("systemd-analyze", "verify", "--recursive-errors=yes", ...paths)).toBe("");
  for (const path of paths.slice(0, 2)) {
    const report = machine.run(
      "systemd-analyze",
      "security",
      "--offline=yes",
      "--threshold=15",
      path,
    );
    const [, exposure = ""] = /exposure level for \S+: (\S+)/.exec(report) ?? [];
    expect(Number(exposure)).toBeLessThanOrEqual(1.5);
    measured({
      scenario: "T38",
      promise: "P1",
      what: `systemd-analyze verify and security look at ${path.split("/").at(-1)}`,
      result: `nothing to complain about; exposure ${exposure} (limit 1.5)`,
    });
  }
});

test("the service starts behind its seccomp filter, says how it is, and reloads", async () => {
  machine.write("/etc/credstore/AUTOMC_API_TOKEN", "hunter2\n");
  configure({ API_BINDING: "0.0.0.0:8080" });
  systemctl("start", unit);
  expect(status()).toBe("1 route, 0 players, 0 waiting");
  const proc = `/proc/${mainPid()}`;
  expect(machine.run("cat", `${proc}/status`)).toMatch(/^Seccomp:\t2$/m);
  expect(machine.run("cat", `${proc}/environ`)).not.toContain("hunter2");

  const player = await joinGame(place);
  await until("the status has the player", () => status() === "1 route, 1 player, 0 waiting");
  systemctl("reload", unit);
  await until("it has reloaded", () => machine.journal(unit).includes("reloading files"));
  await until("it is ready again", () => machine.property(unit, "ActiveState") === "active");
  await speak(player, "still here");
  const api = (token: string): Promise<Response> =>
    fetch(`http://${netns.inside}:8080/routes`, { headers: { Authorization: `Bearer ${token}` } });
  expect((await api("hunter2")).status).toBe(200);
  expect((await api("hunter3")).status).toBe(401);
  expect(machine.journal(unit)).not.toContain("hunter");
  player.close();
  await stopped(unit);
  expect(machine.property(unit, "Result")).toBe("success");
  expect(machine.property(unit, "NRestarts")).toBe("0");
});

test("behind its seccomp filter a relay thread moves bytes through pipes, without copying them", async () => {
  systemctl("start", unit);
  const player = await joinGame(place);
  // The thread is started at the first login, and takes it over when the backend speaks again.
  const hasThread = (): boolean =>
    machine.run("sh", "-c", `cat /proc/${mainPid()}/task/*/comm`).includes("Worker");
  await until("the thread runs", hasThread);
  await speak(player, "hello");
  const pipes = (): number =>
    machine.run("sh", "-c", `ls -l /proc/${mainPid()}/fd`).split("-> pipe:").length - 1;
  expect(pipes()).toBe(0);
  player.pause();
  const words = Buffer.alloc(32 * 1024 * 1024, 0x5a);
  const sending = backend.connections.at(-1)?.send(words);
  const before = player.receivedLength;
  // One that holds what the player has not read.
  await until("a pipe is open", () => pipes() >= 2);
  player.resume();
  await sending;
  await player.waitForLength(before + words.length);
  expect(machine.journal(unit)).not.toContain("event=fault");
  player.close();
});

test("wrong settings end it for good, and say why", async () => {
  configure({ PORT: "abc" });
  expect(() => systemctl("start", unit)).toThrow();
  await until("it has failed", () => machine.property(unit, "ActiveState") === "failed");
  expect(machine.property(unit, "ExecMainStatus")).toBe("2");
  expect(machine.property(unit, "NRestarts")).toBe("0");
  expect(machine.journal(unit)).toContain('PORT="abc": expected');
});

test("without the C library it warns, and serves", async () => {
  // Where no memory is both written and executed nothing can be called by bun:ffi, so systemd cannot be told either.
  edit("Type=simple\nNotifyAccess=main\nMemoryDenyWriteExecute=yes\nWatchdogSec=0");
  systemctl("start", unit);
  await until("it listens", () => machine.journal(unit).includes("event=listening"), 30_000);
  const player = await joinGame(place);
  await speak(player, "slow, but there");
  player.close();
  const warnings = machine
    .journal(unit)
    .split("\n")
    .filter((line) => line.includes("event=setting-warning"));
  expect(warnings).toEqual([
    expect.stringContaining("the C library cannot be called"),
    expect.stringContaining("systemd is told nothing"),
    expect.stringContaining("players are relayed by the main thread"),
  ]);
});

test("a process that stands still is killed by the watchdog and started again", async () => {
  edit("WatchdogSec=2");
  systemctl("start", unit);
  const pid = mainPid();
  const startedAt = performance.now();
  machine.run("kill", "-STOP", pid);
  await until("another one is ready", () => mainPid() !== pid && mainPid() !== "0", 30_000);
  await until("it serves", async () => typeof (await join(place)) !== "string", 20_000);
  const seconds = (performance.now() - startedAt) / 1000;
  expect(machine.property(unit, "NRestarts")).toBe("1");
  expect(machine.journal(unit)).toContain("Watchdog timeout");
  measured({
    scenario: "T39",
    promise: "P8",
    what: "the service's process is stopped by SIGSTOP (WatchdogSec=2)",
    result: `killed and started again by systemd; the next player joined ${seconds.toFixed(1)} s after the stop`,
  });
});

test("a stop lets a game go on for the whole drain, beyond the unit's own timeout", async () => {
  edit("TimeoutStopSec=3");
  configure({ AUTOMC_DRAIN_TIMEOUT: "8s" });
  systemctl("start", unit);
  const player = await joinGame(place);
  const startedAt = performance.now();
  systemctl("stop", "--no-block", unit);
  await until("it drains", () => status().startsWith("stopping: "));
  while (performance.now() - startedAt < 6_000) {
    await speak(player, "still here");
    await Bun.sleep(100);
  }
  await player.waitForEnd();
  const seconds = (performance.now() - startedAt) / 1000;
  await until("it has stopped", () => machine.property(unit, "ActiveState") === "inactive");
  expect(machine.property(unit, "Result")).toBe("success");
  measured({
    scenario: "T40",
    promise: "P8",
    what: "systemctl stop with a game under way, AUTOMC_DRAIN_TIMEOUT=8s, TimeoutStopSec=3",
    result: `the game went on for ${seconds.toFixed(1)} s; the service ended by itself, with success`,
  });
  expect(seconds).toBeLessThan(10);
});

test("a restart behind a socket unit in the middle of 1,000 connects refuses nobody", async () => {
  systemctl("start", "automc-router.socket", unit);
  const connected = await joinGame(place);
  connected.close();
  const pid = mainPid();
  const players: Promise<Joined>[] = [];
  let slowestMs = 0;
  for (let number = 0; number < 1_000; number++) {
    const startedAt = performance.now();
    players.push(
      join(place, 30_000).then((outcome) => {
        slowestMs = Math.max(slowestMs, performance.now() - startedAt);
        if (typeof outcome !== "string") outcome.close();
        return outcome;
      }),
    );
    if (number === 500) systemctl("restart", "--no-block", unit);
    if (number % 10 === 0) await Bun.sleep(10);
  }
  const outcomes = await Promise.all(players);
  await until("the restart is over", () => mainPid() !== pid && status() !== "");
  const { joined, refused, lost } = tally(outcomes);
  measured({
    scenario: "T41",
    promise: "P7",
    what: "systemctl restart in the middle of 1,000 connects, with automc-router.socket",
    result: `${joined} joined, ${refused} were refused, ${lost} lost; the slowest had its game after ${(slowestMs / 1000).toFixed(1)} s`,
  });
  expect({ joined, refused, lost }).toEqual({ joined: 1_000, refused: 0, lost: 0 });
});

test("instances share one account and one state directory, so that the snapshot of one serves the next", () => {
  systemctl("start", "automc-router.socket", "automc-router@1", "automc-router@2");
  const owners = ["automc-router@1", "automc-router@2"].map((name) => {
    const proc = `/proc/${mainPid(name)}`;
    const variables = machine.run("cat", `${proc}/environ`).split("\0");
    return {
      account: machine.run("stat", "--format=%U", proc).trim(),
      state: variables.find((variable) => variable.startsWith("STATE_DIRECTORY=")),
    };
  });
  const owner = { account: "automc-router", state: "STATE_DIRECTORY=/var/lib/automc-router" };
  expect(owners).toEqual([owner, owner]);
});

test("an upgrade overlaps: the new instance serves while the old one drains, and nobody is refused", async () => {
  systemctl("start", "automc-router.socket", "automc-router@1");
  const player = await joinGame(place);
  const crowd = startCrowd(place, 30_000);
  systemctl("start", "automc-router@2");
  systemctl("stop", "--no-block", "automc-router@1");
  await until("the old one drains", () => status("automc-router@1").startsWith("stopping: "));
  const before = crowd.count();
  await until("the new one serves", () => crowd.count() > before + 500, 20_000);
  await speak(player, "still here");
  player.close();
  await until("the old one is gone", () => {
    return machine.property("automc-router@1", "ActiveState") === "inactive";
  });
  const { joined, refused, lost } = await crowd.stop();
  expect(machine.property(unit, "ActiveState")).toBe("inactive");
  expect(machine.property("automc-router@1", "Result")).toBe("success");
  expect(machine.property("automc-router@2", "ActiveState")).toBe("active");
  measured({
    scenario: "T42",
    promise: "P7",
    what: "automc-router@2 starts beside automc-router@1, which then stops, while players come and go",
    result: `${joined} joined, ${refused} were refused, ${lost} lost; a game at the old instance went on until its player left`,
  });
  expect({ refused, lost }).toEqual({ refused: 0, lost: 0 });
  using late = await connectPlayer(place);
  expect(late.ending).toBe("open");
});
