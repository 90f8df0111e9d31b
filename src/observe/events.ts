import type { SourceEvent } from "../providers/event.ts";
import type { SourceName } from "../routing/route.ts";
import type { Changes } from "../routing/table.ts";
import type { SessionEvent } from "../session/event.ts";
import type { BackendEvent } from "../wake/event.ts";
import type { InfluxEvent } from "./influx.ts";
import type { Level } from "./line.ts";

/** What a source's publication did to the table. */
export interface RouteEvent {
  readonly kind: "routes-changed";
  readonly source: SourceName;
  readonly changes: Changes;
}

/** What the process does as a whole. */
export type ProcessEvent =
  | { readonly kind: "started"; readonly version: string; readonly commit: string }
  /** A setting that works, but perhaps not as meant. */
  | { readonly kind: "setting-warning"; readonly message: string }
  | {
      readonly kind: "listening";
      readonly address: string;
      readonly port: number;
      readonly sessionLimit: number;
    }
  /** A further port is open; clients that connect there are routed by this hostname, whatever they send. */
  | {
      readonly kind: "listening-for";
      readonly address: string;
      readonly port: number;
      readonly hostname: string;
    }
  | { readonly kind: "api-listening"; readonly binding: string }
  | { readonly kind: "log-level-changed"; readonly level: Level }
  /** It could not start, or not go on. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "reloading" }
  | { readonly kind: "reloaded" }
  /** No new clients from here on; waiting players are told, those in a game may go on for `drainMs`. */
  | {
      readonly kind: "draining";
      readonly signal: string;
      readonly sessions: number;
      readonly drainMs: number;
    }
  | { readonly kind: "stopped"; readonly cut: number };

/** What happens to those who watch. */
export type ObserverEvent =
  | InfluxEvent
  /** Notices to the operator's web server are lost. Emitted once until one arrives again. */
  | { readonly kind: "notifier-lost"; readonly reason: string }
  | { readonly kind: "notifier-back"; readonly missed: number };

/**
 * What callers of the API did, for the operator. `client` is an IP literal, or says that it was a unix
 * socket; `path` is as it was sent.
 */
export type AuditEvent = {
  readonly method: string;
  readonly path: string;
  readonly client: string;
  /** Of the answer. */
  readonly status: number;
} & (
  | { readonly kind: "api-changed" }
  /** Refused for its token, host or origin. `count`: so many requests since the last event of this kind. */
  | { readonly kind: "api-refused"; readonly count: number }
);

/** What happens too often for a line each, summed up for the operator. */
export type SummaryEvent =
  /**
   * Clients asked for hostnames without a route. `near` is the hostname with a route that was most likely
   * meant.
   */
  | {
      readonly kind: "hostnames-unknown";
      readonly count: number;
      readonly hostname: string;
      readonly near: string | null;
    }
  /** Backends took no connection. */
  | {
      readonly kind: "backends-unreachable";
      readonly count: number;
      readonly route: string;
      readonly backend: string;
      readonly reason: string | null;
    }
  /** Clients wait longer than a second for their turn. */
  | { readonly kind: "accept-queue-long"; readonly waitMs: number; readonly perSecond: number };

/** Everything that happens, for those who watch. */
export type RouterEvent =
  | SessionEvent
  | BackendEvent
  | SourceEvent
  | RouteEvent
  | ProcessEvent
  | ObserverEvent
  | AuditEvent
  | SummaryEvent;
