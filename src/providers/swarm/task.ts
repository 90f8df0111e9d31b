import { listOf, membersOf, textOf, textsOf, within } from "../../base/members.ts";
import { timeOf, withoutPrefix } from "./service.ts";

/** One task of a service: a container that runs, shall run or has run (Docker Engine API, `Task`). */
export interface SwarmTask {
  readonly id: string;
  /** The id of its service. */
  readonly service: string;
  /** ms since the epoch, as the Swarm's leader sees it. */
  readonly createdAt: number;
  /** How it is, and since when (ms since the epoch), as its node told last. */
  readonly state: string;
  readonly since: number;
  /** How the Swarm wants it to be. */
  readonly desired: string;
  /** Where it can be reached on each network. */
  readonly attachments: readonly Attachment[];
}

/** A task on a network. */
interface Attachment {
  readonly network: string;
  readonly networkName: string;
  /** Without a prefix length. */
  readonly ips: readonly string[];
}

/** A task out of the engine's answer; null when it is none. */
export function parseSwarmTask(json: unknown): SwarmTask | null {
  const members = membersOf(json);
  if (members === null) return null;
  const id = textOf(members, "ID");
  const service = textOf(members, "ServiceID");
  if (id === null || service === null) return null;
  const status = within(members, "Status");
  return {
    id,
    service,
    createdAt: timeOf(members, "CreatedAt"),
    state: textOf(status, "State") ?? "",
    since: timeOf(status, "Timestamp"),
    desired: textOf(members, "DesiredState") ?? "",
    attachments: listOf(members, "NetworksAttachments").map((attachment) => ({
      network: textOf(within(attachment, "Network"), "ID") ?? "",
      networkName: textOf(within(attachment, "Network", "Spec"), "Name") ?? "",
      ips: ipsOf(attachment["Addresses"]),
    })),
  };
}

/** It runs, and shall do so. */
export const isRunning = ({ state, desired }: SwarmTask): boolean =>
  state === "running" && desired === "running";

/** The one that was made last comes first; of two that were made at once always the same. */
export const newestFirst = (tasks: readonly SwarmTask[]): readonly SwarmTask[] =>
  tasks.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));

const ipsOf = (addresses: unknown): readonly string[] =>
  textsOf(addresses)
    .map(withoutPrefix)
    .filter((ip) => ip !== null);
