import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createControlPlane,
  type PlaneTarget,
} from "../../../src/providers/control-plane/waker.ts";
import { makeAddress } from "../../../src/routing/address.ts";
import type { BackendEvent } from "../../../src/wake/event.ts";
import type { WakeableBackend } from "../../../src/wake/waker.ts";
import { sending, startBackend } from "../../support/net/backend.ts";
import { makeAuthority } from "../../support/net/certificates.ts";
import { reserveClosedPort } from "../../support/net/ports.ts";
import {
  type ControlPlane,
  type Misbehaviour,
  startControlPlane,
} from "../../support/process/control-plane.ts";
import { manualDeadlines } from "../../support/session/session-clock.ts";
import { until } from "../../support/until.ts";

const token = "s3cret-token";
const never = new AbortController().signal;

const sleeper = (server: string): WakeableBackend<PlaneTarget> => ({
  target: { kind: "control-plane", server },
  address: makeAddress("127.0.0.1", 1),
});

/** A waker for this control plane, on a clock that the test moves. */
function wakerFor(url: string, apiKey: string | null = token, ca: string | null = null) {
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const emit = (event: BackendEvent): void => void events.push(event);
  const waker = createControlPlane({
    url,
    token: () => apiKey,
    ca,
    timeoutMs: 90_000,
    pollIntervalMs: 2_000,
    mayStop: true,
    deadlines: clock,
    emit,
  });
  return {
    start: (server: string, signal: AbortSignal) => waker.start(sleeper(server), signal),
    look: (server: string, signal: AbortSignal) => waker.look(sleeper(server), signal),
    stop: (server: string, signal: AbortSignal) => waker.stop(sleeper(server).target, signal),
    may: waker.may,
    clock,
    events,
  };
}

/** The plane's one server, running unless a test says otherwise. */
const planeWithA = (): ControlPlane =>
  startControlPlane({
    token,
    servers: [{ name: "a", state: "running", address: "127.0.0.1:4000" }],
  });

/** An HTTP answer as raw bytes, for what no HTTP server would send. */
const rawAnswer = (head: string, body: Uint8Array = new Uint8Array()): Buffer =>
  Buffer.concat([Buffer.from(`${head.replaceAll("\n", "\r\n")}\r\n\r\n`), body]);

