import { describe, expect, test } from "bun:test";
import { makeAddress } from "../../src/routing/address.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import { type Pattern, parsePattern, patternText } from "../../src/routing/pattern.ts";
import type { Route, SourceName } from "../../src/routing/route.ts";
import { type Changes, createRouteTable, type RouteTable } from "../../src/routing/table.ts";

function pattern(text: string): Pattern {
  if (text === "*") return { kind: "default" };
  const read = parsePattern(text);
  if (!read.ok) throw new Error(`${text} ${read.error}`);
  return read.value;
}

/** A route of `postgres` unless the id says otherwise (`env/lobby`); its wake target bears its id. */
function route(name: string, patterns: string, port = 1): Route {
  const [source, id] = (name.includes("/") ? name : `postgres/${name}`).split("/") as [
    SourceName,
    string,
  ];
  return {
    source,
    id,
    patterns: patterns.split(" ").map(pattern),
    address: makeAddress("10.0.0.1", port),
    wake: { kind: "control-plane", server: id },
  };
}

const nameOf = (each: Route): string => `${each.source}/${each.id}:${each.address.port}`;

/** Changes as lines: `+ pattern owner`, `- pattern owner`, `~ pattern before -> after`, `! pattern winner > loser`. */
const lines = ({ added, removed, changed, conflicts }: Changes): readonly string[] => [
  ...added.map((claim) => `+ ${patternText(claim.pattern)} ${nameOf(claim.route)}`),
  ...removed.map((claim) => `- ${patternText(claim.pattern)} ${nameOf(claim.route)}`),
  ...changed.map(
    ({ before, after }) =>
      `~ ${patternText(after.pattern)} ${nameOf(before.route)} -> ${nameOf(after.route)}`,
  ),
  ...conflicts.map(
    (each) => `! ${patternText(each.pattern)} ${nameOf(each.winner)} > ${nameOf(each.loser)}`,
  ),
];

/** Replaces each named source by the routes that bear its name. */
function publish(table: RouteTable, ...routes: readonly Route[]): void {
  for (const source of new Set(routes.map((each) => each.source))) {
    table.replace(
      source,
      routes.filter((each) => each.source === source),
    );
  }
}

const resolved = (table: RouteTable, hostname: string): string | null => {
  const claim = table.resolve(toHostname(hostname));
  return claim && `${patternText(claim.pattern)} ${nameOf(claim.route)}`;
};

