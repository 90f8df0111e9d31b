import { err, ok, type Result } from "../../base/result.ts";
import { makeAddress } from "../../routing/address.ts";
import type { WakeTarget } from "../../routing/route.ts";
import type { BackendState, StartFailure, WakeableBackend, Waker } from "../../wake/waker.ts";
import { onPlatform, platformTiming } from "../on-platform.ts";
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
  /** When each was found well by a start: one that has ended again soon after will not come up by itself. */
  const startedAt = new Map<string, number>();

  async function start(
    { target: { container, scaling } }: WakeableBackend<DockerTarget>,
    signal: AbortSignal,
  ): Promise<Result<void, StartFailure>> {
    if (!scaling.up) return err({ reason: "its labels do not let it be started", isFinal: true });
    startedAt.delete(container);
    const inspected = await inspectContainer(api, container, signal);
    if (!inspected.ok) return err({ reason: inspected.error.message, isFinal: false });
    const started = await bringTo(container, inspected.value.state, signal);
    if (!started.ok) return err({ reason: started.error, isFinal: false });
    startedAt.set(container, performance.now());
    return ok(undefined);
  }

  function bringTo(
    container: string,
    from: ContainerState,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    switch (from) {
      case "running":
      case "restarting":
        return Promise.resolve(ok(undefined));
      case "paused":
        return act(container, "unpause", 0, signal);
      case "stopped":
        return act(container, "start", 0, signal);
    }
  }

  /** Not modified (304) means that it was done already. */
  async function act(
    container: string,
    action: string,
    extraMs: number,
    signal: AbortSignal,
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
        message: null,
      };
    }
    if (state === "restarting") return { kind: "starting", word: state };
    if (state !== "running") return { kind: "stopped", word: state };
    const network = chooseNetwork(inspected.value, target.network);
    if (!network.ok) return { kind: "trouble", reason: `the container ${network.error}` };
    const { ip } = network.value;
    if (ip === null) return { kind: "starting", word: "without an address" };
    return { kind: "expected", addresses: [makeAddress(ip, target.port)] };
  }

  /** True for a container whose start a wake may still wait for. */
  const isFresh = ({ container, scaling }: DockerTarget): boolean =>
    performance.now() - (startedAt.get(container) ?? Number.NEGATIVE_INFINITY) < scaling.waitMs;

  function stop({ container }: DockerTarget, signal: AbortSignal): Promise<Result<void, string>> {
    startedAt.delete(container);
    return act(container, `stop?t=${stopSeconds}`, stopSeconds * 1_000, signal);
  }

  return {
    ...onPlatform,
    kind: "docker",
    timing: platformTiming(() => pauseMs),
    start,
    look,
    stop,
  };
}
