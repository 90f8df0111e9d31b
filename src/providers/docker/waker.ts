import { err, ok, type Result } from "../../base/result.ts";
import { makeAddress } from "../../routing/address.ts";
import type { WakeTarget } from "../../routing/route.ts";
import type { BackendState, WakeableBackend, Waker } from "../../wake/waker.ts";
import { onPlatform } from "../on-platform.ts";
import { createOneAtATime } from "../one-at-a-time.ts";
import type { DockerApi } from "./api.ts";
import { type ContainerState, chooseNetwork, inspectContainer } from "./containers.ts";

/** A container. */
export type DockerTarget = Extract<WakeTarget, { kind: "docker" }>;

/** mc-router's pause between two looks, ms. */
const pauseMs = 500;
/** How long a container may take to stop before it is killed, s; mc-router's. */
const stopSeconds = 60;

/** A waker that starts and unpauses containers, and stops those that are idle. */
export function createDockerWaker(api: DockerApi): Waker<DockerTarget> {
  /** The starts that are under way; whoever comes meanwhile shares one. */
  const oneStart = createOneAtATime<Result<void, string>>();
  /** The stops that are under way: a start must not overtake one. */
  const stopping = new Map<string, Promise<unknown>>();
  /** When each was found well by a start: one that has ended again soon after will not come up by itself. */
  const startedAt = new Map<string, number>();
  /** A request that has been sent is not taken back when the last player who waited leaves: the engine may be half through. */
  const { signal: never } = new AbortController();

  function start({ target }: WakeableBackend<DockerTarget>): Promise<Result<void, string>> {
    if (!target.scaling.up) return Promise.resolve(err("its labels do not let it be started"));
    const { container } = target;
    return oneStart(container, () => startOnce(container));
  }

  async function startOnce(container: string): Promise<Result<void, string>> {
    await stopping.get(container);
    startedAt.delete(container);
    const inspected = await inspectContainer(api, container, never);
    if (!inspected.ok) return err(inspected.error.message);
    const started = await bringTo(container, inspected.value.state);
    if (started.ok) startedAt.set(container, performance.now());
    return started;
  }

  function bringTo(container: string, from: ContainerState): Promise<Result<void, string>> {
    switch (from) {
      case "running":
      case "restarting":
        return Promise.resolve(ok(undefined));
      case "paused":
        return act(container, "unpause", 0);
      case "stopped":
        return act(container, "start", 0);
    }
  }

  /** Not modified (304) means that it was done already. */
  async function act(
    container: string,
    action: string,
    extraMs: number,
    signal: AbortSignal = never,
  ): Promise<Result<void, string>> {
    const path = `/containers/${encodeURIComponent(container)}/${action}`;
    const answered = await api.post(path, undefined, extraMs, signal);
    if (answered.ok || answered.error.status === 304) return ok(undefined);
    return err(answered.error.message);
  }

  async function look(
    { target }: WakeableBackend<DockerTarget>,
    signal: AbortSignal,
  ): Promise<BackendState> {
    const inspected = await inspectContainer(api, target.container, signal);
    if (!inspected.ok) return { kind: "trouble", reason: inspected.error.message };
    const { state, exitCode } = inspected.value;
    if (state === "stopped" && isFresh(target)) {
      return {
        kind: "failed",
        reason: `the container has ended again, with exit code ${exitCode}`,
      };
    }
    if (state !== "running") return { kind: "not-running" };
    const network = chooseNetwork(inspected.value, target.network);
    if (!network.ok) return { kind: "trouble", reason: `the container ${network.error}` };
    const { ip } = network.value;
    if (ip === null) return { kind: "not-running" };
    return { kind: "expected", addresses: [makeAddress(ip, target.port)] };
  }

  /** True for a container whose start a wake may still wait for. */
  const isFresh = ({ container, scaling }: DockerTarget): boolean =>
    performance.now() - (startedAt.get(container) ?? Number.NEGATIVE_INFINITY) < scaling.waitMs;

  async function stop(
    { container }: DockerTarget,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    startedAt.delete(container);
    const stopped = act(container, `stop?t=${stopSeconds}`, stopSeconds * 1_000, signal);
    stopping.set(container, stopped);
    const result = await stopped;
    stopping.delete(container);
    return result;
  }

  return {
    ...onPlatform,
    kind: "docker",
    pauseMs: () => pauseMs,
    start,
    look,
    stop,
  };
}
