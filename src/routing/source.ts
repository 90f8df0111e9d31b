import type { Route, SourceName } from "./route.ts";

/**
 * What changed among one source's routes: these ids are gone, then these routes are new or read
 * differently now.
 */
export interface Delta {
  readonly upsert: readonly Route[];
  readonly remove: readonly string[];
}

/** How a source tells the table what it knows. Every call takes effect before it returns. */
export interface Publish {
  /** The source's whole set; what is not in it is gone. */
  replace(routes: readonly Route[]): void;
  /**
   * The difference to what the source has published before. `more`: it is a part of a first set
   * that is too large for one call, and until the last part the source counts as one that has not
   * published.
   */
  patch(delta: Delta, more?: "more"): void;
}

/** A place that routes come from. A source owns its routes and never sees another source's. */
export interface RouteSource {
  readonly name: SourceName;
  /**
   * Publishes until the signal aborts, then resolves. A source that loses its origin keeps its last
   * routes published and tries again by itself.
   */
  run(publish: Publish, signal: AbortSignal): Promise<void>;
  /**
   * The operator asks for a reload (SIGHUP): secrets and files are read again, and used if they have changed.
   */
  reload?(): void;
}
