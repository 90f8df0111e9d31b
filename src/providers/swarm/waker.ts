import { err, type Result } from "../../base/result.ts";
import { type Address, makeAddress } from "../../routing/address.ts";
import type { WakeTarget } from "../../routing/route.ts";
import type { BackendState, WakeableBackend, Waker } from "../../wake/waker.ts";
import { onPlatform } from "../on-platform.ts";
import { createOneAtATime } from "../one-at-a-time.ts";
import { serviceHost, targetNetwork, taskIp } from "./address.ts";
import type { SwarmApi } from "./api.ts";
import type { SwarmNetwork, SwarmService } from "./service.ts";
import { serviceState } from "./state.ts";
import type { SwarmTask } from "./task.ts";

/** A Swarm service. */
export type SwarmTarget = Extract<WakeTarget, { kind: "swarm" }>;

/** mc-router's pause between two looks, ms. */
const pauseMs = 500;

/** A waker that gives sleeping services a replica, and takes all replicas from those that are idle. */
export function createSwarmWaker(api: SwarmApi): Waker<SwarmTarget> {
  /** The starts that are under way; whoever comes meanwhile shares one. */
  const oneStart = createOneAtATime<Result<void, string>>();
  /** Those that are being put to sleep: a start must not overtake that. */
  const stopping = new Map<string, Promise<unknown>>();
  /** A request that has been sent is not taken back when the last player who waited leaves: the manager may be half through. */
  const { signal: never } = new AbortController();

  function start({ target }: WakeableBackend<SwarmTarget>): Promise<Result<void, string>> {
    if (!target.scaling.up) return Promise.resolve(err("the service may not be started from here"));
    const { service } = target;
    return oneStart(service, () => startOnce(service));
  }

  async function startOnce(service: string): Promise<Result<void, string>> {
    await stopping.get(service);
    return api.wake(service, never);
  }

  async function look(
    { target }: WakeableBackend<SwarmTarget>,
    signal: AbortSignal,
  ): Promise<BackendState> {
    const [service, tasks, networks] = await Promise.all([
      api.service(target.service, signal),
      api.tasks([target.service], signal),
      api.networks(signal),
    ]);
    if (!service.ok) return { kind: "trouble", reason: service.error };
    if (!tasks.ok) return { kind: "trouble", reason: tasks.error };
    if (!networks.ok) return { kind: "trouble", reason: networks.error };
    return backendState(target, service.value, tasks.value, networks.value);
  }

  async function stop(
    { service }: SwarmTarget,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    const stopped = api.putToSleep(service, signal);
    stopping.set(service, stopped);
    const slept = await stopped;
    stopping.delete(service);
    return slept;
  }

  return {
    ...onPlatform,
    kind: "swarm",
    pauseMs: () => pauseMs,
    start,
    look,
    stop,
  };
}

function backendState(
  target: SwarmTarget,
  service: SwarmService,
  tasks: readonly SwarmTask[],
  networks: readonly SwarmNetwork[],
): BackendState {
  const state = serviceState(service, tasks);
  switch (state.kind) {
    case "sleeping":
    case "waking":
      return { kind: "not-running" };
    case "running": {
      const addresses = addressesOf(target, service, state.tasks, networks);
      return addresses.length === 0 ? { kind: "not-running" } : { kind: "expected", addresses };
    }
    case "restart-delay":
      return { kind: "delayed", ms: Math.max(0, state.until - Date.now()) };
    case "failed":
      return { kind: "failed", reason: "its last task has ended, and the Swarm starts no other" };
  }
}

/** Where its route leads, which spreads players over its tasks, and then each of them. */
function addressesOf(
  { network: wanted, port }: SwarmTarget,
  service: SwarmService,
  running: readonly SwarmTask[],
  known: readonly SwarmNetwork[],
): readonly Address[] {
  const network = targetNetwork(service, wanted, known);
  const host = serviceHost({ service, running, wanted, known });
  const hosts = new Set(host.ok ? [host.value.toLowerCase()] : []);
  for (const task of running) {
    const ip = taskIp(task, network);
    if (ip !== null) hosts.add(ip);
  }
  return [...hosts].map((each) => makeAddress(each, port));
}
