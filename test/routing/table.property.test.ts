import { expect, test } from "bun:test";
import fc from "fast-check";
import { makeAddress } from "../../src/routing/address.ts";
import { type Hostname, toHostname } from "../../src/routing/hostname.ts";
import { type Pattern, patternText } from "../../src/routing/pattern.ts";
import { type Route, type SourceName, sourceNames, wakeName } from "../../src/routing/route.ts";
import type { Delta } from "../../src/routing/source.ts";
import { type Changes, type Claim, createRouteTable } from "../../src/routing/table.ts";

const sources = ["env", "postgres", "docker"] as const satisfies readonly SourceName[];
const hostnames = ["", "lan", "a.lan", "b.lan", "a.b.lan", "c.a.b.lan", ".lan"].map((text) =>
  toHostname(text),
);
const patterns: readonly Pattern[] = [
  { kind: "exact", hostname: toHostname("a.lan") },
  { kind: "exact", hostname: toHostname("a.b.lan") },
  { kind: "wildcard", suffix: toHostname("lan") },
  { kind: "wildcard", suffix: toHostname("b.lan") },
  { kind: "default" },
];

const routeOf = (source: SourceName): fc.Arbitrary<Route> =>
  fc.record({
    source: fc.constant(source),
    id: fc.constantFrom("a", "B", "10", "9"),
    patterns: fc.array(fc.constantFrom(...patterns), { maxLength: 3 }),
    address: fc.constantFrom(makeAddress("10.0.0.1", 1), makeAddress("10.0.0.2", 1)),
    wake: fc.option(fc.constant({ kind: "control-plane" as const, server: "s" }), { freq: 2 }),
  });

type Step =
  | { readonly kind: "replace"; readonly source: SourceName; readonly routes: readonly Route[] }
  | { readonly kind: "patch"; readonly source: SourceName; readonly delta: Delta };

const step: fc.Arbitrary<Step> = fc.constantFrom(...sources).chain((source) => {
  const routes = fc.array(routeOf(source), { maxLength: 4 });
  const remove = fc.array(fc.constantFrom("a", "B", "10", "9"), { maxLength: 2 });
  return fc.oneof(
    fc.record({ kind: fc.constant("replace" as const), source: fc.constant(source), routes }),
    fc.record({
      kind: fc.constant("patch" as const),
      source: fc.constant(source),
      delta: fc.record({ upsert: routes, remove }),
    }),
  );
});

/** The table as a list of what every source holds; slow, and obviously right. */
type Model = ReadonlyMap<SourceName, ReadonlyMap<string, Route>>;

function advance(model: Model, each: Step): Model {
  const routes = new Map(each.kind === "patch" ? model.get(each.source) : []);
  if (each.kind === "patch") for (const id of each.delta.remove) routes.delete(id);
  for (const route of each.kind === "patch" ? each.delta.upsert : each.routes) {
    routes.set(route.id, route);
  }
  return new Map(model).set(each.source, routes);
}

/** The routes that claim a pattern, the one that gets the players first. */
function claimants(model: Model, text: string): readonly Route[] {
  return sourceNames.flatMap((source) =>
    [...(model.get(source)?.values() ?? [])]
      .filter((route) => route.patterns.some((pattern) => patternText(pattern) === text))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
  );
}

/** All pattern texts that fit a hostname, the most specific first. */
function fitting(hostname: Hostname): readonly string[] {
  const wildcards = patterns
    .map(patternText)
    .filter((text) => text.startsWith("*.") && hostname.endsWith(text.slice(1)))
    .sort((a, b) => b.length - a.length);
  return [hostname, ...wildcards, "*"];
}

const texts = patterns.map(patternText);
const ownerOf = (route: Route): string =>
  `${route.source}/${route.id} ${route.address.text} ${route.wake && wakeName(route.wake)}`;
const nameOf = (route: Route): string => `${route.source}/${route.id}`;
const claimText = (claim: Claim): string => `${patternText(claim.pattern)} ${ownerOf(claim.route)}`;

/** Every pair at odds over a pattern. */
const conflictsIn = (model: Model): readonly string[] =>
  texts.flatMap((text) => {
    const [winner, ...losers] = claimants(model, text);
    return losers.map((loser) => `${text}: ${winner && nameOf(winner)} > ${nameOf(loser)}`);
  });

/** Follows the table by its reports alone. */
function follow(mirror: Map<string, string>, changes: Changes): void {
  for (const { pattern, route } of changes.removed) {
    expect(mirror.get(patternText(pattern))).toBe(ownerOf(route));
    mirror.delete(patternText(pattern));
  }
  for (const { before, after } of changes.changed) {
    expect(patternText(before.pattern)).toBe(patternText(after.pattern));
    expect(mirror.get(patternText(before.pattern))).toBe(ownerOf(before.route));
    expect(ownerOf(before.route)).not.toBe(ownerOf(after.route));
    mirror.set(patternText(after.pattern), ownerOf(after.route));
  }
  for (const { pattern, route } of changes.added) {
    expect(mirror.has(patternText(pattern))).toBe(false);
    mirror.set(patternText(pattern), ownerOf(route));
  }
}

test("after any publications the table answers like the model, and its reports tell exactly what changed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const table = createRouteTable();
      const mirror = new Map<string, string>();
      let model: Model = new Map();

      for (const each of steps) {
        const conflictsBefore = new Set(conflictsIn(model));
        const changes =
          each.kind === "replace"
            ? table.replace(each.source, each.routes)
            : table.patch(each.source, each.delta);
        model = advance(model, each);

        follow(mirror, changes);
        expect(
          changes.conflicts
            .map((c) => `${patternText(c.pattern)}: ${nameOf(c.winner)} > ${nameOf(c.loser)}`)
            .sort(),
        ).toEqual(
          conflictsIn(model)
            .filter((text) => !conflictsBefore.has(text))
            .sort(),
        );

        const effective = texts.toSorted().flatMap((text) => {
          const owner = claimants(model, text)[0];
          return owner === undefined ? [] : [`${text} ${ownerOf(owner)}`];
        });
        expect(table.entries().map(claimText)).toEqual(effective);
        expect([...mirror].map(([text, owner]) => `${text} ${owner}`).sort()).toEqual(
          effective.toSorted(),
        );
        expect(table.size().claims).toBe(effective.length);
        expect(table.size().routes).toEqual(
          new Map([...model].map(([source, routes]) => [source, routes.size])),
        );

        for (const hostname of hostnames) {
          const candidates = fitting(hostname).flatMap((text) =>
            claimants(model, text).map((route) => `${text} ${ownerOf(route)}`),
          );
          const claim = table.resolve(hostname);
          expect(claim && claimText(claim)).toBe(candidates[0] ?? null);
          expect(table.explain(hostname).map((candidate) => claimText(candidate.claim))).toEqual(
            candidates,
          );
        }
      }
    }),
    { numRuns: 300 },
  );
});
