import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeNetns } from "../net/netns.ts";
import { requireProgram } from "../process/debian.ts";
import { type ContainerEngine, startEngine } from "./container-engine.ts";

/** Starts Podman's service for Docker's API with the image `busyboxImage`. It needs root and the packages that the messages name. */
export function startPodmanEngine(): Promise<ContainerEngine> {
  const podman = requireProgram("podman", "podman");
  requireProgram("runc", "runc");
  return startEngine({
    netns: makeNetns(),
    command: (directory, socket) => [
      // The addresses that are given out are kept there, for all engines of a machine. A second start goes on with them.
      ...[
        "sh",
        "-c",
        `mkdir -p ${leases}; mountpoint -q ${leases} || mount -t tmpfs none ${leases}; exec "$@"`,
        "sh",
      ],
      podman,
      ...["--root", join(directory, "root"), "--runroot", join(directory, "run")],
      ...["system", "service", "--time", "0", `unix://${socket}`],
    ],
    env: (directory) => ({ CONTAINERS_CONF: writeSettings(directory) }),
  });
}

const leases = "/var/lib/cni";

/** Settings for a machine whose limits cannot be raised and whose control groups are of the first version. */
function writeSettings(directory: string): string {
  const networks = join(directory, "networks");
  mkdirSync(networks, { recursive: true });
  const path = join(directory, "containers.conf");
  writeFileSync(
    path,
    `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "${join(directory, "tmp")}"
[network]
network_config_dir = "${networks}"
default_subnet = "198.18.1.0/24"
`,
  );
  return path;
}
