import { err, ok, type Result } from "../../base/result.ts";
import { untilAborted } from "../../base/wait.ts";
import { watchFile } from "../../base/watch-file.ts";
import type { Rename } from "../../base/write-file.ts";
import type { Address } from "../../routing/address.ts";
import { type Pattern, patternText } from "../../routing/pattern.ts";
import { type Route, sameTarget } from "../../routing/route.ts";
import type { Publish, RouteSource } from "../../routing/source.ts";
import type { SourceEvent } from "../event.ts";
import { createEditSaver } from "./edit-saver.ts";
import { createFileReporter } from "./file-reporter.ts";
import { type RouteEdit, type RoutesFile, readRoutes, toRoute } from "./routes-file.ts";

/** What the routes of the file and the API need. */
export interface StaticRoutesDeps {
  /** The routes file; null: there is none, and the API's routes end with the process. */
  readonly path: string | null;
  /** Whether changes of the file are routed as they come, and not only at a reload. */
  readonly watch: boolean;
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  readonly emit: (event: SourceEvent) => void;
  /** Waits that differ from the usual ones. */
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
const usualTimings: FileTimings = {
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
  const { path, simplifySrv, move } = deps;
  const { debounceMs, pollMs, retryMs } = { ...usualTimings, ...deps.timings };
  const reporter = createFileReporter(deps);
  const { saved } = reporter;
  const saver = path === null ? null : createEditSaver({ path, simplifySrv, retryMs, move, saved });
  const publishers: { file: Publish | null; api: Publish | null } = { file: null, api: null };
  let routes: Readonly<Record<"file" | "api", Map<string, Route>>> = {
    file: new Map(),
    api: new Map(),
  };
  let isLoaded = false;

  const isUnsaved = (key: string): boolean => saver?.isUnsaved(key) ?? false;
  const save = (): Promise<string | null> => saver?.save() ?? Promise.resolve(null);

  /**
   * The file decides about everything but what it has not been told yet. What it says of an API
   * route unchanged is no change of owner.
   */
  function take(file: RoutesFile): void {
    const { routes: written, problems } = readRoutes(file, simplifySrv);
    const kept = [...routes.api].filter(([key, route]) => {
      const inFile = written.get(key);
      return isUnsaved(key) || (inFile !== undefined && sameTarget(inFile, route));
    });
    const api = new Map(kept);
    const own = [...written].filter(([key]) => !api.has(key) && !isUnsaved(key));
    routes = { file: new Map(own), api };
    // The one that may lose a pattern to the other goes first: no moment has two claims on it.
    publishers.api?.replace([...routes.api.values()]);
    publishers.file?.replace([...routes.file.values()]);
    reporter.problems.report(problems);
  }

  async function load(): Promise<Result<null, string>> {
    isLoaded = true;
    if (saver === null) return ok(null);
    const read = await saver.read();
    if (!read.ok) return err(`the routes file ${path} cannot be used: ${read.error}`);
    if (read.value === null) reporter.missing();
    else take(read.value);
    return ok(null);
  }

  /** Reads the file anew, which may now be fit to take the changes that it does not have. */
  async function refresh(asked: boolean): Promise<void> {
    if (saver === null) return;
    const read = await saver.read();
    if (!read.ok || read.value === null) {
      const reason = read.ok ? "it does not exist" : read.error;
      reporter.lost(`${path}: ${reason}`, asked, routes.file.size);
    } else {
      take(read.value);
      reporter.live(routes.file.size);
    }
    await saver.save();
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
    saver?.add(key, edit);
    return save();
  }

  async function runFile(publish: Publish, signal: AbortSignal, target: string): Promise<void> {
    const loaded = isLoaded ? ok(null) : await load();
    publishers.file = publish;
    publish.replace([...routes.file.values()]);
    if (loaded.ok) reporter.started(routes.file.size);
    else reporter.lost(loaded.error, true, 0);
    const changed = (): Promise<void> => refresh(false);
    if (deps.watch) await watchFile({ path: target, debounceMs, pollMs, changed }, signal);
    else await untilAborted(signal);
    publishers.file = null;
    await save();
    saver?.stop();
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