describe("the contract", () => {
  test("a start is a POST and a look a GET, each with the key and the name URL-encoded", async () => {
    const name = "lobby 1/ä?#%";
    await using plane = startControlPlane({
      token,
      servers: [{ name, address: "127.0.0.1:4000", startMs: null }],
    });
    const waker = wakerFor(plane.url);
    expect(await waker.start(name, never)).toEqual({ ok: true, value: undefined });
    expect(await waker.look(name, never)).toEqual({ kind: "starting", word: "starting" });
    plane.setRunning(name, "Play.Example.com:25570");
    expect(await waker.look(name, never)).toEqual({
      kind: "running",
      address: { host: "play.example.com", port: 25570, text: "Play.Example.com:25570" },
    });
    const path = "/servers/lobby%201%2F%C3%A4%3F%23%25";
    expect(plane.requests.map(({ method, path, apiKey }) => ({ method, path, apiKey }))).toEqual([
      { method: "POST", path: `${path}/start`, apiKey: token },
      { method: "GET", path, apiKey: token },
      { method: "GET", path, apiKey: token },
    ]);
    expect(waker.clock.pending).toBe(0);
    expect(waker.events).toEqual([]);
  });

  test("without a token no key is sent", async () => {
    await using plane = startControlPlane({ servers: [{ name: "a" }] });
    await wakerFor(plane.url, null).start("a", never);
    expect(plane.requests[0]?.apiKey).toBeNull();
  });

  test.each([200, 201, 202, 204, 299, 409])("a start answered %i is accepted", async (status) => {
    await using plane = planeWithA();
    plane.misbehave({ kind: "answer", status });
    const waker = wakerFor(plane.url);
    expect(await waker.start("a", never)).toEqual({ ok: true, value: undefined });
    expect(waker.events).toEqual([]);
  });

  test.each([301, 307, 400, 401, 404, 429, 500, 503])(
    "a start answered %i is not",
    async (status) => {
      await using plane = planeWithA();
      plane.misbehave({ kind: "answer", status });
      expect(await wakerFor(plane.url).start("a", never)).toEqual({
        ok: false,
        error: {
          reason: `POST /servers/a/start: status ${status}${status === 401 ? "; check AUTOMC_WAKER_TOKEN" : ""}`,
          isFinal: false,
        },
      });
    },
  );

  test.each([200, 204, 404, 409])("a stop answered %i is done", async (status) => {
    await using plane = planeWithA();
    plane.misbehave({ kind: "answer", status });
    expect(await wakerFor(plane.url).stop("a", never)).toEqual({ ok: true, value: undefined });
    expect(plane.requests).toMatchObject([
      { method: "POST", path: "/servers/a/stop", apiKey: token },
    ]);
  });

  test("a stop answered 500 is not, with the beginning of what was answered", async () => {
    await using plane = planeWithA();
    plane.misbehave({ kind: "answer", status: 500, body: `no\n\tspace ${"x".repeat(400)}` });
    const waker = wakerFor(plane.url);
    const error = `POST /servers/a/stop: status 500: no space ${"x".repeat(191)}`;
    expect(await waker.stop("a", never)).toEqual({ ok: false, error });
    expect(waker.events).toEqual([
      { kind: "control-plane-lost", server: "a", call: "stop", reason: error },
    ]);
  });

  const states: readonly { name: string; body: object; seen: object }[] = [
    { name: "starting", body: { state: "starting" }, seen: { kind: "starting", word: "starting" } },
    { name: "stopped", body: { state: "stopped" }, seen: { kind: "stopped", word: "stopped" } },
    { name: "RUNNING", body: { state: "RUNNING" }, seen: { kind: "stopped", word: "RUNNING" } },
    { name: "a number", body: { state: 7 }, seen: { kind: "stopped", word: "7" } },
    {
      name: "failed, with a message",
      body: { state: "failed", message: "disk\nfull" },
      seen: {
        kind: "failed",
        reason: 'the control plane says "failed": disk full',
        message: "disk full",
      },
    },
    {
      name: "crashed, with a long message",
      body: { state: "crashed", message: "x".repeat(500) },
      seen: {
        kind: "failed",
        reason: `the control plane says "crashed": ${"x".repeat(200)}`,
        message: "x".repeat(200),
      },
    },
    {
      name: "error, without a message",
      body: { state: "error" },
      seen: { kind: "failed", reason: 'the control plane says "error"', message: null },
    },
  ];
  for (const { name, body, seen } of states) {
    test(`the state ${name}`, async () => {
      await using plane = planeWithA();
      plane.misbehave({ kind: "answer", status: 200, body: JSON.stringify(body) });
      const waker = wakerFor(plane.url);
      expect(await waker.look("a", never)).toEqual(seen as Awaited<ReturnType<typeof waker.look>>);
      expect(waker.events).toEqual([]);
    });
  }
});

