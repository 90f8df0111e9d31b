import { hostPort } from "../base/ip.ts";
import type { SourceName } from "../routing/route.ts";
import type { Observer } from "./bus.ts";

/** How a source of routes is. */
interface SourceStatus {
  readonly name: SourceName;
  readonly state: "reading" | "up" | "away" | "snapshot";
  /** How changes arrive: `notify` at once, `poll`, or `reload` at a SIGHUP; null while that is not known. */
  readonly mode: "notify" | "poll" | "reload" | null;
  /** How old its routes may be, ms; 0 while changes are followed, null before the first read. */
  readonly ageMs: number | null;
  /** Why it is away; null while it is not. */
  readonly reason: string | null;
}

/** A service that the router talks to besides sources and backends. */
export interface ServiceStatus {
  readonly name: string;
  readonly isUp: boolean;
  readonly reason: string | null;
}

/** Something that an operator should look at. */
interface Warning {
  /** RFC 3339. */
  readonly at: string;
  readonly message: string;
}

/** What events have told about the router as a whole. */
export interface Overview {
  readonly observe: Observer;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Where clients are accepted; null before that. */
  listening(): string | null;
  /** Most clients at once; null before the port is open. */
  sessionLimit(): number | null;
  /** Players who are joined to a backend, and clients that wait for one. */
  counts(): { readonly relaying: number; readonly waiting: number };
  sources(): readonly SourceStatus[];
  services(): readonly ServiceStatus[];
  /** The newest warnings, oldest first: settings at the start, entries of sources that are skipped. */
  warnings(): readonly Warning[];
}

interface Source {
  state: SourceStatus["state"];
  mode: SourceStatus["mode"];
  staleSince: number | null;
  reason: string | null;
}

const keptWarnings = 50;

/** An overview of a router that has just started. `sources` are those that it was given. */
export function createOverview(now: () => Date): Overview {
  const startedAt = now();
  const sources = new Map<SourceName, Source>();
  const trouble = createTrouble();
  const warnings: Warning[] = [];
  const waiting = new Set<number>();
  const relaying = new Set<number>();
  let listening: string | null = null;
  let sessionLimit: number | null = null;

  function warned(message: string): void {
    warnings.push({ at: now().toISOString(), message });
    if (warnings.length > keptWarnings) warnings.shift();
  }

  function sessionEvent(event: Parameters<Observer>[0]): void {
    switch (event.kind) {
      case "session-holding":
        waiting.add(event.session.id);
        return;
      case "session-relaying":
        waiting.delete(event.session.id);
        relaying.add(event.session.id);
        return;
      case "session-ended":
        waiting.delete(event.session.id);
        relaying.delete(event.session.id);
        return;
      default:
        return;
    }
  }

  function sourceEvent(event: Parameters<Observer>[0]): void {
    switch (event.kind) {
      case "source-live":
        sources.set(event.source, {
          state: "up",
          mode: event.mode,
          staleSince: null,
          reason: null,
        });
        return;
      case "source-lost": {
        const known = sources.get(event.source);
        const staleSince = known?.staleSince ?? now().getTime();
        const state = known?.state === "snapshot" ? "snapshot" : "away";
        sources.set(event.source, { state, mode: null, staleSince, reason: event.reason });
        return;
      }
      case "snapshot-loaded": {
        const staleSince = now().getTime() - event.ageMs;
        const reason = sources.get(event.source)?.reason ?? null;
        sources.set(event.source, { state: "snapshot", mode: null, staleSince, reason });
        return;
      }
      case "row-skipped":
        warned(`${event.source}: ${event.row} is skipped: ${event.reason}`);
        return;
      case "source-warning":
        warned(`${event.source}: ${event.message}`);
        return;
      default:
        return;
    }
  }

  return {
    startedAt: startedAt.toISOString(),
    observe(event) {
      sessionEvent(event);
      sourceEvent(event);
      switch (event.kind) {
        case "listening":
          listening = hostPort(event.address, event.port);
          sessionLimit = event.sessionLimit;
          return;
        case "setting-warning":
          warned(event.message);
          return;
        case "control-plane-lost":
          trouble.lost(`control plane, ${event.call}`, event.server, event.reason);
          return;
        case "control-plane-back":
          trouble.back(`control plane, ${event.call}`, event.server);
          return;
        case "webhook-lost":
          trouble.lost("webhook", event.server, event.reason);
          return;
        case "webhook-back":
          trouble.back("webhook", event.server);
          return;
        case "influx-lost":
          trouble.lost("InfluxDB", "", event.reason);
          return;
        case "influx-back":
          trouble.back("InfluxDB", "");
          return;
        case "notifier-lost":
          trouble.lost("notices", "", event.reason);
          return;
        case "notifier-back":
          trouble.back("notices", "");
          return;
        default:
          return;
      }
    },
    listening: () => listening,
    sessionLimit: () => sessionLimit,
    counts: () => ({ relaying: relaying.size, waiting: waiting.size }),
    sources: () =>
      [...sources].map(([name, { state, mode, staleSince, reason }]) => {
        const ageMs = staleSince === null ? 0 : Math.max(0, now().getTime() - staleSince);
        return { name, state, mode, ageMs, reason };
      }),
    services: trouble.services,
    warnings: () => warnings,
  };
}

/** Keeps by service for which servers it fails, and why: it is up again when it fails for none. */
function createTrouble() {
  const services = new Map<string, Map<string, string>>();
  return {
    lost(name: string, server: string, reason: string): void {
      const failing = services.get(name) ?? new Map<string, string>();
      failing.set(server, server === "" ? reason : `${server}: ${reason}`);
      services.set(name, failing);
    },
    back(name: string, server: string): void {
      const failing = services.get(name) ?? new Map<string, string>();
      failing.delete(server);
      services.set(name, failing);
    },
    services: (): readonly ServiceStatus[] =>
      Array.from(services, ([name, failing]) => {
        const reason = [...failing.values()].at(-1) ?? null;
        return { name, isUp: reason === null, reason };
      }),
  };
}
