/** The members of an object that came from outside, whatever they are. */
export type Members = Readonly<Record<string, unknown>>;

/** The value's members; null when it is no object. */
export const membersOf = (value: unknown): Members | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;

/** A member that is text; null when it is anything else, or empty. */
export function textOf(members: Members, name: string): string | null {
  const value = members[name];
  return typeof value === "string" && value !== "" ? value : null;
}

/** A member that is a number; null when it is anything else. */
export function numberOf(members: Members, name: string): number | null {
  const value = members[name];
  return typeof value === "number" ? value : null;
}

/** True for a member that says so. */
export const flagOf = (members: Members, name: string): boolean => members[name] === true;

/** The objects in a member that is a list; none when it is anything else. */
export function listOf(members: Members, name: string): readonly Members[] {
  const value = members[name];
  return Array.isArray(value) ? value.map(membersOf).filter((each) => each !== null) : [];
}

/** The members that a path of names leads to; none where it leads nowhere. */
export function within(members: Members, ...path: readonly string[]): Members {
  let inner = members;
  for (const name of path) inner = membersOf(inner[name]) ?? {};
  return inner;
}

/** The texts in a list; none when it is anything else. */
export const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];

/** The members that are text, by name. */
export function textMembersOf(members: Members): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(members)) {
    if (typeof value === "string") texts.set(name, value);
  }
  return texts;
}
