import type { SourceEvent } from "../providers/event.ts";
import { patternText } from "../routing/pattern.ts";
import type { Claim } from "../routing/table.ts";
import { debug, type Entry, info, seconds, warn } from "./entry.ts";
import type { RouteEvent } from "./events.ts";
import type { Fields } from "./line.ts";

/** More changed routes than this at once are summed up in one line. */
const routeLines = 20;

/** The log's entries for an event of a source of routes. */
export function sourceEntries(event: SourceEvent | RouteEvent): readonly Entry[] {
  if (event.kind === "routes-changed") return routeEntries(event);
  return [sourceEntry(event)];
}

function sourceEntry(event: SourceEvent): Entry {
  const { source } = event;
  switch (event.kind) {
    case "source-live":
      return info("routes are read and kept up to date", {
        source,
        routes: event.routes,
        changes: changesText[event.mode],
        away: event.awayMs > 0 ? seconds(event.awayMs) : null,
      });
    case "source-lost":
      return warn(event.routes > 0 ? routesStay : "the source of routes does not answer", {
        source,
        reason: event.reason,
        routes: event.routes,
      });
    case "source-retry":
      return debug("the source of routes is still away", {
        source,
        reason: event.reason,
        next: seconds(event.nextMs),
      });
    case "row-skipped":
      return warn("an entry cannot be used and is skipped", {
        source,
        row: event.row,
        reason: event.reason,
      });
    case "service-state": {
      const { service, before, state } = event;
      const entry = state === "failed" ? warn : info;
      return entry("the state of a service has changed", { source, service, before, state });
    }
    case "source-warning":
      return warn(event.message, { source });
    case "snapshot-loaded":
      return info("routes are taken from the snapshot file until their source answers", {
        source,
        routes: event.routes,
        path: event.path,
        age: seconds(event.ageMs),
      });
  }
}

const changesText = { notify: "heard at once", poll: "polled", reload: "at a reload" } as const;

const routesStay = "the source of routes is lost; its last known routes stay in force";

/** One line for each hostname that leads elsewhere now, or one for all of them where there are many. */
function routeEntries({ source, changes }: RouteEvent): readonly Entry[] {
  const { added, removed, changed, conflicts } = changes;
  const entries: Entry[] = conflicts.map(({ pattern, winner, loser }) =>
    warn("two routes claim one hostname; the first one has it", {
      server: patternText(pattern),
      winner: `${winner.source} ${winner.id}`,
      loser: `${loser.source} ${loser.id}`,
    }),
  );
  const count = added.length + removed.length + changed.length;
  if (count > routeLines) {
    const sums = { source, added: added.length, removed: removed.length, changed: changed.length };
    return [...entries, info("routes changed", sums)];
  }
  for (const claim of added) entries.push(info("route added", claimFields(claim)));
  for (const { after } of changed) entries.push(info("route changed", claimFields(after)));
  for (const claim of removed) entries.push(info("route removed", claimFields(claim)));
  return entries;
}

const claimFields = ({ pattern, route }: Claim): Fields => ({
  serverAddress: patternText(pattern),
  backend: route.address.text,
  source: route.source,
  row: route.source === "env" ? null : route.id,
});
