/**
 * Resolves once the claim holds, looking every few milliseconds. Rejects with its text when it does not within
 * `limitMs`, or when `holds` rejects.
 */
export async function until(
  claim: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error(`not within ${limitMs} ms: ${claim}`);
    await Bun.sleep(3);
  }
}
