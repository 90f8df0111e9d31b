import type { Duplex } from "node:stream";
import postgres from "postgres";
import { err, ok, type Result } from "../../base/result.ts";
import { type WaitFailure, within } from "../../base/wait.ts";
import type { Authenticator } from "./authentication.ts";
import { describeError, lost, type PostgresFailure } from "./failure.ts";
import { guardSocket } from "./guard.ts";
import { type ReadySocket, socketFailure } from "./socket.ts";

/**
 * One postgres.js client on one connection. It never dials again: when the connection ends, so does the
 * client.
 */
export interface PostgresClient {
  readonly sql: postgres.Sql;
  /** What the server has reported of a setting at the session's start; null: nothing. */
  reported(parameter: string): string | null;
  /** Why the connection ended; null while it is up. */
  endedBecause(): string | null;
  /** A promise of this client, or why it came to nothing within `ms`. It does not close the client. */
  within<T>(ms: number, promise: PromiseLike<T>): Promise<Result<T, PostgresFailure>>;
  /**
   * Asks the server, over a connection of its own, to end the statement under way (CancelRequest). Resolves
   * when the server has taken note, or when it did not in time.
   */
  cancel(): Promise<void>;
  /** Says goodbye to the server, waits a moment for it, and closes. */
  close(): Promise<void>;
  /** Closes at once. */
  abort(): void;
}

/** What a client is made of. */
interface ClientDeps extends ReadySocket {
  readonly authenticator: Authenticator;
  readonly user: string;
  readonly database: string;
  /** Settings that the session begins with. */
  readonly startup: Readonly<Record<string, string>>;
  /** A further connection to the same server. */
  readonly openAnother: () => Promise<Result<ReadySocket, PostgresFailure>>;
  readonly onEnd: () => void;
  readonly signal: AbortSignal;
}

const closedByServer = "the server closed the connection";
const isGone = Symbol("the connection has ended");

/** How long a polite goodbye may take. */
const goodbyeMs = 500;
/** How long the server may take to close the connection of a CancelRequest. */
const cancelMs = 1_000;

/** A client on this connection, which it closes. */
export function createClient(deps: ClientDeps): PostgresClient {
  const { socket, signal } = deps;
  const end = watchEnd(deps);
  let key: Buffer | null = null;
  const reported = new Map<string, string>();
  const guarded = guardSocket(socket, {
    authenticator: deps.authenticator,
    onViolation: end.because,
    onKey: (body) => {
      key = body;
    },
    onParameter: (name, value) => reported.set(name, value),
  });
  const sql = postgres(clientOptions(deps, guarded));

  const abort = () => {
    // Ended first, so that postgres.js does not try to listen again when it sees the connection close.
    void sql.end({ timeout: 0 }).catch(() => undefined); // it has no connection left to fail on
    guarded.destroy();
  };
  return {
    sql,
    reported: (parameter) => reported.get(parameter) ?? null,
    endedBecause: end.reason,
    async within(ms, promise) {
      // postgres.js never learns of a connection that ended before it was handed over.
      const gone = end.wait();
      const settled = await within(ms, Promise.race([promise, gone.promise]), signal);
      gone.forget();
      if (!settled.ok) return err(describeWait(settled.error, end.reason()));
      if (settled.value === isGone) return err(lost(end.reason() ?? closedByServer));
      return ok(settled.value);
    },
    async cancel() {
      if (key !== null) await sendCancel(key, deps.openAnother);
    },
    async close() {
      if (end.reason() === null) {
        const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
        void sql.end({ timeout: 0 }).catch(() => undefined); // what counts is that the socket closes
        await within(goodbyeMs, closed, new AbortController().signal);
      }
      abort();
    },
    abort,
  };
}

/** Why and when the connection ends, for all who wait for something on it. */
function watchEnd({ socket, onEnd }: ClientDeps) {
  let ended: string | null = null;
  let failure = closedByServer;
  const waiting = new Set<() => void>();

  function end(): void {
    ended ??= failure;
    for (const wake of waiting) wake();
    onEnd();
  }
  socket.once("error", (error) => {
    failure = socketFailure(error);
  });
  socket.once("close", end);
  if (socket.destroyed) end();
  return {
    reason: () => ended,
    because(reason: string): void {
      failure = reason;
      end();
    },
    wait() {
      const gone = Promise.withResolvers<typeof isGone>();
      const wake = () => gone.resolve(isGone);
      waiting.add(wake);
      if (ended !== null) wake();
      return { promise: gone.promise, forget: () => waiting.delete(wake) };
    },
  };
}

function describeWait(waited: WaitFailure, ended: string | null): PostgresFailure {
  switch (waited.kind) {
    case "stopped":
      return lost("stopped");
    case "late":
      return lost(ended ?? "the server does not answer");
    case "rejected":
      return describeError(waited.cause, ended);
  }
}

/**
 * CancelRequest: length, code 80877102, and what BackendKeyData held (PostgreSQL protocol, "Message
 * Formats").
 */
async function sendCancel(key: Buffer, openAnother: ClientDeps["openAnother"]): Promise<void> {
  const opened = await openAnother();
  if (!opened.ok) return;
  const { socket } = opened.value;
  const head = Buffer.alloc(8);
  head.writeUInt32BE(head.length + key.length, 0);
  head.writeUInt32BE(80_877_102, 4);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.resume();
  socket.write(Buffer.concat([head, key]));
  await within(cancelMs, closed, new AbortController().signal);
  socket.destroy();
}

/**
 * postgres.js 3.4.9 connects again by itself in several ways, some without any pause (a server that says
 * FATAL, or closes before it is ready). All of them ask the `socket` factory, and this one gives its socket
 * once. Every option is given, because what is left out is taken from variables such as PGSSLMODE.
 */
function clientOptions({ user, database, startup }: ClientDeps, socket: Duplex) {
  let isTaken = false;
  return {
    // Only names for its messages: the socket is dialled already.
    host: "postgres",
    port: 5_432,
    user,
    database,
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
    max_pipeline: 100,
    keep_alive: null,
    backoff: () => 0,
    // A transaction pooler may hand each statement to another session, which knows no prepared statement.
    prepare: false,
    fetch_types: false,
    debug: false,
    publications: "alltables",
    connection: { application_name: "automc-router", ...startup },
    onnotice: () => undefined,
  };
}
