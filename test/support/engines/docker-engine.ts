import { join } from "node:path";
import { makeNetns } from "../net/netns.ts";
import { requireProgram } from "../process/debian.ts";
import { type ContainerEngine, startEngine } from "./container-engine.ts";
import { insideTree } from "./debian-tree.ts";

/** What an engine may be given. */
export interface DockerEngineOptions {
  /** Further arguments of `dockerd`. */
  readonly args?: readonly string[];
  /** The name that it has for itself, and for others of its swarm. */
  readonly hostname?: string;
  /** The file tree of another Debian, whose engine it shall be; this machine's without it. */
  readonly tree?: string;
}

/** Starts a real Docker engine with the image `busyboxImage`. It needs root and the packages that the messages name. */
export function startDockerEngine(options: DockerEngineOptions = {}): Promise<ContainerEngine> {
  const { args = [], tree } = options;
  const dockerd = tree === undefined ? requireProgram("dockerd", "docker.io") : "dockerd";
  const netns = makeNetns();
  const { hostname = netns.name } = options;
  return startEngine({
    netns,
    command: (directory, socket) => [
      // Its containerd dies with it, and may stay a zombie that the next one would wait for.
      ...["sh", "-c", 'rm -f "$1" && hostname "$0" && shift && exec "$@"', hostname],
      join(directory, "exec/containerd/containerd.pid"),
      ...(tree === undefined ? [] : insideTree(tree, directory)),
      dockerd,
      ...["--host", `unix://${socket}`, "--data-root", join(directory, "data")],
      ...["--exec-root", join(directory, "exec"), "--pidfile", join(directory, "pid")],
      ...["--bip", "198.18.0.1/24"],
      ...["--default-address-pool", "base=198.18.128.0/17,size=24"],
      ...args,
    ],
  });
}
