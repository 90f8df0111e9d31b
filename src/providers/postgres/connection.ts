import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import postgres from "postgres";
import { err, ok, type Result } from "../../base/result.ts";
import { type WaitFailure, within } from "../../base/wait.ts";
import type { DialBudget } from "./dial-budget.ts";
import { type Dsn, type DsnHost, describeHost } from "./dsn.ts";
import { guardSocket } from "./guard.ts";
import {
  type DialTarget,
  openSocket,
  resolveTargets,
  secureSocket,
  socketFailure,
} from "./socket.ts";
import type { PostgresTimings } from "./timings.ts";

/** Why Postgres did not do what was asked. `refused`: it is there, but rejects the statement. `lost`: the connection is of no use. */
export interface PostgresFailure {
  readonly kind: "refused" | "lost";
  /** For the log: code and message only, never a query, a parameter or a password. */
  readonly reason: string;
}

/** One postgres.js client on one connection that we dialled. It never dials again: when the connection ends, so does it. */
export interface PostgresClient {
  readonly sql: postgres.Sql;
  /** Why the connection ended; null while it is up. */
  endedBecause(): string | null;
  /** Waits for a promise of this client for `ms`, and tells a failure in words. It does not close the client. */
  within<T>(ms: number, promise: PromiseLike<T>): Promise<Result<T, PostgresFailure>>;
  /** Says goodbye to the server, waits a moment for it, and closes. */
  close(): Promise<void>;
  /** Closes at once. */
  abort(): void;
}

/** What `openClient` needs to know. */
export interface ClientRequest {
  readonly dsn: Dsn;
  readonly budget: DialBudget;
  readonly timings: PostgresTimings;
  /** The first statements: they prove that the server is ready and the right one. A text refuses this host, and the next one is tried. */
  readonly greet: (client: PostgresClient) => Promise<Result<void, PostgresFailure>>;
  /** Called when an opened connection ends for whatever reason. */
  readonly onEnd: () => void;
}

const closedByServer = "the server closed the connection";
const isGone = Symbol("the connection has ended");

/** How long a polite goodbye may take. */
const goodbyeMs = 500;

/** A client on the first host that answers and passes `greet`, or why the last one did not. The caller closes it. */
export async function openClient(
  request: ClientRequest,
  signal: AbortSignal,
): Promise<Result<PostgresClient, PostgresFailure>> {
  let failure: PostgresFailure = { kind: "lost", reason: "stopped" };
  for (const host of request.dsn.hosts) {
    const targets = await resolveTargets(host, request.timings.dialMs, signal);
    if (!targets.ok) {
      failure = { kind: "lost", reason: targets.error };
      continue;
    }
    for (const target of targets.value) {
      await request.budget.take(signal);
      if (signal.aborted) return err({ kind: "lost", reason: "stopped" });
      const opened = await openOne(request, host, target, signal);
      if (opened.ok) return opened;
      failure = {
        kind: opened.error.kind,
        reason: `${describeHost(host)}: ${opened.error.reason}`,
      };
    }
  }
  return err(failure);
}

async function openOne(
  request: ClientRequest,
  host: DsnHost,
  target: DialTarget,
  signal: AbortSignal,
): Promise<Result<PostgresClient, PostgresFailure>> {
  const { dsn, timings } = request;
  const raw = await openSocket(target, dsn.connectTimeoutMs ?? timings.dialMs, signal);
  if (!raw.ok) return err({ kind: "lost", reason: raw.error });
  const secured = await secureSocket(raw.value, target, dsn.tls, timings.handshakeMs, signal);
  if (!secured.ok) return err({ kind: "lost", reason: secured.error });
  const client = createClient(request, host, secured.value, signal);
  const greeted = await request.greet(client);
  if (greeted.ok) return ok(client);
  client.abort();
  return greeted;
}

