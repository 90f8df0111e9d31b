import type { Deadline, Deadlines } from "../base/deadlines.ts";
import { hostPort } from "../base/ip.ts";
import { createRecent } from "../base/recent.ts";
import type { Result } from "../base/result.ts";
import type { Endpoint } from "../net/conn.ts";
import { isNowhere } from "../routing/address.ts";
import { patternText } from "../routing/pattern.ts";
import { type WakeTarget, wakeKey, wakeName } from "../routing/route.ts";
import type { Changes, Claim } from "../routing/table.ts";
import type { BackendEvent } from "./event.ts";
import type { WakeableBackend } from "./waker.ts";

/** Puts backends to sleep that have been without clients for a while. */
export interface Idle {
  /**
   * A client's visit, which has not begun. Pings are visits unless only logins count. `target` is null for a
   * backend that is not put to sleep by this route; it may be by another one.
   */
  visit(target: WakeTarget | null, isLogin: boolean): Visit;
  /**
   * Takes notice of the routes: a backend that they newly name counts as idle from now on, one that none
   * names any more is left alone.
   */
  routesChanged(changes: Changes): void;
  /** Puts nothing to sleep any more, and takes back what is under way. */
  stop(): void;
}

/** While it lasts, the backend is not put to sleep. */
export interface Visit {
  /** A wake for the client has begun, or its connection. Safe to call twice. */
  begin(): void;
  /** The client is connected there. Whatever else leads there is not put to sleep either. */
  reached(backend: Endpoint): void;
  /** It is over, or never began. Safe to call twice. */
  end(): void;
}

/** Who is on a server, by its own account. */
export interface Occupancy {
  /** Where it was reached; null where it was not. */
  readonly at: Endpoint | null;
  /** How many players its status names; null where it names none. */
  readonly online: number | null;
}

/** What putting to sleep needs. */
export interface IdleDeps {
  readonly deadlines: Deadlines;
  /** How long a backend must have been without clients, ms; 0 or less: no time at all. */
  readonly afterMs: number;
  /** Whose visits count. */
  readonly counts: "all" | "logins";
  /** True for targets that can be put to sleep at all. */
  canStop(target: WakeTarget): boolean;
  /** Asks the server itself who is there. Settles in a few seconds. */
  occupancy(backend: WakeableBackend, signal: AbortSignal): Promise<Occupancy>;
  /** Puts one to sleep. The error is one readable phrase. */
  stop(target: WakeTarget, signal: AbortSignal): Promise<Result<void, string>>;
  emit(event: BackendEvent): void;
  /** Code of ours threw: a defect. */
  fault(error: Error): void;
}

/**
 * A backend that could not be put to sleep is not asked again sooner than this, ms: the delay may be nothing
 * at all.
 */
const leastRetryMs = 30_000;
/** A backend on which there were players is not asked again sooner than this, ms. */
const leastRecheckMs = 1_000;
/** Addresses that clients have left and that are remembered. */
const leftLimit = 10_000;

interface NamedClaim {
  readonly claim: Claim;
  readonly target: WakeTarget;
}

/** One backend, as long as a route names it or a client is there. */
interface Backend {
  readonly key: string;
  readonly server: string;
  /** The targets by the patterns that lead to them. */
  readonly claims: Map<string, NamedClaim>;
  visits: number;
  /** Set while no client is there: when it is put to sleep. */
  timer: Deadline | null;
  isStopping: boolean;
  /** It named players when it was last asked. */
  wasOccupied: boolean;
}

/** A visit that does not count. */
const noVisit: Visit = {
  begin: () => undefined,
  reached: () => undefined,
  end: () => undefined,
};

