import { createScope, type Scope } from "../../base/abort.ts";
import { createBackoff } from "../../base/backoff.ts";
import type { Result } from "../../base/result.ts";
import { sleep } from "../../base/wait.ts";
import { type CycleDeps, type LinkMode, runCycle } from "./cycle.ts";
import { createDialBudget } from "./dial-budget.ts";
import type { Dsn } from "./dsn.ts";

/** Where the database is, by the connection strings as they are now. */
export interface Connections {
  readonly dsn: Dsn;
  /** A direct connection for LISTEN, where `dsn` goes through a transaction pooler; null: `dsn` does both. */
  readonly listenDsn: Dsn | null;
}

/** What the link tells about itself. */
export type LinkReport =
  /** Everything has been read; `mode` is how changes arrive from now on. */
  | { readonly kind: "live"; readonly mode: LinkMode }
  /** It is down, or its reads are refused; the next attempt comes after `nextMs`. */
  | { readonly kind: "down"; readonly reason: string; readonly nextMs: number }
  /**
   * Changes are not told: LISTEN does not work (`advice` null), or the table's triggers do not tell. Each
   * reason is reported once, until changes have been told again.
   */
  | { readonly kind: "polling"; readonly reason: string; readonly advice: string | null };

/** What the link needs. */
interface LinkDeps
  extends Pick<CycleDeps, "resolver" | "resyncMs" | "timings" | "mostNames" | "refresh"> {
  /** Reads the connection strings; called for each new connection. The error says why they cannot be used. */
  readonly connections: () => Result<Connections, string>;
  readonly report: (report: LinkReport) => void;
}

/** Keeps a link to Postgres up. */
export interface PostgresLink {
  /**
   * Runs until the signal aborts, one cycle after the other, with a growing and jittered pause between them.
   * It resolves when both connections are closed, and never rejects.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Reads the connection strings again, and links anew if they have changed. */
  reload(): void;
}

/** A link that is not up yet. */
export function createPostgresLink(deps: LinkDeps): PostgresLink {
  const { timings } = deps;
  const backoff = createBackoff(timings);
  let toldReason: string | null = null;
  let scope: Scope | null = null;
  let inUse: Connections | null = null;
  let isChanged = false;

  const shared: Omit<CycleDeps, keyof Connections> = {
    ...deps,
    memory: { good: null },
    listenMemory: { good: null },
    budget: createDialBudget({ burst: timings.dialBurst, everyMs: timings.dialEveryMs }),
    heartbeatChannel: `automc_router_heartbeat_${crypto.randomUUID().replaceAll("-", "")}`,
    onLive(mode) {
      backoff.reset();
      if (mode === "notify") toldReason = null;
      deps.report({ kind: "live", mode });
    },
    onRefused: (reason, nextMs) => deps.report({ kind: "down", reason, nextMs }),
    onPolling(reason, advice) {
      if (reason !== toldReason) deps.report({ kind: "polling", reason, advice });
      toldReason = reason;
    },
  };

  /** One cycle with the connection strings of now; gives the reason why it ended. */
  async function link(signal: AbortSignal): Promise<string> {
    const connections = deps.connections();
    if (!connections.ok) return connections.error;
    inUse = connections.value;
    return await runCycle({ ...shared, ...inUse }, signal);
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        scope = createScope(signal);
        isChanged = false;
        const reason = await link(scope.signal);
        scope.release();
        if (signal.aborted) return;
        if (isChanged) continue;
        const nextMs = backoff.next();
        deps.report({ kind: "down", reason, nextMs });
        scope = createScope(signal);
        await sleep(nextMs, scope.signal);
        scope.release();
      }
    },
    reload() {
      const now = deps.connections();
      if (!now.ok || Bun.deepEquals(now.value, inUse)) return;
      isChanged = true;
      scope?.abort();
    },
  };
}