describe("a look at a control plane that goes wrong is trouble, with a reason that fits one line", () => {
  const json = (body: unknown): Misbehaviour => ({
    kind: "answer",
    status: 200,
    body: JSON.stringify(body),
  });
  const rows: readonly { name: string; answer: Misbehaviour; reason: RegExp }[] = [
    { name: "500", answer: { kind: "answer", status: 500, body: "oops" }, reason: /status 500/ },
    { name: "404", answer: { kind: "answer", status: 404 }, reason: /status 404/ },
    {
      name: "401",
      answer: { kind: "answer", status: 401 },
      reason: /status 401; check AUTOMC_WAKER_TOKEN/,
    },
    {
      name: "409, which only a start may answer",
      answer: { kind: "answer", status: 409 },
      reason: /409/,
    },
    { name: "an empty answer", answer: { kind: "answer", status: 200 }, reason: /no JSON object/ },
    {
      name: "HTML",
      answer: { kind: "answer", status: 200, body: "<html>" },
      reason: /no JSON object/,
    },
    {
      name: "JSON that is cut off",
      answer: { kind: "answer", status: 200, body: '{"state":"run' },
      reason: /no JSON object/,
    },
    { name: "a JSON list", answer: json([]), reason: /no JSON object/ },
    { name: "JSON null", answer: json(null), reason: /no JSON object/ },
    { name: "a JSON string", answer: json("running"), reason: /no JSON object/ },
    { name: "an object without state", answer: json({ address: "a:1" }), reason: /state/ },
    { name: "running without address", answer: json({ state: "running" }), reason: /no address/ },
    {
      name: "running at null",
      answer: json({ state: "running", address: null }),
      reason: /no address/,
    },
    {
      name: "running at a number",
      answer: json({ state: "running", address: 25565 }),
      reason: /no address/,
    },
    {
      name: "running at an empty address",
      answer: json({ state: "running", address: "" }),
      reason: /its address is empty/,
    },
    {
      name: "running at port 0",
      answer: json({ state: "running", address: "a:0" }),
      reason: /its address .* port/,
    },
    {
      name: "running at a URL",
      answer: json({ state: "running", address: "http://a:1/" }),
      reason: /its address/,
    },
    {
      name: "10 MB of JSON",
      answer: { kind: "huge", bytes: 10_000_000 },
      reason: /longer than 65536 bytes/,
    },
    {
      name: "one byte too many",
      answer: { kind: "huge", bytes: 65_537 },
      reason: /longer than 65536 bytes/,
    },
  ];
  for (const { name, answer, reason } of rows) {
    test(name, async () => {
      await using plane = planeWithA();
      plane.misbehave(answer);
      const waker = wakerFor(plane.url);
      const seen = await waker.look("a", never);
      expect(seen).toEqual({ kind: "trouble", reason: expect.stringMatching(reason) });
      expect(JSON.stringify([seen, waker.events])).not.toContain(token);
      expect(waker.events).toMatchObject([{ kind: "control-plane-lost" }]);
      expect(waker.clock.pending).toBe(0);
    });
  }

  test("a wrong key", async () => {
    await using plane = planeWithA();
    const waker = wakerFor(plane.url, "wrong-key");
    const seen = await waker.look("a", never);
    expect(seen).toMatchObject({ kind: "trouble", reason: expect.stringContaining("status 401") });
    expect(JSON.stringify([seen, waker.events])).not.toContain("wrong-key");
  });

  test("a key that HTTP cannot carry, which the runtime would quote in its error", async () => {
    await using plane = planeWithA();
    const waker = wakerFor(plane.url, "two\nlines");
    const outcomes = [await waker.look("a", never), await waker.start("a", never)];
    expect(outcomes).toMatchObject([{ kind: "trouble" }, { ok: false }]);
    expect(JSON.stringify([outcomes, waker.events])).not.toContain("lines");
  });

  test("nothing listens", async () => {
    using closed = await reserveClosedPort();
    const waker = wakerFor(`http://127.0.0.1:${closed.port}`);
    expect(await waker.look("a", never)).toMatchObject({ kind: "trouble" });
    expect(waker.events).toMatchObject([{ kind: "control-plane-lost" }]);
  });

  const raw: readonly { name: string; bytes: Buffer }[] = [
    { name: "no HTTP at all", bytes: Buffer.from("SSH-2.0-OpenSSH_9.2p1\r\n\r\n") },
    { name: "random bytes", bytes: Buffer.from("00ff17030300ffffffff0d0a0d0a", "hex") },
    { name: "a length that is no number", bytes: rawAnswer("HTTP/1.1 200 OK\nContent-Length: x") },
  ];
  for (const { name, bytes } of raw) {
    test(name, async () => {
      using backend = startBackend(sending(bytes));
      const waker = wakerFor(`http://${backend.address}`);
      const looking = waker.look("a", never);
      // Whether the runtime sees through the answer or waits for more of it, the look is bounded.
      await backend.waitForConnection(0);
      await Promise.race([looking, Bun.sleep(200)]);
      waker.clock.advance(5_000);
      expect(await looking).toMatchObject({ kind: "trouble" });
    });
  }

  test("the largest answer that is read is read whole", async () => {
    await using plane = planeWithA();
    plane.misbehave({ kind: "huge", bytes: 65_536 });
    expect(await wakerFor(plane.url).look("a", never)).toMatchObject({ kind: "running" });
  });

  test("a redirect is not followed, so the key stays where it belongs", async () => {
    await using other = planeWithA();
    await using plane = planeWithA();
    plane.misbehave({
      kind: "answer",
      status: 302,
      headers: { location: `${other.url}/servers/a` },
    });
    const waker = wakerFor(plane.url);
    expect(await waker.look("a", never)).toMatchObject({
      kind: "trouble",
      reason: expect.stringContaining("status 302"),
    });
    expect(await waker.start("a", never)).toMatchObject({ ok: false });
    expect(other.requests).toEqual([]);
  });

  test("a gzip bomb is not unpacked", async () => {
    const bomb = Bun.gzipSync(Buffer.alloc(48 * 1024 * 1024));
    using backend = startBackend({
      data: (connection) =>
        connection.send(
          rawAnswer(
            `HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: ${bomb.length}\nConnection: close`,
            bomb,
          ),
        ),
    });
    const waker = wakerFor(`http://${backend.address}`);
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 8; round++) {
      expect(await waker.look("a", never)).toMatchObject({ kind: "trouble" });
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  });
});

