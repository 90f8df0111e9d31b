import { readBoolean, readDuration } from "../base/go-text.ts";
import { type Environment, type Issue, masked, shown, type Variables } from "./environment.ts";
import { namesOf, type SettingKind, settings } from "./reference.ts";
import { readInteger, readLevel, readList, readMap, readText } from "./setting.ts";
import { nearestName } from "./suggestion.ts";

/** A setting that does nothing here may have its default, however that is spelled. */
export function noteUnsupported(env: Environment): void {
  for (const { name, kind, default: standard, status, advice } of settings) {
    const given = env.text(name);
    if (given === "" || meansTheSame(kind, given, standard)) continue;
    switch (status) {
      case "supported":
        break;
      case "refused":
        env.problem(name, `it to be unset: ${advice ?? "not supported"}`);
        break;
      case "accepted and ignored":
        env.warn(name, `it to be unset; it is ignored: ${advice ?? "it has no use here"}`);
        break;
    }
  }
}

/** Where a setting is given under both of its names, the main one counts; not silently, unless they agree. */
export function noteDoubleNames(env: Environment, variables: Variables): void {
  for (const { name, otherName } of settings) {
    const other = otherName === undefined ? "" : (variables[otherName] ?? "");
    if (other === "" || other === env.text(name)) continue;
    env.warn(name, `only one of ${name} and ${otherName}; the first one counts`);
  }
}

const readers: Readonly<Record<SettingKind, (text: string) => unknown>> = {
  boolean: readBoolean,
  integer: readInteger,
  duration: readDuration,
  level: readLevel,
  choice: (text) => text.toLowerCase(),
  list: readList,
  map: readMap,
  text: readText,
};

const meansTheSame = (kind: SettingKind, a: string, b: string): boolean =>
  Bun.deepEquals(readers[kind](a), readers[kind](b));

/** Variables of ours that do not exist: a typo must not leave a setting at its default. */
export function unknownNames(variables: Variables): readonly Issue[] {
  // Compared without the prefix, which would make all of our names look alike, and finds `AUTOMC_PORT` where `PORT` is meant.
  const known = new Map(settings.flatMap(namesOf).map((name) => [withoutPrefix(name), name]));
  return Object.entries(variables).flatMap(([variable, value]) => {
    if (value === undefined || !variable.startsWith(prefix)) return [];
    const bare = withoutPrefix(variable);
    if (known.get(bare) === variable || isServiceLink(variable, value)) return [];

    const meant = known.get(nearestName(bare, [...known.keys()]) ?? "");
    const expected =
      meant === undefined ? "it to be unset: there is no such setting" : `the name ${meant}`;
    // Whatever it was meant to be, it may have been a secret.
    return [{ variable: shown(variable), value: masked, expected }];
  });
}

const prefix = "AUTOMC_";

const withoutPrefix = (name: string): string =>
  name.startsWith(prefix) ? name.slice(prefix.length) : name;

/** Kubernetes gives pods such variables for each service of the namespace, so also for one that is called automc or automc-router. */
const isServiceLink = (variable: string, value: string): boolean =>
  /_SERVICE_(HOST|PORT(_\w+)?)$/.test(variable) ||
  /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable) ||
  (variable.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value));
