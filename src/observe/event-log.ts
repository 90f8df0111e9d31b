import type { Observer } from "./bus.ts";
import type { RouterEvent } from "./events.ts";
import type { Fields, Level } from "./line.ts";
import { entriesOf } from "./log.ts";

/** One thing that happened, as the log has it. */
export interface LoggedEvent {
  /** Counts up from 1. */
  readonly id: number;
  /** RFC 3339. */
  readonly time: string;
  readonly event: RouterEvent["kind"];
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

/** The newest events, and a way to follow them. */
export interface EventLog {
  readonly observe: Observer;
  /** Tells this run's events from those of the runs before. */
  readonly run: string;
  /** Events after that id, oldest first; all that are kept for an id that is not known. */
  since(id: number): readonly LoggedEvent[];
  /** Calls `take` for each new event until the returned function is called. */
  follow(take: (event: LoggedEvent) => void): () => void;
}

/** Events that are kept. */
const kept = 1_000;

/** A log of events without any. Connections and pings are left out: they come by the thousand. */
export function createEventLog(now: () => Date): EventLog {
  const events: LoggedEvent[] = [];
  const followers = new Set<(event: LoggedEvent) => void>();
  let lastId = 0;

  return {
    run: now().getTime().toString(36),
    observe(event) {
      if (!isKept(event)) return;
      const time = now().toISOString();
      for (const { level, message, fields } of entriesOf(event, false)) {
        lastId += 1;
        const logged = { id: lastId, time, event: event.kind, level, message, fields };
        events.push(logged);
        if (events.length > kept) events.shift();
        for (const take of [...followers]) take(logged);
      }
    },
    since: (id) => events.filter((event) => event.id > id),
    follow(take) {
      followers.add(take);
      return () => void followers.delete(take);
    },
  };
}

function isKept(event: RouterEvent): boolean {
  switch (event.kind) {
    case "session-accepted":
    case "clients-refused":
      return false;
    case "session-holding":
    case "session-relaying":
    case "session-ended":
      return event.session.intent === "login" || event.session.intent === "transfer";
    default:
      return true;
  }
}