describe("every request is bounded", () => {
  const rows: readonly { name: string; answer: Misbehaviour }[] = [
    { name: "a control plane that hangs", answer: { kind: "hang" } },
    { name: "one that drips", answer: { kind: "drip", everyMs: 5 } },
  ];
  for (const { name, answer } of rows) {
    test(`${name}: a look is over after 5 s, a start after 30 s`, async () => {
      await using plane = planeWithA();
      plane.misbehave(answer);
      const waker = wakerFor(plane.url);
      let over = "";
      const looking = waker.look("a", never).finally(() => {
        over += "look ";
      });
      const starting = waker.start("a", never).finally(() => {
        over += "start ";
      });
      await until("both arrived", () => plane.requests.length === 2);
      waker.clock.advance(4_999);
      await Bun.sleep(20);
      expect(over).toBe("");
      waker.clock.advance(1);
      expect(await looking).toMatchObject({
        kind: "trouble",
        reason: expect.stringMatching(/no answer within 5 s/),
      });
      waker.clock.advance(24_999);
      await Bun.sleep(20);
      expect(over).toBe("look ");
      waker.clock.advance(1);
      expect(await starting).toMatchObject({
        ok: false,
        error: { reason: expect.stringMatching(/no answer within 30 s/) },
      });
      expect(waker.clock.pending).toBe(0);
    });
  }

  test("at most 32 are under way; the others follow in order, and one that is taken back makes room", async () => {
    await using plane = startControlPlane();
    plane.misbehave({ kind: "hang" }, { request: "state" });
    const waker = wakerFor(plane.url);
    const leaving = Array.from({ length: 40 }, () => new AbortController());
    const looks = leaving.map(({ signal }, index) => waker.look(`s${index}`, signal));
    await until("32 arrived", () => plane.requests.length === 32);
    // Another client's request overtakes whatever the waker might still have on its way.
    await fetch(plane.url);
    expect(plane.requests.filter(({ kind }) => kind === "state").length).toBe(32);
    leaving[3]?.abort();
    await until("the next one", () => plane.requests.some(({ server }) => server === "s32"));
    for (const each of leaving) each.abort();
    expect((await Promise.all(looks)).every(({ kind }) => kind === "trouble")).toBe(true);
    expect(waker.clock.pending).toBe(0);
    expect(waker.events).toEqual([]);
  });

  test("a signal that has aborted already sends nothing", async () => {
    await using plane = planeWithA();
    const waker = wakerFor(plane.url);
    expect(await waker.look("a", AbortSignal.abort())).toMatchObject({ kind: "trouble" });
    expect(await waker.start("a", AbortSignal.abort())).toMatchObject({ ok: false });
    expect(plane.requests).toEqual([]);
    expect(waker.events).toEqual([]);
  });
});

