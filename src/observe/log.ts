import type { Observer } from "./bus.ts";
import type { Entry } from "./entry.ts";
import type { RouterEvent } from "./events.ts";
import { type Level, type LogFormat, levels, logLine } from "./line.ts";
import { processEntry } from "./process-log.ts";
import { sessionEntry, sessionEventLevel } from "./session-log.ts";
import { sourceEntries } from "./source-log.ts";
import { summaryEntry } from "./summary-log.ts";
import { wakeEntry } from "./wake-log.ts";

/** What a log needs. */
export interface LogDeps {
  /** The least urgent level that is written; it may change at any time. */
  level(): Level;
  readonly format: LogFormat;
  /** Every attempt to log in has a line at info, also one that came to nothing. */
  readonly recordLogins: boolean;
  /** Lines carry a priority and no time, as journald adds its own. */
  readonly journald: boolean;
  /** The wall clock as RFC 3339 text. */
  now(): string;
  /** Takes one whole line; never blocks. */
  write(line: string): void;
}

/**
 * An observer that writes one line per event. The level tells who must act: what clients do is debug, what
 * an operator should mend is warn.
 */
export function createLog(deps: LogDeps): Observer {
  const { recordLogins, journald, format } = deps;
  return (event) => {
    const limit = levels.indexOf(deps.level());
    // Sessions come by the thousand: those below the level are skipped before a word of the line is made.
    const level = sessionEventLevel(event, recordLogins);
    if (level !== null && levels.indexOf(level) > limit) return;
    for (const entry of entriesOf(event, recordLogins)) {
      if (levels.indexOf(entry.level) > limit) continue;
      const time = journald ? null : deps.now();
      const fields = { event: event.kind, ...entry.fields };
      deps.write(logLine({ ...entry, time, fields }, format, journald));
    }
  };
}

/** What the log says about an event. */
export function entriesOf(event: RouterEvent, recordLogins: boolean): readonly Entry[] {
  switch (event.kind) {
    case "hostnames-unknown":
    case "backends-unreachable":
    case "accept-queue-long":
      return [summaryEntry(event)];

    case "session-accepted":
    case "clients-refused":
    case "session-holding":
    case "session-relaying":
    case "session-ended":
    case "fault":
      return [sessionEntry(event, recordLogins)];

    case "wake-started":
    case "wake-done":
    case "wake-failed":
    case "wake-refused":
    case "wake-abandoned":
    case "control-plane-lost":
    case "control-plane-back":
    case "webhook-lost":
    case "webhook-back":
    case "idle-armed":
    case "sleep-started":
    case "sleep-done":
    case "sleep-failed":
      return [wakeEntry(event)];

    case "routes-changed":
    case "source-live":
    case "source-lost":
    case "source-retry":
    case "row-skipped":
    case "service-state":
    case "source-warning":
    case "snapshot-loaded":
      return sourceEntries(event);

    case "started":
    case "setting-warning":
    case "listening":
    case "listening-for":
    case "api-listening":
    case "log-level-changed":
    case "api-changed":
    case "api-refused":
    case "failed":
    case "reloading":
    case "reloaded":
    case "draining":
    case "stopped":
    case "influx-lost":
    case "influx-back":
    case "notifier-lost":
    case "notifier-back":
      return [processEntry(event)];
  }
}
