import postgres from "postgres";
import { socketFailure } from "./socket.ts";

/**
 * Why Postgres did not do what was asked. `refused`: it is there, but rejects the statement. `lost`: the
 * connection is of no use.
 */
export interface PostgresFailure {
  readonly kind: "refused" | "lost";
  /** SQLSTATE, where the server gave one. */
  readonly code: string | null;
  /** For the log: code and message only, never a query, a parameter or a password. */
  readonly reason: string;
}

/** A failure of the connection itself. */
export const lost = (reason: string): PostgresFailure => ({ kind: "lost", code: null, reason });

/** Errors of postgres.js carry the query and its parameters; only code and message are passed on. */
export function describeError(cause: unknown, ended: string | null): PostgresFailure {
  if (cause instanceof postgres.PostgresError) {
    const { code } = cause;
    const isRefusal = (cause.severity ?? cause.severity_local) === "ERROR";
    const reason = `${cause.message} (${code})${adviceByCode[code] ?? ""}`;
    return { kind: isRefusal ? "refused" : "lost", code, reason };
  }
  if (ended !== null) return lost(ended);
  return lost(cause instanceof Error ? socketFailure(cause) : "the connection failed");
}

/** What to do about the mistakes that a first set-up makes (PostgreSQL, appendix A: error codes). */
const adviceByCode: Readonly<Record<string, string>> = {
  "28P01": "; check user and password",
  "28000": "; check user and password, and pg_hba.conf on the server",
  "3D000": "; check the database's name",
  "42501": "; GRANT SELECT ON servers to the router's role",
  "42703": "; the table needs the columns name, domain and address (automc-router schema)",
  "42P01": "; create the table: automc-router schema | psql",
};
