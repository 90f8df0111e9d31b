/** A step of the story that went another way than it should. */
export class Unexpected extends Error {
  constructor(step: string, expected: unknown, seen: unknown) {
    super(`${step}\n  expected: ${asText(expected)}\n  seen:     ${asText(seen)}`);
    this.name = "Unexpected";
  }
}

/** How long a change may take to be seen, ms: far longer than it should. */
export const changeMs = 5_000;

/** Throws an Unexpected unless both are deeply equal. */
export function expectEqual(step: string, seen: unknown, expected: unknown): void {
  if (!Bun.deepEquals(seen, expected)) throw new Unexpected(step, expected, seen);
}

/** Looks again and again until it sees what is expected; throws an Unexpected with what it saw last when that does not come in time. */
export async function expectSoon<T>(
  step: string,
  look: () => Promise<T>,
  expected: T,
  limitMs = changeMs,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (Bun.deepEquals(seen, expected)) return;
    if (performance.now() > deadline) throw new Unexpected(step, expected, seen);
    await Bun.sleep(2);
  }
}

const asText = (value: unknown): string =>
  typeof value === "string" ? value : Bun.inspect(value, { depth: 4 });
