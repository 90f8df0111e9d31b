import { hostPort } from "../base/ip.ts";
import { debug, type Entry, info, seconds, warn } from "./entry.ts";
import type { AuditEvent, ObserverEvent, ProcessEvent } from "./events.ts";
import { clientText, type Fields } from "./line.ts";

/** The log's entry for an event of the process as a whole, or of those that watch it. */
export function processEntry(event: ProcessEvent | ObserverEvent | AuditEvent): Entry {
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
    case "listening-for":
      return info("listening for players of one hostname", {
        listenAddress: hostPort(event.address, event.port),
        port: event.port,
        server: event.hostname,
      });
    case "api-listening":
      return info("API listening", { binding: event.binding });
    case "log-level-changed":
      return info("the log level is changed", { logLevel: event.level });
    case "api-changed":
      return info("a change was requested by the API", auditFields(event));
    case "api-refused":
      return warn("a request to the API was refused", {
        ...auditFields(event),
        count: event.count,
      });
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

const auditFields = ({ method, path, client, status }: AuditEvent): Fields => ({
  client,
  method: clientText(method),
  path: clientText(path),
  status,
});
