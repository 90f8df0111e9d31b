import type { Deadlines } from "../base/deadlines.ts";
import type { Config } from "../config/config.ts";
import { createAddressSet } from "../limits/cidr.ts";
import { createEgress, type Egress } from "../limits/egress.ts";
import { createWakeBudget } from "../limits/wake-budget.ts";
import { createBalancer } from "../net/balance.ts";
import { createDialer, type Dialer } from "../net/dial.ts";
import type { Observer } from "../observe/bus.ts";
import { createOccupancy, createStatusProbe, createTcpProbe } from "../session/probe.ts";
import { createIdle, type Idle } from "../wake/idle.ts";
import type { StartTimes } from "../wake/start-times.ts";
import { createWakes, type Wakes } from "../wake/wakes.ts";
import { type Platforms, wakersOf } from "./providers.ts";
import type { SecretStore } from "./secrets.ts";

/** The way to backends, and what starts and stops them. */
export interface Backends {
  readonly dialer: Dialer;
  /** Decides which addresses may be dialled. */
  readonly egress: Egress;
  readonly wakes: Wakes;
  readonly idle: Idle;
}

/** What backends need of the router. */
export interface BackendsDeps {
  readonly deadlines: Deadlines;
  readonly secrets: SecretStore;
  readonly emit: Observer;
  readonly fault: (error: Error) => void;
  readonly startTimes: StartTimes;
}

/** mc-router's least time for one attempt to connect to a backend that is being woken, ms. */
const leastAttemptMs = 250;

/** Nothing is dialled, started or stopped yet. */
export function createBackends(config: Config, platforms: Platforms, deps: BackendsDeps): Backends {
  const { dialTimeoutMs, balance, limits } = config;
  const attemptMs = Math.max(leastAttemptMs, dialTimeoutMs);
  const egress = createEgress(config.egress);
  const balancer = createBalancer({ policy: balance });
  const dialing = { ...deps, egress, balancer, resolver: platforms.resolver };
  const dialer = createDialer({ ...dialing, timeoutMs: attemptMs });
  const probing = {
    dialer,
    deadlines: deps.deadlines,
    sendProxyProtocol: config.proxyProtocol.send,
  };
  const occupancy = createOccupancy(probing);
  const wakes = createWakes({
    ...deps,
    wakers: wakersOf(config, platforms, { ...deps, attemptMs }),
    budget: createWakeBudget({
      ...limits.wakes,
      exempt: createAddressSet(limits.client.exempt),
      now: deps.deadlines.now,
    }),
    dialer,
    probe: config.ready === "tcp" ? createTcpProbe(probing) : createStatusProbe(probing),
    coolDownMs: limits.wakes.coolDownMs,
  });
  const idle = createIdle({
    ...config.idle,
    ...deps,
    canStop: (target) => wakes.may(target).stop,
    occupancy: (backend, signal) => occupancy(backend, wakes.addressOf(backend), signal),
    stop: wakes.stop,
  });
  return { dialer: createDialer({ ...dialing, timeoutMs: dialTimeoutMs }), egress, wakes, idle };
}
