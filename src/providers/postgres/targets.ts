import { ok, type Result } from "../../base/result.ts";
import { within } from "../../base/wait.ts";
import { literal, type Resolver } from "../../net/resolve.ts";
import { type Dsn, type DsnHost, describeHost } from "./dsn.ts";
import type { DialTarget, Patience } from "./socket.ts";

/** One address of one host of a connection string. */
export interface HostTarget {
  readonly host: DsnHost;
  readonly dial: DialTarget;
}

/** What is remembered between two rounds over the hosts of a connection string. */
export interface HostMemory {
  /** The target of the last connection that was made; null: none was. */
  good: DialTarget | null;
}

/** The addresses to try in one round, in order, and what is wrong with the names of other hosts. */
export interface Round {
  readonly targets: readonly HostTarget[];
  readonly unresolved: readonly string[];
}

/**
 * All addresses of all hosts, the last good one first. All names are looked up at once, and none is waited
 * for longer than the patience lasts.
 */
export async function planRound(
  dsn: Dsn,
  memory: HostMemory,
  resolver: Resolver,
  patience: Patience,
): Promise<Round> {
  const hosts = dsn.loadBalance ? shuffled(dsn.hosts) : dsn.hosts;
  const found = await Promise.all(hosts.map((host) => targetsOf(host, resolver, patience)));
  const targets: HostTarget[] = [];
  const unresolved: string[] = [];
  for (const [index, host] of hosts.entries()) {
    const dials = found[index];
    if (dials === undefined) continue;
    if (!dials.ok) {
      unresolved.push(`${describeHost(host)}: ${dials.error}`);
      continue;
    }
    const inOrder = dsn.loadBalance ? shuffled(dials.value) : dials.value;
    targets.push(...inOrder.map((dial) => ({ host, dial })));
  }
  const isGood = ({ dial }: HostTarget) => memory.good !== null && sameTarget(dial, memory.good);
  return { targets: targets.toSorted((a, b) => Number(isGood(b)) - Number(isGood(a))), unresolved };
}

async function targetsOf(
  host: DsnHost,
  resolver: Resolver,
  { limitMs, signal }: Patience,
): Promise<Result<readonly DialTarget[], string>> {
  if (host.kind === "unix") return ok([{ kind: "unix", path: host.path }]);
  const { port, host: name } = host;
  const ip = host.ip ?? literal(name);
  if (ip !== null) return ok([{ kind: "tcp", ip, port, name }]);
  const asked = await within(limitMs, resolver.resolve(name, signal), signal);
  if (!asked.ok) return { ok: false, error: "no nameserver answered in time" };
  const { value: ips } = asked;
  if (!ips.ok) return { ok: false, error: ips.error.message };
  return ok(ips.value.map((each) => ({ kind: "tcp", ip: each, port, name })));
}

function sameTarget(a: DialTarget, b: DialTarget): boolean {
  if (a.kind === "unix") return b.kind === "unix" && a.path === b.path;
  return b.kind === "tcp" && a.ip === b.ip && a.port === b.port && a.name === b.name;
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[]): readonly T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    const [a, b] = [order[last], order[other]];
    if (a === undefined || b === undefined) continue;
    order[last] = b;
    order[other] = a;
  }
  return order;
}
