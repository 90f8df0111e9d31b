import { describe, expect, test } from "bun:test";
import { createChangePublisher } from "../../../src/providers/postgres/publish.ts";
import { makeAddress } from "../../../src/routing/address.ts";
import { toHostname } from "../../../src/routing/hostname.ts";
import type { Route } from "../../../src/routing/route.ts";
import type { Delta } from "../../../src/routing/source.ts";

const route = (id: string, hostname: string): Route => ({
  source: "postgres",
  id,
  patterns: [{ kind: "exact", hostname: toHostname(hostname, false) }],
  address: makeAddress("10.0.0.1", 1),
  wake: null,
});
const many = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => route(`${prefix}-${i}`, `${i}.example.com`));

/** A publisher that has not published yet, and every call it makes. */
function recorder() {
  const sets: (readonly Route[])[] = [];
  const patches: (readonly [Delta, "more" | undefined])[] = [];
  const publishChanges = createChangePublisher({
    replace: (routes) => sets.push(routes),
    patch: (delta, more) => patches.push([delta, more]),
  });
  return { sets, patches, publishChanges };
}

/** The patches of changes that are not the first. */
async function publish(upsert: readonly Route[], removed: readonly Route[]) {
  const { patches, publishChanges } = recorder();
  await publishChanges({ upsert: [], removed: [] });
  await publishChanges({ upsert, removed });
  return patches.map(([delta]) => delta);
}

describe("changes", () => {
  test.each([0, 1, 2_000])("that are the first are published whole: %d", async (count) => {
    const { sets, patches, publishChanges } = recorder();
    const upsert = many(count, "new");
    await publishChanges({ upsert, removed: [] });
    expect(sets).toEqual([upsert]);
    expect(patches).toEqual([]);
  });

  test("that are the first come in parts when they are many, and the last part says so", async () => {
    const { sets, patches, publishChanges } = recorder();
    const upsert = many(2_001, "new");
    await publishChanges({ upsert, removed: [] });
    expect(sets).toEqual([]);
    expect(patches.flatMap(([delta]) => delta.upsert)).toEqual(upsert);
    expect(patches.findIndex(([, more]) => more !== "more")).toBe(patches.length - 1);
    expect(patches.length).toBeGreaterThan(2);

    await publishChanges({ upsert: many(1, "late"), removed: [] });
    expect(patches.at(-1)).toEqual([{ upsert: many(1, "late"), remove: [] }, undefined]);
  });

  test("that are none are not published", async () => {
    expect(await publish([], [])).toEqual([]);
  });

  test("up to 2,000 are one patch", async () => {
    const patches = await publish(many(1_000, "new"), many(1_000, "old"));
    expect(patches.map(({ upsert, remove }) => [upsert.length, remove.length])).toEqual([
      [1_000, 1_000],
    ]);
  });

  test("beyond that come in pieces that hold all of them once", async () => {
    const upsert = many(4_000, "new");
    const removed = [...many(3_000, "old"), route("lone", "lone.example.com")];
    const patches = await publish(upsert, removed);
    expect(patches.length).toBeGreaterThan(1);
    expect(patches.flatMap((patch) => patch.upsert)).toEqual(upsert);
    const gone = patches.flatMap((patch) => patch.remove);
    expect([...gone].sort()).toEqual(removed.map(({ id }) => id).sort());
  });

  test("in pieces, a hostname goes from its old route to its new one within a patch", async () => {
    const patches = await publish(many(6_000, "new"), many(6_000, "old").reverse());
    for (const { upsert, remove } of patches) {
      const numbers = (ids: readonly string[]) => ids.map((id) => id.split("-")[1]).sort();
      expect(numbers(remove)).toEqual(numbers(upsert.map(({ id }) => id)));
    }
  });
});
