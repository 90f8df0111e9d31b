import { createTimedScope } from "../base/abort.ts";
import type { Observer } from "../observe/bus.ts";
import { createServiceStatus } from "../observe/service-status.ts";
import { monotonicUs, type Notify, openNotify } from "../system/notify.ts";
import { startWatchdog, type Watchdog, watchdogTimeout } from "../system/watchdog.ts";
import type { App } from "./start.ts";

/** The router as its service manager sees it. */
export interface Service {
  readonly observe: Observer;
  /** Why the service manager cannot be told; null when it can, or when there is none. */
  readonly problem: string | null;
  /**
   * The router has its port: the watchdog is fed from now on, and the router reported ready as soon as each
   * source has published, or 30 s after the start.
   */
  opened(app: OpenedApp): void;
  stop(): void;
}

/** What is told of the router. */
type OpenedApp = Pick<App, "routes" | "isAccepting" | "firstRoutes">;

/**
 * How long a router without its routes waits before it counts as ready, ms: systemd would stop the old
 * instance of an upgrade for it.
 */
const readyMs = 30_000;

/** Between two looks at the status, and between two extensions of a stop, ms. */
const beatMs = 2_000;

/**
 * How far each beat extends the time that systemd allows for a stop, ms. The drain has a limit of its own.
 */
const extensionMs = 30_000;

/**
 * The connection to systemd, by the variables that it gives to its services; without them it does nothing.
 */
export function openService(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): Service {
  const path = variables["NOTIFY_SOCKET"] ?? "";
  if (path === "") return { ...unwatched, problem: null };
  const notify = openNotify(path);
  if (!notify.ok) return { ...unwatched, problem: notify.error };
  return createService(notify.value, watchdogTimeout(variables, pid));
}

const unwatched = { observe: () => {}, opened: () => {}, stop: () => {} };

function createService(notify: Notify, watchdogMs: number | null): Service {
  const status = createServiceStatus();
  const patience = createTimedScope(readyMs, new AbortController().signal);
  let app: OpenedApp | null = null;
  let isReady = false;
  let watchdog: Watchdog | null = null;
  let timer: ReturnType<typeof setInterval> | null = null;
  let isStopping = false;
  let told = "";

  const isUp = (): boolean => isReady && !isStopping;

  const currentText = (): string =>
    `${isReady || isStopping ? "" : "waiting for the first routes: "}${status.text(app?.routes() ?? 0)}`;

  function statusText(): string {
    told = currentText();
    return told;
  }

  function beat(): void {
    if (isStopping) notify({ EXTEND_TIMEOUT_USEC: extensionMs * 1_000 });
    if (app !== null && currentText() !== told) notify({ STATUS: statusText() });
  }

  return {
    problem: null,
    observe(event) {
      status.observe(event);
      switch (event.kind) {
        case "reloading":
          if (isUp()) notify({ RELOADING: 1, MONOTONIC_USEC: monotonicUs() ?? 0 });
          return;
        case "reloaded":
          if (isUp()) notify({ READY: 1, STATUS: statusText() });
          return;
        case "failed":
          notify({ STATUS: event.reason });
          return;
        case "draining":
          isStopping = true;
          notify({ STOPPING: 1, STATUS: statusText() });
          beat();
          return;
        default:
          return;
      }
    },
    opened(started) {
      app = started;
      void started.firstRoutes(patience.signal).then(() => {
        patience.release();
        if (isStopping) return;
        isReady = true;
        notify({ READY: 1, STATUS: statusText() });
      });
      timer = setInterval(beat, beatMs);
      if (watchdogMs === null) return;
      watchdog = startWatchdog({
        timeoutMs: watchdogMs,
        // A port that was closed on purpose accepts no client.
        isWell: () => isStopping || started.isAccepting(),
        feed: () => notify({ WATCHDOG: 1 }),
      });
    },
    stop() {
      patience.abort();
      patience.release();
      if (timer !== null) clearInterval(timer);
      watchdog?.stop();
    },
  };
}
