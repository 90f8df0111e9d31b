import { err, ok, type Result } from "../../base/result.ts";
import { type Alarm, createAlarm } from "../../base/wait.ts";
import { openClient, type PostgresClient, type PostgresFailure } from "./connection.ts";
import type { DialBudget } from "./dial-budget.ts";
import type { Dsn } from "./dsn.ts";
import { type Listener, openListener } from "./listener.ts";
import { createHints, type Hints, type Reread } from "./pending.ts";
import { createReadClock, type ReadClock } from "./read-clock.ts";
import { createRowReader, type RowReader } from "./reader.ts";
import type { PostgresTimings } from "./timings.ts";

/** How changes reach the router: by LISTEN, or by reading everything again and again. */
export type LinkMode = "notify" | "poll";

/** What a read came to. `againMs`: read everything again after this time, whatever else happens. */
export interface Refreshed {
  readonly againMs: number | null;
}

/** What one life of the link needs. */
export interface LifeDeps {
  /** Where rows are read. */
  readonly dsn: Dsn;
  /** Where notifications are heard, when that is another place. */
  readonly listenDsn: Dsn | null;
  readonly resyncMs: number;
  readonly timings: PostgresTimings;
  readonly budget: DialBudget;
  readonly heartbeatChannel: string;
  /** How many names are read one by one at a time; from there on it is cheaper to read everything. */
  readonly mostNames: () => number;
  /** Reads what is named and applies it. Never called again before it has ended. */
  readonly refresh: (
    reader: RowReader,
    reread: Reread,
  ) => Promise<Result<Refreshed, PostgresFailure>>;
  /** Called when everything has been read, and again when the mode changes. */
  readonly onLive: (mode: LinkMode) => void;
  /** Called when LISTEN does not work, with the reason. */
  readonly onDeaf: (reason: string) => void;
}

/** One life under way. */
interface Life {
  readonly deps: LifeDeps;
  readonly signal: AbortSignal;
  /** Rings when there is a first hint, and when a connection ends. */
  readonly alarm: Alarm;
  readonly hints: Hints;
  readonly clock: ReadClock;
  readonly client: PostgresClient;
  readonly reader: RowReader;
  /** Null while polling. */
  listener: Listener | null;
}

type Step = Result<void, PostgresFailure>;

const done: Step = ok(undefined);
const lost = (reason: string): Step => err({ kind: "lost", reason });

/**
 * One life of the link: LISTEN, read everything, then follow the notifications until anything is wrong, and close both
 * connections. It gives the reason why it ended. Nothing is repaired in place: after any doubt, only LISTEN before a
 * full read proves that no change was missed.
 */
export async function liveOnce(deps: LifeDeps, signal: AbortSignal): Promise<string> {
  const alarm = createAlarm();
  const hints = createHints(deps.mostNames);
  const heard = await listen(deps, alarm, hints, signal);
  // The same server would not be there for reading either: the second dial is saved.
  const isHopeless = !heard.ok && heard.error.kind === "lost" && deps.listenDsn === null;
  if (isHopeless) return heard.error.reason;

  const opened = await openReader(deps, alarm, signal);
  if (!opened.ok) {
    if (heard.ok) await heard.value.client.close();
    return opened.error.reason;
  }
  const life: Life = {
    deps,
    signal,
    alarm,
    hints,
    clock: createReadClock(deps.resyncMs, deps.timings),
    client: opened.value,
    reader: createRowReader(opened.value, deps.timings.readMs),
    listener: heard.ok ? heard.value : null,
  };
  if (!heard.ok) goDeaf(life, heard.error.reason);
  try {
    let step = await begin(life);
    while (step.ok && !signal.aborted) step = await follow(life);
    return step.ok ? "stopped" : step.error.reason;
  } finally {
    await Promise.all([life.client.close(), life.listener?.client.close()]);
  }
}

/** The first read goes on while the first heartbeat is under way; only the echo proves that LISTEN delivers. */
async function begin(life: Life): Promise<Step> {
  const beaten = (await life.listener?.beat(life.client)) ?? done;
  if (!beaten.ok && beaten.error.kind === "lost") return beaten;
  if (!beaten.ok) goDeaf(life, beaten.error.reason);

  const all = await read(life, { kind: "all" });
  if (!all.ok) return all;
  if (life.listener !== null && !(await life.listener.echoed(life.signal))) {
    const ended = endedBecause(life);
    if (ended !== null) return lost(ended);
    goDeaf(life, undelivered);
  }
  life.deps.onLive(life.listener === null ? "poll" : "notify");
  return done;
}

