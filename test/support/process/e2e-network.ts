import type { TestDatabase, TestPostgres } from "../postgres/postgres.ts";
import type { ControlPlane } from "./control-plane.ts";
import { type LogLine, type Router, runRouter, startRouter } from "./router.ts";

/** One row of the table `servers`. */
export interface ServerRow {
  readonly name: string;
  readonly domain: string;
  readonly address: string;
}

/** A router whose routes are in a database of its own. Dispose kills the router; the database goes with its server. */
export interface Network extends AsyncDisposable {
  readonly router: Router;
  readonly database: TestDatabase;
  /** The router's settings, to start another one with or to ask it something. */
  readonly env: Readonly<Record<string, string>>;
  /** What `automc-router explain` says about a hostname. */
  explain(hostname: string): Promise<string>;
}

/** What a network is made of. */
export interface NetworkOptions {
  readonly postgres: TestPostgres;
  /** SQL that makes the table; by default what `automc-router schema` prints. */
  readonly schema?: string;
  readonly rows?: readonly ServerRow[];
  /** Starts what the rows name. Without it nothing is woken. */
  readonly plane?: ControlPlane;
  /** Put in front of the router's command, such as `prlimit …`. */
  readonly within?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A rate that never makes a test's connections queue. */
export const noQueue = { CONNECTION_RATE_LIMIT: "100000" } as const;

/** What `automc-router schema` prints. */
export const printedSchema = (): Promise<string> => printed("schema");

/** What `automc-router unit` prints. */
export const printedUnit = (kind: "service" | "template" | "socket"): Promise<string> =>
  kind === "service" ? printed("unit") : printed("unit", kind);

async function printed(...command: readonly string[]): Promise<string> {
  const { exitCode, stdout } = await runRouter(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${exitCode}`);
  return stdout;
}

/** A fresh database with the table, and a router that has read it. */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { postgres, rows = [], plane, within = [] } = options;
  const database = await postgres.createDatabase();
  await database.sql.unsafe(options.schema ?? (await printedSchema()));
  await insertRows(database, rows);
  const env = {
    ...noQueue,
    AUTOMC_DSN: database.dsn(),
    ...(plane && { AUTOMC_WAKER_URL: plane.url, AUTOMC_WAKER_POLL_INTERVAL: "200ms" }),
    ...options.env,
  };
  const router = await startRouter({ env, within });
  return {
    router,
    database,
    env,
    async explain(hostname) {
      const { exitCode, stdout, stderr } = await runRouter(["explain", hostname], env);
      // 1 is the answer that no route leads there.
      if (exitCode > 1) throw new Error(`explain ended with ${exitCode}: ${stderr}`);
      return stdout;
    },
    [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
  };
}

/** Adds rows one by one. */
export async function insertRows({ sql }: TestDatabase, rows: readonly ServerRow[]): Promise<void> {
  for (const { name, domain, address } of rows) {
    await sql`INSERT INTO servers (name, domain, address) VALUES (${name}, ${domain}, ${address})`;
  }
}

/** The lines of one kind of event, oldest first. */
export const linesOf = (router: Router, event: string): readonly LogLine[] =>
  router.lines.filter((line) => line["event"] === event);

/** Waits for the line that a player's session ends with. */
export const sessionEnd = (router: Router, player: string, timeoutMs?: number): Promise<LogLine> =>
  router.waitForLine(
    (line) =>
      line["event"] === "session-ended" && String(line["player"]).split("/", 1)[0] === player,
    timeoutMs,
  );

/** Summaries of what clients ask for: warnings, and no fault of the router. */
const summaries: ReadonlySet<unknown> = new Set(["hostnames-unknown", "backends-unreachable"]);

/** Warnings and errors, but for those that only sum up what clients ask for. */
export const complaints = (router: Router): readonly LogLine[] =>
  router.lines.filter(
    ({ level, event }) => (level === "warn" || level === "error") && !summaries.has(event),
  );
