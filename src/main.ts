import { readFileSync } from "node:fs";
import { start } from "./app.ts";
import { type Config, parseConfig } from "./config/config.ts";
import { type Issue, issueText } from "./config/environment.ts";
import { helpText, variableForFlag } from "./config/reference.ts";
import { explain } from "./explain.ts";
import { createBus, type Observer } from "./observe/bus.ts";
import { logLine } from "./observe/line.ts";
import { createLog } from "./observe/log.ts";
import { createLineWriter, isJournal, type LineWriter } from "./observe/writer.ts";
import { err, ok, type Result } from "./result.ts";
import schema from "./sources/schema.sql" with { type: "text" };
import { sessionLimit } from "./system/limits.ts";
import { handleSignals } from "./system/signals.ts";
import { build, buildText } from "./version.ts";

/** The process's exit codes. */
const exitCodes = { fine: 0, failed: 1, configuration: 2 } as const;

/** How long the last log lines may take to be written, ms. */
const flushMs = 1_000;

function main(argv: readonly string[]): number | Promise<number> {
  const [command, ...rest] = argv;
  if (rest.length > (command === "explain" ? 1 : 0)) return misused(rest.at(-1) ?? "");
  switch (command) {
    case undefined:
      return run();
    case "check":
      return check();
    case "schema":
      process.stdout.write(schema);
      return exitCodes.fine;
    case "explain":
      return explainHost(rest[0]);
    case "version":
    case "--version":
      process.stdout.write(`${buildText}\n`);
      return exitCodes.fine;
    case "help":
    case "--help":
    case "-h":
      process.stdout.write(helpText());
      return exitCodes.fine;
    default:
      return misused(command);
  }
}

async function run(): Promise<number> {
  const parsed = readConfig();
  if (!parsed.ok) return refuse(parsed.error);
  const { config, warnings } = parsed.value;
  if (config.printVersion) {
    process.stdout.write(buildText);
    return exitCodes.fine;
  }

  const { emit, writer } = watch(config);
  emit({ kind: "started", version: build.version, commit: build.commit });
  for (const warning of warnings) emit({ kind: "setting-warning", message: issueText(warning) });

  // Before anything else that takes time: until then, SIGHUP would end the process.
  const now = new AbortController();
  const asked = Promise.withResolvers<string>();
  handleSignals({
    stop: asked.resolve,
    stopNow: () => now.abort(),
    reload: () => emit({ kind: "reloading" }),
  });

  const starting = start(config, { emit, sessionLimit: sessionLimit() });
  const started = await Promise.race([starting, asked.promise.then(() => null)]);
  if (started === null) {
    // The port is not open yet, so there is nobody to wait for.
    emit({ kind: "stopped", cut: 0 });
    await flush(writer);
    return exitCodes.fine;
  }
  if (!started.ok) {
    emit({ kind: "failed", reason: started.error });
    await flush(writer);
    return exitCodes.failed;
  }

  await started.value.stop(await asked.promise, now.signal);
  await flush(writer);
  return exitCodes.fine;
}

/** The log, and the last resort for what is thrown where nobody expects it: it is logged, and the players stay. */
function watch(config: Config): { readonly emit: Observer; readonly writer: LineWriter } {
  const { level, format } = config.log;
  const journald = isJournal(2, process.env["JOURNAL_STREAM"] ?? "");
  const now = (): string => new Date().toISOString();
  const line = (message: string, fields: Readonly<Record<string, string | number>>): string =>
    logLine({ time: now(), level: "warn", message, fields }, format, journald);
  const writer = createLineWriter({
    fd: 2,
    droppedLine: (count) =>
      line("log lines were lost: whoever reads the log is too slow", { count }),
  });
  const log = createLog({ level, format, journald, now, write: writer.write });
  const emit = createBus([log], (thrown) =>
    writer.write(line("an observer failed", { error: String(thrown) })),
  );
  const fault = (thrown: unknown): void =>
    emit({ kind: "fault", error: thrown instanceof Error ? thrown : new Error(String(thrown)) });
  process.on("uncaughtException", fault);
  process.on("unhandledRejection", fault);
  return { emit, writer };
}

async function flush(writer: LineWriter): Promise<void> {
  await writer.flush(AbortSignal.timeout(flushMs));
}

function check(): number {
  const parsed = readConfig();
  if (!parsed.ok) return refuse(parsed.error);
  for (const warning of parsed.value.warnings) {
    process.stdout.write(`warning: ${issueText(warning)}\n`);
  }
  process.stdout.write("the configuration is good\n");
  return exitCodes.fine;
}

async function explainHost(host: string | undefined): Promise<number> {
  if (host === undefined) {
    process.stderr.write("explain needs a hostname: automc-router explain play.example.com\n");
    return exitCodes.configuration;
  }
  const parsed = readConfig();
  if (!parsed.ok) return refuse(parsed.error);
  const { emit, writer } = watch(parsed.value.config);
  process.stdout.write(await explain(parsed.value.config, host, emit));
  await flush(writer);
  return exitCodes.fine;
}

function readConfig(): ReturnType<typeof parseConfig> {
  return parseConfig(process.env, readFile);
}

function readFile(path: string): Result<string, string> {
  try {
    return ok(readFileSync(path, "utf8"));
  } catch (cause) {
    return err(cause instanceof Error ? cause.message : String(cause));
  }
}

function refuse(problems: readonly Issue[]): number {
  for (const problem of problems) process.stderr.write(`${issueText(problem)}\n`);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  process.stderr.write(`${count} in the configuration; automc-router help lists every setting\n`);
  return exitCodes.configuration;
}

function misused(argument: string): number {
  const variable = variableForFlag(argument);
  process.stderr.write(
    variable === null
      ? `${JSON.stringify(argument)} is no command; automc-router help lists them\n`
      : `${argument}: automc-router is configured by environment variables only; set ${variable}\n`,
  );
  return exitCodes.configuration;
}

process.exit(await main(process.argv.slice(2)));