describe("a hostname resolves", () => {
  const many = [
    route("exact", "a.example.com"),
    route("short", "*.com"),
    route("long", "*.example.com"),
    route("longer", "*.b.example.com"),
    route("rest", "*"),
  ];
  const rows: readonly {
    name: string;
    routes: readonly Route[];
    hostname: string;
    answer: string | null;
  }[] = [
    { name: "to nothing in an empty table", routes: [], hostname: "a.lan", answer: null },
    {
      name: "to nothing when nobody claims it",
      routes: [route("s", "b.lan")],
      hostname: "a.lan",
      answer: null,
    },
    {
      name: "to the route that names it",
      routes: many,
      hostname: "a.example.com",
      answer: "a.example.com postgres/exact:1",
    },
    {
      name: "in whatever spelling",
      routes: many,
      hostname: "A.Example.com.\0FML2\0",
      answer: "a.example.com postgres/exact:1",
    },
    {
      name: "to a wildcard one label up",
      routes: many,
      hostname: "c.example.com",
      answer: "*.example.com postgres/long:1",
    },
    {
      name: "to a wildcard any depth up",
      routes: many,
      hostname: "x.y.z.example.com",
      answer: "*.example.com postgres/long:1",
    },
    {
      name: "to the longest of several wildcards",
      routes: many,
      hostname: "x.b.example.com",
      answer: "*.b.example.com postgres/longer:1",
    },
    {
      name: "not to the wildcard of itself",
      routes: many,
      hostname: "b.example.com",
      answer: "*.example.com postgres/long:1",
    },
    {
      name: "to the shortest wildcard when that is all",
      routes: many,
      hostname: "example.com",
      answer: "*.com postgres/short:1",
    },
    {
      name: "not to a wildcard whose suffix ends inside a label",
      routes: [route("s", "*.example.com")],
      hostname: "a.myexample.com",
      answer: null,
    },
    {
      name: "to the default when nothing else fits",
      routes: many,
      hostname: "com",
      answer: "* postgres/rest:1",
    },
    {
      name: "to the default when it is empty",
      routes: many,
      hostname: "",
      answer: "* postgres/rest:1",
    },
    {
      name: "to the default for a raw address",
      routes: many,
      hostname: "203.0.113.7",
      answer: "* postgres/rest:1",
    },
    {
      name: "to an exact claim of a later source before a wildcard of an earlier",
      routes: [route("env/e", "*.lan"), route("kubernetes/k", "a.lan")],
      hostname: "a.lan",
      answer: "a.lan kubernetes/k:1",
    },
    {
      name: "to a longer wildcard of a later source",
      routes: [route("env/e", "*.lan"), route("docker/d", "*.b.lan")],
      hostname: "a.b.lan",
      answer: "*.b.lan docker/d:1",
    },
    {
      name: "to a wildcard of a later source before a default of an earlier",
      routes: [route("env/e", "*"), route("docker/d", "*.lan")],
      hostname: "a.lan",
      answer: "*.lan docker/d:1",
    },
    {
      name: "to the earlier source of an exact claim",
      routes: [route("docker/d", "a.lan"), route("file/f", "a.lan")],
      hostname: "a.lan",
      answer: "a.lan file/f:1",
    },
    {
      name: "to the earlier source of a wildcard",
      routes: [route("swarm/d", "*.lan"), route("api/f", "*.lan")],
      hostname: "a.lan",
      answer: "*.lan api/f:1",
    },
    {
      name: "to the earlier source of a default",
      routes: [route("api/a", "*"), route("file/f", "*")],
      hostname: "a.lan",
      answer: "* file/f:1",
    },
    {
      name: "to the smallest id within a source",
      routes: [route("b", "a.lan"), route("a", "a.lan"), route("c", "a.lan")],
      hostname: "a.lan",
      answer: "a.lan postgres/a:1",
    },
    {
      name: "to the smallest id by code units",
      routes: [route("a", "a.lan"), route("B", "a.lan"), route("10", "a.lan"), route("9", "a.lan")],
      hostname: "a.lan",
      answer: "a.lan postgres/10:1",
    },
    {
      name: "by any of a route's patterns",
      routes: [route("s", "a.lan b.lan *.c.lan")],
      hostname: "x.c.lan",
      answer: "*.c.lan postgres/s:1",
    },
    {
      name: "to a name as long as the wire allows",
      routes: [route("s", `*.${"a".repeat(253)}`)],
      hostname: `b.${"a".repeat(253)}`,
      answer: `*.${"a".repeat(253)} postgres/s:1`,
    },
    {
      name: "to a wildcard at the end of 32 KB of dots",
      routes: [route("s", "*.example.com")],
      hostname: `${".".repeat(32_000)}example.com`,
      answer: "*.example.com postgres/s:1",
    },
    {
      name: "to an exact claim although it reads like a wildcard",
      routes: [route("s", "*.lan")],
      hostname: "*.lan",
      answer: "*.lan postgres/s:1",
    },
  ];

  for (const { name, routes, hostname, answer } of rows) {
    test(name, () => {
      const table = createRouteTable();
      publish(table, ...routes);
      expect(resolved(table, hostname)).toBe(answer);
      publish(table, ...routes.toReversed());
      expect(resolved(table, hostname)).toBe(answer);
    });
  }
});

