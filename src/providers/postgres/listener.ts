import { err, ok, type Result } from "../../base/result.ts";
import { createAlarm } from "../../base/wait.ts";
import type { PostgresClient } from "./client.ts";
import { type ClientRequest, openClient } from "./connection.ts";
import type { PostgresFailure } from "./failure.ts";

/** The channel of the table's triggers. */
const routesChannel = "automc_routes_changed";

/** A connection that hears notifications, and knows a way to prove it. */
export interface Listener {
  readonly client: PostgresClient;
  /** Sends a heartbeat by the other connection. It must come back on this one before `overdueAt`. */
  beat(sender: PostgresClient): Promise<Result<void, PostgresFailure>>;
  /** When the heartbeat under way counts as lost, on the clock of `performance.now`; null when none is. */
  overdueAt(): number | null;
  /** True when the heartbeat under way has come back in time. */
  echoed(signal: AbortSignal): Promise<boolean>;
}

/** What a listener needs besides a client's request. */
interface ListenerRequest extends Omit<ClientRequest, "greet" | "kindOf"> {
  /**
   * The router's own channel. It stays the same, because a transaction pooler keeps what its sessions once
   * listened to.
   */
  readonly heartbeatChannel: string;
  /** Called with the payload of every notification about the table. */
  readonly onChange: (payload: string) => void;
}

/** A connection that listens, through the `listen` of postgres.js. The caller closes its client. */
export async function openListener(
  request: ListenerRequest,
  signal: AbortSignal,
): Promise<Result<Listener, PostgresFailure>> {
  const { timings, heartbeatChannel } = request;
  const echo = createAlarm();
  let awaited: { readonly id: string; readonly overdueAt: number } | null = null;

  const hear = (id: string) => {
    if (awaited?.id !== id) return;
    awaited = null;
    echo.ring();
  };
  const greet: ClientRequest["greet"] = async (client, leftMs) => {
    const { sql } = client;
    const routes = await client.within(leftMs(), sql.listen(routesChannel, request.onChange));
    if (!routes.ok) return routes;
    const beating = await client.within(leftMs(), sql.listen(heartbeatChannel, hear));
    return beating.ok ? ok(undefined) : beating;
  };
  // The connection belongs to `listen`, so the kind is what the server has reported (from PostgreSQL 14 on).
  // Older standbys refuse LISTEN anyway.
  const kindOf = (client: PostgresClient) => {
    const isStandby = client.reported("in_hot_standby") === "on";
    const isReadOnly = isStandby || client.reported("default_transaction_read_only") === "on";
    return Promise.resolve(ok({ isStandby, isReadOnly }));
  };
  const opened = await openClient({ ...request, greet, kindOf }, signal);
  if (!opened.ok) return opened;
  const client = opened.value;

  /**
   * A session that only listens counts as idle, and `idle_session_timeout` would end it: this is a statement
   * of its own.
   */
  const keepSessionActive = async (): Promise<Result<void, PostgresFailure>> => {
    const listened = await client.within(
      timings.echoMs,
      client.sql.listen(`${heartbeatChannel}_stir`, () => undefined),
    );
    if (!listened.ok) return listened;
    const ended = await client.within(timings.echoMs, listened.value.unlisten());
    return ended.ok ? ok(undefined) : ended;
  };

  return ok({
    client,
    async beat(sender) {
      const kept = await keepSessionActive();
      if (!kept.ok) return kept;
      const id = crypto.randomUUID();
      awaited = { id, overdueAt: performance.now() + timings.echoMs };
      const sent = await sender.within(timings.echoMs, sender.sql.notify(heartbeatChannel, id));
      return sent.ok ? ok(undefined) : err(sent.error);
    },
    overdueAt: () => awaited?.overdueAt ?? null,
    async echoed(stop) {
      while (awaited !== null && !stop.aborted) {
        const leftMs = awaited.overdueAt - performance.now();
        if (leftMs <= 0 || client.endedBecause() !== null) break;
        await echo.wait(leftMs, stop);
      }
      return awaited === null;
    },
  });
}
