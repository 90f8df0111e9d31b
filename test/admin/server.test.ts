import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { err } from "../../src/base/result.ts";
import { makeAddress } from "../../src/routing/address.ts";
import { freshFolder, patternOf } from "../providers/static/run-static-routes.ts";
import { startChild } from "../support/net/child.ts";
import { type RunningApi, routeOf, runApi } from "./run-api.ts";

const running: RunningApi[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((api) => api.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function ownFolder(): string {
  const folder = freshFolder();
  folders.push(folder);
  return folder;
}

async function start(...deps: Parameters<typeof runApi>): Promise<RunningApi> {
  const api = await runApi(...deps);
  running.push(api);
  return api;
}

const fileOf = ({ path }: RunningApi): string =>
  existsSync(path) ? readFileSync(path, "utf8") : "";

describe("mc-router's API", () => {
  test("lists every hostname, whoever routes it, sorted and without the default", async () => {
    const api = await start();
    expect(await api.answer("GET", "/routes")).toEqual([200, "{}"]);
    api.table.replace("env", [routeOf("env", "b.lan", "e"), routeOf("env", "*", "d")]);
    api.table.replace("postgres", [
      routeOf("postgres", "woken.lan", "p"),
      routeOf("postgres", "b.lan", "x"),
    ]);
    await api.set("10", "x:1");
    await api.set("*.a.lan", "x:2");
    const response = await api.call("GET", "/routes");
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.text()).toBe(
      '{"*.a.lan":{"backend":"x:2","scalingTarget":""},"10":{"backend":"x:1","scalingTarget":""},' +
        '"b.lan":{"backend":"e:1","scalingTarget":""},"woken.lan":{"backend":"p:1","scalingTarget":"target"}}',
    );
  });

  test("lists a hostname as its operator wrote it", async () => {
    const api = await start();
    await api.call("POST", "/routes", { serverAddress: "Play.Example.com", backend: "Box.lan:1" });
    const [, text] = await api.answer("GET", "/routes");
    expect(text).toBe('{"Play.Example.com":{"backend":"Box.lan:1","scalingTarget":""}}');
  });

  const bodies: readonly {
    name: string;
    body: string;
    status: number;
    claims?: readonly string[];
  }[] = [
    {
      name: "a hostname and a backend",
      body: '{"serverAddress":"A.lan.","backend":"x:1"}',
      status: 201,
      claims: ["api: a.lan x:1"],
    },
    {
      name: "names in any case, and unknown ones",
      body: '{"SERVERADDRESS":"a","Backend":"x:1","z":[1]}',
      status: 201,
      claims: ["api: a x:1"],
    },
    {
      name: "anything behind the first value",
      body: ' {"serverAddress":"a","backend":"x:1"} }{"',
      status: 201,
      claims: ["api: a x:1"],
    },
    {
      name: "an unusual hostname",
      body: '{"serverAddress":"_a.ü.1:25565","backend":"x:1"}',
      status: 201,
      claims: ["api: _a.ü.1:25565 x:1"],
    },
    {
      name: "a wildcard",
      body: '{"serverAddress":"*.a.lan","backend":"x:1"}',
      status: 201,
      claims: ["api: *.a.lan x:1"],
    },
    { name: "nothing", body: "", status: 400 },
    { name: "no JSON", body: "{", status: 400 },
    { name: "a byte order mark", body: '\ufeff{"serverAddress":"a","backend":"x:1"}', status: 400 },
    { name: "a list", body: "[]", status: 400 },
    { name: "a string", body: '"a"', status: 400 },
    { name: "a number as backend", body: '{"serverAddress":"a","backend":1}', status: 400 },
    { name: "null", body: "null", status: 400 },
    { name: "null as backend", body: '{"serverAddress":"a","backend":null}', status: 400 },
    { name: "no backend", body: '{"serverAddress":"a"}', status: 400 },
    { name: "an empty backend", body: '{"serverAddress":"a","backend":""}', status: 400 },
    { name: "no hostname", body: '{"backend":"x:1"}', status: 400 },
    { name: "an empty hostname", body: '{"serverAddress":" ","backend":"x:1"}', status: 400 },
    {
      name: "a backend that nobody could dial",
      body: '{"serverAddress":"a","backend":"http://x"}',
      status: 400,
    },
    {
      name: "the name of the prototype",
      body: '{"__proto__":{"backend":"x:1"},"serverAddress":"a"}',
      status: 400,
    },
    { name: "deep nesting", body: `{"a":${"[".repeat(50_000)}`, status: 400 },
  ];
  for (const { name, body, status, claims } of bodies) {
    test(`answers ${status} to a POST of ${name}`, async () => {
      const api = await start();
      const [given, text] = await api.answer("POST", "/routes", body);
      expect(given).toBe(status);
      if (status === 201) expect(text).toBe("");
      expect(api.claims()).toEqual([...(claims ?? [])]);
      expect(api.faults).toEqual([]);
    });
  }

  test("what cannot be used is named in a problem", async () => {
    const api = await start();
    const response = await api.call("POST", "/routes", { serverAddress: "a", backend: "" });
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toEqual({
      type: "about:blank",
      title: "The request cannot be used",
      status: 400,
      detail: "the backend is empty, expected host:port",
    });
    for (const path of ["/routes", "/defaultRoute"]) {
      const broken = await api.call("POST", path, "{");
      expect(broken.status).toBe(400);
      expect(await broken.json()).toMatchObject({
        status: 400,
        detail: expect.stringContaining("the body is not JSON: "),
      });
    }
  });

  test("adds, replaces and removes routes, and the file follows", async () => {
    const api = await start();
    const post = (serverAddress: string, backend: string) =>
      api.answer("POST", "/routes", { serverAddress, backend });
    expect(await post("b.lan", "x:1")).toEqual([201, ""]);
    expect(await post("a.lan", "x:1")).toEqual([201, ""]);
    expect(await post("B.LAN", "x:2")).toEqual([201, ""]);
    expect(fileOf(api)).toBe('{"default-server":"","mappings":{"a.lan":"x:1","b.lan":"x:2"}}');
    expect(await api.answer("DELETE", "/routes/B%2Elan.")).toEqual([200, ""]);
    expect((await api.answer("DELETE", "/routes/b.lan"))[0]).toBe(404);
    expect(fileOf(api)).toBe('{"default-server":"","mappings":{"a.lan":"x:1"}}');
    expect(await post("*.c.lan", "x:3")).toEqual([201, ""]);
    expect(await api.answer("DELETE", "/routes/*.c.lan")).toEqual([200, ""]);
    expect(api.claims()).toEqual(["api: a.lan x:1"]);
  });

  test("removes a route of the file", async () => {
    const api = await start();
    writeFileSync(api.path, '{"mappings":{"a.lan":"x:1","b.lan":"x:1"}}');
    await api.routes.reload();
    expect(await api.answer("DELETE", "/routes/a.lan")).toEqual([200, ""]);
    expect(fileOf(api)).toBe('{"default-server":"","mappings":{"b.lan":"x:1"}}');
  });

  test("a change that cannot be saved is in force, and answered with 500", async () => {
    const api = await start();
    mkdirSync(api.path);
    const created = await api.call("POST", "/routes", { serverAddress: "a.lan", backend: "x:1" });
    expect(created.status).toBe(500);
    expect(await created.json()).toMatchObject({
      detail: expect.stringMatching(/^the change is in force, but not in the routes file: /),
    });
    expect(api.claims()).toEqual(["api: a.lan x:1"]);
    expect((await api.answer("DELETE", "/routes/a.lan"))[0]).toBe(500);
    expect(api.claims()).toEqual([]);
  });

  const odd: readonly { body: object; warning: string }[] = [
    {
      body: { serverAddress: "a..lan", backend: "x:1" },
      warning:
        "the serverAddress has an empty label (a dot at an end, or two in a row); did you mean a.lan?",
    },
    {
      body: { serverAddress: "a.lan", backend: "10.0.0.256:1" },
      warning: "the backend is no IPv4 address, which has four numbers from 0 to 255",
    },
  ];
  for (const { body, warning } of odd) {
    test(`takes what can be of no use, and warns: ${warning}`, async () => {
      const api = await start();
      const response = await api.call("POST", "/routes", body);
      expect(response.status).toBe(201);
      expect(response.headers.get("warning")).toBe(`299 automc-router "${warning}"`);
      expect(api.warned).toEqual([expect.stringContaining(warning)]);
    });
  }

  test("sets the default route", async () => {
    const api = await start();
    expect(await api.answer("POST", "/defaultRoute", { backend: "x:1" })).toEqual([200, ""]);
    expect(fileOf(api)).toBe('{"default-server":"x:1","mappings":{}}');
    expect(await api.answer("GET", "/routes")).toEqual([200, "{}"]);
    for (const body of [{}, { backend: "" }, { backend: null }]) {
      expect((await api.answer("POST", "/defaultRoute", body))[0]).toBe(400);
    }
    expect(api.claims()).toEqual(["api: * x:1"]);
  });

  const others = ["HEAD", "PUT", "PATCH", "OPTIONS"];
  const notAllowed: readonly { path: string; methods: readonly string[]; allow: string }[] = [
    { path: "/routes", methods: [...others, "DELETE"], allow: "GET, POST" },
    { path: "/routes/a.lan", methods: [...others, "GET", "POST"], allow: "DELETE" },
    { path: "/defaultRoute", methods: others, allow: "GET, POST, DELETE" },
  ];
  for (const { path, methods, allow } of notAllowed) {
    test(`answers 405 to ${methods.join(", ")} ${path}, and names the methods`, async () => {
      const api = await start();
      for (const method of methods) {
        const response = await api.call(method, path);
        expect([method, response.status]).toEqual([method, 405]);
        expect(response.headers.get("allow")).toBe(allow);
      }
    });
  }

  for (const method of ["FOO", "get", "Delete"]) {
    test(`answers 405 to the method ${method}, as Go does`, async () => {
      const api = await start();
      const answer = await api.raw(
        `${method} /routes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toStartWith("HTTP/1.1 405 Method Not Allowed\r\n");
    });
  }

  const get = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;

  for (const path of [
    "/page",
    "/nope",
    "/routes/",
    "/routes/a/b",
    "/routes/a%2Fb",
    "/defaultRoute/",
    "/ROUTES",
  ]) {
    test(`answers 404 with a problem to ${path}`, async () => {
      const api = await start();
      const response = await api.raw(get(path));
      expect(response).toStartWith("HTTP/1.1 404 ");
      expect(response.toLowerCase()).toContain("content-type: application/problem+json");
      expect(response).toContain(`there is nothing at ${path}`);
    });
  }

  test("reads a path that is percent-encoded where it need not be", async () => {
    const api = await start();
    expect(await api.raw(get("/%72outes"))).toStartWith("HTTP/1.1 200 ");
  });

  const moved: readonly { path: string; to: string }[] = [
    { path: "//routes", to: "/routes" },
    { path: "/./routes", to: "/routes" },
    { path: "/a/../metrics?x=1", to: "/metrics?x=1" },
    { path: "//evil.example//x", to: "/evil.example/x" },
  ];
  for (const { path, to } of moved) {
    test(`sends ${path} to ${to}`, async () => {
      const api = await start();
      const response = await api.raw(get(path));
      expect(response).toStartWith("HTTP/1.1 301 ");
      expect(response.toLowerCase()).toContain(`\r\nlocation: ${to}\r\n`);
    });
  }

  for (const method of ["GET", "POST", "DELETE"]) {
    test(`answers ${method} /metrics and /vars with what it was given`, async () => {
      const api = await start();
      expect(await api.answer(method, "/metrics")).toEqual([200, "metrics"]);
      expect(await api.answer(method, "/vars")).toEqual([200, '{"cmdline":[]}']);
    });
  }
});

describe("routes of other sources", () => {
  test("cannot be replaced nor removed", async () => {
    const api = await start();
    api.table.replace("env", [routeOf("env", "e.lan", "e"), routeOf("env", "*", "e")]);
    api.table.replace("postgres", [routeOf("postgres", "p.lan", "p")]);
    const refusals = [
      ["POST", "/routes", { serverAddress: "e.lan", backend: "x:1" }],
      ["POST", "/routes", { serverAddress: "p.lan", backend: "x:1" }],
      ["POST", "/defaultRoute", { serverAddress: "", backend: "x:1" }],
      ["DELETE", "/routes/e.lan", undefined],
      ["DELETE", "/routes/p.lan", undefined],
      ["DELETE", "/defaultRoute", undefined],
    ] as const;
    for (const [method, path, body] of refusals) {
      const response = await api.call(method, path, body);
      expect([method, path, response.status]).toEqual([method, path, 409]);
      expect(await response.json()).toMatchObject({
        detail: expect.stringMatching(
          / belongs to (the environment \(MAPPING, DEFAULT\)|postgres p\.lan); /,
        ),
        source: path.includes("p.lan") || body?.serverAddress === "p.lan" ? "postgres" : "env",
      });
    }
    expect(api.changes).toEqual([]);
  });

  test("may come after the API's own, which stays changeable", async () => {
    const api = await start();
    const post = (backend: string) =>
      api.answer("POST", "/routes", { serverAddress: "p.lan", backend });
    expect((await post("x:1"))[0]).toBe(201);
    api.table.replace("postgres", [routeOf("postgres", "p.lan", "p")]);
    expect((await post("x:2"))[0]).toBe(201);
    expect(api.claims()).toEqual(["api: p.lan x:2"]);
    expect((await api.answer("DELETE", "/routes/p.lan"))[0]).toBe(200);
    expect(api.claims()).toEqual(["postgres: p.lan p:1"]);
  });
});

describe("beyond mc-router's API", () => {
  test("the default route is readable and removable", async () => {
    const api = await start();
    expect((await api.answer("GET", "/defaultRoute"))[0]).toBe(404);
    expect((await api.answer("DELETE", "/defaultRoute"))[0]).toBe(404);
    await api.answer("POST", "/defaultRoute", { backend: "x:1" });
    expect(await api.answer("GET", "/defaultRoute")).toEqual([
      200,
      '{"backend":"x:1","scalingTarget":""}',
    ]);
    expect(await api.answer("DELETE", "/defaultRoute")).toEqual([200, ""]);
    expect(fileOf(api)).toBe('{"default-server":"","mappings":{}}');
  });

  test("a hostname is explained", async () => {
    const api = await start();
    await api.set("a.lan", "x:1");
    await api.set("*.lan", "x:2");
    const response = await api.call("GET", "/explain?host=A.lan.%00FML%00");
    expect(await response.json()).toEqual({
      hostname: "a.lan",
      backend: "x:1",
      claims: [
        {
          pattern: "a.lan",
          backend: "x:1",
          source: "api",
          row: "a.lan",
          wake: null,
          standing: "wins",
        },
        {
          pattern: "*.lan",
          backend: "x:2",
          source: "api",
          row: "*.lan",
          wake: null,
          standing: "less-specific",
        },
      ],
    });
    expect(await (await api.call("GET", "/explain?host=")).json()).toEqual({
      hostname: "",
      backend: null,
      claims: [],
    });
    expect((await api.answer("GET", "/explain"))[0]).toBe(400);
  });

  test("sessions are listed, oldest first", async () => {
    const facts = {
      client: { ip: "10.0.0.1", port: 5 },
      intent: "login",
      protocol: 770,
      rawHost: "A.lan\0FML",
      hostname: "a.lan",
      route: "a.lan",
      row: "a.lan",
      backend: "x:1",
      player: { name: '<Ste"ve>', uuid: null },
      waitedMs: 12,
    } as const;
    const api = await start({
      sessions: () => [
        { facts: { id: 2, ...facts }, durationMs: 1.6, relayed: null },
        { facts: { id: 1, ...facts }, durationMs: 10, relayed: { toBackend: 3, toClient: 4 } },
      ],
    });
    expect(await (await api.call("GET", "/sessions")).json()).toEqual([
      { id: 1, ...facts, durationMs: 10, bytesToBackend: 3, bytesToClient: 4 },
      { id: 2, ...facts, durationMs: 2, bytesToBackend: 0, bytesToClient: 0 },
    ]);
  });

  test("health and readiness are told", async () => {
    const notReady = [{ name: "postgres", reason: "it is away" }];
    const api = await start({ notReady: () => notReady });
    expect(await api.answer("GET", "/healthz")).toEqual([200, '{"status":"ok"}']);
    expect((await api.answer("GET", "/readyz"))[0]).toBe(503);
    expect(await api.answer("HEAD", "/readyz")).toEqual([503, ""]);
    notReady.length = 0;
    expect(await api.answer("GET", "/readyz")).toEqual([
      200,
      '{"status":"ready","stale":[],"polled":[]}',
    ]);
  });

  for (const path of ["/explain", "/sessions", "/healthz", "/readyz"]) {
    test(`a wrong method for ${path} is a problem that names the right one`, async () => {
      const api = await start();
      const response = await api.call("POST", path, {});
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("GET, HEAD");
      expect(await response.json()).toMatchObject({ status: 405, detail: "use GET, HEAD" });
    });
  }
});

describe("who may ask", () => {
  const paths = [
    "/routes",
    "/routes/a",
    "/defaultRoute",
    "/metrics",
    "/vars",
    "/explain?host=a",
    "/sessions",
    "/nope",
    "//routes",
  ];

  test("with a token, only who has it, and anybody about health", async () => {
    const api = await start({ tokens: () => ({ change: "s3cret", read: null }) });
    const status = async (path: string, authorization?: string): Promise<number> =>
      (await api.call("GET", path, undefined, authorization === undefined ? {} : { authorization }))
        .status;
    for (const path of paths) {
      expect([path, await status(path)]).toEqual([path, 401]);
      expect([path, await status(path, "Bearer s3cret")]).not.toEqual([path, 401]);
    }
    for (const wrong of [
      "",
      "Bearer",
      "Bearer s3cre",
      "Bearer s3cret2",
      "Basic s3cret",
      "s3cret",
      "Bearer s3cret x",
    ]) {
      expect([wrong, await status("/routes", wrong)]).toEqual([wrong, 401]);
    }
    expect(await status("/routes", "bearer  s3cret")).toBe(200);
    for (const path of ["/healthz", "/readyz"]) expect(await status(path)).toBe(200);
    const refused = await api.call("POST", "/routes", { serverAddress: "a", backend: "x:1" });
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await refused.json()).toMatchObject({ status: 401 });
    expect(api.claims()).toEqual([]);
  });

  const hosts: readonly { host: string; isKnown: boolean }[] = [
    { host: "127.0.0.1:1", isKnown: true },
    { host: "192.0.2.7", isKnown: true },
    { host: "[::1]:8080", isKnown: true },
    { host: "LocalHost", isKnown: true },
    { host: "Router.Internal:8080", isKnown: true },
    { host: "evil.example", isKnown: false },
    { host: "127.0.0.1.evil.example", isKnown: false },
    { host: "localhost.evil.example:80", isKnown: false },
    { host: "[evil]", isKnown: false },
    { host: "localhost, evil.example", isKnown: false },
  ];
  for (const { host, isKnown } of hosts) {
    test(`without a token, the name ${host} is ${isKnown ? "served" : "refused"}`, async () => {
      const api = await start({ hosts: ["router.internal"] });
      const ask = (path: string): Promise<string> =>
        api.raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      for (const path of ["/routes", "/nope"]) {
        expect((await ask(path)).startsWith("HTTP/1.1 421 ")).toBe(!isKnown);
      }
      for (const probe of ["/healthz", "/readyz"]) {
        expect(await ask(probe)).toStartWith("HTTP/1.1 200 ");
      }
    });
  }

  const origins: readonly { origin: string; isOwn: boolean }[] = [
    { origin: "http://127.0.0.1:8080", isOwn: true },
    { origin: "https://Router.Internal", isOwn: true },
    { origin: "http://127.0.0.1:8081", isOwn: false },
    { origin: "http://localhost:3000", isOwn: false },
    { origin: "http://192.0.2.7", isOwn: false },
    { origin: "https://evil.example", isOwn: false },
    { origin: "https://router.internal.evil.example", isOwn: false },
    { origin: "null", isOwn: false },
    { origin: "", isOwn: false },
  ];
  for (const { origin, isOwn } of origins) {
    test(`without a token, a page of ${JSON.stringify(origin)} ${isOwn ? "may" : "may not"} make a route`, async () => {
      const api = await start({ hosts: ["router.internal"] });
      const body = JSON.stringify({ serverAddress: "a.lan", backend: "x:1" });
      const head = `Host: 127.0.0.1:8080\r\nOrigin: ${origin}\r\nContent-Type: text/plain`;
      const answer = await api.raw(
        `POST /routes HTTP/1.1\r\n${head}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      );
      expect(answer).toStartWith(`HTTP/1.1 ${isOwn ? 201 : 403} `);
      expect(api.claims()).toHaveLength(isOwn ? 1 : 0);
    });
  }

  test("with a good token, the name does not matter", async () => {
    const api = await start({ tokens: () => ({ change: "s3cret", read: null }) });
    const headers = "Host: router\r\nAuthorization: Bearer s3cret\r\nConnection: close\r\n";
    expect(await api.raw(`GET /routes HTTP/1.1\r\n${headers}\r\n`)).toStartWith("HTTP/1.1 200 ");
  });

  test("a check in HTTP/1.0 has no name and is answered", async () => {
    const api = await start();
    expect(await api.raw("GET /healthz HTTP/1.0\r\n\r\n")).toStartWith("HTTP/1.1 200 ");
    expect(await api.raw("GET /nope HTTP/1.0\r\n\r\n")).toStartWith("HTTP/1.1 404 ");
  });

  test("no other origin is let in by CORS", async () => {
    const api = await start();
    const headers = { origin: "http://evil.example", "access-control-request-method": "POST" };
    const response = await api.call("OPTIONS", "/routes", undefined, headers);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
  });
});

describe("whatever a client sends", () => {
  test("a body of 64 KiB is read, and no more", async () => {
    const api = await start();
    const body = JSON.stringify({ serverAddress: "a", backend: "x:1" });
    expect((await api.answer("POST", "/routes", body.padEnd(65_536)))[0]).toBe(201);
    expect((await api.answer("POST", "/routes", body.padEnd(65_537)))[0]).toBe(413);
    const chunk = `10001\r\n${body.padEnd(65_537)}\r\n0\r\n\r\n`;
    const head = "POST /routes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n";
    expect(await api.raw(`${head}\r\n${chunk}`)).toStartWith("HTTP/1.1 413 ");
  });

  const requests: readonly { name: string; text: string }[] = [
    { name: "TLS", text: "\x16\x03\x01\x02\x00\x01\r\n\r\n" },
    {
      name: "a bad escape",
      text: "DELETE /routes/%zz%C3%28 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    },
    {
      name: "a NUL in a hostname",
      text: "DELETE /routes/%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    },
    {
      name: "dots for a hostname",
      text: "DELETE /routes/.. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    },
    {
      name: "a Host that is no host",
      text: "GET /explain?host=a HTTP/1.1\r\nHost: a b:zz/\r\nConnection: close\r\n\r\n",
    },
    {
      name: "bad bytes in a query",
      text: "GET /explain?host=%ff%fe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    },
    {
      name: "a bad chunk",
      text: "POST /routes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    },
    {
      name: "bytes that are no UTF-8",
      text: 'POST /routes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"\xff"',
    },
  ];
  for (const { name, text } of requests) {
    test(`${name} is answered with a refusal or not at all, and throws nowhere`, async () => {
      const api = await start();
      expect(await api.raw(text)).toMatch(/^(HTTP\/1\.1 (301|400|404|421|200) |$)/);
      expect((await api.answer("GET", "/healthz"))[0]).toBe(200);
      expect(api.faults).toEqual([]);
    });
  }

  test("a handler that throws is a 500 for its client and a fault for the log", async () => {
    const api = await start({
      metrics() {
        throw new Error("boom at line 7");
      },
    });
    const response = await api.call("GET", "/metrics");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("boom");
    expect(api.faults.map(({ message }) => message)).toEqual(["boom at line 7"]);
  });

  test("a hundred changes at once are all in force and all in the file", async () => {
    const api = await start();
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const statuses = await Promise.all(
      numbers.map((i) =>
        api
          .call("POST", "/routes", { serverAddress: `h${i}.lan`, backend: `x:${i + 1}` })
          .then(({ status }) => status),
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([201]));
    const expected = Object.fromEntries(numbers.map((i) => [`h${i}.lan`, `x:${i + 1}`]));
    expect(JSON.parse(fileOf(api)).mappings).toEqual(expected);
    expect(api.claims()).toHaveLength(100);
  });
});

describe("where it listens", () => {
  const at = (folder: string): string => `unix:${join(folder, "api.sock")}`;

  test("a unix socket is for owner and group, whatever the Host, and gone after the stop", async () => {
    const api = await start({ at });
    const unix = join(api.folder, "api.sock");
    expect(api.server.binding).toBe(`unix:${unix}`);
    expect(statSync(unix).mode & 0o777).toBe(0o660);
    const response = await fetch("http://anything.example/routes", { unix });
    expect(await response.text()).toBe("{}");
    await api.server.stop();
    expect(existsSync(unix)).toBe(false);
  });

  test("a socket that a killed process left behind is replaced", async () => {
    const folder = ownFolder();
    const unix = join(folder, "api.sock");
    const script = `Bun.serve({ unix: ${JSON.stringify(unix)}, fetch: () => new Response() }); console.log("up")`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    await child.stdout.getReader().read();
    await expect(start({ at: () => `unix:${unix}` })).rejects.toThrow("EADDRINUSE");
    child.kill("SIGKILL");
    await child.exited;
    expect(existsSync(unix)).toBe(true);
    const api = await start({ at: () => `unix:${unix}` });
    expect(await (await fetch("http://localhost/routes", { unix })).text()).toBe("{}");
    expect(api.server.binding).toBe(`unix:${unix}`);
  });

  test("another file is left alone, and the error says where", async () => {
    const path = join(ownFolder(), "file");
    writeFileSync(path, "mine");
    await expect(start({ at: () => `unix:${path}` })).rejects.toThrow(
      `the API cannot listen at unix:${path}: `,
    );
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  test("a port that is taken is an error, and no throw", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const address = taken.address();
    const port = typeof address === "object" ? address?.port : 0;
    await expect(start({ at: () => `127.0.0.1:${port}` })).rejects.toThrow(
      `the API cannot listen at 127.0.0.1:${port}: `,
    );
    taken.close();
  });

  test("every address of a host without IPv6 is those of IPv4", async () => {
    using child = startChild("admin-without-ipv6");
    expect(await child.next()).toEqual({ status: "ok" });
  });

  test("the binding tells the port that was free", async () => {
    const api = await start();
    expect(api.server.binding).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
    expect(await api.routes.set(patternOf("a"), makeAddress("x", 1))).toBeNull();
    expect((await api.answer("GET", "/routes"))[1]).toContain('"a"');
  });
});

test("a server's icon is a picture that a browser may keep, and 404 where none is known", async () => {
  const png = new Uint8Array([1, 2, 3]);
  const api = await start({
    servers: {
      wakes: () => new Map(),
      may: () => ({ start: false, stop: false }),
      icon: ({ id }) => (id === "survival" ? { png, version: "v1" } : null),
      start: () => err("no"),
      stop: () => Promise.resolve(err("no")),
    },
  });
  api.table.replace("postgres", [
    routeOf("postgres", "survival", "a"),
    routeOf("postgres", "creative", "b"),
  ]);
  const servers = await (await api.call("GET", "/servers")).json();
  expect(servers).toMatchObject([
    { name: "creative", icon: null },
    { name: "survival", icon: "/servers/survival/icon?v=v1" },
  ]);
  const response = await api.call("GET", "/servers/survival/icon?v=v1");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("image/png");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(response.headers.get("cache-control")).toBe("private, max-age=86400");
  expect(await response.bytes()).toEqual(png);
  for (const name of ["creative", "nothing"]) {
    expect((await api.call("GET", `/servers/${name}/icon`)).status).toBe(404);
  }
});