function createClient(
  request: ClientRequest,
  host: DsnHost,
  socket: Socket,
  signal: AbortSignal,
): PostgresClient {
  let ended: string | null = null;
  let failure = closedByServer;
  const waiting = new Set<() => void>();
  const end = () => {
    ended ??= failure;
    for (const wake of waiting) wake();
    request.onEnd();
  };
  socket.once("error", (error) => {
    failure = socketFailure(error);
  });
  socket.once("close", end);
  const guarded = guardSocket(socket, (reason) => {
    failure = reason;
    end();
  });
  if (socket.destroyed) end();
  const sql = postgres(clientOptions(request.dsn, host, guarded));

  const tell = (waited: WaitFailure): PostgresFailure => {
    switch (waited.kind) {
      case "stopped":
        return { kind: "lost", reason: "stopped" };
      case "late":
        return { kind: "lost", reason: ended ?? "the server does not answer" };
      case "rejected":
        return describeError(waited.cause, ended);
    }
  };
  const abort = () => {
    // Ended first, so that postgres.js does not try to listen again when it sees the connection close.
    void sql.end({ timeout: 0 }).catch(() => undefined); // it has no connection left to fail on
    guarded.destroy();
  };
  return {
    sql,
    endedBecause: () => ended,
    async within(ms, promise) {
      // postgres.js never learns of a connection that ended before it was handed over.
      const gone = Promise.withResolvers<typeof isGone>();
      const wake = () => gone.resolve(isGone);
      waiting.add(wake);
      if (ended !== null) wake();
      const settled = await within(ms, Promise.race([promise, gone.promise]), signal);
      waiting.delete(wake);
      if (!settled.ok) return err(tell(settled.error));
      if (settled.value === isGone) return err({ kind: "lost", reason: ended ?? closedByServer });
      return ok(settled.value);
    },
    async close() {
      if (ended === null) {
        const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
        void sql.end({ timeout: 0 }).catch(() => undefined); // what counts is that the socket closes
        await within(goodbyeMs, closed, new AbortController().signal);
      }
      abort();
    },
    abort,
  };
}

/**
 * postgres.js 3.4.9 connects again by itself in several ways, some without any pause (a server that says FATAL, or
 * closes before it is ready). All of them ask the `socket` factory, and this one gives its socket once.
 */
function clientOptions(dsn: Dsn, host: DsnHost, socket: Duplex) {
  let isTaken = false;
  return {
    // The two are only names for its messages: the socket is dialled already.
    host: host.kind === "tcp" ? host.host : "unix",
    port: host.kind === "tcp" ? host.port : 0,
    ...(dsn.user === null ? {} : { user: dsn.user }),
    ...(dsn.password === null ? {} : { password: dsn.password }),
    ...(dsn.database === null ? {} : { database: dsn.database }),
    socket: () => {
      if (isTaken) throw new Error(closedByServer);
      isTaken = true;
      return socket;
    },
    ssl: false,
    max: 1,
    // Every limit is ours; 0 and null switch the library's own timers off.
    connect_timeout: 0,
    idle_timeout: 0,
    max_lifetime: null,
    keep_alive: null,
    // A transaction pooler may hand each statement to another session, which knows no statement prepared before.
    prepare: false,
    fetch_types: false,
    connection: { application_name: "automc-router", ...dsn.startup },
    onnotice: () => undefined,
  };
}

/** Errors of postgres.js carry the query and its parameters; only code and message are passed on. */
function describeError(cause: unknown, ended: string | null): PostgresFailure {
  if (cause instanceof postgres.PostgresError) {
    const isRefusal = (cause.severity ?? cause.severity_local) === "ERROR";
    const reason = `${cause.message} (${cause.code})${adviceByCode[cause.code] ?? ""}`;
    return { kind: isRefusal ? "refused" : "lost", reason };
  }
  if (ended !== null) return { kind: "lost", reason: ended };
  if (cause instanceof Error) return { kind: "lost", reason: socketFailure(cause) };
  return { kind: "lost", reason: "the connection failed" };
}

/** What to do about the mistakes that a first set-up makes (PostgreSQL, appendix A: error codes). */
const adviceByCode: Readonly<Record<string, string>> = {
  "28P01": "; check user and password",
  "3D000": "; check the database's name",
  "42501": "; GRANT SELECT ON servers to the router's role",
  "42703": "; the table needs the columns name, domain and address (automc-router schema)",
  "42P01": "; create the table: automc-router schema | psql",
};
