import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Deadline, Deadlines } from "../base/deadlines.ts";
import { codeOf, messageOf } from "../base/thrown.ts";
import { replaceFile } from "../base/write-file.ts";
import { createStartTimes, type StartTimes } from "../wake/start-times.ts";
import { createStatusMemory, type StatusMemory } from "./status-memory.ts";

/** What servers last said about themselves, and how long their starts took, over restarts. */
export interface StatusStore {
  readonly memory: StatusMemory;
  readonly startTimes: StartTimes;
  /** Resolves when what is not written yet has been, or could not be. */
  stop(): Promise<void>;
}

/** What the store needs. */
export interface StatusStoreDeps {
  readonly deadlines: Deadlines;
  /** Told when the file cannot be read or written, once until it can. */
  warn(message: string): void;
}

/** At least this long between two writes, ms. */
const writeEveryMs = 60_000;

/**
 * The file that is kept beside a snapshot of the routes: apart from it, so that a changed MOTD does not write
 * all routes again.
 */
export const statusPath = (snapshot: string): string => join(dirname(snapshot), "statuses.json");

/** A memory with what the file holds. Without a path it lasts as long as the process. */
export async function openStatusStore(
  path: string | null,
  deps: StatusStoreDeps,
): Promise<StatusStore> {
  let due: Deadline | null = null;
  let isBroken = false;
  /** Writes, one after the other. */
  let writing: Promise<void> = Promise.resolve();
  const changed = (): void => {
    if (path === null) return;
    due ??= deps.deadlines.after(writeEveryMs, () => write(path));
  };
  const memory = createStatusMemory({ now: deps.deadlines.now, changed });
  const startTimes = createStartTimes(changed);
  if (path !== null) await load(path);

  async function load(from: string): Promise<void> {
    try {
      const saved: unknown = JSON.parse(await readFile(from, "utf8"));
      if (!Array.isArray(saved)) throw new Error("it is no list");
      startTimes.restore(saved);
      memory.restore(saved);
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return;
      deps.warn(`${from} is of no use: ${messageOf(cause)}`);
    }
  }

  function write(to: string): void {
    due = null;
    writing = writing.then(() => save(to));
  }

  async function save(to: string): Promise<void> {
    const lines = [...memory.save(), ...startTimes.save()].map((one) => JSON.stringify(one));
    const failure = await replaceFile(to, `[\n${lines.join(",\n")}\n]\n`);
    if (failure !== null && !isBroken) deps.warn(`${to} cannot be written: ${failure}`);
    isBroken = failure !== null;
  }

  async function stop(): Promise<void> {
    due?.cancel();
    if (due !== null && path !== null) write(path);
    await writing;
  }

  return { memory, startTimes, stop };
}