test("trouble is told once for each call, and its end once: a good answer to the one does not clear the other", async () => {
  await using plane = planeWithA();
  const waker = wakerFor(plane.url);
  plane.misbehave({ kind: "answer", status: 500, body: "oops" }, { request: "start" });
  for (let round = 0; round < 3; round++) {
    await waker.start("a", never);
    await waker.look("a", never);
  }
  const lost = { kind: "control-plane-lost", server: "a" };
  const reason = "POST /servers/a/start: status 500: oops";
  expect(waker.events).toEqual([{ ...lost, call: "start", reason } as BackendEvent]);
  plane.misbehave({ kind: "answer", status: 503 });
  await waker.look("a", never);
  plane.misbehave(null);
  await waker.look("a", never);
  await waker.start("a", never);
  expect(waker.events.slice(1)).toEqual([
    { ...lost, call: "status", reason: "GET /servers/a: status 503" } as BackendEvent,
    { kind: "control-plane-back", server: "a", call: "status" },
    { kind: "control-plane-back", server: "a", call: "start" },
  ]);
});

test("40 starts that hang delay no look", async () => {
  await using plane = planeWithA();
  plane.misbehave({ kind: "hang" }, { request: "start" });
  const waker = wakerFor(plane.url);
  const leaving = new AbortController();
  const starts = Array.from({ length: 40 }, (_, i) => waker.start(`s${i}`, leaving.signal));
  await until("32 arrived", () => plane.requests.length === 32);
  expect(await waker.look("a", never)).toMatchObject({ kind: "running" });
  leaving.abort();
  await Promise.all(starts);
});

test("servers are stopped only where that is wanted", () => {
  for (const mayStop of [true, false]) {
    const clock = manualDeadlines();
    const waker = createControlPlane({
      url: "http://127.0.0.1:9",
      ca: null,
      token: () => null,
      timeoutMs: 90_000,
      pollIntervalMs: 2_000,
      mayStop,
      deadlines: clock,
      emit: () => undefined,
    });
    expect(waker.may(sleeper("a").target)).toEqual({ start: true, stop: mayStop });
  }
});

test("a request that nobody waits for any more is taken back, and says nothing about the control plane", async () => {
  await using plane = planeWithA();
  plane.misbehave({ kind: "hang" });
  const waker = wakerFor(plane.url);
  const leaving = new AbortController();
  const looking = waker.look("a", leaving.signal);
  await until("it arrived", () => plane.requests.length === 1);
  leaving.abort();
  expect(await looking).toMatchObject({ kind: "trouble" });
  expect(waker.events).toEqual([]);
  expect(waker.clock.pending).toBe(0);
});

describe("a control plane behind TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "automc-waker-tls-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const ours = makeAuthority(folder, "ours");
  const other = makeAuthority(folder, "other");

  function startPlane() {
    const { certificate, key } = ours.certify();
    return Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: certificate, key },
      fetch: () => Response.json({ state: "running", address: "127.0.0.1:4000" }),
    });
  }

  test("is asked when its certificate is of the authority that AUTOMC_WAKER_CA names", async () => {
    using plane = startPlane();
    const ca = readFileSync(ours.path, "utf8");
    const waker = wakerFor(`https://localhost:${plane.port}`, token, ca);
    expect(await waker.look("a", never)).toMatchObject({ kind: "running" });
  });

  test.each([
    { name: "another authority", ca: readFileSync(other.path, "utf8") },
    { name: "the public authorities", ca: null },
  ])("is not trusted by $name, and the reason is the certificate", async ({ ca }) => {
    using plane = startPlane();
    const waker = wakerFor(`https://localhost:${plane.port}`, token, ca);
    const state = await waker.look("a", never);
    expect(state).toMatchObject({
      kind: "trouble",
      reason: expect.stringContaining("certificate"),
    });
    expect(JSON.stringify(waker.events)).toContain("AUTOMC_WAKER_CA");
  });
});