describe("a publication reports", () => {
  type Step = (table: RouteTable) => Changes;
  const replace =
    (source: SourceName, ...routes: readonly Route[]): Step =>
    (table) =>
      table.replace(source, routes);
  const upsert =
    (...routes: readonly Route[]): Step =>
    (table) =>
      table.patch("postgres", { upsert: routes, remove: [] });
  const remove =
    (...ids: readonly string[]): Step =>
    (table) =>
      table.patch("postgres", { upsert: [], remove: ids });

  const rows: readonly {
    name: string;
    held: readonly Route[];
    step: Step;
    report: readonly string[];
  }[] = [
    {
      name: "new routes",
      held: [],
      step: replace("postgres", route("a", "a.lan *.a.lan"), route("b", "*")),
      report: ["+ a.lan postgres/a:1", "+ *.a.lan postgres/a:1", "+ * postgres/b:1"],
    },
    {
      name: "routes that are not in the set any more",
      held: [route("a", "a.lan b.lan"), route("c", "c.lan")],
      step: replace("postgres", route("c", "c.lan")),
      report: ["- a.lan postgres/a:1", "- b.lan postgres/a:1"],
    },
    {
      name: "nothing when all is as before",
      held: [route("a", "a.lan"), route("b", "*")],
      step: replace("postgres", route("b", "*"), route("a", "a.lan")),
      report: [],
    },
    {
      name: "nothing when patterns only change places",
      held: [route("a", "a.lan b.lan")],
      step: upsert(route("a", "b.lan a.lan")),
      report: [],
    },
    {
      name: "nothing for an id that it never heard of",
      held: [route("a", "a.lan")],
      step: remove("b"),
      report: [],
    },
    {
      name: "a new address",
      held: [route("a", "a.lan"), route("b", "b.lan")],
      step: upsert(route("a", "a.lan", 2)),
      report: ["~ a.lan postgres/a:1 -> postgres/a:2"],
    },
    {
      name: "a new wake target",
      held: [route("a", "a.lan")],
      step: upsert({ ...route("a", "a.lan"), wake: { kind: "control-plane", server: "z" } }),
      report: ["~ a.lan postgres/a:1 -> postgres/a:1"],
    },
    {
      name: "a wake target that is gone",
      held: [route("a", "a.lan")],
      step: upsert({ ...route("a", "a.lan"), wake: null }),
      report: ["~ a.lan postgres/a:1 -> postgres/a:1"],
    },
    {
      name: "only the pattern that a route gained",
      held: [route("a", "a.lan")],
      step: upsert(route("a", "a.lan b.lan")),
      report: ["+ b.lan postgres/a:1"],
    },
    {
      name: "only the pattern that a route lost",
      held: [route("a", "a.lan b.lan")],
      step: upsert(route("a", "b.lan")),
      report: ["- a.lan postgres/a:1"],
    },
    {
      name: "a moved hostname as gone and new",
      held: [route("a", "a.lan")],
      step: upsert(route("a", "b.lan")),
      report: ["+ b.lan postgres/a:1", "- a.lan postgres/a:1"],
    },
    {
      name: "a renamed route",
      held: [route("a", "a.lan")],
      step: replace("postgres", route("b", "a.lan")),
      report: ["~ a.lan postgres/a:1 -> postgres/b:1"],
    },
    {
      name: "two routes that swap hostnames",
      held: [route("a", "a.lan"), route("b", "b.lan")],
      step: upsert(route("a", "b.lan"), route("b", "a.lan")),
      report: ["~ a.lan postgres/a:1 -> postgres/b:1", "~ b.lan postgres/b:1 -> postgres/a:1"],
    },
    {
      name: "a route removed and put back in one delta as no change",
      held: [route("a", "a.lan")],
      step: (table) => table.patch("postgres", { remove: ["a"], upsert: [route("a", "a.lan")] }),
      report: [],
    },
    {
      name: "the last of two versions in one delta",
      held: [],
      step: upsert(route("a", "a.lan"), route("a", "b.lan")),
      report: ["+ b.lan postgres/a:1"],
    },
    {
      name: "a pattern that a route names twice only once",
      held: [],
      step: upsert(route("a", "a.lan a.lan")),
      report: ["+ a.lan postgres/a:1"],
    },
    {
      name: "the end of a pattern that a route named twice",
      held: [route("a", "a.lan a.lan")],
      step: remove("a"),
      report: ["- a.lan postgres/a:1"],
    },
    {
      name: "nothing but the conflict for a claim below an earlier source",
      held: [route("env/e", "a.lan")],
      step: upsert(route("a", "a.lan")),
      report: ["! a.lan env/e:1 > postgres/a:1"],
    },
    {
      name: "a new owner when an earlier source claims",
      held: [route("a", "a.lan")],
      step: replace("file", route("file/f", "a.lan")),
      report: ["~ a.lan postgres/a:1 -> file/f:1", "! a.lan file/f:1 > postgres/a:1"],
    },
    {
      name: "the old owner again when the earlier source lets go",
      held: [route("file/f", "a.lan"), route("a", "a.lan")],
      step: replace("file"),
      report: ["~ a.lan file/f:1 -> postgres/a:1"],
    },
    {
      name: "nothing when a claim below an earlier source ends",
      held: [route("file/f", "a.lan"), route("a", "a.lan")],
      step: replace("postgres"),
      report: [],
    },
    {
      name: "nothing when a claim below an earlier source changes",
      held: [route("file/f", "a.lan"), route("a", "a.lan")],
      step: upsert(route("a", "a.lan", 2)),
      report: [],
    },
    {
      name: "nothing but the conflict for a larger id",
      held: [route("a", "a.lan")],
      step: upsert(route("b", "a.lan")),
      report: ["! a.lan postgres/a:1 > postgres/b:1"],
    },
    {
      name: "a new owner when a smaller id comes",
      held: [route("b", "a.lan")],
      step: upsert(route("a", "a.lan")),
      report: ["~ a.lan postgres/b:1 -> postgres/a:1", "! a.lan postgres/a:1 > postgres/b:1"],
    },
    {
      name: "the next claimant when the owner goes",
      held: [route("a", "a.lan"), route("b", "a.lan")],
      step: remove("a"),
      report: ["~ a.lan postgres/a:1 -> postgres/b:1"],
    },
    {
      name: "the next claimant and whom it outranks",
      held: [route("c", "a.lan"), route("b", "a.lan"), route("a", "a.lan")],
      step: remove("a"),
      report: ["~ a.lan postgres/a:1 -> postgres/b:1", "! a.lan postgres/b:1 > postgres/c:1"],
    },
    {
      name: "only the newcomer among losers",
      held: [route("a", "a.lan"), route("b", "a.lan"), route("d", "a.lan")],
      step: upsert(route("c", "a.lan")),
      report: ["! a.lan postgres/a:1 > postgres/c:1"],
    },
    {
      name: "a conflict once, whatever else changes about the two",
      held: [route("a", "a.lan"), route("b", "a.lan")],
      step: upsert(route("a", "a.lan", 2), route("b", "a.lan", 3)),
      report: ["~ a.lan postgres/a:1 -> postgres/a:2"],
    },
    {
      name: "all rivals gone at once",
      held: [route("a", "a.lan"), route("b", "a.lan"), route("c", "a.lan")],
      step: replace("postgres"),
      report: ["- a.lan postgres/a:1"],
    },
    {
      name: "the losers of every source, best first",
      held: [route("kubernetes/k", "*"), route("b", "*"), route("a", "*")],
      step: replace("env", route("env/e", "*")),
      report: [
        "~ * postgres/a:1 -> env/e:1",
        "! * env/e:1 > postgres/a:1",
        "! * env/e:1 > postgres/b:1",
        "! * env/e:1 > kubernetes/k:1",
      ],
    },
    {
      name: "no conflict between patterns that differ",
      held: [route("a", "a.lan")],
      step: upsert(route("b", "*.lan"), route("c", "*")),
      report: ["+ *.lan postgres/b:1", "+ * postgres/c:1"],
    },
  ];

  for (const { name, held, step, report } of rows) {
    test(name, () => {
      const table = createRouteTable();
      publish(table, ...held);
      expect(lines(step(table))).toEqual([...report]);
      expect(lines(step(table)).filter((line) => !line.startsWith("!"))).toEqual([]);
    });
  }

  test("a conflict again when it had ended in between", () => {
    const table = createRouteTable();
    publish(table, route("a", "a.lan"), route("b", "a.lan"));
    remove("b")(table);
    expect(lines(upsert(route("b", "a.lan"))(table))).toEqual([
      "! a.lan postgres/a:1 > postgres/b:1",
    ]);
  });
});

