import { readFile } from "node:fs/promises";
import { err, ok, type Result } from "../../base/result.ts";
import { codeOf, messageOf } from "../../base/thrown.ts";
import { untilAborted } from "../../base/wait.ts";
import { watchFile } from "../../base/watch-file.ts";
import { type Rename, replaceFile } from "../../base/write-file.ts";
import type { Address } from "../../routing/address.ts";
import { type Pattern, patternText } from "../../routing/pattern.ts";
import { type Route, sameTarget } from "../../routing/route.ts";
import type { Publish, RouteSource } from "../../routing/source.ts";
import { createEntryProblems } from "../entry-problems.ts";
import type { SourceEvent } from "../event.ts";
import {
  emptyRoutesFile,
  parseRoutesFile,
  type RouteEdit,
  type RoutesFile,
  readRoutes,
  routesFileText,
  toRoute,
  withEdits,
} from "./routes-file.ts";

/** What the routes of the file and the API need. */
export interface StaticRoutesDeps {
  /** The routes file; null: there is none, and the API's routes end with the process. */
  readonly path: string | null;
  /** Whether changes of the file are routed as they come, and not only at a reload. */
  readonly watch: boolean;
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  readonly emit: (event: SourceEvent) => void;
  /** Waits that differ from `defaultFileTimings`. */
  readonly timings?: Partial<FileTimings>;
  /** Puts a finished file in place; the system's own by default. */
  readonly move?: Rename;
}

/** The waits around the routes file, in milliseconds. */
interface FileTimings {
  /** How long the file must be left alone before it is read. */
  readonly debounceMs: number;
  /** Between two looks at the file beside the notifications. */
  readonly pollMs: number;
  /** Between two attempts to save changes. */
  readonly retryMs: number;
}

/** The waits a router runs with. Tests scale them down. */
const defaultFileTimings: FileTimings = {
  debounceMs: 4_000,
  pollMs: 1_000,
  retryMs: 30_000,
};

/**
 * The routes that the operator names in the routes file and through the API. They are two sources
 * over one store, since a route made by the API is saved to the file: from the next reload on the
 * file decides about it, as about all that is written there.
 */
export interface StaticRoutes {
  /** "file", where there is one, and "api". Stopping them saves what is not saved yet. */
  readonly sources: readonly RouteSource[];
  /**
   * Reads the file before the start; a missing one has no routes. The error is one readable phrase,
   * and nothing has changed.
   */
  load(): Promise<Result<null, string>>;
  /**
   * Reads the file again. What goes wrong is emitted, and nothing changes; without a file nothing
   * happens.
   */
  reload(): Promise<void>;
  /**
   * Routes a pattern at once, in place of what the file or the API said. Resolves when the file has
   * been written, with null, or when that failed, with why: the route is in force all the same, and
   * saving is tried again.
   */
  set(pattern: Pattern, address: Address): Promise<string | null>;
  /**
   * Takes away at once what the file or the API says about a pattern; null when neither says
   * anything. Resolves as `set` does.
   */
  remove(pattern: Pattern): Promise<string | null> | null;
}

