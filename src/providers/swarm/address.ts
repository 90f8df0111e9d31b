import { err, ok, type Result } from "../../base/result.ts";
import type { SwarmNetwork, SwarmService } from "./service.ts";
import type { SwarmTask } from "./task.ts";

/** The network that carries published ports to services. Nothing is routed over it by choice. */
const ingress = "ingress";

/**
 * The id of the network on which a service is reached: the one that `wanted` names by id, name or
 * the service's alias, or, with null, its first that is known and not the ingress. Null: none is.
 */
export function targetNetwork(
  { networks }: SwarmService,
  wanted: string | null,
  known: readonly SwarmNetwork[],
): string | null {
  const nameOf = (target: string): string | null =>
    known.find(({ id }) => id === target)?.name ?? null;
  if (wanted === null) {
    const usable = networks.find(({ target }) => ![null, ingress].includes(nameOf(target)));
    return (usable ?? networks[0])?.target ?? null;
  }
  const named = networks.find(({ target, aliases }) => {
    const name = nameOf(target);
    return name !== null && (target === wanted || name === wanted || aliases.includes(wanted));
  });
  return named?.target ?? null;
}

/**
 * A task's address on a network; with null on its first one but the ingress. Null: it has none
 * there, or none yet.
 */
export function taskIp({ attachments }: SwarmTask, network: string | null): string | null {
  const found = attachments.find(
    ({ network: id, networkName, ips }) =>
      ips.length > 0 && (network === null ? networkName !== ingress : id === network),
  );
  return found?.ips[0] ?? null;
}

/** What to find a running service by. */
interface ServicePlace {
  readonly service: SwarmService;
  /** The tasks that run, the newest first. */
  readonly running: readonly SwarmTask[];
  /** The network that the operator wants; null: none in particular. */
  readonly wanted: string | null;
  readonly known: readonly SwarmNetwork[];
}

/**
 * The host at which a running service is reached: its only replica's own address, or else its
 * virtual IP, or its name where it has none by choice. The error is one readable phrase.
 */
export function serviceHost({
  service,
  running,
  wanted,
  known,
}: ServicePlace): Result<string, string> {
  const network = targetNetwork(service, wanted, known);
  if (service.replicas === 1) {
    const ip = running.map((task) => taskIp(task, network)).find((found) => found !== null);
    if (ip !== undefined) return ok(ip);
  }
  if (service.endpointMode === "dnsrr") return ok(service.name);
  const { virtualIps } = service;
  const isWanted = (id: string): boolean =>
    id === wanted || known.some((each) => each.id === id && each.name === wanted);
  const virtual =
    virtualIps.find(({ network: id }) => id === network) ??
    (wanted === null ? virtualIps[0] : virtualIps.find(({ network: id }) => isWanted(id)));
  if (virtual !== undefined) return ok(virtual.ip);
  return err(
    wanted === null
      ? "it is on no network that it can be reached on"
      : `it is on no network ${JSON.stringify(wanted)}`,
  );
}
