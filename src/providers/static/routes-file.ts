import {
  escapeLikeGo,
  membersOfText,
  objectText,
  parseJson,
  positionText,
} from "../../base/json.ts";
import { membersOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type Address, dialableAddress } from "../../routing/address.ts";
import {
  matchablePattern,
  type Pattern,
  parsePattern,
  patternText,
} from "../../routing/pattern.ts";
import type { Route } from "../../routing/route.ts";

/** A routes file's content, mc-router's format, as it is written: what cannot be used is kept too. */
export interface RoutesFile {
  /** `default-server`; empty for none. */
  readonly fallback: string;
  readonly mappings: ReadonlyMap<string, string>;
  /** The members that mc-router does not know, as JSON. */
  readonly others: ReadonlyMap<string, string>;
}

/** One change to the file's routes; a null address takes the pattern's route away. */
export interface RouteEdit {
  readonly pattern: Pattern;
  readonly address: Address | null;
}

/** The routes of a file by their patterns' texts, and by entry what keeps others from being routed. */
interface FileRoutes {
  readonly routes: ReadonlyMap<string, Route>;
  readonly problems: ReadonlyMap<string, string>;
}

/** What stands in a file that does not exist. */
export const emptyRoutesFile: RoutesFile = {
  fallback: "",
  mappings: new Map(),
  others: new Map(),
};

const fallbackKey = "default-server";
const mappingsKey = "mappings";

/**
 * The content of a file's bytes. As Go's JSON decoder reads it: keys in any case, `mappings` that
 * come twice are merged, null is nothing given. A byte order mark is dropped. The error is a clause
 * about the file, with line and column where there are any.
 */
export function parseRoutesFile(bytes: Uint8Array): Result<RoutesFile, string> {
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") return err("it is empty, expected a JSON object");
  const json = parseJson(text);
  if (!json.ok) {
    return err(`it is no JSON: ${positionText(text, json.error.at)}: ${json.error.reason}`);
  }
  if (json.value === null) return ok(emptyRoutesFile);
  if (membersOf(json.value) === null) return err("it is no JSON object");

  let fallback = "";
  const mappings = new Map<string, string>();
  const others = new Map<string, string>();
  for (const [key, valueText] of membersOfText(text)) {
    if (key.toLowerCase() === fallbackKey) {
      const value: unknown = JSON.parse(valueText);
      if (value !== null && typeof value !== "string") return err(`its "${key}" is no string`);
      fallback = value ?? fallback;
    } else if (key.toLowerCase() === mappingsKey) {
      const parsed = parseMappings(key, JSON.parse(valueText));
      if (!parsed.ok) return parsed;
      if (parsed.value === null) mappings.clear();
      for (const [hostname, backend] of parsed.value ?? []) mappings.set(hostname, backend);
    } else {
      others.set(key, JSON.stringify(JSON.parse(valueText)));
    }
  }
  return ok({ fallback, mappings, others });
}

/**
 * The text of a routes file, byte for byte as mc-router writes it: compact, sorted, no line feed at
 * the end, and escaped as Go's JSON encoder does it. What mc-router does not know follows.
 */
export function routesFileText({ fallback, mappings, others }: RoutesFile): string {
  const sorted = [...mappings].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = objectText([
    [fallbackKey, JSON.stringify(fallback)],
    [mappingsKey, objectText(sorted.map(([key, backend]) => [key, JSON.stringify(backend)]))],
    ...others,
  ]);
  return escapeLikeGo(text);
}

/** The file with the changes made. An entry that is written differently but means a changed pattern goes. */
export function withEdits(
  file: RoutesFile,
  edits: readonly RouteEdit[],
  simplifySrv: boolean,
): RoutesFile {
  let { fallback } = file;
  const changed = new Map<string, string | null>();
  for (const { pattern, address } of edits) {
    if (pattern.kind === "default") fallback = address?.text ?? "";
    else changed.set(patternText(pattern), address?.text ?? null);
  }
  const kept = [...file.mappings].filter(([key]) => {
    const pattern = parsePattern(key, simplifySrv);
    return !pattern.ok || !changed.has(patternText(pattern.value));
  });
  const added = [...changed].flatMap(([key, backend]) =>
    backend === null ? [] : [[key, backend] as const],
  );
  return { ...file, fallback, mappings: new Map([...kept, ...added]) };
}

/** The routes that a file's entries make. */
export function readRoutes(file: RoutesFile, simplifySrv: boolean): FileRoutes {
  const routes = new Map<string, Route>();
  const problems = new Map<string, string>();
  for (const [key, backend] of file.mappings) {
    const pattern = matchablePattern(key, simplifySrv);
    const address = dialableAddress(backend);
    if (pattern.ok && address.ok) {
      routes.set(patternText(pattern.value), toRoute("file", pattern.value, address.value));
      continue;
    }
    const wrong = pattern.ok ? [] : [`the hostname ${pattern.error}`];
    if (!address.ok) wrong.push(`the address ${address.error}`);
    problems.set(key, wrong.join("; "));
  }
  if (file.fallback !== "") {
    const address = dialableAddress(file.fallback);
    if (address.ok) routes.set("*", toRoute("file", { kind: "default" }, address.value));
    else problems.set(fallbackKey, `the address ${address.error}`);
  }
  for (const [key, valueText] of file.others) {
    const problem = unknownKey(key, valueText);
    if (problem !== null) problems.set(key, problem);
  }
  return { routes, problems };
}

/** The route that a file or the API names for a pattern. */
export const toRoute = (source: "file" | "api", pattern: Pattern, address: Address): Route => ({
  source,
  id: patternText(pattern),
  patterns: [pattern],
  address,
  wake: null,
});

/** Null for null, which takes back what was given before. */
function parseMappings(
  key: string,
  value: unknown,
): Result<readonly (readonly [string, string])[] | null, string> {
  if (value === null) return ok(null);
  const members = membersOf(value);
  if (members === null) return err(`its "${key}" is no object`);
  const mappings: [string, string][] = [];
  for (const [hostname, backend] of Object.entries(members)) {
    if (backend !== null && typeof backend !== "string") {
      return err(`its "${key}" has something else than a string for ${JSON.stringify(hostname)}`);
    }
    mappings.push([hostname, backend ?? ""]);
  }
  return ok(mappings);
}

/**
 * What is wrong with a member that mc-router does not know; null for one that is only a note, such
 * as `$schema` or `_comment`.
 */
function unknownKey(key: string, valueText: string): string | null {
  if (/^[$_/]/.test(key)) return null;
  const bare = key.toLowerCase().replace(/[^a-z]/g, "");
  if (bare === "defaultserver" || bare === "default") {
    return `it is no key of a routes file and is ignored; did you mean "${fallbackKey}"?`;
  }
  if (bare === "mapping" || bare === "routes" || bare === "servers") {
    return `it is no key of a routes file and is ignored; did you mean "${mappingsKey}"?`;
  }
  const isRoute = valueText.startsWith('"') || valueText.includes('"backend"');
  return isRoute
    ? `it is ignored: hostnames stand inside of "${mappingsKey}", each with the address as text`
    : `it is no key of a routes file ("${fallbackKey}" and "${mappingsKey}" are) and is ignored`;
}
