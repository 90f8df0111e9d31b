import type { Deadlines } from "../base/deadlines.ts";
import type { Config } from "../config/config.ts";
import type { AcceptQueue } from "../limits/accept-queue.ts";
import { createAddressSet, createClientFilter } from "../limits/cidr.ts";
import { createClientLimits } from "../limits/client-limits.ts";
import { createConnectionLimiter } from "../limits/connection-limiter.ts";
import type { Dialer } from "../net/dial.ts";
import type { CreateLoginRelay } from "../net/relay/relay.ts";
import type { RouteTable } from "../routing/table.ts";
import type { SessionEvent } from "../session/event.ts";
import { createWaitingLogins } from "../session/hold.ts";
import { createRecentDialFailures } from "../session/recent-dial-failures.ts";
import { createRefusals, type RefusalCounts } from "../session/refusals.ts";
import { createSessions, type Sessions } from "../session/sessions.ts";
import { createStatusCache } from "../session/status-cache.ts";
import type { StatusMemory } from "../session/status-memory.ts";
import type { WakePermissions } from "../session/wake-permission.ts";
import type { Idle } from "../wake/idle.ts";
import type { Wakes } from "../wake/wakes.ts";

/** What the operator decides about sessions. */
export interface SessionSettings
  extends Pick<
    Config,
    | "clients"
    | "fallback"
    | "hold"
    | "limits"
    | "motd"
    | "proxyProtocol"
    | "simplifySrv"
    | "statusCacheMs"
    | "texts"
    | "transferAsLogin"
  > {
  /**
   * How many sessions are served at a time, and how many clients beyond them are told that the router is
   * full.
   */
  readonly places: { readonly served: number; readonly overflow: number };
}

/** What sessions share with the rest of the router. */
export interface SessionRooms {
  readonly deadlines: Deadlines;
  readonly table: RouteTable;
  readonly dialer: Dialer;
  readonly wakes: Wakes | null;
  readonly idle: Idle | null;
  readonly queue: AcceptQueue;
  readonly statusMemory: StatusMemory;
  /** Aborts when the router stops: no login waits any longer. */
  readonly stopping: AbortSignal;
  /** Relays logins once they are joined to their backend. */
  readonly createRelay: CreateLoginRelay;
  /** The players that may start servers, as of now. */
  wakePermissions(): WakePermissions;
  emit(event: SessionEvent): void;
}

/** The sessions of a router, and how many clients its limits have turned away. */
export interface OpenSessions {
  readonly sessions: Sessions;
  refusals(): RefusalCounts;
}

/** Makes everything that sessions need, for the router and for tests alike. */
export function openSessions(settings: SessionSettings, rooms: SessionRooms): OpenSessions {
  const { limits, motd, places, proxyProtocol, statusCacheMs: maxAgeMs } = settings;
  const { deadlines, emit } = rooms;
  const { receive } = proxyProtocol;
  const proxies = receive && { trusted: receive.trusted && createAddressSet(receive.trusted) };
  const refusals = createRefusals({ deadlines, emit });
  const limiter = createConnectionLimiter({
    clients: createClientLimits({
      ...limits.client,
      exempt: createAddressSet(limits.client.exempt),
      now: deadlines.now,
    }),
    proxies,
    places: {
      total: places.served + places.overflow,
      opening: limits.connections.opening ?? Number.POSITIVE_INFINITY,
    },
    refused: refusals.count,
  });
  const sessions = createSessions({
    ...rooms,
    limiter,
    proxies,
    limit: places.served,
    filter: createClientFilter(settings.clients),
    simplifySrv: settings.simplifySrv,
    asleepText: motd.asleep,
    loadingText: motd.loading,
    texts: settings.texts.kicks,
    unknownTexts: settings.texts.unknown,
    keepAlive: settings.hold,
    wakeProof: limits.wakes.proof,
    waitingLogins: createWaitingLogins(
      rooms.stopping,
      limits.connections.holding ?? Math.ceil(places.served / 2),
    ),
    sendProxyProtocol: proxyProtocol.send,
    fallback: settings.fallback,
    transferAsLogin: settings.transferAsLogin,
    recentDialFailures: createRecentDialFailures(deadlines),
    statusCache: maxAgeMs === 0 ? null : createStatusCache({ maxAgeMs, deadlines }),
  });
  return { sessions, refusals: refusals.counts };
}
