import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { createAlarm, sleep } from "./wait.ts";

/** What watching a file needs. */
interface FileWatchDeps {
  readonly path: string;
  /** How long the file must have been left alone before `changed` is called. */
  readonly debounceMs: number;
  /** How often its state is looked at, whatever the notifications say. */
  readonly pollMs: number;
  /** The file is perhaps another one now, or gone. The next call comes after this one has resolved. */
  changed(): Promise<void>;
}

/**
 * The link that Kubernetes swaps in a mounted ConfigMap or Secret; the file's own directory entry
 * stays as it is.
 */
const configMapLink = "..data";

/**
 * Watches a file, which need not exist, until the signal aborts. It is the directory that is
 * watched: editors and ConfigMaps replace the file, and a watch on the file itself would stay with
 * the old one. What a directory does not tell (a link's target elsewhere, a network file system,
 * the directory itself replaced) is found by the poll.
 */
export async function watchFile(deps: FileWatchDeps, signal: AbortSignal): Promise<void> {
  const { path, debounceMs, pollMs, changed } = deps;
  const alarm = createAlarm();
  const directory = dirname(path);
  const names = new Set([basename(path), configMapLink]);
  let watcher: FSWatcher | null = null;
  let watched: string | null = null;
  let touchedAt = -Infinity;

  function touch(): void {
    touchedAt = performance.now();
    alarm.ring();
  }

  function unwatch(): void {
    watcher?.close();
    watcher = null;
    watched = null;
  }

  /** Watches the directory that has the path now. */
  async function rewatch(): Promise<void> {
    const identity = await identityOf(directory);
    if (identity === watched) return;
    unwatch();
    if (identity === null) return;
    try {
      watcher = watch(directory, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) touch();
      });
      watcher.on("error", unwatch); // out of inotify watches, or gone: the poll goes on and tries again
      watched = identity;
    } catch {
      unwatch(); // the same
    }
  }

  /** Rings when the file is not what it was at the last look. */
  async function poll(): Promise<void> {
    let seen = await stateOf(path);
    while (!signal.aborted) {
      await sleep(pollMs, signal);
      await rewatch();
      const state = await stateOf(path);
      if (state !== seen) touch();
      seen = state;
    }
  }

  await rewatch();
  touch(); // for what was written before the watch began
  const polling = poll();
  while (!signal.aborted) {
    await alarm.wait(pollMs, signal);
    if (touchedAt === -Infinity) continue;
    while (!signal.aborted && performance.now() < touchedAt + debounceMs) {
      await sleep(touchedAt + debounceMs - performance.now(), signal);
    }
    touchedAt = -Infinity;
    if (!signal.aborted) await changed();
  }
  await polling;
  unwatch();
}

/** What tells a file from the one that was there before; null when there is none. */
async function stateOf(path: string): Promise<string | null> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return null; // also a file that may not be read; loading it tells why
  }
}

async function identityOf(directory: string): Promise<string | null> {
  try {
    const { dev, ino } = await stat(directory, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
