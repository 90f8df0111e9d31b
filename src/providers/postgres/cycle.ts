import { type Backoff, createBackoff } from "../../base/backoff.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type Alarm, createAlarm } from "../../base/wait.ts";
import type { Resolver } from "../../net/resolve.ts";
import type { PostgresClient } from "./client.ts";
import { type ClientRequest, openClient, type ServerKind } from "./connection.ts";
import type { DialBudget } from "./dial-budget.ts";
import type { Dsn } from "./dsn.ts";
import { lost, type PostgresFailure } from "./failure.ts";
import { type Listener, openListener } from "./listener.ts";
import { createPendingChanges, type PendingChanges, type Reload } from "./pending.ts";
import { createReadClock, type ReadClock } from "./read-clock.ts";
import { createRowReader, type RowReader } from "./reader.ts";
import type { Hearing } from "./table.ts";
import type { HostMemory } from "./targets.ts";
import type { PostgresTimings } from "./timings.ts";

/** How changes reach the router: by notifications, or by reading everything again and again. */
export type LinkMode = "notify" | "poll";

/** What a read came to. */
interface ReloadResult {
  /** Read everything again after this time, whatever else happens; null: no need. */
  readonly againMs: number | null;
  /** Whether the table tells of its changes; null: it was not looked at. */
  readonly hearing: Hearing | null;
}

/** What one cycle of the link needs. */
export interface CycleDeps {
  /** Where rows are read. */
  readonly dsn: Dsn;
  /** Where notifications are heard, when that is another place. */
  readonly listenDsn: Dsn | null;
  readonly resolver: Resolver;
  /** Where the last connections led. */
  readonly memory: HostMemory;
  readonly listenMemory: HostMemory;
  readonly resyncMs: number;
  readonly timings: PostgresTimings;
  readonly budget: DialBudget;
  readonly heartbeatChannel: string;
  /** How many names are read one by one at a time; from there on it is cheaper to read everything. */
  readonly mostNames: () => number;
  /** Reads what is named and applies it. Never called again before it has ended. */
  readonly refresh: (
    reader: RowReader,
    reload: Reload,
  ) => Promise<Result<ReloadResult, PostgresFailure>>;
  /** Called after each read of everything that worked, with the way in which changes arrive. */
  readonly onLive: (mode: LinkMode) => void;
  /** Called when the server refused a read, which is tried again after `nextMs`. The connections stay. */
  readonly onRefused: (reason: string, nextMs: number) => void;
  /** Called with the reason and advice when changes are not told. */
  readonly onPolling: (reason: string, advice: string | null) => void;
}

/** One cycle under way. */
interface Cycle {
  readonly deps: CycleDeps;
  readonly signal: AbortSignal;
  /** Rings when there is a first change to read, and when a connection ends. */
  readonly alarm: Alarm;
  readonly pending: PendingChanges;
  readonly clock: ReadClock;
  readonly client: PostgresClient;
  readonly reader: RowReader;
  readonly backoff: Backoff;
  /** Null while LISTEN does not work. */
  listener: Listener | null;
  /** The table's triggers tell of every change. */
  isTold: boolean;
  /** When a refused read is tried again; null: none was refused. */
  retryAt: number | null;
}

type Step = Result<void, PostgresFailure>;

const done: Step = ok(undefined);

/**
 * One cycle of the link: LISTEN, read everything, then follow the notifications until anything is wrong, and
 * close both connections. It gives the reason why it ended. Nothing is repaired in place: after any doubt,
 * only LISTEN before a full read proves that no change was missed.
 */
export async function runCycle(deps: CycleDeps, signal: AbortSignal): Promise<string> {
  const alarm = createAlarm();
  const pending = createPendingChanges(deps.mostNames);
  const heard = await listen(deps, alarm, pending, signal);
  // The same server would not be there for reading either: the second dial is saved.
  const isHopeless = !heard.ok && heard.error.kind === "lost" && deps.listenDsn === null;
  if (isHopeless) return heard.error.reason;

  const opened = await openReader(deps, alarm, signal);
  if (!opened.ok) {
    if (heard.ok) await heard.value.client.close();
    return opened.error.reason;
  }
  const cycle: Cycle = {
    deps,
    signal,
    alarm,
    pending,
    clock: createReadClock(deps.resyncMs, deps.timings),
    client: opened.value,
    reader: createRowReader(opened.value, deps.timings),
    backoff: createBackoff(deps.timings),
    listener: heard.ok ? heard.value : null,
    isTold: true,
    retryAt: null,
  };
  if (!heard.ok) fallBackToPolling(cycle, heard.error.reason);
  try {
    let step = await begin(cycle);
    while (step.ok && !signal.aborted) step = await follow(cycle);
    return step.ok ? "stopped" : step.error.reason;
  } finally {
    await leave(cycle);
  }
}

/**
 * A statement that is given up would go on without the router, and hold its place among the server's
 * sessions.
 */
async function leave({ client, reader, listener }: Cycle): Promise<void> {
  if (reader.isBusy()) await client.cancel();
  await Promise.all([client.close(), listener?.client.close()]);
}

/**
 * The first read goes on while the first heartbeat is under way; only the echo proves that LISTEN delivers.
 */
