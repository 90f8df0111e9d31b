import { err, type Result } from "../../base/result.ts";
import { type Address, makeAddress } from "../../routing/address.ts";
import type { WakeTarget } from "../../routing/route.ts";
import type { BackendState, StartFailure, WakeableBackend, Waker } from "../../wake/waker.ts";
import { onPlatform, platformTiming } from "../on-platform.ts";
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
  async function start(
    { target: { service, scaling } }: WakeableBackend<SwarmTarget>,
    signal: AbortSignal,
  ): Promise<Result<void, StartFailure>> {
    if (!scaling.up) return err({ reason: "its labels do not let it be started", isFinal: true });
    const started = await api.wake(service, signal);
    return started.ok ? started : err({ reason: started.error, isFinal: false });
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

  return {
    ...onPlatform,
    kind: "swarm",
    timing: platformTiming(() => pauseMs),
    start,
    look,
    stop: ({ service }, signal) => api.putToSleep(service, signal),
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
      return { kind: "stopped", word: "without replicas" };
    case "waking":
      return { kind: "starting", word: "without a running task" };
    case "running": {
      const addresses = addressesOf(target, service, state.tasks, networks);
      return addresses.length === 0
        ? { kind: "starting", word: "without an address" }
        : { kind: "expected", addresses };
    }
    case "restart-delay":
      return { kind: "delayed", ms: Math.max(0, state.until - Date.now()) };
    case "failed":
      return {
        kind: "failed",
        reason: "its last task has ended, and the Swarm starts no other",
        message: null,
      };
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
