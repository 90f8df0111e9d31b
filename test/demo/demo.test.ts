import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/until.ts";

const storyMs = 120_000;
/** For what ends long before the story does; far less than the story's own patience with a player who cannot join. */
const interruptionMs = 45_000;

interface Demo extends Disposable {
  /** Its temporary folder, which shows what it leaves behind. */
  readonly folder: string;
  readonly child: Bun.Subprocess;
  /** Everything it has written so far. */
  text(): string;
  /** Resolves with the exit code once all its output is there. */
  readonly ended: Promise<number>;
}

/** The demo as `bun run demo` runs it after the installation. */
function startDemo(...flags: readonly string[]): Demo {
  const folder = mkdtempSync(join(tmpdir(), "automc-demo-test-"));
  // The account that runs PostgreSQL has to get through.
  chmodSync(folder, 0o755);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "demo.ts"), ...flags], {
    env: { ...process.env, TMPDIR: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: storyMs,
    killSignal: "SIGKILL",
    // A process group of its own, as a terminal gives it.
    detached: true,
  });
  let text = "";
  async function follow(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  }
  const ended = Promise.all([follow(child.stdout), follow(child.stderr)]).then(() => child.exited);
  return {
    folder,
    child,
    text: () => text,
    ended,
    [Symbol.dispose]() {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Process id of the PostgreSQL that the demo runs (the first line of postmaster.pid). */
function postgresPid({ folder }: Demo): number {
  const [demo = ""] = readdirSync(folder).filter((name) => name.startsWith("automc-demo-"));
  const path = join(folder, demo, "postgres/data/postmaster.pid");
  return Number(readFileSync(path, "utf8").split("\n")[0]);
}

/** Process id of the router that the demo runs (proc(5), children). */
function routerPid({ child }: Demo): number {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
  const names = children.trim().split(" ");
  const pid = names.find((id) => readlinkSync(`/proc/${id}/exe`).endsWith("/automc-router"));
  if (pid === undefined) throw new Error(`no router among ${children}`);
  return Number(pid);
}

/** Every claim of the story, in its order. */
const milestones = [
  /PostgreSQL \d+\.\d+, private; schema applied, twice/,
  /router +listens on 127\.0\.0\.1:\d+/,
  /survival\.localhost says "Asleep\. Join to start it\."/,
  /Robin 1\.20\.4 +joins survival\.localhost/,
  /survival\.localhost says "Starting\. Players are waiting\."/,
  /Robin 1\.20\.4 +is in the game after \d+\.\d s, keep-alives: [1-9]/,
  /was asked to start survival once/,
  /survival\.localhost says "A world"/,
  /routes lobby\.localhost \d+ ms after the commit/,
  /creative\.localhost is unknown: closed without a byte/,
  /Kim 1\.8\.8 +is in the game/,
  /nobody\.localhost is unknown: closed without a byte/,
  /DELETE FROM servers WHERE name = 'survival'/,
  /survival +hears Alex say "still here"/,
  /Robin +is still connected/,
  /Every step went as it should\./,
] as const;

test(
  "the story is told to its end, as plain text, and nothing is left behind",
  async () => {
    using demo = startDemo("--once");
    const code = await demo.ended;
    const text = demo.text();
    expect(text).not.toContain("FAILED");
    let from = 0;
    for (const milestone of milestones) {
      const found = text.slice(from).search(milestone);
      expect(found, `${milestone} in its place in\n${text}`).toBeGreaterThanOrEqual(0);
      from += found;
    }
    expect(text).not.toContain("\x1b");
    expect(text).not.toContain("Ctrl-C");
    expect(code).toBe(0);
    expect(readdirSync(demo.folder)).toEqual([]);
  },
  storyMs,
);

const endings = [
  { name: "SIGINT", end: ({ pid }: Bun.Subprocess) => process.kill(pid, "SIGINT") },
  { name: "SIGTERM", end: ({ pid }: Bun.Subprocess) => process.kill(pid, "SIGTERM") },
  { name: "SIGHUP", end: ({ pid }: Bun.Subprocess) => process.kill(pid, "SIGHUP") },
  // A terminal sends it to the whole process group: the router, worlds and bots get it, too.
  { name: "Ctrl-C in a terminal", end: ({ pid }: Bun.Subprocess) => process.kill(-pid, "SIGINT") },
];

for (const { name, end } of endings) {
  test(
    `${name} in the middle of the story stops everything and leaves nothing behind`,
    async () => {
      using demo = startDemo();
      await until(
        "the control plane starts a server",
        () => demo.text().includes("POST"),
        interruptionMs,
      );
      const pid = postgresPid(demo);
      end(demo.child);
      expect(await demo.ended).toBe(130);
      expect(demo.text()).not.toContain("FAILED");
      expect(readdirSync(demo.folder)).toEqual([]);
      await until("PostgreSQL has ended", () => !existsSync(`/proc/${pid}`));
    },
    interruptionMs,
  );
}

test(
  "a step that fails is named, with the router's log, and nothing is left behind",
  async () => {
    using demo = startDemo("--once");
    await until(
      "the control plane starts a server",
      () => demo.text().includes("POST"),
      interruptionMs,
    );
    process.kill(routerPid(demo), "SIGKILL");
    expect(await demo.ended).toBe(1);
    expect(demo.text()).toContain("The end of the router's log:");
    expect(demo.text()).toMatch(/FAILED: .+/);
    expect(demo.text()).toContain("event=wake-started row=survival");
    expect(readdirSync(demo.folder)).toEqual([]);
  },
  interruptionMs,
);
