import { hostPort } from "../base/ip.ts";
import { debug, type Entry, info, seconds, warn } from "./entry.ts";
import type { ObserverEvent, ProcessEvent } from "./events.ts";

/** The log's entry for an event of the process as a whole, or of those that watch it. */
export function processEntry(event: ProcessEvent | ObserverEvent): Entry {
  switch (event.kind) {
    case "started":
      return info("automc-router starts", { version: event.version, commit: event.commit });
    case "setting-warning":
      return warn(event.message, {});
    case "listening":
      return info("listening for players", {
        listenAddress: hostPort(event.address, event.port),
        port: event.port,
        sessionLimit: event.sessionLimit,
      });
    case "api-listening":
      return info("API listening", { binding: event.binding });
    case "failed":
      return { level: "error", message: event.reason, fields: {} };
    case "reloading":
      return info("reloading files; settings are read at start only", {});
    case "reloaded":
      return debug("files reloaded", {});
    case "draining":
      return info("stopping: new players are refused, players in a game may finish", {
        signal: event.signal,
        sessions: event.sessions,
        limit: seconds(event.drainMs),
      });
    case "stopped":
      return info("stopped", { cut: event.cut });
    case "influx-lost":
      return warn("metrics do not reach InfluxDB", { reason: event.reason });
    case "influx-back":
      return info("metrics reach InfluxDB again", { dropped: event.dropped });
    case "notifier-lost":
      return warn("notices to WEBHOOK_URL are lost", { reason: event.reason });
    case "notifier-back":
      return info("notices to WEBHOOK_URL arrive again", { missed: event.missed });
  }
}
