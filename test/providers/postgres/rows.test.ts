import { describe, expect, test } from "bun:test";
import type { ServerRow } from "../../../src/providers/postgres/reader.ts";
import { createServerRows, type RowChanges } from "../../../src/providers/postgres/rows.ts";
import { patternText } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";

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

async function rowsWith(...first: readonly ServerRow[]) {
  const complaints: string[] = [];
  const rows = createServerRows({
    wakeable: true,
    simplifySrv: false,
    onComplaint: (name, reason) => complaints.push(`${name}: ${reason}`),
  });
  const readAll = async (...all: readonly ServerRow[]) => {
    const full = rows.beginFull();
    full.add(all);
    return shown(await full.commit());
  };
  await readAll(...first);
  complaints.length = 0;
  return { rows, readAll, complaints };
}

describe("a read of everything", () => {
  test("gives exactly what was added, changed and removed", async () => {
    const { readAll, rows } = await rowsWith(row("a", "a.x"), row("b", "b.x"), row("c", "c.x"));
    expect(await readAll(row("a", "a.x"), row("b", "b.x", "10.0.0.2:2"), row("d", "d.x"))).toEqual({
      upsert: ["b: b.x -> 10.0.0.2:2", "d: d.x -> 10.0.0.1:1"],
      removed: ["c"],
    });
    expect(rows.routeCount()).toBe(3);
  });

  test("changes nothing when players could not tell the difference", async () => {
    const { readAll } = await rowsWith(row("a", "a.x, b.x"));
    expect(await readAll(row("a", " A.X,,b.x. ", " 10.0.0.1:1 "))).toEqual({
      upsert: [],
      removed: [],
    });
  });

  test("that is given up leaves everything as it was", async () => {
    const { rows, readAll } = await rowsWith(row("a", "a.x"));
    const half = rows.beginFull();
    half.add([row("z", "z.x"), row("a", "other.x")]);
    expect(rows.routeCount()).toBe(1);
    expect(await readAll(row("a", "a.x"))).toEqual({ upsert: [], removed: [] });
  });

  test("that was given up does not count for the next one", async () => {
    const { rows } = await rowsWith(row("a", "a.x"), row("b", "b.x"));
    rows.beginFull().add([row("a", "a.x"), row("b", "b.x")]);
    const full = rows.beginFull();
    full.add([row("b", "b.x")]);
    expect(full.losses()).toBe(1);
    expect(shown(await full.commit())).toEqual({ upsert: [], removed: ["a"] });
  });

  test("takes the last of two rows with one name, as a table without a key may have them", async () => {
    const { readAll, rows } = await rowsWith(row("a", "a.x"), row("b", "b.x"));
    const twice = [row("a", "other.x"), row("a", "a.x"), row("b", "b.x"), row("b", "bb.x")];
    expect(await readAll(...twice)).toEqual({ upsert: ["b: bb.x -> 10.0.0.1:1"], removed: [] });
    expect(rows.routeCount()).toBe(2);
  });

  test("of a large table changes nothing before it is committed, and then all of it", async () => {
    const many = (address: string) =>
      Array.from({ length: 1_700 }, (_, i) => row(`s${i}`, `s${i}.x`, address));
    const { rows, readAll } = await rowsWith(...many("10.0.0.1:1"));
    const full = rows.beginFull();
    full.add(many("10.0.0.2:2"));
    expect(rows.goodRows().every(({ address }) => address === "10.0.0.1:1")).toBe(true);
    expect((await full.commit()).upsert).toHaveLength(1_700);
    expect(rows.goodRows().every(({ address }) => address === "10.0.0.2:2")).toBe(true);
    expect((await readAll(row("s7", "s7.x", "10.0.0.2:2"))).removed).toHaveLength(1_699);
    expect(rows.routeCount()).toBe(1);
  });

  test("knows its losses before it is applied", async () => {
    const { rows } = await rowsWith(row("a", "a.x"), row("b", "b.x"), row("bad", "", ""));
    const full = rows.beginFull();
    full.add([row("b", "b.x", "10.9.9.9:9"), row("new", "new.x")]);
    expect(full.losses()).toBe(1);
    expect(rows.routeCount()).toBe(2);
  });
});

describe("a read of some names", () => {
  test("touches nothing but these names", async () => {
    const { rows } = await rowsWith(row("a", "a.x"), row("b", "b.x"), row("c", "c.x"));
    const changes = rows.applyNamed(["a", "b", "ghost"], [row("b", "bb.x")]);
    expect(shown(changes)).toEqual({ upsert: ["b: bb.x -> 10.0.0.1:1"], removed: ["a"] });
    expect(rows.routeCount()).toBe(2);
    expect(rows.goodRows()).toMatchObject([row("b", "bb.x"), row("c", "c.x")]);
  });
});

