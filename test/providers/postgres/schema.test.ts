import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import schema from "../../../src/providers/postgres/schema.sql" with { type: "text" };
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../support/postgres/postgres.ts";
import { until } from "../../support/until.ts";
import { seedSchema } from "./seed-schema.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** A database and what its channel says, from the moment this resolves. */
async function hearing(...scripts: readonly string[]) {
  const database = await server.createDatabase();
  for (const script of scripts) await database.sql.unsafe(script);
  const payloads: string[] = [];
  await database.sql.listen("automc_routes_changed", (payload) => payloads.push(payload));
  /** The payloads of what `change` does, sorted; a marker behind them proves that none is missing. */
  const heard = async (change: (sql: TestDatabase["sql"]) => Promise<unknown>) => {
    payloads.length = 0;
    await change(database.sql);
    await database.sql.notify("automc_routes_changed", "end of test");
    await until("the marker arrives", () => payloads.includes("end of test"));
    return payloads.filter((payload) => payload !== "end of test").sort();
  };
  return { ...database, heard };
}

const fill = "INSERT INTO servers VALUES ('a', 'a.x', 'h:1'), ('b', 'b.x', 'h:2')";

describe("the schema's triggers", () => {
  const long = "x".repeat(8_000);
  const rows: readonly { name: string; sql: string; payloads: readonly string[] }[] = [
    {
      name: "an insert names the row",
      sql: "INSERT INTO servers VALUES ('c','c.x','')",
      payloads: ["c"],
    },
    {
      name: "an update names the row",
      sql: "UPDATE servers SET address = 'h:3'",
      payloads: ["a", "b"],
    },
    {
      name: "a state names the row",
      sql: "UPDATE servers SET state = 'x' WHERE name = 'a'",
      payloads: ["a"],
    },
    {
      name: "a delete names the row",
      sql: "DELETE FROM servers WHERE name = 'b'",
      payloads: ["b"],
    },
    {
      name: "a rename names both",
      sql: "UPDATE servers SET name = 'z' WHERE name = 'a'",
      payloads: ["a", "z"],
    },
    { name: "a truncate means everything", sql: "TRUNCATE servers", payloads: [""] },
    {
      name: "a name too long for a payload means everything",
      sql: `INSERT INTO servers VALUES ('${long}', 'c.x', '')`,
      payloads: [""],
    },
    {
      name: "equal payloads of a transaction are one",
      sql: "BEGIN; UPDATE servers SET address = 'h:4'; UPDATE servers SET address = 'h:5'; COMMIT",
      payloads: ["a", "b"],
    },
    {
      name: "what matches no row says nothing",
      sql: "DELETE FROM servers WHERE false",
      payloads: [],
    },
  ];
  test.each([...rows])("$name", async ({ sql, payloads }) => {
    const { heard } = await hearing(schema, fill);
    expect(await heard((client) => client.unsafe(sql))).toEqual([...payloads]);
  });
});

test("the schema may be applied again, keeps the rows, and does not double the triggers", async () => {
  const { heard, sql } = await hearing(schema, fill, schema, schema);
  expect(await sql`SELECT name FROM servers ORDER BY name`).toHaveLength(2);
  expect(await heard((client) => client`UPDATE servers SET address = 'h:9'`)).toEqual(["a", "b"]);
});

describe("the optional column", () => {
  const add = "ALTER TABLE servers ADD COLUMN proxy_protocol BOOLEAN";

  test("is told about as any other, once per row and transaction", async () => {
    const { heard } = await hearing(schema, fill, add, schema, schema);
    const change = "UPDATE servers SET proxy_protocol = true";
    expect(await heard((sql) => sql.unsafe(`${change} WHERE name = 'a'`))).toEqual(["a"]);
    expect(await heard((sql) => sql.unsafe(`${change}, address = 'h:7'`))).toEqual(["a", "b"]);
  });

  test("is itself told about when the schema is applied again, and is not where there is none", async () => {
    const { heard, sql } = await hearing(schema, fill);
    expect(await heard((client) => client.unsafe(schema))).toEqual([]);
    await sql.unsafe(add);
    expect(await heard((client) => client.unsafe(schema))).toEqual([""]);
    await sql.unsafe("ALTER TABLE servers DROP COLUMN proxy_protocol CASCADE");
    expect(await heard((client) => client.unsafe(schema))).toEqual([]);
    expect(await heard((client) => client`UPDATE servers SET address = 'h:9'`)).toEqual(["a", "b"]);
  });
});

test("applied over the seed's trigger, the schema names the trigger that is left", async () => {
  const { notices } = await hearing(seedSchema, fill, schema);
  expect(notices.join("\n")).toContain("DROP TRIGGER routes_changed ON servers;");
});

test("a role that may only read can do everything the router does", async () => {
  const { sql } = await hearing(schema);
  await sql.unsafe("CREATE ROLE reader LOGIN; GRANT SELECT ON servers TO reader");
  await sql.unsafe("SET ROLE reader");
  await sql.unsafe("LISTEN automc_routes_changed");
  await sql.unsafe("SELECT pg_notify('automc_router_heartbeat_x', '1')");
  expect(await sql.unsafe("SELECT name, domain, address FROM servers")).toHaveLength(0);
});
