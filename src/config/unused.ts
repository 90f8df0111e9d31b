import { nearestName } from "../base/nearest-name.ts";
import { type Environment, type Issue, shown } from "./environment.ts";
import type { Setting, Variables, World } from "./setting.ts";
import { namesOf, settings } from "./settings.ts";
import { masked } from "./values.ts";

/** Notes settings that do nothing here. They may have their default, however that is spelled. */
export function noteUnsupported(env: Environment): void {
  for (const setting of settings) {
    const { name, status, advice = "it has no use here" } = setting;
    const given = env.text(name);
    if (given === "" || isDefault(setting, given, env)) continue;
    switch (status) {
      case "supported":
        break;
      case "refused":
        env.problem(name, `it to be unset: ${advice}`);
        break;
      case "accepted and ignored":
        env.warn(name, `it to be unset; it is ignored: ${advice}`);
        break;
    }
  }
}

function isDefault(setting: Setting<unknown>, text: string, world: World): boolean {
  const read = (each: string): unknown => setting.read(each, world);
  return Bun.deepEquals(read(text), read(setting.default));
}

/** The variables that libpq and its kin read, by name; the router does not. */
export const libpqVariables = (variables: Variables): readonly string[] =>
  Object.keys(variables).filter((name) => /^PG[A-Z_]+$/.test(name));

/** A connection that is described in two places would be a puzzle: only the connection string counts. */
export function noteLibpqVariables(env: Environment): void {
  const names = libpqVariables(env.variables).filter((name) => !serverVariables.has(name));
  if (names.length === 0) return;
  env.warn("AUTOMC_DSN", `everything in the connection string; ${names.join(", ")} have no effect`);
}

/** Variables of the server and of its tools, which no client reads. */
const serverVariables = new Set(["PGDATA", "PGVERSION", "PG_MAJOR", "PG_VERSION", "PGROOT"]);

/** Where a setting is given under both of its names, the main one counts; not silently, unless they agree. */
export function noteDoubleNames(env: Environment): void {
  for (const { name, otherName } of settings) {
    const other = otherName === undefined ? "" : (env.variables[otherName] ?? "");
    if (other === "" || other === env.text(name)) continue;
    env.warn(name, `only one of ${name} and ${otherName}; the first one counts`);
  }
}

/** Variables of ours that do not exist: a typo must not leave a setting at its default. */
export function unknownNames(variables: Variables): readonly Issue[] {
  // The prefix would make all of our names look alike. Without it, AUTOMC_PORT is also found to mean PORT.
  const known = new Map(settings.flatMap(namesOf).map((name) => [withoutPrefix(name), name]));
  return Object.entries(variables).flatMap(([variable, value]) => {
    if (value === undefined || !variable.startsWith(prefix)) return [];
    const bare = withoutPrefix(variable);
    if (known.get(bare) === variable || isServiceLink(variable, value)) return [];

    const meant = known.get(nearestName(bare, [...known.keys()]) ?? "");
    const expected =
      meant === undefined ? "it to be unset: there is no such setting" : `the name ${meant}`;
    // The value may be a secret.
    return [{ variable: shown(variable), value: masked, expected }];
  });
}

/**
 * Notes variables whose names nearly are a setting's, such as `MAPING`. They may belong to another program,
 * so the router starts all the same.
 */
export function noteNearNames(env: Environment): void {
  const names = settings.flatMap(namesOf);
  for (const [variable, value = ""] of Object.entries(env.variables)) {
    if (value === "" || names.includes(variable) || !isNearable(variable)) continue;
    const meant = settings.find((setting) =>
      namesOf(setting).some((name) => nearestName(variable, [name], editsIn(name)) !== null),
    );
    if (meant === undefined) continue;
    const fault = `: there is no setting ${shown(variable)}; did you mean ${meant.name}?`;
    env.warn(meant.name, `the name ${meant.name}`, masked, fault);
  }
}

/** Names with our prefix are problems already; kubectl reads `KUBECONFIG`. */
const isNearable = (variable: string): boolean =>
  /^[A-Za-z][A-Za-z_]{5,}$/.test(variable) &&
  !variable.startsWith(prefix) &&
  variable !== "KUBECONFIG";

/** How many letters of a name may be wrong: names of one word are near to words of other programs. */
function editsIn(name: string): number {
  if (name.length < 6) return 0;
  return name.includes("_") ? 2 : 1;
}

/** The variables that change what the runtime does before or beside this program, and what they would do. */
const runtimeVariables = new Map([
  ["BUN_OPTIONS", "it gives the runtime further arguments"],
  ["BUN_INSPECT", "it opens a debugger to other programs"],
  ["BUN_INSPECT_CONNECT_TO", "it connects the program to a debugger"],
  ["BUN_CONFIG_VERBOSE_FETCH", "it prints tokens of requests"],
]);

/** Variables of the runtime that the router does not run with. */
export const runtimeProblems = (variables: Variables): readonly Issue[] =>
  Array.from(runtimeVariables, ([variable, effect]) => ({
    variable,
    value: masked,
    expected: `it to be unset: ${effect}`,
  })).filter(({ variable }) => (variables[variable] ?? "") !== "");

const prefix = "AUTOMC_";

const withoutPrefix = (name: string): string =>
  name.startsWith(prefix) ? name.slice(prefix.length) : name;

/**
 * Kubernetes gives pods such variables for each service of the namespace, also for one called automc or
 * automc-router.
 */
const isServiceLink = (variable: string, value: string): boolean =>
  /_SERVICE_(HOST|PORT(_\w+)?)$/.test(variable) ||
  /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable) ||
  (variable.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value));
