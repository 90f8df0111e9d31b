import type { RouterView } from "../../../src/app/api.ts";
import { createEventLog } from "../../../src/observe/event-log.ts";
import type { Level } from "../../../src/observe/line.ts";
import { createOverview } from "../../../src/observe/overview.ts";

/** What the API shows of a router of which nothing is known yet. */
export function freshView(): RouterView {
  let level: Level = "info";
  const now = (): Date => new Date();
  return {
    overview: createOverview(now),
    events: createEventLog(now),
    logLevel: {
      read: () => level,
      set(wanted) {
        level = wanted;
      },
    },
  };
}
