import { describe, expect, test } from "bun:test";
import { createDockerApi, dockerFilters } from "../../../src/providers/docker/api.ts";
import {
  type FakeAnswer,
  type FakeDocker,
  startFakeDocker,
} from "../../support/engines/fake-docker.ts";
import { until } from "../../support/until.ts";

const never = new AbortController().signal;

function apiFor(fake: FakeDocker, options: { version?: string; timeoutMs?: number } = {}) {
  const { version = null, timeoutMs = 2_000 } = options;
  const endpoint = { url: "http://localhost", unix: fake.socket, tls: null };
  return createDockerApi({ endpoint, version, timeoutMs });
}

const path = (request: Request): string => new URL(request.url).pathname;

describe("the version that is spoken", () => {
  const pinged = (headers: Record<string, string>, status = 200): FakeAnswer => {
    return (request) =>
      path(request) === "/_ping" ? new Response(null, { status, headers }) : null;
  };

  test.each([
    ["the engine's", pinged({ "api-version": "1.24" }), "/v1.24/x"],
    ["not newer than is known here", pinged({ "api-version": "1.99" }), "/v1.51/x"],
    ["not newer, with two digits", pinged({ "api-version": "1.9" }), "/v1.9/x"],
    ["the engine's own where it does not say", pinged({}), "/x"],
    ["the engine's own where nobody may ask", pinged({}, 403), "/x"],
  ])("is %s", async (_, intercept, expected) => {
    using fake = startFakeDocker();
    fake.intercept = intercept;
    const api = apiFor(fake);
    await api.get("/x", never);
    await api.get("/x", never);
    expect(fake.requests).toEqual(["HEAD /_ping", `GET ${expected}`, `GET ${expected}`]);
  });

  test("is asked for anew after a refusal that may be about it", async () => {
    using fake = startFakeDocker();
    const api = apiFor(fake);
    fake.intercept = (request) =>
      path(request) === "/v1.41/x" ? new Response(null, { status: 400 }) : null;
    await api.get("/x", never);
    await api.get("/x", never);
    expect(fake.requests.filter((request) => request === "HEAD /_ping")).toHaveLength(2);
  });
});

describe("a request", () => {
  test.each([
    ["JSON", () => Response.json([1]), { ok: true, json: [1] }],
    ["nothing", () => new Response(null, { status: 204 }), { ok: true, json: null }],
    [
      "no JSON",
      () => new Response("<html>"),
      { ok: false, status: null, says: "the answer is no JSON" },
    ],
    [
      "a refusal with a reason",
      () => Response.json({ message: "no such container" }, { status: 404 }),
      { ok: false, status: 404, says: "GET /v1.41/x: status 404: no such container" },
    ],
    [
      "a refusal without",
      () => new Response("<html>", { status: 502 }),
      { ok: false, status: 502, says: "GET /v1.41/x: status 502" },
    ],
    [
      "the way to somebody else",
      () => new Response(null, { status: 307, headers: { location: "http://elsewhere/" } }),
      { ok: false, status: 307, says: "status 307" },
    ],
  ] as const)("that is answered with %s", async (_, answer, expected) => {
    using fake = startFakeDocker();
    fake.intercept = (request) => (path(request) === "/_ping" ? null : answer());
    const answered = await apiFor(fake, { version: "1.41" }).get("/x?secret=1", never);
    expect(answered.ok).toBe(expected.ok);
    if (answered.ok) {
      expect(answered.value.json).toEqual("json" in expected ? expected.json : undefined);
    } else if ("says" in expected) {
      expect(answered.error.status).toBe(expected.status);
      expect(answered.error.message).toEndWith(expected.says);
      expect(answered.error.message).not.toContain("secret");
    }
  });

  test("that is not answered in time is given up", async () => {
    using fake = startFakeDocker();
    fake.intercept = () => new Promise(() => undefined);
    const api = apiFor(fake, { version: "1.41", timeoutMs: 20 });
    expect(await api.get("/x", never)).toEqual({
      ok: false,
      error: { status: null, message: "GET /v1.41/x: no answer within 0.02 s" },
    });
  });

  test("is given up when nobody wants it any more", async () => {
    using fake = startFakeDocker();
    fake.intercept = () => new Promise(() => undefined);
    const gone = new AbortController();
    const asking = apiFor(fake, { version: "1.41" }).get("/x", gone.signal);
    await until("it is asked", () => fake.requests.length === 1);
    gone.abort();
    expect((await asking).ok).toBe(false);
  });

  test("may have a body, which is JSON", async () => {
    using fake = startFakeDocker();
    const bodies: unknown[] = [];
    fake.intercept = async (request) => {
      bodies.push([request.headers.get("content-type"), await request.text()]);
      return new Response();
    };
    const api = apiFor(fake, { version: "1.41" });
    await api.post("/x", { a: 1 }, 0, never);
    await api.post("/x", undefined, 0, never);
    expect(bodies).toEqual([
      ["application/json", '{"a":1}'],
      [null, ""],
    ]);
  });
});

describe("a stream of events", () => {
  /** What was heard, and how it ended. */
  async function listen(fake: FakeDocker, drive: () => void | Promise<void>) {
    const heard: unknown[] = [];
    const stopping = new AbortController();
    const ended = apiFor(fake, { version: "1.41" }).events(
      "a=b",
      { open: () => heard.push("open"), line: (json) => heard.push(json) },
      stopping.signal,
    );
    await until("it is open or over", () => fake.requests.length === 1);
    await drive();
    setTimeout(() => stopping.abort(), 500);
    return { heard, end: await ended };
  }

  test("is heard line by line, also where lines are cut and joined on the way", async () => {
    using fake = startFakeDocker();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    fake.intercept = () => new Response(readable);
    const { heard, end } = await listen(fake, async () => {
      const writer = writable.getWriter();
      const whole = new TextEncoder().encode('{"a":"ü"}\n\n{"b":2}\nno JSON\n{"c":3}');
      for (const byte of whole) await writer.write(new Uint8Array([byte]));
      await writer.close();
    });
    expect(heard).toEqual(["open", { a: "ü" }, { b: 2 }, null]);
    expect(end).toBeNull();
  });

  test("with a line without end is given up", async () => {
    using fake = startFakeDocker();
    fake.intercept = () => new Response("x".repeat(5 * 1024 * 1024));
    const { heard, end } = await listen(fake, () => undefined);
    expect(heard).toEqual(["open"]);
    expect(end?.message).toBe("GET /v1.41/events: a line is longer than 4194304 bytes");
  });

  test("that is refused was never open", async () => {
    using fake = startFakeDocker();
    fake.intercept = () => new Response(null, { status: 403 });
    const { heard, end } = await listen(fake, () => undefined);
    expect(heard).toEqual([]);
    expect(end).toEqual({ status: 403, message: "GET /v1.41/events: status 403" });
  });

  test("ends when the engine is gone", async () => {
    using fake = startFakeDocker();
    const { end } = await listen(fake, async () => {
      await until("it is open", () => fake.streams === 1);
      await fake.stop();
    });
    expect(end?.message).toBe("GET /v1.41/events: the connection was closed");
  });

  test("ends when it is stopped", async () => {
    using fake = startFakeDocker();
    const { heard, end } = await listen(fake, () => undefined);
    expect(heard.slice(0, 1)).toEqual(["open"]);
    expect(end?.status).toBeNull();
  });
});

test("a filter is a JSON object in the query", () => {
  expect(decodeURIComponent(dockerFilters({ label: ["a", "b"], type: ["c"] }))).toBe(
    'filters={"label":["a","b"],"type":["c"]}',
  );
});
