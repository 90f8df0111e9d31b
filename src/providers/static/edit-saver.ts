import { readFile } from "node:fs/promises";
import { err, ok, type Result } from "../../base/result.ts";
import { codeOf, messageOf } from "../../base/thrown.ts";
import { type Rename, replaceFile } from "../../base/write-file.ts";
import {
  emptyRoutesFile,
  parseRoutesFile,
  type RouteEdit,
  type RoutesFile,
  routesFileText,
  withEdits,
} from "./routes-file.ts";

/** What writing edits to the routes file needs. */
interface EditSaverDeps {
  readonly path: string;
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  /** Between two attempts, ms. */
  readonly retryMs: number;
  /** Puts a finished file in place; the system's own by default. */
  readonly move?: Rename | undefined;
  /** An attempt is over; null: it went well. */
  saved(failure: string | null): void;
}

/** Brings edits into the routes file, and tries again by itself while that fails. */
interface EditSaver {
  /** Notes the last edit of a pattern. It is written by the next `save`. */
  add(key: string, edit: RouteEdit): void;
  /** True while the file does not have the pattern's last edit. */
  isUnsaved(key: string): boolean;
  /** The file's content; null when there is no file. Waits for writes that are under way. */
  read(): Promise<Result<RoutesFile | null, string>>;
  /** Writes all edits that there are. Resolves with null, or with why it failed. */
  save(): Promise<string | null>;
  /** Tries no more. */
  stop(): void;
}

/** A saver that has nothing to write yet. */
export function createEditSaver(deps: EditSaverDeps): EditSaver {
  const { path } = deps;
  /** The file's content when it was read or written last, to write it anew should it vanish. */
  let known = emptyRoutesFile;
  const unsaved = new Map<string, RouteEdit>();
  /** Reads and writes of the file, one after the other. */
  let work: Promise<unknown> = Promise.resolve();
  /** The save that has not had its turn yet: calls before that share it. */
  let nextSave: Promise<string | null> | null = null;
  let retry: ReturnType<typeof setTimeout> | null = null;

  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = work.then(step);
    work = done;
    return done;
  }

  async function readNow(): Promise<Result<RoutesFile | null, string>> {
    const read = await readRoutesFile(path);
    if (read.ok && read.value !== null) known = read.value;
    return read;
  }

  function save(): Promise<string | null> {
    nextSave ??= inTurn(() => {
      nextSave = null;
      return write();
    });
    return nextSave;
  }

  async function write(): Promise<string | null> {
    stop();
    const edits = [...unsaved];
    if (edits.length === 0) return null;
    const failure = await amend(edits.map(([, edit]) => edit));
    deps.saved(failure);
    if (failure !== null) {
      retry = setTimeout(save, deps.retryMs);
      return failure;
    }
    for (const [key, edit] of edits) if (unsaved.get(key) === edit) unsaved.delete(key);
    return null;
  }

  /** Makes the changes to what the file says now, which may be more than has been loaded. */
  async function amend(edits: readonly RouteEdit[]): Promise<string | null> {
    const read = await readNow();
    if (!read.ok) return read.error;
    const file = withEdits(read.value ?? known, edits, deps.simplifySrv);
    const options = deps.move === undefined ? {} : { move: deps.move };
    const failure = await replaceFile(path, routesFileText(file), options);
    if (failure === null) known = file;
    return failure;
  }

  function stop(): void {
    if (retry !== null) clearTimeout(retry);
    retry = null;
  }

  return {
    add: (key, edit) => void unsaved.set(key, edit),
    isUnsaved: (key) => unsaved.has(key),
    read: () => inTurn(readNow),
    save,
    stop,
  };
}

/** The file's content; null when there is no file. */
async function readRoutesFile(path: string): Promise<Result<RoutesFile | null, string>> {
  try {
    return parseRoutesFile(await readFile(path));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return ok(null);
    return err(messageOf(error));
  }
}
