import type { Observer } from "./bus.ts";

/** How the router is, in the one line that `systemctl status` shows. */
interface ServiceStatus {
  readonly observe: Observer;
  /** The line now, with that many routes. */
  text(routes: number): string;
}

/** A router that has just started. */
export function createServiceStatus(): ServiceStatus {
  const waiting = new Set<number>();
  const playing = new Set<number>();
  let database: string | null = null;
  let stopping = false;

  const observe: Observer = (event) => {
    switch (event.kind) {
      case "session-holding":
        waiting.add(event.session.id);
        return;
      case "session-relaying":
        waiting.delete(event.session.id);
        if (event.session.player !== null) playing.add(event.session.id);
        return;
      case "session-ended":
        waiting.delete(event.session.id);
        playing.delete(event.session.id);
        return;
      case "source-live":
        if (event.source === "postgres") database = links[event.mode];
        return;
      case "source-lost":
        if (event.source === "postgres") database = "away, last known routes";
        return;
      case "draining":
        stopping = true;
        return;
      default:
        return;
    }
  };

  return {
    observe,
    text(routes) {
      const parts = [count(routes, "route"), count(playing.size, "player")];
      parts.push(`${waiting.size} waiting`);
      if (database !== null) parts.push(`database ${database}`);
      return `${stopping ? "stopping: " : ""}${parts.join(", ")}`;
    },
  };
}

const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? "" : "s"}`;

/** How changes arrive from the database. */
const links = { notify: "connected", poll: "polled", reload: "read" } as const;
