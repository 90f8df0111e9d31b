import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { join as joinServer, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { firstWord } from "../support/minecraft/player.ts";
import { offlineUuid } from "../support/minecraft/wire.ts";
import { echo, sending, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { openTcpGate } from "../support/net/tcp-gate.ts";
import { startPostgres } from "../support/postgres/postgres.ts";
import { complaints, noQueue, startNetwork } from "../support/process/e2e-network.ts";
import { runRouter, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

// A start without Postgres waits 5 s for its routes.
setDefaultTimeout(60_000);

const quietly = { PORT: "0", AUTOMC_BIND: "127.0.0.1" } as const;

/** A folder that goes with the test. */
function ownFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "automc-api-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** A port for an API and the way to ask it. */
function reserveApi(headers: Readonly<Record<string, string>> = {}) {
  const binding = `127.0.0.1:${laterPort()}`;
  return {
    binding,
    ask: (method: string, path: string, body?: unknown): Promise<Response> =>
      fetch(`http://${binding}${path}`, {
        method,
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
  };
}

test("a route made by the API has its players at once, is saved, and outlives the router", async () => {
  using folder = ownFolder();
  using mapped = startBackend(sending(Buffer.from("mapped")));
  using filed = startBackend(sending(Buffer.from("filed")));
  using made = startBackend(sending(Buffer.from("made")));
  const api = reserveApi();
  const path = join(folder.path, "routes.json");
  writeFileSync(path, JSON.stringify({ mappings: { "f.x": filed.address, "g.x": filed.address } }));
  const env = {
    ...noQueue,
    API_BINDING: api.binding,
    ROUTES_CONFIG: path,
    MAPPING: `m.x=${mapped.address}`,
  };
  const create = (serverAddress: string) =>
    api.ask("POST", "/routes", { serverAddress, backend: made.address });
  {
    await using router = await startRouter({ env });
    expect(await firstWord(router, "new.x")).toBe("");
    expect((await create("New.x.")).status).toBe(201);
    expect(await firstWord(router, "new.x")).toBe("made");

    // MAPPING stands above the API, which may change the file's routes.
    const refused = await create("m.x");
    expect([refused.status, await refused.text()]).toEqual([
      409,
      expect.stringContaining("MAPPING"),
    ]);
    expect(await firstWord(router, "m.x")).toBe("mapped");
    expect((await create("f.x")).status).toBe(201);
    expect(await firstWord(router, "f.x")).toBe("made");
    expect((await api.ask("DELETE", "/routes/g.x")).status).toBe(200);
    expect(await firstWord(router, "g.x")).toBe("");
    expect((await api.ask("POST", "/defaultRoute", { backend: filed.address })).status).toBe(200);

    // What an answer has promised is in the file.
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
      "default-server": filed.address,
      mappings: { "f.x": made.address, "new.x": made.address },
    });
    expect(complaints(router)).toEqual([]);
    await router.stop("SIGKILL");
  }
  await using router = await startRouter({ env });
  expect(await firstWord(router, "new.x")).toBe("made");
  expect(await firstWord(router, "f.x")).toBe("made");
  expect(await firstWord(router, "g.x")).toBe("filed");
  expect(await (await api.ask("GET", "/routes")).json()).toEqual({
    "f.x": { backend: made.address, scalingTarget: "" },
    "m.x": { backend: mapped.address, scalingTarget: "" },
    "new.x": { backend: made.address, scalingTarget: "" },
  });
});

test("MAPPING stands before the file and the API, and these before Postgres", async () => {
  using folder = ownFolder();
  const sources = ["mapping", "file", "api", "postgres"] as const;
  const backends = sources.map((name) => startBackend(sending(Buffer.from(name))));
  const [mapping = "", file = "", made = "", row = ""] = backends.map(({ address }) => address);
  const api = reserveApi();
  const path = join(folder.path, "routes.json");
  writeFileSync(path, JSON.stringify({ mappings: { "a.x": file, "b.x": file } }));
  const postgres = await startPostgres();
  try {
    await using network = await startNetwork({
      postgres,
      rows: ["a", "b", "d"].map((name) => ({ name, domain: `${name}.x`, address: row })),
      env: { API_BINDING: api.binding, ROUTES_CONFIG: path, MAPPING: `a.x=${mapping}` },
    });
    const { router } = network;
    const words = () =>
      Promise.all(["a.x", "b.x", "c.x", "d.x"].map((host) => firstWord(router, host)));
    expect(await words()).toEqual(["mapping", "file", "", "postgres"]);
    const create = (serverAddress: string) =>
      api.ask("POST", "/routes", { serverAddress, backend: made });
    expect((await create("c.x")).status).toBe(201);
    await network.database.sql`INSERT INTO servers VALUES ('c', 'c.x', ${row})`;
    await router.waitForLine(({ winner }) => winner === "api c.x");
    expect(await words()).toEqual(["mapping", "file", "api", "postgres"]);
    // What it stood before comes back, and Postgres' own routes are not the API's to take.
    expect((await create("d.x")).status).toBe(409);
    expect((await api.ask("DELETE", "/routes/c.x")).status).toBe(200);
    expect((await api.ask("DELETE", "/routes/d.x")).status).toBe(409);
    expect(await words()).toEqual(["mapping", "file", "postgres", "postgres"]);
  } finally {
    await postgres.stop();
    for (const backend of backends) backend.stop();
  }
});

test("a hundred changes at once all arrive, and the file is whole", async () => {
  using folder = ownFolder();
  const api = reserveApi();
  const path = join(folder.path, "routes.json");
  await using router = await startRouter({
    env: { API_BINDING: api.binding, ROUTES_CONFIG: path },
  });
  const names = Array.from({ length: 100 }, (_, index) => `s${index}.x`);
  const statuses = await Promise.all(
    names.map(async (serverAddress) => {
      const { status } = await api.ask("POST", "/routes", { serverAddress, backend: "h:1" });
      return status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([201]));
  const { mappings } = JSON.parse(readFileSync(path, "utf8")) as { mappings: object };
  expect(Object.keys(mappings).sort()).toEqual([...names].sort());
  expect(await router.stop()).toBe(0);
});

test("a token is asked for by everything but the probes", async () => {
  using folder = ownFolder();
  const token = "open sesame";
  writeFileSync(join(folder.path, "token"), `${token}\n`);
  const [stranger, friend] = [reserveApi(), { authorization: `Bearer ${token}` }];
  const { binding, ask } = stranger;
  await using _router = await startRouter({
    env: { API_BINDING: binding, AUTOMC_API_TOKEN_FILE: join(folder.path, "token") },
  });
  for (const path of ["/routes", "/defaultRoute", "/metrics", "/vars", "/sessions", "/explain"]) {
    expect({ path, status: (await ask("GET", path)).status }).toEqual({ path, status: 401 });
    const wrong = await fetch(`http://${binding}${path}`, {
      headers: { authorization: "Bearer open" },
    });
    expect({ path, status: wrong.status }).toEqual({ path, status: 401 });
  }
  for (const path of ["/healthz", "/readyz"]) {
    expect({ path, status: (await ask("GET", path)).status }).toEqual({ path, status: 200 });
  }
  expect((await fetch(`http://${binding}/routes`, { headers: friend })).status).toBe(200);
});

test("a token in a file is read again at SIGHUP, and stays in force when the file is gone", async () => {
  using folder = ownFolder();
  const path = join(folder.path, "token");
  const write = (text: string) => writeFileSync(path, `${text}\n`, { mode: 0o600 });
  const { binding } = reserveApi();
  const statusWith = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`http://${binding}/routes`, { headers })).status;
  };
  write("first");
  await using router = await startRouter({
    env: { API_BINDING: binding, AUTOMC_API_TOKEN_FILE: path },
  });
  expect([await statusWith("first"), await statusWith("second")]).toEqual([200, 401]);
  write("second");
  router.signal("SIGHUP");
  await until("the new token works", async () => (await statusWith("second")) === 200);
  expect(await statusWith("first")).toBe(401);
  rmSync(path);
  router.signal("SIGHUP");
  await until("the missing file is warned of", () => router.log().includes("stays in force"));
  expect([await statusWith("second"), await statusWith("")]).toEqual([200, 401]);
  expect(router.log()).toContain("AUTOMC_API_TOKEN_FILE");
});

test("a unix socket is the API of this machine, and of its own group only", async () => {
  using folder = ownFolder();
  const unix = join(folder.path, "api.sock");
  const env = { API_BINDING: `unix:${unix}` };
  const list = async (): Promise<unknown> =>
    await (await fetch("http://router/routes", { unix })).json();
  {
    await using router = await startRouter({ env: { ...env, MAPPING: "a.x=h:1" } });
    expect(await list()).toEqual({ "a.x": { backend: "h:1", scalingTarget: "" } });
    expect(statSync(unix).mode & 0o007).toBe(0);
    // What a killed router leaves behind is in nobody's way.
    await router.stop("SIGKILL");
  }
  await using _router = await startRouter({ env });
  expect(await list()).toEqual({});
});

test("/readyz says who is missing until Postgres has been read once, and /healthz is well", async () => {
  const postgres = await startPostgres();
  const gate = await openTcpGate(postgres.port);
  try {
    const database = await postgres.createDatabase();
    await database.sql`CREATE TABLE servers (name TEXT PRIMARY KEY, domain TEXT, address TEXT)`;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', 'h:1')`;
    gate.mode = "close";
    const api = reserveApi();
    await using router = await startRouter({
      env: {
        API_BINDING: api.binding,
        AUTOMC_DSN: database.dsn({ port: gate.port }),
        AUTOMC_SNAPSHOT: join("/tmp", "automc-no-such-folder", "routes.json"),
      },
      timeoutMs: 30_000,
    });
    const unready = await api.ask("GET", "/readyz");
    expect([unready.status, await unready.json()]).toMatchObject([
      503,
      { notReady: [{ name: "postgres", reason: expect.any(String) }] },
    ]);
    expect((await api.ask("GET", "/healthz")).status).toBe(200);

    gate.mode = "forward";
    await until(
      "it is ready",
      async () => (await api.ask("GET", "/readyz")).status === 200,
      30_000,
    );
    // A database that goes away later takes no player's way.
    gate.mode = "close";
    gate.cut();
    await router.waitForLine(({ event, routes }) => event === "source-lost" && routes === 1);
    expect((await api.ask("GET", "/readyz")).status).toBe(200);
    expect(await (await api.ask("GET", "/routes")).json()).toEqual({
      "a.x": { backend: "h:1", scalingTarget: "" },
    });
  } finally {
    gate.stop();
    await postgres.stop();
  }
});

test("/sessions shows a player while he is there, and /explain where he went", async () => {
  await using server = await startMinecraftServer({ version: "1.20.4" });
  const api = reserveApi();
  await using router = await startRouter({
    env: { ...noQueue, API_BINDING: api.binding, MAPPING: `*.example.com=${server.address}` },
  });
  const sessions = async (): Promise<readonly unknown[]> =>
    (await (await api.ask("GET", "/sessions")).json()) as unknown[];
  expect(await sessions()).toEqual([]);
  const joined = await joinServer({
    port: router.port,
    host: "play.example.com",
    version: "1.20.4",
    username: "Steve",
  });
  if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
  expect(await sessions()).toMatchObject([
    {
      id: 1,
      client: { ip: "127.0.0.1" },
      intent: "login",
      protocol: 765,
      hostname: "play.example.com",
      route: "*.example.com",
      backend: server.address,
      player: { name: "Steve", uuid: offlineUuid("Steve") },
    },
  ]);
  joined.session[Symbol.dispose]();
  await until("he is gone", async () => (await sessions()).length === 0);
  const explained = await api.ask("GET", "/explain?host=PLAY.example.com.");
  expect(await explained.json()).toMatchObject({
    hostname: "play.example.com",
    backend: server.address,
    claims: [{ pattern: "*.example.com", source: "env" }],
  });
});

test("a taken port ends the start with exit code 1 and names it", async () => {
  using taken = startBackend(echo);
  const { exitCode, stderr } = await runRouter([], { ...quietly, API_BINDING: taken.address });
  expect(exitCode).toBe(1);
  const [last = ""] = stderr.trim().split("\n").slice(-1);
  expect(last).toContain("level=error");
  expect(last).toContain(`the API cannot listen at ${taken.address}`);
});

test("without a token the API opens to nobody else, and says what to do", async () => {
  const { exitCode, stderr } = await runRouter([], { ...quietly, API_BINDING: "0.0.0.0:0" });
  expect(exitCode).toBe(2);
  expect(stderr).toContain("AUTOMC_API_TOKEN");
  expect(stderr).toContain("AUTOMC_API_OPEN=true");
});
