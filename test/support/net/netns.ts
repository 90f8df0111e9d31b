import { commandFailure, execute, spawn } from "../process/command.ts";
import { requireProgram } from "../process/debian.ts";

/** A network namespace of its own, with a link to ours. Dispose removes both, whatever still runs inside. */
export interface Netns extends Disposable {
  readonly name: string;
  /** Our end of the link, as programs inside reach us. */
  readonly outside: string;
  /** The end inside, as we reach programs there. */
  readonly inside: string;
  /** The interface inside that the link ends at; the other one there is `lo`. */
  readonly device: string;
  /** What to put in front of a command so that it runs inside, as the same process. */
  readonly enter: readonly string[];
  /** Runs a command inside to its end and gives what it printed. Throws when it fails. */
  run(...command: readonly string[]): string;
  /** Adds an iptables rule inside, such as `-A INPUT -p tcp --dport 25565 -j DROP`; the result takes it back. */
  iptables(rule: string): Disposable;
  /** Gives one end of the link another address of its network. `index` from 3 to 254, no two alike. */
  addAddress(end: "inside" | "outside", index: number): string;
}

/** A namespace whose link is a /24 of 198.19.0.0/16 (RFC 2544: networks for tests) that nobody else on this machine has. */
export function makeNetns(): Netns {
  for (const [program, debianPackage] of [
    ["ip", "iproute2"],
    ["iptables", "iptables"],
    ["nsenter", "util-linux"],
  ] as const) {
    requireProgram(program, debianPackage);
  }
  const { name, network } = reserve();
  const inside = `${network}.2`;
  const outside = `${network}.1`;
  const device = "eth0";
  const enter = ["nsenter", `--net=/run/netns/${name}`];
  const run = (...command: readonly string[]): string => execute([...enter, ...command]);
  const netns: Netns = {
    name,
    inside,
    outside,
    device,
    enter,
    run,
    iptables(rule) {
      const words = rule.split(/\s+/);
      run("iptables", "--wait", ...words);
      const deletion = words.map((word) => (word === "-A" || word === "-I" ? "-D" : word));
      return { [Symbol.dispose]: () => void run("iptables", "--wait", ...deletion) };
    },
    addAddress(end, index) {
      const address = `${network}.${index}`;
      const add = (to: string) => ["ip", "address", "add", `${address}/24`, "dev", to];
      if (end === "inside") run(...add(device));
      else execute(add(name));
      return address;
    },
    [Symbol.dispose]() {
      execute(["ip", "link", "delete", name]);
      execute(["ip", "netns", "delete", name]);
    },
  };
  try {
    execute(["ip", "link", "set", `${name}i`, "netns", name, "name", device]);
    execute(["ip", "address", "add", `${outside}/24`, "dev", name]);
    execute(["ip", "link", "set", name, "up"]);
    run("ip", "address", "add", `${inside}/24`, "dev", device);
    run("ip", "link", "set", "lo", "up");
    run("ip", "link", "set", device, "up");
    run("ip", "route", "add", "default", "via", outside);
  } catch (error) {
    netns[Symbol.dispose]();
    throw error;
  }
  return netns;
}

/** A pair of interfaces and a namespace under a name that was free. The kernel makes one link of a name: whoever makes it has the network. */
function reserve(): { name: string; network: string } {
  for (let attempt = 0; attempt < 50; attempt++) {
    const third = 1 + Math.floor(Math.random() * 250);
    const name = `amc${third}`;
    const link = spawn(["ip", "link", "add", name, "type", "veth", "peer", "name", `${name}i`]);
    if (link.exitCode !== 0) {
      if (link.stderr.toString().includes("File exists")) continue;
      throw commandFailure(["ip", "link", "add", name], link);
    }
    const namespace = spawn(["ip", "netns", "add", name]);
    if (namespace.exitCode === 0) return { name, network: `198.19.${third}` };
    execute(["ip", "link", "delete", name]);
    if (!namespace.stderr.toString().includes("File exists")) {
      throw commandFailure(["ip", "netns", "add", name], namespace);
    }
  }
  throw new Error("no free network for a namespace");
}
