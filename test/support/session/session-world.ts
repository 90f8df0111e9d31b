import { openSessions, type SessionSettings } from "../../../src/app/sessions.ts";
import type { Deadlines } from "../../../src/base/deadlines.ts";
import { createDeadlines } from "../../../src/base/deadlines.ts";
import { type AcceptQueue, createAcceptQueue } from "../../../src/limits/accept-queue.ts";
import { createAddressSet } from "../../../src/limits/cidr.ts";
import { createWakeBudget, type WakeBudget } from "../../../src/limits/wake-budget.ts";
import { createDialer, type Dialer } from "../../../src/net/dial.ts";
import { listen } from "../../../src/net/listen.ts";
import { createResolver } from "../../../src/net/resolve.ts";
import { createControlPlane } from "../../../src/providers/control-plane/waker.ts";
import { parseAddress } from "../../../src/routing/address.ts";
import type { Hostname } from "../../../src/routing/hostname.ts";
import { type Pattern, parsePattern } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";
import { createRouteTable, type RouteTable } from "../../../src/routing/table.ts";
import type { SessionEvent, SessionFacts } from "../../../src/session/event.ts";
import type { Outcome } from "../../../src/session/outcome.ts";
import { createTcpProbe } from "../../../src/session/probe.ts";
import { overflow, type Sessions } from "../../../src/session/sessions.ts";
import { createStatusMemory } from "../../../src/session/status-memory.ts";
import { type KickTexts, standardTexts } from "../../../src/session/texts.ts";
import { allPlayers, type WakePermissions } from "../../../src/session/wake-permission.ts";
import type { BackendEvent } from "../../../src/wake/event.ts";
import type { Idle } from "../../../src/wake/idle.ts";
import { createStartTimes } from "../../../src/wake/start-times.ts";
import type { Starter } from "../../../src/wake/waiters.ts";
import type { Wakers } from "../../../src/wake/waker.ts";
import { createWakes, type Wakes } from "../../../src/wake/wakes.ts";
import { connectPlayer } from "../minecraft/player.ts";
import { reserveBackend, type SleepingBackend, silent } from "../net/backend.ts";
import { anywhere } from "../net/egress.ts";
import type { Peer } from "../net/peer.ts";
import { type Plane, relayOf } from "../net/relayed.ts";
import type { ControlPlane } from "../process/control-plane.ts";
import { until } from "../until.ts";

/** A dialer that is at home on this machine. A handler that throws fails the test run. */
export const realDialer = (deadlines: Deadlines, timeoutMs = 3_000): Dialer =>
  createDialer({
    resolver: createResolver({}),
    egress: anywhere,
    deadlines,
    timeoutMs,
    fault: rethrow,
  });

/** A backend that is not up yet, on a port that can be listened on: a connection of somebody else's may linger on a reserved one for a minute. */
export async function sleepingBackend(): Promise<SleepingBackend> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const sleeping = await reserveBackend();
    try {
      sleeping.listen(silent).stop();
      return sleeping;
    } catch {
      sleeping[Symbol.dispose]();
    }
  }
  throw new Error("no port can be listened on");
}

/** The wakes of a real control plane, which is polled every two seconds of the given clock. */
export function realWakes(
  plane: Pick<ControlPlane, "url">,
  deadlines: Deadlines,
  emit: (event: BackendEvent) => void,
  scale: {
    readonly timeoutMs?: number;
    readonly pollMs?: number;
    readonly budget?: WakeBudget;
    readonly mayStop?: boolean;
  } = {},
): Wakes {
  const { timeoutMs = 90_000, pollMs: pollIntervalMs = 2_000, mayStop = false } = scale;
  const scaled = {
    url: plane.url,
    token: () => null,
    ca: null,
    timeoutMs,
    pollIntervalMs,
    mayStop,
  };
  const wakers = { "control-plane": createControlPlane({ ...scaled, deadlines, emit }) };
  return wakesOf(wakers, deadlines, emit, scale.budget);
}

/** Wakes by these wakers. A server is ready when it takes connections. */
export function wakesOf(
  wakers: Wakers,
  deadlines: Deadlines,
  emit: (event: BackendEvent) => void,
  budget = freeBudget(deadlines),
): Wakes {
  const dialer = realDialer(deadlines);
  return createWakes({
    wakers,
    budget,
    dialer,
    probe: createTcpProbe({ dialer }),
    deadlines,
    startTimes: createStartTimes(() => undefined),
    coolDownMs: 600_000,
    emit,
    fault: rethrow,
  });
}

