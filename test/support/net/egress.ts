import { createEgress, type EgressRange, parseEgressRange } from "../../../src/limits/egress.ts";

/** Rules that leave everything open but what is never connected to. */
export const anywhere = createEgress({ allow: [], deny: [] });

/** The ranges of entries as an operator writes them. */
export const egressRanges = (...entries: readonly string[]): readonly EgressRange[] =>
  entries.map((entry) => {
    const range = parseEgressRange(entry);
    if (!range.ok) throw new Error(`${entry} ${range.error}`);
    return range.value;
  });
