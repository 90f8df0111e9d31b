import { describe, expect, test } from "bun:test";
import { patternText } from "../../src/routing/pattern.ts";
import type { Route } from "../../src/routing/route.ts";
import type { Publish, RouteSource } from "../../src/routing/source.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import { until } from "../support/until.ts";

/** `hostname address` of routes, in any order. */
export type RouteTexts = readonly string[];

/** A source that has not been started, and where its routes come from. */
export interface SourceUnderTest {
  readonly source: RouteSource;
  /** What its origin holds; the same for every source, so that their tests read alike. */
  readonly first: RouteTexts;
  /** Makes the origin hold other routes; null where it never does. */
  readonly change: ((routes: RouteTexts) => Promise<void>) | null;
  /** Makes the origin unusable, and resolves when the source has noticed; null where nothing can. */
  readonly damage: (() => Promise<void>) | null;
  /** Makes it usable again. */
  readonly mend: (() => Promise<void>) | null;
  close(): Promise<void>;
}

/** A source that writes what it publishes into a table of its own. */
function run({ source }: SourceUnderTest) {
  const table = createRouteTable();
  const stopping = new AbortController();
  let publications = 0;
  function expectOwn(routes: readonly Route[]): void {
    publications += 1;
    for (const route of routes) expect(route.source).toBe(source.name);
    expect(new Set(routes.map(({ id }) => id)).size).toBe(routes.length);
  }
  const publish: Publish = {
    replace(routes) {
      expectOwn(routes);
      table.replace(source.name, routes);
    },
    patch(delta) {
      expectOwn(delta.upsert);
      table.patch(source.name, delta);
    },
  };
  const ended = source.run(publish, stopping.signal);
  const shown = (): string[] =>
    table.entries().map(({ pattern, route }) => `${patternText(pattern)} ${route.address.text}`);
  return {
    shown,
    publications: () => publications,
    holds: (routes: RouteTexts) =>
      until(`the table holds ${routes.join(", ")}`, () =>
        Bun.deepEquals(shown(), routes.toSorted()),
      ),
    stop() {
      stopping.abort();
      return ended;
    },
  };
}

/** What every source of routes must do, whatever its technology. */
export function testSourceContract(name: string, open: () => Promise<SourceUnderTest>): void {
  async function withSource(
    check: (tested: SourceUnderTest, running: ReturnType<typeof run>) => Promise<void> | void,
  ): Promise<void> {
    const tested = await open();
    const running = run(tested);
    try {
      await running.holds(tested.first);
      await check(tested, running);
    } finally {
      await running.stop();
      await tested.close();
    }
  }

  describe(`the source "${name}"`, () => {
    test("publishes what its origin holds, in its own name and with one id each", () =>
      withSource(({ source }, running) => {
        expect(source.name).toBe(name as RouteSource["name"]);
        expect(running.publications()).toBeGreaterThan(0);
      }));

    test("follows its origin through routes added, changed and removed, or never changes", () =>
      withSource(async (tested, running) => {
        if (tested.change === null) {
          expect(running.publications()).toBe(1);
          return;
        }
        const sets: readonly RouteTexts[] = [
          [...tested.first, "added.example x:1"],
          ["added.example x:2"],
          [],
          tested.first,
        ];
        for (const routes of sets) {
          await tested.change(routes);
          await running.holds(routes);
        }
      }));

    test("keeps its routes while its origin is unusable, and goes on when it is back", () =>
      withSource(async (tested, running) => {
        await tested.damage?.();
        expect(running.shown()).toEqual(tested.first.toSorted());
        await tested.mend?.();
        const routes = tested.change === null ? tested.first : ["after.example x:9"];
        await tested.change?.(routes);
        await running.holds(routes);
      }));

    test("ends when it is stopped, and publishes nothing more", () =>
      withSource(async (tested, running) => {
        await running.stop();
        const publications = running.publications();
        await tested.change?.(["late.example x:1"]);
        expect(running.publications()).toBe(publications);
        expect(running.shown()).toEqual(tested.first.toSorted());
      }));

    test("ends at once when it was stopped before it began", async () => {
      const tested = await open();
      try {
        await tested.source.run(
          { replace: () => undefined, patch: () => undefined },
          AbortSignal.abort(),
        );
      } finally {
        await tested.close();
      }
    });
  });
}
