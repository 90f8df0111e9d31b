import { err, ok, type Result } from "../../base/result.ts";
import type { Resolver } from "../../net/resolve.ts";
import { accountName } from "./account.ts";
import { createAuthenticator } from "./authentication.ts";
import { createClient, type PostgresClient } from "./client.ts";
import type { DialBudget } from "./dial-budget.ts";
import { type Dsn, type DsnHost, describeHost, type TargetSession } from "./dsn.ts";
import { lost, type PostgresFailure } from "./failure.ts";
import { findPassword } from "./passfile.ts";
import { openSocket, type Patience, type ReadySocket, secureSocket } from "./socket.ts";
import { type HostMemory, type HostTarget, planRound } from "./targets.ts";
import type { PostgresTimings } from "./timings.ts";

/** What `openClient` needs to know. */
export interface ClientRequest {
  readonly dsn: Dsn;
  /** Where the last connection of this connection string led; it is tried first. */
  readonly memory: HostMemory;
  readonly resolver: Resolver;
  readonly budget: DialBudget;
  readonly timings: PostgresTimings;
  /**
   * The first statements, at least one: they prove that the server is ready. A failure refuses this server,
   * and the next one is tried.
   */
  readonly greet: (
    client: PostgresClient,
    leftMs: TimeLeft,
  ) => Promise<Result<void, PostgresFailure>>;
  /** What kind of server a greeted client has reached. */
  readonly kindOf: (
    client: PostgresClient,
    leftMs: TimeLeft,
  ) => Promise<Result<ServerKind, PostgresFailure>>;
  /** Called when an opened connection ends for whatever reason. */
  readonly onEnd: () => void;
}

/** How much of its time an attempt has left, ms. */
type TimeLeft = () => number;

/** What `target_session_attrs` asks about. */
export interface ServerKind {
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
}

/** One attempt on one target. */
interface Attempt {
  readonly request: ClientRequest;
  readonly target: HostTarget;
  readonly wanted: TargetSession;
  readonly until: number;
  readonly signal: AbortSignal;
}

/** Whether the attempt uses TLS; `if-offered` takes a plain connection where the server has none. */
type Way = "plain" | "if-offered" | "tls";

type Opened = Result<PostgresClient, PostgresFailure & { readonly isAboutTls: boolean }>;

const stopped = lost("stopped");

/**
 * A client on the first server that answers, is of the wanted kind and passes `greet`, or why none did. All
 * addresses of all hosts share the time of one round, unless `connect_timeout` gives each its own. The caller
 * closes the client.
 */
export async function openClient(
  request: ClientRequest,
  signal: AbortSignal,
): Promise<Result<PostgresClient, PostgresFailure>> {
  const { dsn, memory, timings } = request;
  await request.budget.take(signal);
  if (signal.aborted) return err(stopped);
  const until = performance.now() + timings.roundMs;
  const patience = { limitMs: timings.roundMs, signal };
  const { targets, unresolved } = await planRound(dsn, memory, request.resolver, patience);
  const failures = [...unresolved];
  let last: PostgresFailure = lost("");
  // A preference makes two passes: first for the preferred kind, then for any.
  const passes: readonly TargetSession[] =
    dsn.target === "prefer-standby" ? ["standby", "any"] : [dsn.target];
  let left = passes.length * targets.length;
  for (const wanted of passes) {
    for (const target of targets) {
      const now = performance.now();
      const shareMs = dsn.connectTimeoutMs ?? (until - now) / left;
      left -= 1;
      const opened = await openTarget({ request, target, wanted, until: now + shareMs, signal });
      if (opened.ok) {
        memory.good = target.dial;
        return opened;
      }
      if (signal.aborted) return err(stopped);
      last = opened.error;
      failures.push(`${describeHost(target.host)}: ${last.reason}`);
    }
  }
  return err({ ...last, reason: [...new Set(failures)].join("; ") });
}

