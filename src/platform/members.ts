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
