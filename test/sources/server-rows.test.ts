import { describe, expect, test } from "bun:test";
import { patternText } from "../../src/routing/pattern.ts";
import type { Route } from "../../src/routing/route.ts";
import type { ServerRow } from "../../src/sources/postgres-reader.ts";
import { createServerRows, type RowChanges } from "../../src/sources/server-rows.ts";

const row = (name: string, domain: string, address = "10.0.0.1:1"): ServerRow => ({
  name,
  domain,
  address,
});
const show = ({ id, patterns, address }: Route) =>
  `${id}: ${patterns.map(patternText).join(",")} -> ${address.text}`;
const shown = ({ upsert, removed }: RowChanges) => ({
  upsert: upsert.map(show),
  removed: removed.map(({ id }) => id),
});

function rowsWith(...first: readonly ServerRow[]) {
  const complaints: string[] = [];
  const rows = createServerRows({
    wakeable: true,
    simplifySrv: false,
    onComplaint: (name, reason) => complaints.push(`${name}: ${reason}`),
  });
  const readAll = (...all: readonly ServerRow[]) => {
    const full = rows.beginFull();
    full.add(all);
    return shown(full.commit());
  };
  readAll(...first);
  complaints.length = 0;
  return { rows, readAll, complaints };
}

describe("a read of everything", () => {
  test("gives exactly what was added, changed and removed", () => {
    const { readAll, rows } = rowsWith(row("a", "a.x"), row("b", "b.x"), row("c", "c.x"));
    expect(readAll(row("a", "a.x"), row("b", "b.x", "10.0.0.2:2"), row("d", "d.x"))).toEqual({
      upsert: ["b: b.x -> 10.0.0.2:2", "d: d.x -> 10.0.0.1:1"],
      removed: ["c"],
    });
    expect(rows.routeCount()).toBe(3);
  });

  test("changes nothing when players could not tell the difference", () => {
    const { readAll } = rowsWith(row("a", "a.x, b.x"));
    expect(readAll(row("a", " A.X,,b.x. ", " 10.0.0.1:1 "))).toEqual({ upsert: [], removed: [] });
  });

  test("that is given up leaves everything as it was", () => {
    const { rows, readAll } = rowsWith(row("a", "a.x"));
    const half = rows.beginFull();
    half.add([row("z", "z.x"), row("a", "other.x")]);
    expect(rows.routeCount()).toBe(1);
    expect(readAll(row("a", "a.x"))).toEqual({ upsert: [], removed: [] });
  });

  test("knows its losses before it is applied", () => {
    const { rows } = rowsWith(row("a", "a.x"), row("b", "b.x"), row("bad", "", ""));
    const full = rows.beginFull();
    full.add([row("b", "b.x", "10.9.9.9:9"), row("new", "new.x")]);
    expect(full.losses()).toBe(1);
    expect(rows.routeCount()).toBe(2);
  });
});

describe("a read of some names", () => {
  test("touches nothing but these names", () => {
    const { rows } = rowsWith(row("a", "a.x"), row("b", "b.x"), row("c", "c.x"));
    const changes = rows.applyNamed(["a", "b", "ghost"], [row("b", "bb.x")]);
    expect(shown(changes)).toEqual({ upsert: ["b: bb.x -> 10.0.0.1:1"], removed: ["a"] });
    expect(rows.routeCount()).toBe(2);
    expect(rows.goodRows()).toEqual([row("b", "bb.x"), row("c", "c.x")]);
  });
});

describe("a bad row", () => {
  const bad: readonly { name: string; row: ServerRow; says: string }[] = [
    { name: "port 0", row: row("a", "a.x", "h:0"), says: 'the address "h:0" has no valid port' },
    { name: "port 70000", row: row("a", "a.x", "h:70000"), says: "no valid port" },
    { name: "only commas", row: row("a", ", ,"), says: "it names no hostname" },
    { name: "a lone star", row: row("a", "*"), says: 'the hostname "*" is only *' },
    { name: "a space inside", row: row("a", "a b.x"), says: 'the hostname "a b.x" has whitespace' },
    {
      name: "a host of 2,000 characters",
      row: row("a", "a.x", `${"h".repeat(2_000)}:1`),
      says: `the address "${"h".repeat(60)}..." has a host longer`,
    },
  ];
  test.each([...bad])("is skipped and named: $name", ({ row: broken, says }) => {
    const { rows, readAll, complaints } = rowsWith();
    expect(readAll(broken, row("good", "good.x")).upsert).toEqual(["good: good.x -> 10.0.0.1:1"]);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toStartWith("a: ");
    expect(complaints[0]).toContain(says);
    expect(rows.routeCount()).toBe(1);
    expect(rows.goodRows()).toEqual([row("good", "good.x")]);
  });

  test("is complained about once for each problem, also when it is read in another way", () => {
    const { rows, readAll, complaints } = rowsWith();
    readAll(row("a", "a.x", "h:0"));
    readAll(row("a", "a.x", "h:0"));
    rows.applyNamed(["a"], [row("a", "a.x", "h:0")]);
    expect(complaints).toHaveLength(1);
    readAll(row("a", "a.x", ":1"));
    expect(complaints).toHaveLength(2);
  });

  test("that was good before keeps its last good version, and says so", () => {
    const { rows, readAll, complaints } = rowsWith(row("a", "a.x"));
    expect(readAll(row("a", "a.x", "h:0"))).toEqual({ upsert: [], removed: [] });
    expect(complaints[0]).toEndWith("; its last usable version stays");
    expect(rows.goodRows()).toEqual([row("a", "a.x")]);
    expect(readAll(row("a", "a.x", "10.0.0.7:7"))).toEqual({
      upsert: ["a: a.x -> 10.0.0.7:7"],
      removed: [],
    });
    readAll(row("a", "a.x", "h:0"));
    expect(readAll()).toEqual({ upsert: [], removed: ["a"] });
    expect(rows.routeCount()).toBe(0);
  });

  test("keeps the hostnames that are good", () => {
    const { readAll, complaints } = rowsWith();
    const { upsert } = readAll(row("a", "a.x,b c.x,*.d.x"));
    expect(upsert).toEqual(["a: a.x,*.d.x -> 10.0.0.1:1"]);
    expect(complaints).toEqual([
      'a: the hostname "b c.x" has whitespace or a control character inside',
    ]);
  });
});

test("a row's own word on the PROXY protocol is a change like any other", () => {
  const { rows } = rowsWith(row("a", "a.x"));
  for (const [proxyProtocol, isChange] of [
    [true, true],
    [true, false],
    [false, true],
    [undefined, true],
    [undefined, false],
  ] as const) {
    const next = { ...row("a", "a.x"), ...(proxyProtocol !== undefined && { proxyProtocol }) };
    const { upsert } = rows.applyNamed(["a"], [next]);
    expect(upsert.map((route) => route.proxyProtocol)).toEqual(isChange ? [proxyProtocol] : []);
    expect(rows.goodRows()).toEqual([next]);
  }
});

test("a route is woken by its row's name, when there is a control plane", () => {
  for (const wakeable of [true, false]) {
    const rows = createServerRows({ wakeable, simplifySrv: false, onComplaint: () => undefined });
    const { upsert } = rows.applyNamed(["Lobby 1"], [row("Lobby 1", "a.x")]);
    expect(upsert[0]?.wake ?? null).toEqual(
      wakeable ? { kind: "control-plane", server: "Lobby 1" } : null,
    );
  }
});