/** A budget that refuses nobody. */
export const freeBudget = ({ now }: Deadlines): WakeBudget =>
  createWakeBudget({ total: 0, perClient: 0, coolDownMs: 0, exempt: createAddressSet([]), now });

/** A client that may start servers at once, or only join. */
export const starter = (mayStart: boolean): Starter => ({
  ip: "203.0.113.1",
  player: "Steve",
  mayStart,
  prove: null,
});

/** A route as Postgres gives it: `hostname` may be a wildcard, or null for the default route; `server` is the name it is woken by. */
export function route(
  hostname: string | null,
  address: string,
  server: string | null = null,
): Route {
  const parsedAddress = parseAddress(address);
  if (!parsedAddress.ok) throw new Error(parsedAddress.error);
  return {
    source: "postgres",
    id: server ?? hostname ?? "default",
    patterns: [patternOf(hostname)],
    address: parsedAddress.value,
    wake: server === null ? null : { kind: "control-plane", server },
  };
}

function patternOf(hostname: string | null): Pattern {
  if (hostname === null) return { kind: "default" };
  const pattern = parsePattern(hostname);
  if (!pattern.ok) throw new Error(pattern.error);
  return pattern.value;
}

/** How one session ended, as its last event tells it. */
export interface Ended {
  readonly session: SessionFacts;
  readonly outcome: Outcome;
  readonly durationMs: number;
}

/** What the sessions of a test are given; what is left out is as in production, but for a queue that lets allPlayers in. */
export interface SessionWorldOptions {
  readonly routes?: readonly Route[];
  readonly plane?: ControlPlane;
  /** How logins are relayed; left out: in the callbacks. */
  readonly relay?: Plane;
  readonly deadlines?: Deadlines;
  readonly wake?: {
    readonly timeoutMs?: number;
    readonly pollMs?: number;
    readonly budget?: WakeBudget;
  };
  /** Instead of those of `plane`. */
  readonly wakes?: Wakes;
  readonly idle?: Idle;
  readonly wakePermissions?: WakePermissions;
  /** Keep waiting logins alive; as in production unless false. */
  readonly keepAlive?: boolean;
  readonly wakeProof?: boolean;
  readonly asleepText?: string;
  readonly loadingText?: string;
  /** The operator's words, where they are not the router's own. */
  readonly texts?: Partial<KickTexts>;
  readonly unknownTexts?: { readonly motd?: string; readonly kick?: string };
  /** Pings of running servers are answered from a cache of this age, ms. */
  readonly statusMaxAgeMs?: number;
  readonly transferAsLogin?: boolean;
  /** The hostname whose route takes the logins of backends that are down. */
  readonly fallback?: Hostname;
  /** The clients come through proxies, any of which is believed. */
  readonly behindProxies?: boolean;
  readonly limit?: number;
  /** Clients that have not said what they want. */
  readonly openingLimit?: number;
  readonly holdingLimit?: number;
  /** What addresses may have; what is left out is not limited. */
  readonly clientLimits?: Partial<SessionSettings["limits"]["client"]>;
  readonly queue?: AcceptQueue;
  readonly table?: RouteTable;
  readonly dialer?: Dialer;
  /** Runs before an event is kept; what it throws reaches whoever emitted. */
  readonly onEvent?: (event: SessionEvent) => void;
}

/** Real sessions behind a real port, with everything they have said. Dispose cuts what is left. */
export interface SessionWorld extends AsyncDisposable {
  readonly port: number;
  readonly table: RouteTable;
  readonly sessions: Sessions;
  /** Null without a control plane. */
  readonly wakes: Wakes | null;
  readonly events: readonly (SessionEvent | BackendEvent)[];
  /** Tells the sessions that the router stops. */
  stop(): void;
  /** A player's connection that has sent these bytes. */
  player(opening?: Uint8Array): Promise<Peer>;
  count(kind: (SessionEvent | BackendEvent)["kind"]): number;
  /** How many sessions a relay thread has been given. */
  handedOver(): number;
  waitForEvent(kind: (SessionEvent | BackendEvent)["kind"], times?: number): Promise<void>;
  /** The end of the session that is the `index`-th to end (0 is the first). */
  ended(index?: number): Promise<Ended>;
}

