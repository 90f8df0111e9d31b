import {
  listOf,
  type Members,
  membersOf,
  numberOf,
  textMembersOf,
  textOf,
  textsOf,
  within,
} from "../../base/members.ts";

/**
 * A network that a service's tasks are attached to, as its specification names it: by id, and what
 * the service is called there.
 */
interface ServiceNetwork {
  readonly target: string;
  readonly aliases: readonly string[];
}

/** What routing needs to know of a Swarm's service (Docker Engine API, `Service`). */
export interface SwarmService {
  readonly id: string;
  readonly name: string;
  /** ms since the epoch, as the Swarm's leader sees it. */
  readonly createdAt: number;
  /** Those of the service, not of its containers. */
  readonly labels: ReadonlyMap<string, string>;
  /** How many tasks it shall have; null for a global service or a job, whose replicas cannot be set. */
  readonly replicas: number | null;
  /** Its tasks are being replaced by others, because it was changed. */
  readonly isUpdating: boolean;
  /** `vip`, `dnsrr`, or something that is not known here. */
  readonly endpointMode: string;
  readonly networks: readonly ServiceNetwork[];
  readonly virtualIps: readonly { readonly network: string; readonly ip: string }[];
  /** How long a task that has ended stays down before the next one, ms. */
  readonly restartDelayMs: number;
}

/** A network of the whole Swarm. */
export interface SwarmNetwork {
  readonly id: string;
  readonly name: string;
}

const updatingStates: ReadonlySet<string> = new Set(["updating", "rollback_started"]);
/** Swarm's own delay where the restart policy names none, ms. */
const usualDelayMs = 5_000;
const nsPerMs = 1_000_000;

/** A service out of the engine's answer; null when it is none. */
export function parseSwarmService(json: unknown): SwarmService | null {
  const members = membersOf(json);
  if (members === null) return null;
  const spec = within(members, "Spec");
  const id = textOf(members, "ID");
  const name = textOf(spec, "Name");
  if (id === null || name === null) return null;
  return {
    id,
    name,
    createdAt: timeOf(members, "CreatedAt"),
    labels: textMembersOf(within(spec, "Labels")),
    replicas: replicasOf(spec),
    isUpdating: updatingStates.has(textOf(within(members, "UpdateStatus"), "State") ?? ""),
    endpointMode: endpointModeOf(members, spec),
    networks: listOf(within(spec, "TaskTemplate"), "Networks").map(toServiceNetwork),
    virtualIps: listOf(within(members, "Endpoint"), "VirtualIPs").flatMap(toVirtualIp),
    restartDelayMs: restartDelayOf(within(spec, "TaskTemplate", "RestartPolicy")),
  };
}

/** A network out of the engine's answer; null when it is none. */
export function parseSwarmNetwork(json: unknown): SwarmNetwork | null {
  const members = membersOf(json);
  if (members === null) return null;
  const id = textOf(members, "Id");
  const name = textOf(members, "Name");
  return id === null || name === null ? null : { id, name };
}

/** The address in front of the length of its network's prefix; null when there is none. */
export const withoutPrefix = (address: string): string | null => address.split("/", 1)[0] || null;

/** A member that is a time, in ms since the epoch; 0 when it is anything else. */
export const timeOf = (members: Members, name: string): number =>
  Date.parse(textOf(members, name) ?? "") || 0;

/**
 * The replicas that a service's specification names; null where it has no number of them. The
 * engine leaves a 0 out in some versions.
 */
export function replicasOf(spec: Members): number | null {
  const replicated = membersOf(within(spec, "Mode")["Replicated"]);
  return replicated === null ? null : (numberOf(replicated, "Replicas") ?? 0);
}

/** What the service asks for, or else what it was given: either may be left out. */
const endpointModeOf = (members: Members, spec: Members): string =>
  textOf(within(spec, "EndpointSpec"), "Mode") ??
  textOf(within(members, "Endpoint", "Spec"), "Mode") ??
  "vip";

const toServiceNetwork = (network: Members): ServiceNetwork => ({
  target: textOf(network, "Target") ?? "",
  aliases: textsOf(network["Aliases"]),
});

function toVirtualIp(virtual: Members): SwarmService["virtualIps"] {
  const ip = withoutPrefix(textOf(virtual, "Addr") ?? "");
  return ip === null ? [] : [{ network: textOf(virtual, "NetworkID") ?? "", ip }];
}

function restartDelayOf(policy: Members): number {
  const delay = numberOf(policy, "Delay");
  return delay === null ? usualDelayMs : delay / nsPerMs;
}
