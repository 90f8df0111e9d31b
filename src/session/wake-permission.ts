import { err, ok, type Result } from "../base/result.ts";
import type { Player } from "../protocol/login.ts";
import { type Hostname, toHostname } from "../routing/hostname.ts";

/**
 * A player as an operator names one: by UUID, by name, or by both. What is null is not asked for; two nulls
 * match no player.
 */
export interface NamedPlayer {
  /** Dashed lower case. */
  readonly uuid: string | null;
  readonly name: string | null;
}

/** Who may, and who may not. */
export interface PlayerLists {
  readonly allow: readonly NamedPlayer[];
  readonly deny: readonly NamedPlayer[];
}

/** Who may start which servers; mc-router's allow and deny lists. */
export interface WakePermissions {
  readonly global: PlayerLists;
  readonly servers: ReadonlyMap<Hostname, PlayerLists>;
}

/** All players may start all servers: what holds without a file. */
export const allPlayers: WakePermissions = {
  global: { allow: [], deny: [] },
  servers: new Map(),
};

/**
 * True when the player may start a server. The lists of all servers and those of each of its hostnames count
 * together; `isIts` tells whether a hostname leads to it. A player who is denied may not; where players are
 * allowed, only those may. A player who is not known matches no entry.
 */
export function mayWake(
  { global, servers }: WakePermissions,
  isIts: (hostname: Hostname) => boolean,
  player: Player | null,
): boolean {
  const lists = [global];
  for (const [hostname, own] of servers) if (isIts(hostname)) lists.push(own);
  const isNamed = (of: keyof PlayerLists): boolean =>
    lists.some((list) => list[of].some((named) => matches(named, player)));
  if (isNamed("deny")) return false;
  return lists.every(({ allow }) => allow.length === 0) || isNamed("allow");
}

function matches({ uuid, name }: NamedPlayer, player: Player | null): boolean {
  if (player === null || (uuid === null && name === null)) return false;
  return (uuid === null || uuid === player.uuid) && (name === null || name === player.name);
}

/**
 * Permissions from mc-router's `{"global": lists, "servers": {hostname: lists}}`, lists being `{"allowlist":
 * [{"uuid", "name"}], "denylist": [...]}`. Read as Go's JSON decoder does it: members in any case, the last
 * of several, null is nothing given, unknown ones are ignored. Hostnames take the form in which clients are
 * routed. The error is a clause about the file.
 */
export function readWakePermissions(
  json: unknown,
  simplifySrv: boolean,
): Result<WakePermissions, string> {
  const root = membersOf(json ?? {}, ["global", "servers"]);
  if (root === null) return err("it is no JSON object");
  const global = readLists(root.get("global"), `its "global"`);
  if (!global.ok) return global;

  const named = root.get("servers") ?? {};
  if (!isObject(named)) return err(`its "servers" is no object`);
  const servers = new Map<Hostname, PlayerLists>();
  for (const [name, value] of Object.entries(named)) {
    const lists = readLists(value, `${JSON.stringify(name)} in its "servers"`);
    if (!lists.ok) return lists;
    const hostname = toHostname(name, simplifySrv);
    const known = servers.get(hostname) ?? allPlayers.global;
    servers.set(hostname, {
      allow: [...known.allow, ...lists.value.allow],
      deny: [...known.deny, ...lists.value.deny],
    });
  }
  return ok({ global: global.value, servers });
}

function readLists(value: unknown, where: string): Result<PlayerLists, string> {
  const members = membersOf(value ?? {}, ["allowlist", "denylist"]);
  if (members === null) return err(`${where} is no object`);
  const allow = readPlayers(members.get("allowlist"), `the allowlist of ${where}`);
  if (!allow.ok) return allow;
  const deny = readPlayers(members.get("denylist"), `the denylist of ${where}`);
  if (!deny.ok) return deny;
  return ok({ allow: allow.value, deny: deny.value });
}

function readPlayers(value: unknown, where: string): Result<readonly NamedPlayer[], string> {
  if (value === undefined || value === null) return ok([]);
  if (!Array.isArray(value)) return err(`${where} is no list`);
  const players: NamedPlayer[] = [];
  for (const [index, entry] of value.entries()) {
    const player = readPlayer(entry);
    if (!player.ok) return err(`entry ${index + 1} in ${where} ${player.error}`);
    players.push(player.value);
  }
  return ok(players);
}

function readPlayer(entry: unknown): Result<NamedPlayer, string> {
  const members = membersOf(entry ?? {}, ["uuid", "name"]);
  if (members === null) return err("is no object with a name or a uuid");
  const name = members.get("name") ?? "";
  if (typeof name !== "string") return err("has a name that is no string");
  const given = members.get("uuid") ?? null;
  const uuid = given === null ? null : readUuid(given);
  if (given !== null && uuid === null) return err("has a uuid that is none");
  return ok({ uuid: uuid === noUuid ? null : uuid, name: name === "" ? null : name });
}

/** What Go has for a UUID that is not given. */
const noUuid = "00000000-0000-0000-0000-000000000000";

const dashed = "[\\da-f]{8}(?:-[\\da-f]{4}){3}-[\\da-f]{12}";

/** The forms that Go's `uuid.Parse` takes: dashed, so behind `urn:uuid:` or in braces, and 32 digits. */
const uuidForms = new RegExp(`^(?:(?:urn:uuid:)?${dashed}|\\{${dashed}\\}|[\\da-f]{32})$`, "i");

/** Dashed lower case; null for what is no UUID. */
function readUuid(value: unknown): string | null {
  if (typeof value !== "string" || !uuidForms.test(value)) return null;
  const digits = value.toLowerCase().replace(/^urn:uuid:|[{}-]/g, "");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The wanted members of an object, found in any case; null when it is no object. */
function membersOf(value: unknown, wanted: readonly string[]): ReadonlyMap<string, unknown> | null {
  if (!isObject(value)) return null;
  const members = new Map<string, unknown>();
  for (const [name, member] of Object.entries(value)) {
    const known = wanted.find((each) => each === name.toLowerCase());
    if (known !== undefined) members.set(known, member);
  }
  return members;
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
