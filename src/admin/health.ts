import type { Observer } from "../observe/bus.ts";
import type { SourceName } from "../routing/route.ts";
import { problem } from "./problem.ts";

/** One thing that keeps the router from being ready, and why. */
export interface NotReady {
  readonly name: string;
  readonly reason: string;
}

/** Whether a load balancer may send players here: the port is open, and every source has been read once. */
export interface Readiness {
  readonly observe: Observer;
  /** What is not ready yet, or no longer; empty: the router is ready. */
  notReady(): readonly NotReady[];
}

/** What readiness depends on. */
interface ReadinessDeps {
  /** The sources that have to be read before the router is ready. */
  readonly sources: readonly SourceName[];
  /** The sources that have published a whole set. */
  published(): ReadonlySet<SourceName>;
}

/**
 * A router that is not ready yet. A source that is lost later changes nothing: its last known routes are
 * served, and a load balancer that dropped the router for it would lock all players out over a database.
 */
export function createReadiness({ sources, published }: ReadinessDeps): Readiness {
  let port: "closed" | "open" | "closing" = "closed";
  const reasons = new Map<SourceName, string>();

  return {
    observe(event) {
      if (event.kind === "listening") port = "open";
      if (event.kind === "draining") port = "closing";
      if (event.kind === "source-lost") reasons.set(event.source, event.reason);
    },
    notReady() {
      const have = published();
      const missing = sources
        .filter((name) => !have.has(name))
        .map((name) => ({ name, reason: reasons.get(name) ?? "its routes are being read" }));
      if (port === "open") return missing;
      const reason = port === "closed" ? "it is not open yet" : "the router is stopping";
      return [{ name: "listener", reason }, ...missing];
    },
  };
}

/** `GET /healthz`: an answer of any kind means that the process works. */
export const healthResponse = (): Response => Response.json({ status: "ok" });

/** A source whose routes may have changed since they were read. */
interface AgedSource {
  readonly name: SourceName;
  /** Null before the first read. */
  readonly ageMs: number | null;
  /** How changes arrive; null while that is not known. */
  readonly mode: "notify" | "poll" | "reload" | null;
}

/**
 * `GET /readyz`. A router that serves a snapshot or lost a source is ready; its answer says how old those routes are,
 * and which sources do not tell of changes but are read again and again.
 */
export function readinessResponse(
  notReady: readonly NotReady[],
  sources: readonly AgedSource[],
): Response {
  if (notReady.length === 0) {
    const stale = sources.flatMap(({ name, ageMs }) =>
      ageMs === null || ageMs === 0 ? [] : [{ name, ageSeconds: Math.round(ageMs / 1000) }],
    );
    const polled = sources.filter(({ mode }) => mode === "poll").map(({ name }) => name);
    return Response.json({ status: "ready", stale, polled });
  }
  const detail = notReady.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  return problem("unavailable", detail, { members: { notReady } });
}
