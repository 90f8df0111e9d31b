import { readFileSync, statSync } from "node:fs";
import type { RouterView } from "./app/api.ts";
import { readConfig, refuse } from "./app/cli/configuration.ts";
import { runCommand } from "./app/cli/run-command.ts";
import { exitCodes, type Terminal } from "./app/cli/terminal.ts";
import { errorStream, openLog, watch } from "./app/observers.ts";
import { start } from "./app/start.ts";
import { openService, type Service } from "./app/systemd.ts";
import { err, ok, type Result } from "./base/result.ts";
import { messageOf, toError } from "./base/thrown.ts";
import { build, buildText } from "./base/version.ts";
import type { Config } from "./config/config.ts";
import { issueText } from "./config/environment.ts";
import { secretVariables } from "./config/settings.ts";
import { libpqVariables } from "./config/unused.ts";
import type { Observer } from "./observe/bus.ts";
import type { Metrics } from "./observe/metrics.ts";
import { inheritedSockets } from "./system/activation.ts";
import { wipeVariable } from "./system/environment-memory.ts";
import { createFaultLimit } from "./system/fault-limit.ts";
import { makeFirstFetch } from "./system/first-fetch.ts";
import { libc } from "./system/libc.ts";
import { sessionLimit } from "./system/limits.ts";
import { handleSignals } from "./system/signals.ts";
import { localTimeFile, zoneOfFile } from "./system/time-zone.ts";

const withoutLibrary =
  "the C library cannot be called, so machines that vanish are noticed late and secrets stay in the environment";

const defectsText =
  "more than 10 unexpected errors within a minute: the router ends when its players have left, to be started anew";

/**
 * Webhooks tell local times. The runtime heeds `TZ`, and else the name of the zone file instead of what is in
 * it.
 */
function keepLocalTime(): void {
  if ((process.env["TZ"] ?? "") !== "") return;
  try {
    const zone = zoneOfFile(readFileSync(localTimeFile), new Date());
    if (zone !== null && zone !== new Intl.DateTimeFormat().resolvedOptions().timeZone) {
      process.env["TZ"] = zone;
    }
  } catch {
    // Without the file it is UTC, as the runtime has it.
  }
}

async function run(): Promise<number> {
  keepLocalTime();
  const parsed = readConfig(terminal);
  if (!parsed.ok) return refuse(terminal, parsed.error);
  const { config, warnings } = parsed.value;
  if (config.printVersion) {
    process.stdout.write(buildText);
    return exitCodes.yes;
  }
  for (const name of secretVariables) {
    delete process.env[name];
    wipeVariable(name);
  }

  const service = openService(process.env, process.pid);
  const log = openLog(config, errorStream(terminal.variables));
  const ending = Promise.withResolvers<Ending>();
  const watching = watch(config, log, [process.execPath], [service.observe, endByFaults(ending)]);
  const { emit, metrics, overview, events } = watching;
  const fault = (thrown: unknown): void => emit({ kind: "fault", error: toError(thrown) });
  // Errors that no code catches are logged; the sessions go on.
  process.on("uncaughtException", fault);
  process.on("unhandledRejection", fault);
  makeFirstFetch();
  emit({ kind: "started", version: build.version, commit: build.commit });
  for (const warning of warnings) emit({ kind: "setting-warning", message: issueText(warning) });
  warnOfSystem(emit, service);
  const now = new AbortController();
  const view = { overview, events, logLevel: log.level };
  const deps = { emit, metrics, view, service, ending };
  const code = await serve(config, deps, now).catch((thrown: unknown) => {
    // Without this the process would live on, without a port and deaf to signals.
    fault(thrown);
    return exitCodes.no;
  });
  await watching.stop(now.signal);
  service.stop();
  return code;
}

/** Says what the system keeps the router from. */
function warnOfSystem(emit: Observer, service: Service): void {
  const library = libc();
  if (!library.ok && process.platform === "linux") {
    emit({ kind: "setting-warning", message: `${withoutLibrary}: ${library.error}` });
  }
  if (service.problem !== null) {
    emit({ kind: "setting-warning", message: `systemd is told nothing: ${service.problem}` });
  }
}

/** In the executable as in the sources, a script's place is told from where this file lies. */
const relayScript = new URL("./net/relay/worker.ts", import.meta.url);

/** Why the router ends, and with which code. */
interface Ending {
  readonly reason: string;
  readonly code: number;
}

/**
 * An observer that ends the router when more shows of its own defects than single sessions can be to blame
 * for.
 */
function endByFaults(ending: PromiseWithResolvers<Ending>): Observer {
  const isTooMany = createFaultLimit();
  return ({ kind }) => {
    if (kind === "fault" && isTooMany()) {
      ending.resolve({ reason: "defects", code: exitCodes.defects });
    }
  };
}

interface ServeDeps {
  readonly emit: Observer;
  readonly metrics: Metrics;
  readonly view: RouterView;
  readonly service: Service;
  readonly ending: PromiseWithResolvers<Ending>;
}

/**
 * Runs the router until a signal, or its own defects, end it; gives the exit code. A second signal aborts
 * `now`.
 */
async function serve(
  config: Config,
  { emit, metrics, view, service, ending }: ServeDeps,
  now: AbortController,
): Promise<number> {
  const inherited = inheritedSockets(process.env, process.pid);
  if (!inherited.ok) {
    emit({ kind: "failed", reason: inherited.error });
    return exitCodes.no;
  }
  // Before anything else that takes time: until then, SIGHUP would end the process.
  const deps = {
    emit,
    metrics,
    view,
    sessionLimit: sessionLimit(),
    relayScript,
    inherited: inherited.value,
  };
  const starting = start(config, deps);
  handleSignals({
    stop: (reason) => ending.resolve({ reason, code: exitCodes.yes }),
    stopNow: () => now.abort(),
    reload: () => {
      void starting.then((started) => (started.ok ? started.value.reload() : undefined));
    },
  });

  const started = await Promise.race([starting, ending.promise]);
  if ("reason" in started) {
    // The port is not open yet, so there are no sessions to wait for.
    emit({ kind: "stopped", cut: 0 });
    return started.code;
  }
  if (!started.ok) {
    emit({ kind: "failed", reason: started.error });
    return exitCodes.no;
  }
  service.opened(started.value);
  const { reason, code } = await ending.promise;
  if (code === exitCodes.defects) emit({ kind: "failed", reason: defectsText });
  await started.value.stop(reason, now.signal);
  return code;
}

function readFile(path: string): Result<string, string> {
  try {
    // Editors of other systems put a byte order mark in front, which is no part of the text.
    return ok(readFileSync(path, "utf8").replace(/^\ufeff/, ""));
  } catch (cause) {
    return err(messageOf(cause));
  }
}

function isWorldReadable(path: string): boolean {
  const worldMayRead = 0o004;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && (stats.mode & worldMayRead) !== 0;
}

const terminal: Terminal = {
  variables: { ...process.env },
  readFile,
  isWorldReadable,
  isTty: process.stdout.isTTY,
  print: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
};
// postgres.js reads libpq's variables unasked, so they are taken away; the connection string says everything.
for (const name of libpqVariables(process.env)) delete process.env[name];

const argv = process.argv.slice(2);
process.exit(await (argv.length === 0 ? run() : runCommand(argv, terminal)));
