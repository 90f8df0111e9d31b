/** A step of the story that went another way than it should. */
export class Unexpected extends Error {
  constructor(step: string, expected: unknown, seen: unknown) {
    super(`${step}\n  expected: ${asText(expected)}\n  seen:     ${asText(seen)}`);
    this.name = "Unexpected";
  }
}

/** Throws an Unexpected unless both are deeply equal. */
export function expectEqual(step: string, seen: unknown, expected: unknown): void {
  if (!Bun.deepEquals(seen, expected)) throw new Unexpected(step, expected, seen);
}

const asText = (value: unknown): string =>
  typeof value === "string" ? value : Bun.inspect(value, { depth: 4 });