/** A store without routes. It reads nothing before `load` or the start of its sources. */
export function createStaticRoutes(deps: StaticRoutesDeps): StaticRoutes {
  const { path, simplifySrv } = deps;
  const timings = { ...defaultFileTimings, ...deps.timings };
  const publishers: { file: Publish | null; api: Publish | null } = { file: null, api: null };
  const reporter = createFileReporter(deps);

  /** The file's content when it was read or written last, to write it anew should it vanish. */
  let known = emptyRoutesFile;
  let routes: Readonly<Record<"file" | "api", Map<string, Route>>> = {
    file: new Map(),
    api: new Map(),
  };
  /** The API's changes that the file does not have yet. */
  const unsaved = new Map<string, RouteEdit>();
  let isLoaded = false;
  /** Reads and writes of the file, one after the other. */
  let work: Promise<unknown> = Promise.resolve();
  let nextSave: Promise<string | null> | null = null;
  let retry: ReturnType<typeof setTimeout> | null = null;

  function enqueue<T>(step: () => Promise<T>): Promise<T> {
    const done = work.then(step);
    work = done;
    return done;
  }

  /**
   * The file decides about everything but what it has not been told yet. What it says of an API
   * route unchanged is no change of owner.
   */
  function take(file: RoutesFile): void {
    known = file;
    const { routes: written, problems } = readRoutes(file, simplifySrv);
    const kept = [...routes.api].filter(([key, route]) => {
      const inFile = written.get(key);
      return unsaved.has(key) || (inFile !== undefined && sameTarget(inFile, route));
    });
    const api = new Map(kept);
    const own = [...written].filter(([key]) => !api.has(key) && !unsaved.has(key));
    routes = { file: new Map(own), api };
    // The one that may lose a pattern to the other goes first: no moment has two claims on it.
    publishers.api?.replace([...routes.api.values()]);
    publishers.file?.replace([...routes.file.values()]);
    reporter.problems.report(problems);
  }

  async function load(): Promise<Result<null, string>> {
    isLoaded = true;
    if (path === null) return ok(null);
    const read = await readRoutesFile(path);
    if (!read.ok) return err(`the routes file ${path} cannot be used: ${read.error}`);
    if (read.value === null) reporter.missing();
    else take(read.value);
    return ok(null);
  }

  async function reread(asked: boolean): Promise<void> {
    if (path === null) return;
    const read = await readRoutesFile(path);
    if (!read.ok || read.value === null) {
      const reason = read.ok ? "it does not exist" : read.error;
      reporter.lost(`${path}: ${reason}`, asked, routes.file.size);
      return;
    }
    take(read.value);
    reporter.live(routes.file.size);
  }

  /** Reads the file anew, which may now be fit to take the changes that it does not have. */
  async function refresh(asked: boolean): Promise<void> {
    await enqueue(() => reread(asked));
    await save();
  }

  /** Writes all changes that there are when its turn has come; calls before that share it. */
  function save(): Promise<string | null> {
    if (path === null) return Promise.resolve(null);
    nextSave ??= enqueue(() => {
      nextSave = null;
      return write(path);
    });
    return nextSave;
  }

  async function write(target: string): Promise<string | null> {
    if (retry !== null) clearTimeout(retry);
    retry = null;
    const edits = [...unsaved];
    if (edits.length === 0) return null;
    const failure = await amend(
      target,
      edits.map(([, edit]) => edit),
    );
    reporter.saved(failure);
    if (failure !== null) {
      retry = setTimeout(save, timings.retryMs);
      return failure;
    }
    for (const [key, edit] of edits) if (unsaved.get(key) === edit) unsaved.delete(key);
    return null;
  }

  /** Makes the changes to what the file says now, which may be more than has been loaded. */
  async function amend(target: string, edits: readonly RouteEdit[]): Promise<string | null> {
    const read = await readRoutesFile(target);
    if (!read.ok) return read.error;
    const file = withEdits(read.value ?? known, edits, simplifySrv);
    const failure = await replaceFile(
      target,
      routesFileText(file),
      deps.move && { move: deps.move },
    );
    if (failure === null) known = file;
    return failure;
  }

  /** Takes the pattern from both sources, and gives it to the API unless the edit removes it. */
  function change(key: string, edit: RouteEdit): Promise<string | null> {
    const { pattern, address } = edit;
    const { file, api } = routes;
    if (file.delete(key)) publishers.file?.patch({ upsert: [], remove: [key] });
    if (address !== null) {
      const route = toRoute("api", pattern, address);
      api.set(key, route);
      publishers.api?.patch({ upsert: [route], remove: [] });
    } else if (api.delete(key)) {
      publishers.api?.patch({ upsert: [], remove: [key] });
    }
    if (path !== null) unsaved.set(key, edit);
    return save();
  }

  async function runFile(publish: Publish, signal: AbortSignal, target: string): Promise<void> {
    const loaded = isLoaded ? ok(null) : await load();
    publishers.file = publish;
    publish.replace([...routes.file.values()]);
    if (loaded.ok) reporter.started(routes.file.size);
    else reporter.lost(loaded.error, true, 0);
    const { debounceMs, pollMs } = timings;
    const changed = (): Promise<void> => refresh(false);
    if (deps.watch) await watchFile({ path: target, debounceMs, pollMs, changed }, signal);
    else await untilAborted(signal);
    publishers.file = null;
    await save();
    if (retry !== null) clearTimeout(retry);
  }

  async function runApi(publish: Publish, signal: AbortSignal): Promise<void> {
    publishers.api = publish;
    publish.replace([...routes.api.values()]);
    await untilAborted(signal);
    publishers.api = null;
  }

  const api: RouteSource = { name: "api", run: runApi };
  const file: readonly RouteSource[] =
    path === null
      ? []
      : [{ name: "file", run: (publish, signal) => runFile(publish, signal, path) }];

  return {
    sources: [...file, api],
    load,
    reload: () => refresh(true),
    set(pattern, address) {
      const key = patternText(pattern);
      const former = routes.api.get(key) ?? routes.file.get(key);
      if (former?.address.text === address.text) return save();
      return change(key, { pattern, address });
    },
    remove(pattern) {
      const key = patternText(pattern);
      if (!routes.api.has(key) && !routes.file.has(key)) return null;
      return change(key, { pattern, address: null });
    },
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

/** Tells of the file what an operator needs to know, each thing once. */
function createFileReporter({ path, watch, emit }: StaticRoutesDeps) {
  const source = "file";
  const mode = watch ? "notify" : "reload";
  let outage: { readonly reason: string; readonly since: number } | null = null;
  let hasSaveFailed = false;

  return {
    /** The file has been read, or was not there, before the source started. */
    started(routes: number): void {
      if (outage === null) emit({ kind: "source-live", source, routes, mode, awayMs: 0 });
    },
    live(routes: number): void {
      if (outage === null) return;
      const awayMs = Math.round(performance.now() - outage.since);
      outage = null;
      emit({ kind: "source-live", source, routes, mode, awayMs });
    },
    /** It cannot be read. Told again only at a reload that the operator asked for, or with another reason. */
    lost(reason: string, asked: boolean, routes: number): void {
      if (asked || outage?.reason !== reason) emit({ kind: "source-lost", source, reason, routes });
      outage = { reason, since: outage?.since ?? performance.now() };
    },
    missing(): void {
      outage = { reason: `${path}: it does not exist`, since: performance.now() };
      const then = watch ? "as soon as it does" : "at a reload (SIGHUP)";
      const message = `the routes file ${path} does not exist yet; it is read ${then}`;
      emit({ kind: "source-warning", source, message });
    },
    problems: createEntryProblems(source, emit),
    /** A save is over; null: it went well. */
    saved(failure: string | null): void {
      if (failure !== null && !hasSaveFailed) {
        const message = `changes by the API are in force but cannot be saved to ${path}: ${failure}`;
        emit({ kind: "source-warning", source, message });
      }
      hasSaveFailed = failure !== null;
    },
  };
}