/** One step: whatever is due, else a wait for the next thing. */
async function follow(life: Life): Promise<Step> {
  const { clock, listener } = life;
  const ended = endedBecause(life);
  if (ended !== null) return lost(ended);
  const now = performance.now();
  const overdueAt = listener?.overdueAt() ?? Infinity;
  if (overdueAt <= now) return lost("a heartbeat did not come back");

  const hintsAt = clock.hintsAt(life.hints.waiting());
  if (clock.fullReadAt() <= now) return await read(life, { kind: "all" });
  if (hintsAt <= now) return await read(life, life.hints.take() ?? { kind: "all" });
  if (clock.speakAt() <= now && listener === null) return await listenAgain(life);
  if (clock.speakAt() <= now) {
    clock.listening();
    return (await listener?.beat(life.client)) ?? done;
  }
  const dueAt = Math.min(hintsAt, clock.fullReadAt(), clock.speakAt(), overdueAt);
  await life.alarm.wait(Math.ceil(dueAt - now), life.signal);
  return done;
}

/** Reads and applies. A read of everything answers the hints that came before it, too. */
async function read(life: Life, reread: Reread): Promise<Step> {
  if (reread.kind === "all") life.hints.take();
  const startedAt = performance.now();
  const refreshed = await life.deps.refresh(life.reader, reread);
  if (!refreshed.ok) return refreshed;
  life.clock.noteRead(reread, startedAt, refreshed.value.againMs);
  return done;
}

/** While polling: tries LISTEN once more, and goes on polling if it still does not deliver. */
async function listenAgain(life: Life): Promise<Step> {
  life.clock.polling();
  const heard = await listen(life.deps, life.alarm, life.hints, life.signal);
  if (!heard.ok) return done;
  const beaten = await heard.value.beat(life.client);
  if (!beaten.ok || !(await heard.value.echoed(life.signal))) {
    heard.value.client.abort();
    return done;
  }
  life.listener = heard.value;
  life.clock.listening();
  const all = await read(life, { kind: "all" });
  if (all.ok) life.deps.onLive("notify");
  return all;
}

function goDeaf(life: Life, reason: string): void {
  life.listener?.client.abort();
  life.listener = null;
  life.clock.polling();
  life.deps.onDeaf(reason);
}

const endedBecause = (life: Life): string | null =>
  life.client.endedBecause() ?? life.listener?.client.endedBecause() ?? null;

const undelivered =
  "notifications do not arrive (a transaction pooler, or another database): set AUTOMC_LISTEN_DSN to a direct connection";

function listen(deps: LifeDeps, alarm: Alarm, hints: Hints, signal: AbortSignal) {
  const { budget, timings, heartbeatChannel } = deps;
  const request = {
    dsn: deps.listenDsn ?? deps.dsn,
    budget,
    timings,
    heartbeatChannel,
    onEnd: alarm.ring,
    onHint: (payload: string) => {
      if (hints.note(payload)) alarm.ring();
    },
  };
  return openListener(request, signal);
}

function openReader(deps: LifeDeps, alarm: Alarm, signal: AbortSignal) {
  const { dsn, budget, timings } = deps;
  const greet = (client: PostgresClient) => checkServer(client, deps);
  return openClient({ dsn, budget, timings, onEnd: alarm.ring, greet }, signal);
}

/** One statement that shows the server is ready and, among several, the wanted one. */
async function checkServer(client: PostgresClient, { dsn, timings }: LifeDeps): Promise<Step> {
  const query = client.sql.unsafe(
    "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') AS read_only",
  );
  const answer = await client.settle(timings.handshakeMs, query);
  if (!answer.ok) return answer;
  const state = answer.value[0];
  if (dsn.target === "primary" && state?.["standby"] === true)
    return lost("the server is a standby");
  const isReadOnly = dsn.target === "read-write" && state?.["read_only"] === "on";
  return isReadOnly ? lost("the server is read-only") : done;
}