test("a source that is replaced keeps its hands off the others", () => {
  const table = createRouteTable();
  publish(table, route("env/e", "e.lan"), route("a", "a.lan"), route("docker/d", "d.lan"));
  expect(lines(table.replace("postgres", []))).toEqual(["- a.lan postgres/a:1"]);
  expect(resolved(table, "e.lan")).toBe("e.lan env/e:1");
  expect(resolved(table, "d.lan")).toBe("d.lan docker/d:1");
});

test("two sources may use the same id", () => {
  const table = createRouteTable();
  publish(table, route("env/x", "a.lan"), route("postgres/x", "b.lan"));
  table.patch("postgres", { upsert: [], remove: ["x"] });
  expect(resolved(table, "a.lan")).toBe("a.lan env/x:1");
  expect(resolved(table, "b.lan")).toBeNull();
});

test("the last wildcard takes wildcard look-ups with it", () => {
  const table = createRouteTable();
  publish(table, route("a", "*.lan"), route("b", "*"));
  expect(resolved(table, "x.lan")).toBe("*.lan postgres/a:1");
  table.patch("postgres", { upsert: [], remove: ["a"] });
  expect(resolved(table, "x.lan")).toBe("* postgres/b:1");
});

test("entries are the owners' claims, sorted by the pattern's text", () => {
  const table = createRouteTable();
  publish(table, route("b", "b.lan *.lan"), route("c", "b.lan a.lan"), route("env/e", "a.lan *"));
  expect(
    table.entries().map((claim) => `${patternText(claim.pattern)} ${nameOf(claim.route)}`),
  ).toEqual(["* env/e:1", "*.lan postgres/b:1", "a.lan env/e:1", "b.lan postgres/b:1"]);
});

