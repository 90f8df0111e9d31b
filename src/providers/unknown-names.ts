import { nearestName } from "../base/nearest-name.ts";

/** Labels or annotations of one prefix. */
export interface KnownNames {
  /** What an operator calls one of them. */
  readonly noun: "label" | "annotation";
  readonly prefix: string;
  /** Without the prefix. */
  readonly names: readonly string[];
}

/** How many letters of a name may be mistyped for it to be recognised. */
const mostEdits = 2;

/** A clause for each given name that has the prefix and is not known, with what was probably meant. */
export function unknownNames(
  given: Iterable<string>,
  { noun, prefix, names }: KnownNames,
): readonly string[] {
  const clauses: string[] = [];
  for (const name of given) {
    const bare = name.slice(prefix.length);
    if (!name.startsWith(prefix) || names.includes(bare)) continue;
    const meant = nearestName(bare, names, mostEdits);
    const advice = meant === null ? "" : `; did you mean ${prefix}${meant}?`;
    clauses.push(`the ${noun} ${JSON.stringify(name.slice(0, 80))} is not known${advice}`);
  }
  return clauses;
}
