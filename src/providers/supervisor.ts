import { onAbort } from "../base/abort.ts";
import { type BackoffTimings, createBackoff } from "../base/backoff.ts";
import { toError } from "../base/thrown.ts";
import { sleep } from "../base/wait.ts";
import type { SourceName } from "../routing/route.ts";
import type { Publish, RouteSource } from "../routing/source.ts";
import type { Changes, RouteTable } from "../routing/table.ts";

/** The sources at work. */
export interface Supervisor {
  /** Those that have published a whole set. */
  published(): ReadonlySet<SourceName>;
  /** Resolves when each source has published for the first time, or when the signal aborts. */
  firstRoutes(signal: AbortSignal): Promise<void>;
  /** That source's first routes are not waited for any more. */
  passOver(source: SourceName): void;
  /** Tells each source that the operator asks for a reload. */
  reload(): void;
  /** Ends the sources; resolves when all have ended. */
  stop(): Promise<void>;
}

/** What supervising sources needs. */
interface SupervisorDeps {
  readonly table: RouteTable;
  /** A publication has changed the table, or brought claims that lost. */
  changed(source: SourceName, changes: Changes): void;
  /** A source's code threw: a defect. Its last routes stay, and it is run anew after `nextMs`. */
  fault(error: Error, source: SourceName, nextMs: number): void;
  /** Pauses before a source is run anew that differ from the usual ones. */
  readonly timings?: BackoffTimings;
}

const usualTimings: BackoffTimings = { backoffMs: 1_000, backoffMaxMs: 60_000 };

/** Runs the sources and gives each its own way into the table. */
export function superviseSources(
  sources: readonly RouteSource[],
  deps: SupervisorDeps,
): Supervisor {
  const stopping = new AbortController();
  const published = new Set<SourceName>();
  const silent = new Set(sources.map((source) => source.name));
  const first = Promise.withResolvers<void>();
  if (silent.size === 0) first.resolve();

  function heardOf(name: SourceName): void {
    silent.delete(name);
    if (silent.size === 0) first.resolve();
  }

  function publishFor({ name }: RouteSource): Publish {
    /** What the parts of a first set have changed so far: it is told as one. */
    let parts: Changes[] = [];
    const tell = (last: Changes): void => {
      const changes = parts.length === 0 ? last : together([...parts, last]);
      parts = [];
      const { added, removed, changed, conflicts } = changes;
      if (added.length + removed.length + changed.length + conflicts.length > 0) {
        deps.changed(name, changes);
      }
      published.add(name);
      heardOf(name);
    };
    return {
      replace: (routes) => tell(deps.table.replace(name, routes)),
      patch(delta, more) {
        const changes = deps.table.patch(name, delta);
        if (more) parts.push(changes);
        else tell(changes);
      },
    };
  }

  /** Runs a source until all are stopped, and anew whenever it throws. */
  async function keepRunning(source: RouteSource): Promise<void> {
    const timings = deps.timings ?? usualTimings;
    const backoff = createBackoff(timings);
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      try {
        await source.run(publishFor(source), stopping.signal);
        return;
      } catch (thrown) {
        if (performance.now() - startedAt > timings.backoffMaxMs) backoff.reset();
        const nextMs = backoff.next();
        deps.fault(toError(thrown), source.name, nextMs);
        // Its first routes are not waited for any longer.
        heardOf(source.name);
        await sleep(nextMs, stopping.signal);
      }
    }
  }

  const running = sources.map(keepRunning);

  function firstRoutes(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const release = onAbort(signal, resolve);
      void first.promise.then(resolve).then(release);
    });
  }

  function reload(): void {
    for (const source of sources) source.reload?.();
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await Promise.all(running);
  }

  return { published: () => published, firstRoutes, passOver: heardOf, reload, stop };
}

const together = (parts: readonly Changes[]): Changes => ({
  added: parts.flatMap(({ added }) => added),
  removed: parts.flatMap(({ removed }) => removed),
  changed: parts.flatMap(({ changed }) => changed),
  conflicts: parts.flatMap(({ conflicts }) => conflicts),
});