describe("a bad row", () => {
  const bad: readonly { name: string; row: ServerRow; says: string }[] = [
    { name: "port 0", row: row("a", "a.x", "h:0"), says: 'the address "h:0" has no valid port' },
    { name: "port 70000", row: row("a", "a.x", "h:70000"), says: "no valid port" },
    { name: "only commas", row: row("a", ", ,"), says: "it names no hostname" },
    { name: "a lone star", row: row("a", "*"), says: 'the hostname "*" is only *' },
    {
      name: "a hostname that no client sends",
      row: row("a", "a.x:25565"),
      says: 'the hostname "a.x:25565" has a port, which no client sends with it; did you mean a.x?',
    },
    {
      name: "an address that nothing can dial",
      row: row("a", "a.x", "10.0.0.256:1"),
      says: 'the address "10.0.0.256:1" is no IPv4 address',
    },
    { name: "a space inside", row: row("a", "a b.x"), says: 'the hostname "a b.x" has whitespace' },
    {
      name: "a host of 2,000 characters",
      row: row("a", "a.x", `${"h".repeat(2_000)}:1`),
      says: `the address "${"h".repeat(60)}..." has a host longer`,
    },
  ];
  test.each([...bad])("is skipped and named: $name", async ({ row: broken, says }) => {
    const { rows, readAll, complaints } = await rowsWith();
    expect((await readAll(broken, row("good", "good.x"))).upsert).toEqual([
      "good: good.x -> 10.0.0.1:1",
    ]);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toStartWith("a: ");
    expect(complaints[0]).toContain(says);
    expect(rows.routeCount()).toBe(1);
    expect(rows.goodRows()).toMatchObject([row("good", "good.x")]);
  });

  test.each(["", ".", ".."])(
    "is skipped and named where its name, %j, has no path at the control plane",
    async (name) => {
      const { rows, readAll, complaints } = await rowsWith();
      expect((await readAll(row(name, "a.x"))).upsert).toEqual([]);
      expect(complaints).toEqual([`${name}: its name has no path of its own at the control plane`]);
      expect(rows.routeCount()).toBe(0);
    },
  );

  test("is complained about once for each problem, also when it is read in another way", async () => {
    const { rows, readAll, complaints } = await rowsWith();
    await readAll(row("a", "a.x", "h:0"));
    await readAll(row("a", "a.x", "h:0"));
    rows.applyNamed(["a"], [row("a", "a.x", "h:0")]);
    expect(complaints).toHaveLength(1);
    await readAll(row("a", "a.x", ":1"));
    expect(complaints).toHaveLength(2);
  });

  test("that was good before keeps its last good version, and says so", async () => {
    const { rows, readAll, complaints } = await rowsWith(row("a", "a.x"));
    expect(await readAll(row("a", "a.x", "h:0"))).toEqual({ upsert: [], removed: [] });
    expect(complaints[0]).toEndWith("; its last usable version stays");
    expect(rows.goodRows()).toMatchObject([row("a", "a.x")]);
    expect(await readAll(row("a", "a.x", "10.0.0.7:7"))).toEqual({
      upsert: ["a: a.x -> 10.0.0.7:7"],
      removed: [],
    });
    await readAll(row("a", "a.x", "h:0"));
    expect(await readAll()).toEqual({ upsert: [], removed: ["a"] });
    expect(rows.routeCount()).toBe(0);
  });

  test("keeps the hostnames that are good", async () => {
    const { readAll, complaints } = await rowsWith();
    const { upsert } = await readAll(row("a", "a.x,b c.x,*.d.x"));
    expect(upsert).toEqual(["a: a.x,*.d.x -> 10.0.0.1:1"]);
    expect(complaints).toEqual([
      'a: the hostname "b c.x" has whitespace or a control character inside',
    ]);
  });
});

test("a row's own word on the PROXY protocol is a change like any other", async () => {
  const { rows } = await rowsWith(row("a", "a.x"));
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
    expect(rows.goodRows().map((good) => good.proxyProtocol ?? undefined)).toEqual([proxyProtocol]);
  }
});

test("a row's own fallback is a change like any other, and a bad one is named", async () => {
  const { rows, complaints } = await rowsWith(row("a", "a.x"));
  for (const [fallback, hostname] of [
    ["Lobby.x.", "lobby.x"],
    ["", undefined],
    ["*.x", undefined],
    [null, undefined],
  ] as const) {
    rows.applyNamed(["a"], [{ ...row("a", "a.x"), fallback }]);
    expect(rows.goodRows().map((good) => good.fallback)).toEqual([fallback]);
    const { upsert } = rows.applyNamed(["a"], [{ ...row("a", "a.x", "h:2"), fallback }]);
    expect(upsert.map((route) => String(route.fallback))).toEqual([String(hostname)]);
  }
  expect(complaints).toEqual(['a: the fallback "*.x" is a pattern, expected one hostname']);
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
