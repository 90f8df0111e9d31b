import type { Deadlines } from "../base/deadlines.ts";
import type { Observer } from "./bus.ts";
import type { SummaryEvent } from "./events.ts";

/** What summaries need. */
interface SummariesDeps {
  readonly deadlines: Pick<Deadlines, "now" | "after">;
  emit(event: SummaryEvent): void;
  /** The hostname with a route that a client most likely meant; null when none is near. */
  near(hostname: string): string | null;
  /** How long a client that comes now waits for its turn, ms. */
  queueMs(): number;
  /** The rate at which clients get their turn. */
  readonly perSecond: number;
}

/** The least time between two events of one kind, ms. */
const everyMs = 10_000;
/** The wait from which on players notice the queue, ms. */
const longWaitMs = 1_000;

/** An observer that emits at most one event of each kind every ten seconds. */
export function createSummaries(deps: SummariesDeps): Observer {
  const { deadlines, emit } = deps;
  const unknown = createSummary(deadlines, (count, hostname: string) =>
    emit({ kind: "hostnames-unknown", count, hostname, near: deps.near(hostname) }),
  );
  const unreachable = createSummary(
    deadlines,
    (count, last: { route: string; backend: string; reason: string | null }) =>
      emit({ kind: "backends-unreachable", count, ...last }),
  );
  const queue = createSummary(deadlines, (_, waitMs: number) =>
    emit({ kind: "accept-queue-long", waitMs, perSecond: deps.perSecond }),
  );

  return (event) => {
    if (event.kind === "session-accepted") {
      const waitMs = deps.queueMs();
      if (waitMs > longWaitMs) queue(waitMs);
    }
    if (event.kind !== "session-ended" || event.outcome.kind === "relayed") return;
    const { session, outcome } = event;
    const end = outcome.kind === "dropped" ? outcome.why : outcome.answer;
    if (end === "unknown-host") {
      unknown(session.hostname ?? "");
    } else if (isUnreachable(outcome) && session.route !== null) {
      const { route, backend } = session;
      unreachable({ route, backend: backend ?? "no address", reason: outcome.reason });
    }
  };
}

const isUnreachable = (
  outcome:
    | { readonly kind: "answered"; readonly answer: string }
    | { readonly kind: "dropped"; readonly why: string },
): boolean =>
  outcome.kind === "answered" ? outcome.answer === "unreachable" : outcome.why === "no-answer";

/** Tells of the first at once, and of those that follow together, every ten seconds. */
function createSummary<T>(
  deadlines: SummariesDeps["deadlines"],
  tell: (count: number, last: T) => void,
): (last: T) => void {
  let count = 0;
  let newest: { readonly last: T } | null = null;
  let isResting = false;

  function flush(): void {
    if (newest === null) return;
    const { last } = newest;
    const told = count;
    count = 0;
    newest = null;
    isResting = true;
    deadlines.after(everyMs, () => {
      isResting = false;
      flush();
    });
    tell(told, last);
  }

  return (last) => {
    count += 1;
    newest = { last };
    if (!isResting) flush();
  };
}
