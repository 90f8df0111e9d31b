import { createScope } from "../base/abort.ts";
import { type BackoffTimings, createBackoff } from "../base/backoff.ts";
import type { Result } from "../base/result.ts";
import { createAlarm, sleep } from "../base/wait.ts";
import type { Route, SourceName } from "../routing/route.ts";
import type { Publish } from "../routing/source.ts";
import type { SourceEvent } from "./event.ts";
import { createOutage } from "./outage.ts";

/** How watching ended. */
export type WatchEnd =
  /** In good order: it is watched on from the last listing that was heard. */
  | { readonly kind: "ended" }
  /** What has happened since cannot be told any more: everything is listed again, and no event is emitted. */
  | { readonly kind: "stale" }
  /** The platform is away, or does not do its part. `reason` is one readable phrase. */
  | { readonly kind: "lost"; readonly reason: string };

/** Hears what a watch tells. */
export interface WatchListener<Listing> {
  /** The watch works: whatever changes from now on will be told. */
  open(): void;
  /**
   * This is how it is by now; null: something has changed, and everything has to be listed again to
   * know what.
   */
  changed(now: Listing | null): void;
}

/** A platform that can tell what it has, and then what changes. */
export interface ListWatchOrigin<Listing> {
  /** Everything there is. The error is one readable phrase. */
  list(signal: AbortSignal): Promise<Result<Listing, string>>;
  /**
   * Tells what has changed since that listing, until the signal aborts or it cannot any more. Never
   * rejects.
   */
  watch(since: Listing, listener: WatchListener<Listing>, signal: AbortSignal): Promise<WatchEnd>;
}

/** Waits of the loop, ms. */
export interface ListWatchTimings extends BackoffTimings {
  /** The least time between two publications: a storm of changes becomes few. */
  readonly gapMs: number;
  /** A watch that lasted for so long has worked, and the pauses begin anew. */
  readonly provenMs: number;
}

/** What following a platform needs. */
interface ListWatchDeps<Listing> {
  readonly source: SourceName;
  readonly origin: ListWatchOrigin<Listing>;
  /** The routes that a listing makes, each with the source's name and an id of its own. */
  routes(listing: Listing): readonly Route[];
  /** Everything is listed again this often although nothing was told, ms; null: never. */
  readonly resyncMs: number | null;
  readonly emit: (event: SourceEvent) => void;
  /** Waits that differ from the usual ones. */
  readonly timings?: Partial<ListWatchTimings>;
}

const usualTimings: ListWatchTimings = {
  backoffMs: 250,
  backoffMaxMs: 15_000,
  gapMs: 100,
  provenMs: 5_000,
};

/**
 * Lists, publishes, watches, and begins again whenever the platform was lost, until the signal
 * aborts. What was published last stays meanwhile. It never rejects, but for what `routes` throws.
 */
export async function runListWatch<Listing>(
  deps: ListWatchDeps<Listing>,
  publish: Publish,
  signal: AbortSignal,
): Promise<void> {
  const { origin, resyncMs } = deps;
  const timings = { ...usualTimings, ...deps.timings };
  const outage = createOutage(deps.source, deps.emit);
  const backoff = createBackoff(timings);
  let routeCount = 0;
  let known: { readonly listing: Listing } | null = null;

  function apply(listing: Listing): void {
    known = { listing };
    const routes = deps.routes(listing);
    routeCount = routes.length;
    publish.replace(routes);
  }

  async function listAndApply(until: AbortSignal): Promise<string | null> {
    const listed = await origin.list(until);
    if (until.aborted) return null;
    if (!listed.ok) return listed.error;
    apply(listed.value);
    return null;
  }

  /** Watches from a listing on, and applies what it hears, until either cannot go on. */
  async function follow(since: Listing): Promise<WatchEnd> {
    const watching = createScope(signal);
    const alarm = createAlarm();
    const seen: { news: { readonly now: Listing | null } | null; end: WatchEnd | null } = {
      news: null,
      end: null,
    };
    const listener: WatchListener<Listing> = {
      open: () => outage.live(routeCount, "notify"),
      changed(now) {
        seen.news = { now };
        alarm.ring();
      },
    };
    const watch = origin.watch(since, listener, watching.signal).then((end) => {
      seen.end ??= end;
      alarm.ring();
    });
    while (seen.end === null) {
      await alarm.wait(resyncMs ?? longestWaitMs, signal);
      const now = seen.news?.now ?? null;
      if (signal.aborted) break;
      if (now !== null) {
        seen.news = null;
        apply(now);
      } else if (seen.end === null) {
        seen.news = null;
        const reason = await listAndApply(watching.signal);
        if (reason !== null) seen.end = { kind: "lost", reason };
      }
      await sleep(timings.gapMs, signal);
    }
    watching.abort();
    await watch;
    watching.release();
    if (seen.end === null) return { kind: "ended" };
    // Whatever was told last and not listed any more is found by listing.
    return seen.end.kind === "ended" && seen.news !== null ? { kind: "stale" } : seen.end;
  }

  /** One life of the link; why it ended, or null when it was in good order. */
  async function liveOnce(): Promise<string | null> {
    if (known === null) {
      const reason = await listAndApply(signal);
      if (reason !== null || known === null) return reason;
    }
    const startedAt = performance.now();
    const end = await follow(known.listing);
    if (performance.now() - startedAt >= timings.provenMs) backoff.reset();
    if (end.kind !== "ended") known = null;
    if (end.kind === "lost") return end.reason;
    // Once may be, but a platform that goes on like this does not work.
    return backoff.failures() < shortWatches ? null : "every watch ends at once";
  }

  while (!signal.aborted) {
    const reason = await liveOnce();
    if (signal.aborted) return;
    const nextMs = backoff.next();
    if (reason !== null) outage.down(reason, routeCount, nextMs);
    await sleep(nextMs, signal);
  }
}

/** So many watches in a row may end in good order before they have proven anything. */
const shortWatches = 5;

/** Where nothing but a change ends a wait: timers count milliseconds in 31 bits. */
const longestWaitMs = 2 ** 31 - 1;
