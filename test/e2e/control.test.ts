import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstWord } from "../support/minecraft/player.ts";
import { sending, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { noQueue } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

/** A folder that goes with the test. */
function ownFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "automc-control-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

const asking =
  (unix: string) =>
  (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://router${path}`, { ...init, unix });

test("the control socket speaks the API without a token, is the group's, and goes with the router", async () => {
  using folder = ownFolder();
  using backend = startBackend(sending(Buffer.from("up")));
  const unix = join(folder.path, "control");
  const ask = asking(unix);
  const env = { ...noQueue, RUNTIME_DIRECTORY: folder.path, MAPPING: `a.x=${backend.address}` };
  {
    await using router = await startRouter({ env });
    expect(statSync(unix).mode & 0o777).toBe(0o660);
    expect(await firstWord(router, "a.x")).toBe("up");
    const status = await (await ask("/status")).json();
    expect(status).toMatchObject({
      isReady: true,
      notReady: [],
      listening: expect.stringMatching(/:\d+$/),
      servers: { fixed: 1 },
      sources: expect.arrayContaining([
        { name: "env", state: "up", mode: null, ageMs: 0, reason: null, routes: 1 },
      ]),
      logLevel: "info",
    });
    expect(await (await ask("/servers")).json()).toMatchObject([
      { name: backend.address, state: "fixed", hostnames: ["a.x"], source: "env", players: 0 },
    ]);
    expect(await router.stop()).toBe(0);
  }
  expect(existsSync(unix)).toBe(false);
});

test("a second router takes the control socket over, and the first one's end leaves it there", async () => {
  using folder = ownFolder();
  const unix = join(folder.path, "control");
  const ask = asking(unix);
  const env = { ...noQueue, AUTOMC_CONTROL: unix };
  const old = await startRouter({ env: { ...env, MAPPING: "old.x=h:1" } });
  await using _new = await startRouter({ env: { ...env, MAPPING: "new.x=h:1" } });
  expect(await (await ask("/routes")).json()).toHaveProperty(["new.x"]);
  await old.stop();
  expect(await (await ask("/routes")).json()).toHaveProperty(["new.x"]);
});

test("the log level changes while the router runs", async () => {
  using folder = ownFolder();
  const unix = join(folder.path, "control");
  const ask = asking(unix);
  await using router = await startRouter({ env: { ...noQueue, AUTOMC_CONTROL: unix } });
  const put = (level: string): Promise<Response> =>
    ask("/log-level", { method: "PUT", body: JSON.stringify({ level }) });
  expect((await put("loud")).status).toBe(400);
  expect(await (await put("debug")).json()).toEqual({ level: "debug" });
  expect(await (await ask("/log-level")).json()).toEqual({ level: "debug" });
  await router.waitForLine(({ event }) => event === "log-level-changed");
  await firstWord(router, "nobody.x");
  const line = await router.waitForLine(({ event }) => event === "session-ended");
  expect(line).toMatchObject({ level: "debug", msg: "closed: no route for the hostname" });
});

test("events are followed live, and resumed behind the last one", async () => {
  using folder = ownFolder();
  const unix = join(folder.path, "control");
  const ask = asking(unix);
  await using _router = await startRouter({ env: { ...noQueue, AUTOMC_CONTROL: unix } });
  const create = (serverAddress: string): Promise<Response> =>
    ask("/routes", { method: "POST", body: JSON.stringify({ serverAddress, backend: "h:1" }) });

  const follow = async (lastEventId: string | null) => {
    const leaving = new AbortController();
    const headers = lastEventId === null ? {} : { "last-event-id": lastEventId };
    const response = await ask("/events", { headers, signal: leaving.signal });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    let text = "";
    void (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => {});
    return { text: () => text, leave: () => leaving.abort() };
  };
  const first = await follow(null);
  await until("the beginning", () => first.text().includes("listening for players"));
  await create("one.x");
  await until("the first route", () => first.text().includes("one.x"));
  first.leave();
  const [, id = ""] = [...first.text().matchAll(/id: (\S+)\ndata: .*one\.x/g)].at(-1) ?? [];
  await create("two.x");
  const second = await follow(id);
  await until("the second route", () => second.text().includes("two.x"));
  expect(second.text()).not.toContain("one.x");
  second.leave();
});

test("a thousand half requests to the API cost no player his place, and the API answers beside them", async () => {
  const port = laterPort();
  using backend = startBackend(sending(Buffer.from("up")));
  await using router = await startRouter({
    env: { ...noQueue, API_BINDING: `127.0.0.1:${port}`, MAPPING: `a.x=${backend.address}` },
  });
  const halves = Array.from({ length: 1_000 }, () => connect(port, "127.0.0.1"));
  let open = halves.length;
  for (const socket of halves) {
    socket.on("error", () => {});
    socket.on("close", () => {
      open -= 1;
    });
    socket.write("GET /routes HTTP/1.1\r\nHost:");
  }
  await until("the others are closed", () => open <= 128);
  expect(await firstWord(router, "a.x")).toBe("up");
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  for (const socket of halves) socket.destroy();
});

test("the read token reads, the other changes, and both changes and refusals are in the log", async () => {
  const binding = `127.0.0.1:${laterPort()}`;
  const ask = (method: string, path: string, token: string, body?: object): Promise<Response> =>
    fetch(`http://${binding}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body && { body: JSON.stringify(body) }),
    });
  await using router = await startRouter({
    env: {
      ...noQueue,
      API_BINDING: binding,
      AUTOMC_API_TOKEN: "all",
      AUTOMC_API_READ_TOKEN: "look",
    },
  });
  const route = { serverAddress: "a.x", backend: "h:1" };
  for (const path of ["/routes", "/status", "/servers", "/sessions", "/metrics", "/log-level"]) {
    expect([path, (await ask("GET", path, "look")).status]).toEqual([path, 200]);
  }
  expect((await ask("POST", "/routes", "look", route)).status).toBe(403);
  expect((await ask("PUT", "/log-level", "look", { level: "debug" })).status).toBe(403);
  expect((await ask("POST", "/servers/a/wake", "look")).status).toBe(403);
  expect((await ask("POST", "/routes", "all", route)).status).toBe(201);
  const refused = await router.waitForLine(({ event }) => event === "api-refused");
  expect(refused).toMatchObject({ client: "127.0.0.1", path: "/routes", status: 403 });
  const changed = await router.waitForLine(({ event }) => event === "api-changed");
  expect(changed).toMatchObject({ client: "127.0.0.1", method: "POST", status: 201 });
});
