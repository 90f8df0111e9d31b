import { sleep } from "../../base/wait.ts";
import { type CycleDeps, type LinkMode, runCycle } from "./cycle.ts";
import { createDialBudget } from "./dial-budget.ts";

/** What the link tells about itself. */
export type LinkReport =
  /** Everything has been read; `mode` is how changes arrive from now on. */
  | { readonly kind: "live"; readonly mode: LinkMode }
  /** It is down; the next attempt comes after `nextMs`. */
  | { readonly kind: "down"; readonly reason: string; readonly nextMs: number }
  /** LISTEN does not work. Told once, until it has worked again. */
  | { readonly kind: "polling"; readonly reason: string };

/** What the link needs. */
export interface LinkDeps
  extends Pick<
    CycleDeps,
    "dsn" | "listenDsn" | "resolver" | "resyncMs" | "timings" | "mostNames" | "refresh"
  > {
  readonly report: (report: LinkReport) => void;
}

/**
 * Keeps a link to Postgres up until the signal aborts, one cycle after the other, with a growing and jittered pause
 * between them. It resolves when both connections are closed, and never rejects.
 */
export async function runPostgresLink(deps: LinkDeps, signal: AbortSignal): Promise<void> {
  const { timings } = deps;
  let failures = 0;
  let isPollingKnown = false;

  const cycle: CycleDeps = {
    ...deps,
    memory: { good: null },
    listenMemory: { good: null },
    budget: createDialBudget({ burst: timings.dialBurst, everyMs: timings.dialEveryMs }),
    heartbeatChannel: `automc_router_heartbeat_${crypto.randomUUID().replaceAll("-", "")}`,
    onLive(mode) {
      failures = 0;
      if (mode === "notify") isPollingKnown = false;
      deps.report({ kind: "live", mode });
    },
    onPolling(reason) {
      if (!isPollingKnown) deps.report({ kind: "polling", reason });
      isPollingKnown = true;
    },
  };

  while (!signal.aborted) {
    const reason = await runCycle(cycle, signal);
    if (signal.aborted) return;
    const grownMs = Math.min(timings.backoffMaxMs, timings.backoffMs * 2 ** failures);
    const nextMs = Math.round(grownMs * (0.5 + Math.random() / 2));
    failures += 1;
    deps.report({ kind: "down", reason, nextMs });
    await sleep(nextMs, signal);
  }
}