async function begin(cycle: Cycle): Promise<Step> {
  const beaten = (await cycle.listener?.beat(cycle.client)) ?? done;
  if (!beaten.ok && beaten.error.kind === "lost") return beaten;
  if (!beaten.ok) fallBackToPolling(cycle, beaten.error.reason);

  const all = await read(cycle, { kind: "all" });
  if (!all.ok) return all;
  if (cycle.listener !== null && !(await cycle.listener.echoed(cycle.signal))) {
    const ended = endedBecause(cycle);
    if (ended !== null) return err(lost(ended));
    fallBackToPolling(cycle, undelivered);
  }
  announce(cycle);
  return done;
}

/** One step: whatever is due, else a wait for the next thing. */
async function follow(cycle: Cycle): Promise<Step> {
  const { clock, listener, retryAt } = cycle;
  const ended = endedBecause(cycle);
  if (ended !== null) return err(lost(ended));
  const now = performance.now();
  const overdueAt = listener?.overdueAt() ?? Infinity;
  if (overdueAt <= now) return err(lost("a heartbeat did not come back"));

  // What was refused is not asked again for each notification.
  const changesAt = retryAt === null ? clock.changesAt(cycle.pending.waiting()) : Infinity;
  const fullReadAt = retryAt ?? clock.fullReadAt();
  if (fullReadAt <= now) return await readAndAnnounce(cycle, { kind: "all" });
  if (changesAt <= now) return await read(cycle, cycle.pending.take() ?? { kind: "all" });
  if (clock.speakAt() <= now && listener === null) return await listenAgain(cycle);
  if (clock.speakAt() <= now) {
    clock.listening();
    return (await listener?.beat(cycle.client)) ?? done;
  }
  const dueAt = Math.min(changesAt, fullReadAt, clock.speakAt(), overdueAt);
  await cycle.alarm.wait(Math.ceil(dueAt - now), cycle.signal);
  return done;
}

async function readAndAnnounce(cycle: Cycle, reload: Reload): Promise<Step> {
  const step = await read(cycle, reload);
  if (step.ok) announce(cycle);
  return step;
}

/** Reads and applies. A read of everything answers the notifications before it, too. */
async function read(cycle: Cycle, reload: Reload): Promise<Step> {
  const { deps, clock } = cycle;
  if (reload.kind === "all") cycle.pending.take();
  const startedAt = performance.now();
  const refreshed = await deps.refresh(cycle.reader, reload);
  if (!refreshed.ok && refreshed.error.kind === "lost") return refreshed;
  if (!refreshed.ok) {
    const nextMs = cycle.backoff.next();
    cycle.retryAt = performance.now() + nextMs;
    deps.onRefused(refreshed.error.reason, nextMs);
    return done;
  }
  const { againMs, hearing } = refreshed.value;
  cycle.retryAt = null;
  cycle.backoff.reset();
  clock.noteRead(reload, startedAt, againMs);
  if (hearing !== null) {
    cycle.isTold = hearing.kind === "heard";
    clock.told(cycle.isTold);
    if (hearing.kind === "unheard") deps.onPolling(hearing.reason, hearing.advice);
  }
  return done;
}

/** Tells how changes arrive from now on, unless the last read was refused. */
function announce({ deps, listener, isTold, retryAt }: Cycle): void {
  if (retryAt === null) deps.onLive(listener !== null && isTold ? "notify" : "poll");
}

/** While polling: tries LISTEN once more, and goes on polling if it still does not deliver. */
async function listenAgain(cycle: Cycle): Promise<Step> {
  cycle.clock.polling();
  const heard = await listen(cycle.deps, cycle.alarm, cycle.pending, cycle.signal);
  if (!heard.ok) return done;
  const beaten = await heard.value.beat(cycle.client);
  if (!beaten.ok || !(await heard.value.echoed(cycle.signal))) {
    heard.value.client.abort();
    return done;
  }
  cycle.listener = heard.value;
  cycle.clock.listening();
  return await readAndAnnounce(cycle, { kind: "all" });
}

function fallBackToPolling(cycle: Cycle, reason: string): void {
  cycle.listener?.client.abort();
  cycle.listener = null;
  cycle.clock.polling();
  cycle.deps.onPolling(reason, null);
}

const endedBecause = (cycle: Cycle): string | null =>
  cycle.client.endedBecause() ?? cycle.listener?.client.endedBecause() ?? null;

const undelivered =
  "notifications do not arrive (a transaction pooler, or another database): set AUTOMC_LISTEN_DSN to a direct connection";

function listen(deps: CycleDeps, alarm: Alarm, pending: PendingChanges, signal: AbortSignal) {
  const request = {
    ...deps,
    dsn: deps.listenDsn ?? deps.dsn,
    memory: deps.listenDsn === null ? deps.memory : deps.listenMemory,
    onEnd: alarm.ring,
    onChange: (payload: string) => {
      if (pending.note(payload)) alarm.ring();
    },
  };
  return openListener(request, signal);
}

function openReader(deps: CycleDeps, alarm: Alarm, signal: AbortSignal) {
  const kindOf: ClientRequest["kindOf"] = (client, leftMs) => askKind(client, leftMs());
  const greet = async () => done;
  return openClient({ ...deps, onEnd: alarm.ring, greet, kindOf }, signal);
}

/** What kind of server the client has reached: one statement, which also shows that the server is ready. */
export async function askKind(
  client: PostgresClient,
  limitMs: number,
): Promise<Result<ServerKind, PostgresFailure>> {
  const query = client.sql.unsafe(
    "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') AS read_only",
  );
  const answer = await client.within(limitMs, query);
  if (!answer.ok) return answer;
  const [state] = answer.value;
  return ok({ isStandby: state?.["standby"] === true, isReadOnly: state?.["read_only"] === "on" });
}
