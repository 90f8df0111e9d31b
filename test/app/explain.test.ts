import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explain, explanationText } from "../../src/app/explain.ts";
import { err } from "../../src/base/result.ts";
import { type ParsedConfig, parseConfig } from "../../src/config/config.ts";
import { seedSchema } from "../providers/postgres/seed-schema.ts";
import { startSwarmEngine } from "../providers/swarm/engine.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";

const folder = mkdtempSync(join(tmpdir(), "automc-explain-"));
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

function configOf(variables: Readonly<Record<string, string>>): ParsedConfig["config"] {
  const parsed = parseConfig(variables, (path) => err(`${path} is not read here`));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value.config;
}

test("the table is explained as it is now, and the snapshot of the router that runs is left alone", async () => {
  const database = await postgres.createDatabase();
  await database.sql.unsafe(seedSchema);
  await database.sql`INSERT INTO servers (name, domain, address) VALUES ('a', 'a.lan', '10.0.0.2:25565')`;
  const home = mkdtempSync(join(folder, "snapshot-"));
  const snapshot = join(home, "routes.json");
  const old = `{"version":1,"savedAt":"2026-01-01T00:00:00Z","servers":[
{"name":"a","domain":"a.lan","address":"10.0.0.1:25565"}]}`;
  writeFileSync(snapshot, old);
  const config = configOf({ AUTOMC_DSN: database.dsn(), AUTOMC_SNAPSHOT: snapshot });

  const explained = await explain(config, "a.lan", () => {});
  expect(explained.ok && explanationText(explained.value)).toContain("backend   10.0.0.2:25565\n");
  expect(readFileSync(snapshot, "utf8")).toBe(old);
  expect(readdirSync(home)).toEqual(["routes.json"]);
});

test("a routes file that cannot be used is an error", async () => {
  const path = join(folder, "broken.json");
  writeFileSync(path, "{");
  const explained = await explain(configOf({ ROUTES_CONFIG: path }), "a.lan", () => {});
  rmSync(path);
  expect(explained.ok).toBe(false);
  expect(explained).toMatchObject({ error: expect.stringContaining(path) });
});

test.each([
  ["sleeping", "sleeping.example.org", "none while it sleeps", 'by the Swarm, as "sleeping"'],
  ["running-one", "one.example.org", "10.0.1.245:25570", 'by the Swarm, as "running-one"'],
  [
    "broken",
    "broken.example.org",
    "none while it sleeps",
    "never: no player gets in until it is started by other means",
  ],
  ["everywhere", "everywhere.example.org", "10.0.1.252:25565", "never: it is dialled as it is"],
])("a Swarm service is explained as it is: %s", async (name, hostname, backend, wake) => {
  await using engine = startSwarmEngine();
  const config = configOf({
    IN_DOCKER_SWARM: "true",
    DOCKER_HOST: engine.host,
    AUTO_SCALE_UP: "true",
  });
  const explained = await explain(config, hostname, () => {});
  expect(explained.ok && explanationText(explained.value).split("\n").slice(0, 4)).toEqual([
    `hostname  ${hostname}`,
    `route     ${hostname}, from swarm ${name}`,
    `backend   ${backend}`,
    `wake      ${wake}`,
  ]);
});

test("of several addresses it is told how one is chosen", async () => {
  const config = configOf({
    MAPPING: "a.lan=10.0.0.1:1|10.0.0.2",
    AUTOMC_BALANCE: "least",
    AUTOMC_FALLBACK: "Lobby.lan",
  });
  const explained = await explain(config, "a.lan", () => {});
  const text = explained.ok ? explanationText(explained.value) : "";
  expect(text).toContain("backend   10.0.0.1:1|10.0.0.2:25565\n");
  expect(text).toContain("fallback  lobby.lan, for logins while it is down\n");
  expect(text).toContain("balance   the address with the fewest of the router's players; those");
});

test("a backend that is never dialled is told of, and why", async () => {
  const config = configOf({
    MAPPING: "a.lan=169.254.169.254:80,b.lan=10.0.0.1:25565,c.lan=10.0.0.1:22,d.lan=d.internal",
    AUTOMC_BACKEND_ALLOW: "10.0.0.0/8:25565",
  });
  const warnings = await Promise.all(
    ["a.lan", "b.lan", "c.lan", "d.lan"].map(async (host) => {
      const explained = await explain(config, host, () => {});
      if (!explained.ok) throw new Error(explained.error);
      return /^warning +(.*)$/m.exec(explanationText(explained.value))?.[1] ?? null;
    }),
  );
  expect(warnings).toEqual([
    "never dialled: 169.254.169.254 is a link-local address",
    null,
    "never dialled: 10.0.0.1 is not in AUTOMC_BACKEND_ALLOW",
    null,
  ]);
});
