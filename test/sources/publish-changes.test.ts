import { describe, expect, test } from "bun:test";
import { makeAddress } from "../../src/routing/address.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import type { Route } from "../../src/routing/route.ts";
import type { Delta } from "../../src/routing/source.ts";
import { createChangePublisher } from "../../src/sources/publish-changes.ts";

const route = (id: string, hostname: string): Route => ({
  source: "postgres",
  id,
  patterns: [{ kind: "exact", hostname: toHostname(hostname, false) }],
  address: makeAddress("10.0.0.1", 1),
  wake: null,
});
const many = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => route(`${prefix}-${i}`, `${i}.example.com`));

/** The patches of changes that are not the first. */
async function publish(upsert: readonly Route[], removed: readonly Route[]) {
  const patches: Delta[] = [];
  const publishChanges = createChangePublisher({
    replace: () => undefined,
    patch: (delta) => patches.push(delta),
  });
  await publishChanges({ upsert: [], removed: [] });
  await publishChanges({ upsert, removed });
  return patches;
}

describe("changes", () => {
  test.each([0, 1, 12_000])("that are the first are published whole: %d", async (count) => {
    const sets: (readonly Route[])[] = [];
    const patches: Delta[] = [];
    const publishChanges = createChangePublisher({
      replace: (routes) => sets.push(routes),
      patch: (delta) => patches.push(delta),
    });
    const upsert = many(count, "new");
    await publishChanges({ upsert, removed: [] });
    expect(sets).toEqual([upsert]);
    expect(patches).toEqual([]);
  });

  test("that are none are not published", async () => {
    expect(await publish([], [])).toEqual([]);
  });

  test("up to 5,000 are one patch", async () => {
    const patches = await publish(many(2_500, "new"), many(2_500, "old"));
    expect(patches.map(({ upsert, remove }) => [upsert.length, remove.length])).toEqual([
      [2_500, 2_500],
    ]);
  });

  test("beyond that come in slices that hold all of them once", async () => {
    const upsert = many(4_000, "new");
    const removed = [...many(3_000, "old"), route("lone", "lone.example.com")];
    const patches = await publish(upsert, removed);
    expect(patches.length).toBeGreaterThan(1);
    expect(patches.flatMap((patch) => patch.upsert)).toEqual(upsert);
    const gone = patches.flatMap((patch) => patch.remove);
    expect([...gone].sort()).toEqual(removed.map(({ id }) => id).sort());
  });

  test("in slices, a hostname goes from its old route to its new one within a patch", async () => {
    const patches = await publish(many(6_000, "new"), many(6_000, "old").reverse());
    for (const { upsert, remove } of patches) {
      const numbers = (ids: readonly string[]) => ids.map((id) => id.split("-")[1]).sort();
      expect(numbers(remove)).toEqual(numbers(upsert.map(({ id }) => id)));
    }
  });
});
