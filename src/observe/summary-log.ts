import { type Entry, seconds, warn } from "./entry.ts";
import type { SummaryEvent } from "./events.ts";
import { clientText } from "./line.ts";

/** The log's entry for a summary. */
export function summaryEntry(event: SummaryEvent): Entry {
  switch (event.kind) {
    case "hostnames-unknown":
      return warn("clients asked for hostnames that have no route", {
        count: event.count,
        lastServer: clientText(event.hostname),
        nearest: event.near,
      });
    case "backends-unreachable":
      return warn("backends take no connections", {
        count: event.count,
        lastRoute: event.route,
        lastBackend: event.backend,
        reason: event.reason,
      });
    case "accept-queue-long":
      return warn("clients wait for their turn: raise CONNECTION_RATE_LIMIT", {
        wait: seconds(event.waitMs),
        connectionsPerSecond: event.perSecond,
      });
  }
}
