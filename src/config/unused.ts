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