/** libpq's fallbacks: `prefer` goes on without TLS where TLS or its login fails, `allow` begins without. */
async function openTarget(attempt: Attempt): Promise<Result<PostgresClient, PostgresFailure>> {
  const [first, second] = waysOf(attempt);
  const opened = await openOne(attempt, first);
  if (opened.ok || second === undefined || !mayFallBack(opened.error)) return opened;
  const again = await openOne(attempt, second);
  if (again.ok || again.error.reason === opened.error.reason) return again;
  const how = second === "plain" ? "without TLS" : "with TLS";
  return err({ ...opened.error, reason: `${opened.error.reason}; ${how}: ${again.error.reason}` });
}

function waysOf({ request, target }: Attempt): readonly [Way, Way?] {
  if (target.dial.kind === "unix") return ["plain"];
  switch (request.dsn.tls.use) {
    case "never":
      return ["plain"];
    case "allow":
      return ["plain", "tls"];
    case "prefer":
      return ["if-offered", "plain"];
    case "always":
      return ["tls"];
  }
}

/** Class 28 is what pg_hba.conf answers to a connection with or without TLS (PostgreSQL, appendix A). */
const mayFallBack = ({ code, isAboutTls }: PostgresFailure & { readonly isAboutTls: boolean }) =>
  isAboutTls || code?.startsWith("28") === true;

async function openOne(attempt: Attempt, way: Way): Promise<Opened> {
  const { request, target, signal } = attempt;
  const { dsn } = request;
  const ready = await openReady(attempt, way);
  if (!ready.ok) return ready;
  const user = dsn.user ?? accountName();
  const database = dsn.database ?? user;
  const client = createClient({
    ...ready.value,
    authenticator: createAuthenticator({
      user,
      password: dsn.password ?? passwordOf(dsn, target.host, user, database),
      rules: dsn.auth,
      certificate: ready.value.certificate,
    }),
    user,
    database,
    startup: dsn.startup,
    openAnother: () =>
      openReady({ ...attempt, until: performance.now() + request.timings.cancelMs }, way),
    onEnd: request.onEnd,
    signal,
  });
  const leftMs = () => Math.max(0, attempt.until - performance.now());
  const greeted = await request.greet(client, leftMs);
  const kind = greeted.ok ? await request.kindOf(client, leftMs) : greeted;
  const refusal = kind.ok ? refusalOf(attempt.wanted, kind.value) : null;
  if (kind.ok && refusal === null) return ok(client);
  client.abort();
  return err({ ...(kind.ok ? lost(refusal ?? "") : kind.error), isAboutTls: false });
}

/** The connection that PostgreSQL's startup may begin on. */
async function openReady(
  { request, target, until, signal }: Attempt,
  way: Way,
): Promise<Result<ReadySocket, PostgresFailure & { readonly isAboutTls: boolean }>> {
  const { tls, keepAliveMs } = request.dsn;
  const patience = (): Patience => ({ limitMs: Math.max(0, until - performance.now()), signal });
  const raw = await openSocket(target.dial, keepAliveMs, patience());
  if (!raw.ok) return err({ ...lost(raw.error), isAboutTls: false });
  if (way === "plain" || target.dial.kind === "unix")
    return ok({ socket: raw.value, certificate: null });
  const options = { ...patience(), isOptional: way === "if-offered" };
  const secured = await secureSocket(raw.value, target.dial.name, tls, options);
  return secured.ok ? secured : err({ ...lost(secured.error), isAboutTls: true });
}

function passwordOf(dsn: Dsn, host: DsnHost, user: string, database: string): string | null {
  const { port } = host;
  return findPassword(dsn.passfile, { host: passfileName(host), port, database, user });
}

function passfileName(host: DsnHost): string {
  if (host.kind === "tcp") return host.host;
  return host.isDefault ? "localhost" : host.folder;
}

/** Why a server of this kind is not the wanted one; null when it is. */
function refusalOf(wanted: TargetSession, { isStandby, isReadOnly }: ServerKind): string | null {
  switch (wanted) {
    case "any":
    case "prefer-standby":
      return null;
    case "primary":
      return isStandby ? "the server is a standby" : null;
    case "standby":
      return isStandby ? null : "the server is no standby";
    case "read-write":
      return isReadOnly ? "the server is read-only" : null;
    case "read-only":
      return isReadOnly ? null : "the server is not read-only";
  }
}
