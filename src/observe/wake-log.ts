import type { BackendEvent } from "../wake/event.ts";
import { debug, type Entry, info, seconds, warn } from "./entry.ts";

/** The log's entry for an event of a server that is started or stopped. */
export function wakeEntry(event: BackendEvent): Entry {
  const row = event.server;
  switch (event.kind) {
    case "wake-started":
      return info("starting the server", { row });
    case "wake-done":
      return info(event.by === "row" ? upWithoutWord : "the server is up", {
        row,
        backendHostPort: event.address,
        waiters: event.waiters,
        took: seconds(event.tookMs),
      });
    case "wake-failed":
      return warn("the server did not start", {
        row,
        reason: event.reason,
        waiters: event.waiters,
        took: seconds(event.tookMs),
      });
    case "wake-refused":
      return debug("the server sleeps and is not started", {
        row,
        why: event.why,
        reason: event.reason,
      });
    case "wake-abandoned":
      return info("the last player who waited for the server left; its start goes on", {
        row,
        took: seconds(event.tookMs),
      });
    case "control-plane-lost":
      return warn(controlPlaneTexts[event.call].lost, { row, reason: event.reason });
    case "control-plane-back":
      return info(controlPlaneTexts[event.call].back, { row });
    case "webhook-lost":
      return warn("the webhook did not start the server; it is dialled as it is", {
        row,
        reason: event.reason,
      });
    case "webhook-back":
      return info("the webhook starts the server again", { row });
    case "idle-armed":
      return debug("the server has no players", { row, sleepsIn: seconds(event.afterMs) });
    case "sleep-started":
      return info("putting the idle server to sleep", { row });
    case "sleep-done":
      return info("the server is asleep", { row, took: seconds(event.tookMs) });
    case "sleep-failed":
      return warn("the server could not be put to sleep", {
        row,
        reason: event.reason,
        next: seconds(event.retryMs),
      });
  }
}

type ControlPlaneCall = (BackendEvent & { readonly kind: "control-plane-lost" })["call"];

/** What is told when a call to the control plane begins to fail for a server, and when it succeeds again. */
const controlPlaneTexts: Readonly<Record<ControlPlaneCall, { lost: string; back: string }>> = {
  start: {
    lost: "the control plane does not start the server",
    back: "the control plane starts the server again",
  },
  status: {
    lost: "the control plane does not tell the server's state; the server is dialled at its row's address",
    back: "the control plane tells the server's state again",
  },
  stop: {
    lost: "the control plane does not stop the server",
    back: "the control plane stops the server again",
  },
};

const upWithoutWord =
  "the server accepts connections at its route's address, although nothing reported it up";
