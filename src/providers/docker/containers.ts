import {
  type Members,
  membersOf,
  numberOf,
  textMembersOf,
  textOf,
  textsOf,
  within,
} from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { ApiFailure } from "../http-api.ts";
import { type DockerApi, dockerFilters } from "./api.ts";

/** A network that a container is on. */
interface ContainerNetwork {
  readonly name: string;
  readonly id: string;
  /** IPv4 where there is one, else IPv6; null while the container does not run. */
  readonly ip: string | null;
  /** Other names that the container has there. A listing leaves them out. */
  readonly aliases: readonly string[];
}

/** What Docker calls the states of a container, as far as there is a difference here. */
export type ContainerState = "running" | "paused" | "restarting" | "stopped";

/** A container, as a listing or an inspection tells of it. */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly state: ContainerState;
  readonly labels: ReadonlyMap<string, string>;
  readonly networks: readonly ContainerNetwork[];
  /** What its last run ended with, where it does not run; a listing leaves it out. */
  readonly exitCode: number | null;
}

/**
 * All containers with that label, whatever their state, and when that was by the engine's clock, in
 * Unix seconds; null where it does not say.
 */
export async function listContainers(
  api: DockerApi,
  label: string,
  signal: AbortSignal,
): Promise<
  Result<{ readonly containers: readonly Container[]; readonly at: number | null }, string>
> {
  const begun = performance.now();
  const path = `/containers/json?all=1&${dockerFilters({ label: [label] })}`;
  const answered = await api.get(path, signal);
  if (!answered.ok) return err(answered.error.message);
  const { json, headers } = answered.value;
  if (!Array.isArray(json)) return err("GET /containers/json: the answer is no list");
  const containers = json.map(readSummary).filter((container) => container !== null);
  const told = Date.parse(headers.get("date") ?? "");
  const tookMs = performance.now() - begun;
  return ok({ containers, at: Number.isNaN(told) ? null : Math.floor((told - tookMs) / 1_000) });
}

/** One container by id or name; a status of 404 means that there is none. */
export async function inspectContainer(
  api: DockerApi,
  id: string,
  signal: AbortSignal,
): Promise<Result<Container, ApiFailure>> {
  const answered = await api.get(`/containers/${encodeURIComponent(id)}/json`, signal);
  if (!answered.ok) return answered;
  const container = readInspection(answered.value.json);
  if (container !== null) return ok(container);
  return err({ status: null, message: "GET /containers/{id}/json: the answer is no container" });
}

/**
 * The container's network that a label names, by its exact name, its id (12 characters or more of
 * it), or an alias; without a label its only one. The error completes "the container ...".
 */
export function chooseNetwork(
  { networks }: Pick<Container, "networks">,
  label: string | null,
): Result<ContainerNetwork, string> {
  const [only, another] = networks;
  if (only === undefined) return err("is on no network");
  if (label === null) {
    if (another === undefined) return ok(only);
    const names = networks.map(({ name }) => name).join(", ");
    return err(`is on several networks (${names}); a label mc-router.network has to name one`);
  }
  const named =
    networks.find(({ name }) => name === label) ??
    networks.find(({ id }) => label.length >= shortestId && id.startsWith(label)) ??
    networks.find(({ aliases }) => aliases.includes(label));
  return named === undefined ? err(`is on no network ${JSON.stringify(label)}`) : ok(named);
}

/** As much of an id as Docker's own programs print. */
const shortestId = 12;

function readSummary(json: unknown): Container | null {
  const summary = membersOf(json) ?? {};
  const names = textsOf(summary["Names"]);
  // Links add names with two slashes.
  const name = names.find((each) => each.lastIndexOf("/") === 0) ?? names[0] ?? "";
  const state = { Status: summary["State"] };
  return readContainer(summary, name, state, summary["Labels"]);
}

function readInspection(json: unknown): Container | null {
  const inspection = membersOf(json) ?? {};
  const state = within(inspection, "State");
  const labels = within(inspection, "Config")["Labels"];
  return readContainer(inspection, textOf(inspection, "Name") ?? "", state, labels);
}

function readContainer(
  members: Members,
  name: string,
  state: Members,
  labels: unknown,
): Container | null {
  const id = textOf(members, "Id");
  if (id === null) return null;
  const networks = within(members, "NetworkSettings", "Networks");
  return {
    id,
    name: name.replace(/^\//, "") || id.slice(0, shortestId),
    state: readState(textOf(state, "Status")),
    exitCode: numberOf(state, "ExitCode"),
    labels: textMembersOf(membersOf(labels) ?? {}),
    networks: Object.keys(networks).map((each) => readNetwork(each, within(networks, each))),
  };
}

/**
 * Docker's words: created, running, paused, restarting, removing, exited, dead; Podman has some
 * more for what does not run.
 */
const readState = (state: string | null): ContainerState =>
  state === "running" || state === "paused" || state === "restarting" ? state : "stopped";

const readNetwork = (name: string, members: Members): ContainerNetwork => ({
  name,
  id: textOf(members, "NetworkID") ?? "",
  ip: textOf(members, "IPAddress") ?? textOf(members, "GlobalIPv6Address"),
  aliases: textsOf(members["Aliases"]),
});