/** Nothing is put to sleep before the routes are known. */
export function createIdle(deps: IdleDeps): Idle {
  const { deadlines, emit } = deps;
  const backends = new Map<string, Backend>();
  const stopped = new AbortController();
  /** Clients by the address that they are connected to, and when the last one left each. */
  const clientsAt = new Map<string, number>();
  const leftAt = createRecent<string, number>(leftLimit);

  function backendOf(target: WakeTarget): Backend {
    const key = wakeKey(target);
    const known = backends.get(key);
    if (known !== undefined) return known;
    const fresh: Backend = {
      key,
      server: wakeName(target),
      claims: new Map(),
      visits: 0,
      timer: null,
      isStopping: false,
      wasOccupied: false,
    };
    backends.set(key, fresh);
    return fresh;
  }

  function visit(target: WakeTarget | null, isLogin: boolean): Visit {
    if (!isLogin && deps.counts !== "all") return noVisit;
    const counted = target !== null && deps.canStop(target) ? target : null;
    if (counted === null && backends.size === 0) return noVisit;
    let state: "before" | "there" | "over" = "before";
    let place: string | null = null;
    return {
      begin() {
        if (state !== "before") return;
        state = "there";
        if (counted !== null) enterBackend(counted);
      },
      reached({ ip, port }) {
        if (state === "over" || place !== null) return;
        place = hostPort(ip, port);
        clientsAt.set(place, (clientsAt.get(place) ?? 0) + 1);
      },
      end() {
        const wasThere = state === "there";
        state = "over";
        if (place !== null) leavePlace(place);
        place = null;
        if (wasThere && counted !== null) leaveBackend(counted);
      },
    };
  }

  function enterBackend(target: WakeTarget): void {
    const backend = backendOf(target);
    backend.visits += 1;
    disarm(backend);
  }

  function leaveBackend(target: WakeTarget): void {
    const backend = backendOf(target);
    backend.visits -= 1;
    arm(backend, deps.afterMs);
    forgetUnused(backend);
  }

  function leavePlace(place: string): void {
    const left = (clientsAt.get(place) ?? 0) - 1;
    if (left > 0) {
      clientsAt.set(place, left);
      return;
    }
    clientsAt.delete(place);
    leftAt.set(place, deadlines.now());
  }

  /** Without effect while the timer runs already, or a client is there: the last one to leave arms it. */
  function arm(backend: Backend, afterMs: number): void {
    if (backend.visits > 0 || backend.timer !== null) return;
    if (isAsleep(backend) || stopped.signal.aborted) return;
    backend.timer = deadlines.after(Math.max(0, afterMs), () => {
      backend.timer = null;
      const fault = (thrown: unknown): void =>
        deps.fault(thrown instanceof Error ? thrown : new Error(String(thrown)));
      putToSleep(backend).catch(fault);
    });
    emit({ kind: "idle-armed", server: backend.server, afterMs });
  }

  /** True when no route leads to it, or none has an address for it: it sleeps already. */
  const isAsleep = ({ claims }: Backend): boolean =>
    [...claims.values()].every(({ claim }) => isNowhere(claim.route.address));

  function disarm(backend: Backend): void {
    backend.timer?.cancel();
    backend.timer = null;
  }

  async function putToSleep(backend: Backend): Promise<void> {
    const claim = firstClaim(backend);
    if (claim === null) return;
    // Clients came and went while it is still being put to sleep for the time before.
    if (backend.isStopping) return arm(backend, Math.max(deps.afterMs, leastRetryMs));
    backend.isStopping = true;
    const waitMs = await untilIdle(backend, claim);
    // Clients may have come meanwhile, and left again.
    const isVisited = backend.visits > 0 || backend.timer !== null;
    const isWanted = isVisited || backend.claims.size === 0 || stopped.signal.aborted;
    if (!isWanted && waitMs === 0) await stop(backend, claim.target);
    backend.isStopping = false;
    if (!isWanted && waitMs > 0) arm(backend, waitMs);
    forgetUnused(backend);
  }

  /** How long it has to be left alone yet, ms: players may have come by other ways. */
  async function untilIdle(backend: Backend, { claim, target }: NamedClaim): Promise<number> {
    const { address, proxyProtocol } = claim.route;
    const asked = { target, address, ...(proxyProtocol === undefined ? {} : { proxyProtocol }) };
    const { at, online } = await deps.occupancy(asked, stopped.signal);
    const recheckMs = Math.max(deps.afterMs, leastRecheckMs);
    const { wasOccupied } = backend;
    backend.wasOccupied = (online ?? 0) > 0;
    if (backend.wasOccupied || wasOccupied) return recheckMs;
    const place = at === null ? address.text : hostPort(at.ip, at.port);
    if (clientsAt.has(place)) return recheckMs;
    const leftMs = (leftAt.get(place) ?? Number.NEGATIVE_INFINITY) + deps.afterMs - deadlines.now();
    return Math.max(0, leftMs);
  }

  async function stop(backend: Backend, target: WakeTarget): Promise<void> {
    const { server } = backend;
    const since = deadlines.now();
    emit({ kind: "sleep-started", server });
    const slept = await deps.stop(target, stopped.signal);
    if (stopped.signal.aborted) return;
    if (slept.ok) {
      emit({ kind: "sleep-done", server, tookMs: deadlines.now() - since });
      return;
    }
    const retryMs = Math.max(deps.afterMs, leastRetryMs);
    emit({ kind: "sleep-failed", server, reason: slept.error, retryMs });
    arm(backend, retryMs);
  }

  /**
   * The claim whose hostname comes first, by code units; that of the default route, which has none, only when
   * it is alone.
   */
  function firstClaim(backend: Backend): NamedClaim | null {
    const [first] = [...backend.claims].sort(
      ([a, { claim: claimA }], [b, { claim: claimB }]) =>
        Number(isDefault(claimA)) - Number(isDefault(claimB)) || (a < b ? -1 : 1),
    );
    return first?.[1] ?? null;
  }

  function enter(claim: Claim): void {
    const target = claim.route.wake;
    if (target === null || !deps.canStop(target)) return;
    const backend = backendOf(target);
    backend.claims.set(patternText(claim.pattern), { claim, target });
    if (isAsleep(backend)) disarm(backend);
    else arm(backend, deps.afterMs);
  }

  function withdraw(claim: Claim): void {
    const target = claim.route.wake;
    if (target === null || !deps.canStop(target)) return;
    const backend = backendOf(target);
    backend.claims.delete(patternText(claim.pattern));
    if (backend.claims.size > 0) return;
    disarm(backend);
    forgetUnused(backend);
  }

  function routesChanged({ added, removed, changed }: Changes): void {
    for (const claim of added) enter(claim);
    for (const { after } of changed) enter(after);
    // Last, so that a backend which only changes its names is never without one.
    for (const claim of removed) withdraw(claim);
    for (const { before, after } of changed) if (!isSameBackend(before, after)) withdraw(before);
  }

  function forgetUnused(backend: Backend): void {
    if (backend.claims.size > 0 || backend.visits > 0 || backend.isStopping) return;
    if (backends.get(backend.key) === backend) backends.delete(backend.key);
  }

  return {
    visit,
    routesChanged,
    stop() {
      stopped.abort();
      for (const backend of backends.values()) disarm(backend);
    },
  };
}

const isDefault = ({ pattern }: Claim): boolean => pattern.kind === "default";

function isSameBackend(a: Claim, b: Claim): boolean {
  const [before, after] = [a.route.wake, b.route.wake];
  return before !== null && after !== null && wakeKey(before) === wakeKey(after);
}
