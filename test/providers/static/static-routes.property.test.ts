import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { makeAddress } from "../../../src/routing/address.ts";
import { patternText } from "../../../src/routing/pattern.ts";
import { type Route, sourceNames } from "../../../src/routing/route.ts";
import { claimsOf, freshFolder, patternOf, runStaticRoutes } from "./run-static-routes.ts";

const names = ["a.lan", "b.lan", "*.lan", "*"] as const;
const ports = [1, 2, 3] as const;
type Routes = Readonly<Partial<Record<string, number>>>;

const someRoutes: fc.Arbitrary<Routes> = fc.dictionary(
  fc.constantFrom(...names),
  fc.constantFrom(...ports),
  { maxKeys: 3 },
);

type Step =
  | { readonly kind: "publish"; readonly source: "env" | "postgres"; readonly routes: Routes }
  | { readonly kind: "set"; readonly name: string; readonly port: number }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "edit"; readonly routes: Routes }
  | { readonly kind: "damage" }
  | { readonly kind: "reload" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("publish" as const),
    source: fc.constantFrom("env" as const, "postgres" as const),
    routes: someRoutes,
  }),
  fc.record({
    kind: fc.constant("set" as const),
    name: fc.constantFrom(...names),
    port: fc.constantFrom(...ports),
  }),
  fc.record({ kind: fc.constant("remove" as const), name: fc.constantFrom(...names) }),
  fc.record({ kind: fc.constant("edit" as const), routes: someRoutes }),
  fc.constant({ kind: "damage" as const }),
  fc.constant({ kind: "reload" as const }),
);

/** What the operator's routes come to. Which of file and API has one is no part of it: no player can tell. */
interface Model {
  readonly env: Routes;
  readonly postgres: Routes;
  /** What is routed for file and API together. */
  readonly own: Routes;
  /** What the file says; null while it is damaged. */
  readonly file: Routes | null;
  /** Changes that the file does not have because it was damaged. */
  readonly unsaved: Readonly<Record<string, number | undefined>>;
}

const without = (routes: Routes): Routes =>
  Object.fromEntries(Object.entries(routes).filter(([, port]) => port !== undefined));

/** A change by the API: routed at once, and in the file if that can be read, with all that it has missed. */
function changed(model: Model, name: string, port: number | undefined): Model {
  const own = without({ ...model.own, [name]: port });
  const unsaved = { ...model.unsaved, [name]: port };
  if (model.file === null) return { ...model, own, unsaved };
  return { ...model, own, file: without({ ...model.file, ...unsaved }), unsaved: {} };
}

function advance(model: Model, each: Step): Model {
  switch (each.kind) {
    case "publish":
      return { ...model, [each.source]: each.routes };
    case "set":
      if (model.own[each.name] === each.port) return saved(model);
      return changed(model, each.name, each.port);
    case "remove":
      if (model.own[each.name] === undefined) return model;
      return changed(model, each.name, undefined);
    case "edit":
      return { ...model, file: each.routes };
    case "damage":
      return { ...model, file: null };
    case "reload": {
      if (model.file === null) return model;
      const own = without({ ...model.file, ...model.unsaved });
      return { ...model, own, file: own, unsaved: {} };
    }
  }
}

const saved = (model: Model): Model =>
  model.file === null
    ? model
    : { ...model, file: without({ ...model.file, ...model.unsaved }), unsaved: {} };

function fileText(routes: Routes): string {
  const text = (port: number | undefined): string => (port === undefined ? "" : `10.0.0.${port}:1`);
  const { "*": fallback, ...mappings } = routes;
  return JSON.stringify({
    "default-server": text(fallback),
    mappings: Object.fromEntries(
      Object.entries(mappings).map(([name, port]) => [name, text(port)]),
    ),
  });
}

const toRoutes = (source: "env" | "postgres", routes: Routes): readonly Route[] =>
  Object.entries(routes).map(([name, port]) => ({
    source,
    id: name,
    patterns: [patternOf(name)],
    address: makeAddress(`10.0.0.${port}`, 1),
    wake: null,
  }));

/** `hostname address`, with the source where it is not the operator's file or API. */
function expectedClaims({ env, own, postgres }: Model): readonly string[] {
  return names.toSorted().flatMap((name) => {
    const port = env[name] ?? own[name] ?? postgres[name];
    return port === undefined ? [] : [`${name} 10.0.0.${port}:1`];
  });
}

test("after any publications, API calls, edits and reloads the table is what a simple model says", async () => {
  expect(sourceNames.slice(0, 4)).toEqual(["env", "file", "api", "postgres"]);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const folder = freshFolder();
      writeFileSync(join(folder, "routes.json"), "{}");
      const timings = { debounceMs: 1, pollMs: 3_600_000, retryMs: 3_600_000 };
      const running = await runStaticRoutes(folder, { timings });
      const { table, routes, path } = running;
      let model: Model = { env: {}, postgres: {}, own: {}, file: {}, unsaved: {} };
      try {
        for (const each of steps) {
          if (each.kind === "publish")
            table.replace(each.source, toRoutes(each.source, each.routes));
          if (each.kind === "set") await running.set(each.name, `10.0.0.${each.port}:1`);
          if (each.kind === "remove") await running.remove(each.name);
          if (each.kind === "edit") writeFileSync(path, fileText(each.routes));
          if (each.kind === "damage") writeFileSync(path, "{");
          if (each.kind === "reload") await routes.reload();
          model = advance(model, each);
          expect(claimsOf(table).map((claim) => claim.replace(/^\w+: /, ""))).toEqual([
            ...expectedClaims(model),
          ]);
        }
        // What is on disk is what a restart would route.
        if (model.file !== null) {
          await routes.reload();
          await routes.set(patternOf("end.lan"), makeAddress("10.0.0.9", 1));
          const restarted = await runStaticRoutes(folder, { timings });
          await restarted.supervisor.stop();
          const last = { ...advance(model, { kind: "reload" }).own, "end.lan": 9 };
          const { table: fresh } = restarted;
          expect(
            Object.fromEntries(
              fresh
                .entries()
                .map(({ pattern, route }) => [
                  patternText(pattern),
                  Number(route.address.host.at(-1)),
                ]),
            ),
          ).toEqual(last);
        }
      } finally {
        await running.supervisor.stop();
        rmSync(folder, { recursive: true });
      }
    }),
    { numRuns: 150 },
  );
}, 30_000);
