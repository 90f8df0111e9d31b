import { isatty } from "node:tty";
import { build } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import type { Variables } from "../config/setting.ts";
import { createBus, type Observer } from "../observe/bus.ts";
import { createEventLog, type EventLog } from "../observe/event-log.ts";
import { type Level, type LogFormat, logLine } from "../observe/line.ts";
import { createLog } from "../observe/log.ts";
import { createMetrics, type Metrics } from "../observe/metrics.ts";
import { createOverview, type Overview } from "../observe/overview.ts";
import { createNotifier } from "../observe/webhook.ts";
import { createLineWriter, isJournal } from "../observe/writer.ts";

/** The observers of a router, on one bus. */
export interface Watch {
  readonly emit: Observer;
  readonly metrics: Metrics;
  readonly overview: Overview;
  readonly events: EventLog;
  /**
   * Resolves when everything has been sent, after a few seconds at the latest, and as soon as the signal
   * aborts.
   */
  stop(now: AbortSignal): Promise<void>;
}

/** A log on stderr that nothing holds up. */
export interface Log {
  readonly observe: Observer;
  /** The least urgent level that is written. */
  readonly level: { read(): Level; set(level: Level): void };
  /** Prints what no event says. */
  warn(message: string, fields: Readonly<Record<string, string | number>>): void;
  /** Lines lost because the reader is too slow. */
  dropped(): number;
  flush(): Promise<void>;
}

/** How long sending what is left may take at the end, ms. */
const noticesMs = 5_000;
const linesMs = 1_000;

/** Where stderr leads. */
interface ErrorStream {
  /** What systemd says about it (`JOURNAL_STREAM`); empty for nothing. */
  readonly journal: string;
  readonly isTerminal: boolean;
  /** False where the operator wants none (https://no-color.org). */
  readonly hasColours: boolean;
}

/** What is known of stderr from the environment. */
export const errorStream = (variables: Variables): ErrorStream => ({
  journal: variables["JOURNAL_STREAM"] ?? "",
  isTerminal: isatty(2),
  hasColours: (variables["NO_COLOR"] ?? "") === "" && variables["TERM"] !== "dumb",
});

/** On a terminal `logfmt` gives way to short lines. */
function formatFor(format: LogFormat, { isTerminal, hasColours }: ErrorStream): LogFormat {
  if (!isTerminal || format !== "logfmt") return format;
  return hasColours ? "colours" : "terminal";
}

/** The log alone. */
export function openLog(config: Config, stderr: ErrorStream): Log {
  const format = formatFor(config.log.format, stderr);
  let { level } = config.log;
  const journald = isJournal(2, stderr.journal);
  const now = (): string => new Date().toISOString();
  const line = (message: string, fields: Readonly<Record<string, string | number>>): string =>
    logLine({ time: now(), level: "warn", message, fields }, format, journald);
  const writer = createLineWriter({
    fd: 2,
    droppedLine: (count) =>
      line("log lines were lost: the reader of the log is too slow", { count }),
  });
  return {
    observe: createLog({
      level: () => level,
      format,
      recordLogins: config.recordLogins,
      journald,
      now,
      write: writer.write,
    }),
    level: {
      read: () => level,
      set(wanted) {
        level = wanted;
      },
    },
    warn: (message, fields) => writer.write(line(message, fields)),
    dropped: () => writer.dropped,
    flush: () => writer.flush(AbortSignal.timeout(linesMs)),
  };
}

/** Log, metrics and, where one is set, the webhook. A new observer is one more of them. */
export function watch(
  config: Config,
  log: Log,
  commandLine: readonly string[],
  further: readonly Observer[] = [],
): Watch {
  const metrics = createMetrics({
    ...config.metrics,
    recordLogins: config.recordLogins,
    version: build.version,
    commit: build.commit,
    commandLine,
    droppedLines: log.dropped,
    emit: (event) => emit(event),
  });
  const notifier =
    config.webhook &&
    createNotifier({
      ...config.webhook,
      now: () => new Date(),
      emit: (event) => emit(event),
    });
  const overview = createOverview(() => new Date());
  const events = createEventLog(() => new Date());
  const observers = [
    log.observe,
    metrics.observe,
    overview.observe,
    events.observe,
    ...(notifier ? [notifier.observe] : []),
    ...further,
  ];
  const emit = createBus(observers, (thrown) =>
    log.warn("an observer threw an error", { error: String(thrown) }),
  );

  async function stop(now: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([now, AbortSignal.timeout(noticesMs)]);
    await Promise.all([notifier?.flush(limit), metrics.stop(limit)]);
    await log.flush();
  }

  return { emit, metrics, overview, events, stop };
}
