import { err, ok, type Result } from "../base/result.ts";
import type { Connections } from "../providers/postgres/link.ts";
import { createEnvironment, type Environment, issueText } from "./environment.ts";

/** Where the routes are read, and where they are kept. */
export interface PostgresConfig extends Connections {
  /** The connection strings as their variables and files say now: secrets are rotated. */
  readonly connections: () => Result<Connections, string>;
  readonly resyncMs: number;
  /** Absolute path; null: no snapshot is kept. */
  readonly snapshot: string | null;
}

/** Reads where the table is; null when no database is set. */
export function readPostgres(env: Environment): PostgresConfig | null {
  const { read, warn } = env;
  const dsn = read("AUTOMC_DSN");
  const listenDsn = read("AUTOMC_LISTEN_DSN");
  const resyncMs = read("AUTOMC_RESYNC_INTERVAL");
  const snapshot = read("AUTOMC_SNAPSHOT");
  const connections = () => readConnections(env);
  if (dsn !== null) return { dsn, listenDsn, connections, resyncMs, snapshot };
  if (listenDsn !== null) warn("AUTOMC_LISTEN_DSN", "AUTOMC_DSN beside it; alone it does nothing");
  return null;
}

/** The error names the setting and what is wrong with it now. */
function readConnections({ variables, readFile }: Environment): Result<Connections, string> {
  const { read, problems } = createEnvironment(variables, readFile);
  const dsn = read("AUTOMC_DSN");
  const listenDsn = read("AUTOMC_LISTEN_DSN");
  const [problem] = problems;
  if (problem !== undefined) return err(issueText(problem));
  return dsn === null ? err("AUTOMC_DSN is not set any more") : ok({ dsn, listenDsn });
}
