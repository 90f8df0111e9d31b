import { expect, test } from "bun:test";
import { type Misbehaviour, startControlPlane } from "./control-plane.ts";

/** One request to the control plane: its status and JSON. */
async function ask(
  url: string,
  init: RequestInit = {},
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(5000) });
  return { status: response.status, body: await response.json() };
}

test("a server goes from stopped over starting to running, when it is told", async () => {
  await using plane = startControlPlane({
    servers: [{ name: "lobby 1", address: "127.0.0.1:4", startMs: null }],
  });
  const server = `${plane.url}/servers/lobby%201`;
  expect(await ask(server)).toEqual({ status: 200, body: { state: "stopped" } });
  expect(await ask(`${server}/start`, { method: "POST" })).toMatchObject({ status: 202 });
  expect(await ask(`${server}/start`, { method: "POST" })).toMatchObject({ status: 409 });
  expect(await ask(server)).toEqual({ status: 200, body: { state: "starting" } });
  plane.setRunning("lobby 1", "127.0.0.1:5");
  expect(await ask(server)).toEqual({
    status: 200,
    body: { state: "running", address: "127.0.0.1:5" },
  });
  plane.setRunning("lobby 1", null);
  expect(await ask(server)).toEqual({ status: 200, body: { state: "running" } });
  expect(plane.starts("lobby 1")).toBe(2);
  expect(plane.requests[0]).toMatchObject({
    kind: "state",
    server: "lobby 1",
    path: "/servers/lobby%201",
    apiKey: null,
  });
});

test("a start takes its time, or as long as the hook does", async () => {
  await using plane = startControlPlane({
    servers: [{ name: "a" }],
    onStart: async (name) => `127.0.0.1:${name.length}`,
  });
  await ask(`${plane.url}/servers/a/start`, { method: "POST" });
  expect(await ask(`${plane.url}/servers/a`)).toMatchObject({
    body: { state: "running", address: "127.0.0.1:1" },
  });
});

test("a wrong key, an unknown server and a wrong method are refused", async () => {
  await using plane = startControlPlane({ token: "secret", servers: [{ name: "a" }] });
  const headers = { "X-API-Key": "secret" };
  expect(await ask(`${plane.url}/servers/a`)).toMatchObject({ status: 401 });
  expect(await ask(`${plane.url}/servers/a`, { headers })).toMatchObject({ status: 200 });
  expect(await ask(`${plane.url}/servers/b`, { headers })).toMatchObject({ status: 404 });
  expect(await ask(`${plane.url}/servers/a/start`, { headers })).toMatchObject({ status: 404 });
  expect(plane.requests.map(({ apiKey }) => apiKey)).toEqual([null, "secret", "secret", "secret"]);
});

test("misbehaviour keeps to its server and its kind of request, and can be ended", async () => {
  await using plane = startControlPlane({ servers: [{ name: "a" }, { name: "b" }] });
  const broken: Misbehaviour = { kind: "answer", status: 500, body: "{}" };
  plane.misbehave(broken, { server: "a", request: "state" });
  expect(await ask(`${plane.url}/servers/a`)).toMatchObject({ status: 500 });
  expect(await ask(`${plane.url}/servers/b`)).toMatchObject({ status: 200 });
  expect(await ask(`${plane.url}/servers/a/start`, { method: "POST" })).toMatchObject({
    status: 202,
  });
  plane.misbehave(null);
  expect(await ask(`${plane.url}/servers/a`)).toMatchObject({ status: 200 });
});

test("answers of every wrong kind are what they say", async () => {
  await using plane = startControlPlane({ servers: [{ name: "a" }] });
  const server = `${plane.url}/servers/a`;

  plane.misbehave({ kind: "answer", status: 302, headers: { location: `${plane.url}/elsewhere` } });
  const redirect = await fetch(server, { redirect: "manual" });
  expect(redirect.headers.get("location")).toBe(`${plane.url}/elsewhere`);

  plane.misbehave({ kind: "huge", bytes: 10_000_000 });
  expect((await (await fetch(server)).bytes()).length).toBe(10_000_000);

  plane.misbehave({ kind: "gzip-bomb", bytes: 64 * 1024 * 1024 });
  const bomb = await fetch(server, { decompress: false });
  expect((await bomb.bytes()).length).toBeLessThan(200_000);

  for (const kind of [{ kind: "hang" }, { kind: "drip", everyMs: 5 }] as const) {
    plane.misbehave(kind);
    const answer = fetch(server, { signal: AbortSignal.timeout(100) }).then((got) => got.text());
    await expect(answer).rejects.toThrow("timed out");
  }
});
