import type { SwarmService } from "./service.ts";
import { isRunning, newestFirst, type SwarmTask } from "./task.ts";

/** How a service is, by its tasks. */
export type ServiceState =
  /** It shall have no tasks. */
  | { readonly kind: "sleeping" }
  /** The tasks that run, the newest first. */
  | { readonly kind: "running"; readonly tasks: readonly SwarmTask[] }
  /**
   * Its last task has ended, and the Swarm starts the next one after a pause: at `until`, ms since
   * the epoch.
   */
  | { readonly kind: "restart-delay"; readonly until: number }
  /** Its last task has ended, and the Swarm does not start another. */
  | { readonly kind: "failed" }
  /** It shall have tasks, and none of them runs yet. */
  | { readonly kind: "waking" };

/** What a task is before it has ended. */
const livingStates: ReadonlySet<string> = new Set([
  "new",
  "pending",
  "assigned",
  "accepted",
  "preparing",
  "ready",
  "starting",
  "running",
]);

/**
 * The state of a service with these tasks, all that the Swarm still knows. mc-router's table, in
 * its order.
 */
export function serviceState(service: SwarmService, tasks: readonly SwarmTask[]): ServiceState {
  if (service.replicas === 0) return { kind: "sleeping" };
  const ordered = newestFirst(tasks);
  const running = ordered.filter(isRunning);
  if (running.length > 0) return { kind: "running", tasks: running };

  const ready = ordered.filter(({ desired }) => desired === "ready");
  // During an update a ready task waits for the one that it replaces, and not because anything has failed.
  if (ready.length > 0 && !service.isUpdating) {
    const since = Math.max(...ready.map((task) => task.since));
    return { kind: "restart-delay", until: since + service.restartDelayMs };
  }

  const [latest] = ordered;
  const hasFailed = latest?.desired === "shutdown" && !ordered.some(isActive);
  return { kind: hasFailed ? "failed" : "waking" };
}

const isActive = ({ state, desired }: SwarmTask): boolean =>
  livingStates.has(state) || desired === "ready" || desired === "running";