test("size counts the routes of each source and the patterns that have an owner", () => {
  const table = createRouteTable();
  expect(table.size()).toEqual({ routes: new Map(), claims: 0 });
  publish(table, route("b", "b.lan *.lan"), route("c", "b.lan a.lan"), route("env/e", "a.lan *"));
  expect(table.size()).toEqual({
    routes: new Map([
      ["env", 1],
      ["postgres", 2],
    ]),
    claims: 4,
  });
  table.replace("postgres", []);
  expect(table.size()).toEqual({
    routes: new Map([
      ["env", 1],
      ["postgres", 0],
    ]),
    claims: 2,
  });
});

describe("explain", () => {
  const explained = (table: RouteTable, hostname: string): readonly string[] =>
    table
      .explain(toHostname(hostname))
      .map(
        ({ claim, standing }) => `${patternText(claim.pattern)} ${nameOf(claim.route)} ${standing}`,
      );

  test("names every claim in the order tried, and why it wins or loses", () => {
    const table = createRouteTable();
    publish(
      table,
      route("env/e", "*.lan *"),
      route("b", "a.b.lan"),
      route("a", "a.b.lan *.b.lan"),
      route("docker/d", "a.b.lan *.lan other.lan"),
    );
    expect(explained(table, "A.b.lan.")).toEqual([
      "a.b.lan postgres/a:1 wins",
      "a.b.lan postgres/b:1 larger-id",
      "a.b.lan docker/d:1 later-source",
      "*.b.lan postgres/a:1 less-specific",
      "*.lan env/e:1 less-specific",
      "*.lan docker/d:1 less-specific",
      "* env/e:1 less-specific",
    ]);
    expect(explained(table, "lan")).toEqual(["* env/e:1 wins"]);
  });

  test("is empty for a hostname that nobody claims", () => {
    const table = createRouteTable();
    publish(table, route("a", "a.lan"));
    expect(explained(table, "b.lan")).toEqual([]);
  });
});

describe("100,000 routes", () => {
  const count = 100_000;
  const server = (i: number, port = 1): Route => route(`s${i}`, `s${i}.example.com`, port);

  test("are found, patched one by one and replaced with exact reports", () => {
    const table = createRouteTable();
    const routes = Array.from({ length: count }, (_, i) => server(i));
    expect(table.replace("postgres", routes).added.length).toBe(count);
    expect(table.size()).toEqual({ routes: new Map([["postgres", count]]), claims: count });

    const lost = routes.filter(
      (each, i) => table.resolve(toHostname(`S${i}.example.com.`))?.route !== each,
    );
    expect(lost).toEqual([]);

    expect(lines(table.patch("postgres", { upsert: [server(70_000, 2)], remove: ["s5"] }))).toEqual(
      [
        "- s5.example.com postgres/s5:1",
        "~ s70000.example.com postgres/s70000:1 -> postgres/s70000:2",
      ],
    );
    expect(lines(table.replace("postgres", routes))).toEqual([
      "+ s5.example.com postgres/s5:1",
      "~ s70000.example.com postgres/s70000:2 -> postgres/s70000:1",
    ]);
  });

  test("that all claim one hostname are settled without comparing each to each", () => {
    const table = createRouteTable();
    const routes = Array.from({ length: count }, (_, i) => route(`s${i}`, "a.lan"));
    expect(table.replace("postgres", routes).conflicts.length).toBe(count - 1);
    expect(resolved(table, "a.lan")).toBe("a.lan postgres/s0:1");
    expect(lines(table.replace("postgres", routes.slice(-1)))).toEqual([
      `~ a.lan postgres/s0:1 -> postgres/s${count - 1}:1`,
    ]);
  });

  test("are looked up about as fast as 1,000", () => {
    // A look-up that walked the table would be 100 times slower; 20 leaves room for cold caches and a busy machine.
    const [few, many] = [1_000, count].map((routes) => {
      const table = createRouteTable();
      table.replace(
        "postgres",
        Array.from({ length: routes }, (_, i) => server(i)),
      );
      const hostnames = Array.from({ length: 1_000 }, (_, i) =>
        toHostname(`s${i * (routes / 1_000)}.example.com`),
      );
      const rounds = Array.from({ length: 30 }, () => {
        const start = Bun.nanoseconds();
        const found = hostnames.filter((hostname) => table.resolve(hostname) !== null).length;
        expect(found).toBe(hostnames.length);
        return Bun.nanoseconds() - start;
      });
      return Math.min(...rounds);
    }) as [number, number];
    expect(many / few).toBeLessThan(20);
  });
});