/** What the operator would have decided. Nothing is limited but by the options. */
function settingsOf(options: SessionWorldOptions): SessionSettings {
  const { limit = 10_000, asleepText = "", loadingText = "" } = options;
  const noLimits = { connections: 0, perSecond: 0, loginsPerSecond: 0, exempt: [] };
  return {
    clients: { allow: [], deny: [] },
    hold: options.keepAlive ?? true,
    limits: {
      connections: {
        total: limit,
        opening: options.openingLimit ?? 10_000,
        holding: options.holdingLimit ?? Number.POSITIVE_INFINITY,
      },
      client: { ...noLimits, ...options.clientLimits },
      wakes: { total: 0, perClient: 0, coolDownMs: 0, proof: options.wakeProof ?? false },
    },
    motd: { asleep: asleepText, loading: loadingText },
    places: { served: limit, overflow },
    proxyProtocol: { receive: options.behindProxies ? { trusted: null } : null, send: false },
    fallback: options.fallback ?? null,
    simplifySrv: false,
    statusCacheMs: options.statusMaxAgeMs ?? 0,
    texts: {
      kicks: { ...standardTexts, ...options.texts },
      unknown: { motd: "", kick: "", ...options.unknownTexts },
    },
    transferAsLogin: options.transferAsLogin ?? false,
  };
}

/** Opens a port of 127.0.0.1 behind which sessions are served. */
export function startSessions(options: SessionWorldOptions = {}): SessionWorld {
  const { deadlines = createDeadlines(), table = createRouteTable() } = options;
  const events: (SessionEvent | BackendEvent)[] = [];
  const stopping = new AbortController();
  let handedOver = 0;
  if (options.routes) table.replace("postgres", options.routes);

  const wakes =
    options.wakes ??
    (options.plane
      ? realWakes(options.plane, deadlines, (event) => events.push(event), options.wake)
      : null);
  const { sessions } = openSessions(settingsOf(options), {
    table,
    deadlines,
    dialer: options.dialer ?? realDialer(deadlines),
    wakes,
    idle: options.idle ?? null,
    queue: options.queue ?? createAcceptQueue({ perSecond: 100_000 }),
    statusMemory: createStatusMemory({ now: deadlines.now, changed: () => {} }),
    stopping: stopping.signal,
    createRelay: relayOf(options.relay ?? "callbacks", {
      deadlines,
      fault: (error) => events.push({ kind: "fault", error }),
      onHandOver: () => {
        handedOver += 1;
      },
    }),
    wakePermissions: () => options.wakePermissions ?? allPlayers,
    emit(event) {
      options.onEvent?.(event);
      events.push(event);
    },
  });
  const listener = listen({
    bind: "127.0.0.1",
    port: 0,
    admits: sessions.admits,
    accept: sessions.accept,
    fault: (error) => events.push({ kind: "fault", error }),
  });
  if (!listener.ok) throw new Error(listener.error);
  const { port } = listener.value;
  const players: Peer[] = [];
  const count = (kind: (SessionEvent | BackendEvent)["kind"]): number =>
    events.filter((event) => event.kind === kind).length;
  const endings = (): Ended[] => events.filter((event) => event.kind === "session-ended");

  return {
    port,
    table,
    sessions,
    wakes,
    events,
    stop: () => stopping.abort(),
    async player(opening) {
      const player = await connectPlayer({ port });
      players.push(player);
      if (opening !== undefined) await player.send(opening);
      return player;
    },
    count,
    handedOver: () => handedOver,
    waitForEvent: (kind, times = 1) => until(`${times} ${kind}`, () => count(kind) >= times),
    async ended(index = 0) {
      await until(`${index + 1} sessions ended`, () => endings().length > index);
      return endings()[index] as Ended;
    },
    async [Symbol.asyncDispose]() {
      listener.value.stop();
      stopping.abort();
      await sessions.drain(0, AbortSignal.abort());
      for (const player of players) player.reset();
    },
  };
}

function rethrow(error: Error): void {
  throw error;
}
