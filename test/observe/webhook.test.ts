import { describe, expect, test } from "bun:test";
import type { RouterEvent } from "../../src/observe/events.ts";
import { localTime } from "../../src/observe/notices.ts";
import { createNotifier, type Notifier, type NotifierDeps } from "../../src/observe/webhook.ts";
import { webhookEvents } from "../../src/observe/webhook-events.ts";
import type { Claim } from "../../src/routing/table.ts";
import type { SessionFacts } from "../../src/session/event.ts";
import { answered, dropped, type Outcome } from "../../src/session/outcome.ts";
import { handshake, intents, login } from "../support/minecraft/wire.ts";
import { startBackend } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { route, startSessions } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

/** What a receiver got, as text. */
interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly bodies: readonly string[];
  readonly requests: readonly Request[];
  /** How many requests wait for their answer. */
  readonly open: number;
  /** What the next requests are answered with. */
  answer(next: Answer): void;
}

type Answer = (body: string, request: Request) => Response | Promise<Response>;

const noContent: Answer = () => new Response(null, { status: 204 });
const never: Answer = () => new Promise(() => {});

function startReceiver(first: Answer = noContent): Receiver {
  const bodies: string[] = [];
  const requests: Request[] = [];
  let answer = first;
  let open = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      open += 1;
      requests.push(request);
      const body = await request.text();
      bodies.push(body);
      try {
        return await answer(body, request);
      } finally {
        open -= 1;
      }
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/hook?token=a`,
    bodies,
    requests,
    get open() {
      return open;
    },
    answer(next) {
      answer = next;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** A notifier at noon, and what it has said about itself. */
function notify(url: string, deps: Partial<NotifierDeps> = {}) {
  const events: RouterEvent[] = [];
  const notifier = createNotifier({
    url,
    events: new Set(webhookEvents),
    requireUser: false,
    timeoutMs: 20_000,
    now: () => new Date(Date.UTC(2026, 0, 2, 12, 4, 5, 670)),
    emit: (event) => events.push(event),
    ...deps,
  });
  return { notifier, events };
}

const flushed = (notifier: Notifier, ms = 10_000): Promise<void> =>
  notifier.flush(AbortSignal.timeout(ms));

const timestamp = JSON.stringify(localTime(new Date(Date.UTC(2026, 0, 2, 12, 4, 5, 670))));

const facts: SessionFacts = {
  id: 7,
  client: { ip: "192.0.2.1", port: 50_000 },
  intent: "login",
  protocol: 774,
  rawHost: "A.Example.com",
  hostname: "a.example.com",
  route: "*.example.com",
  row: "survival",
  backend: "10.0.0.5:25566",
  player: { name: "Steve", uuid: "5627dd98-e6be-3c21-b8a8-e92344183641" },
  waitedMs: null,
};

const relaying = (session: Partial<SessionFacts> = {}): RouterEvent => ({
  kind: "session-relaying",
  session: { ...facts, ...session },
});

const over = (outcome: Outcome, session: Partial<SessionFacts> = {}): RouterEvent => ({
  kind: "session-ended",
  session: { ...facts, ...session },
  outcome,
  durationMs: 5,
});

const relayed: Outcome = {
  kind: "relayed",
  end: { toBackend: 1, toClient: 2, endedBy: "client", ending: "fin" },
};

const claim = (hostname: string | null, address = "10.0.0.5:25566"): Claim => {
  const made = route(hostname, address);
  return { pattern: made.patterns[0]!, route: made };
};

const routesChanged = (changes: Partial<RouteChanges>): RouterEvent => ({
  kind: "routes-changed",
  source: "postgres",
  changes: { added: [], removed: [], changed: [], conflicts: [], ...changes },
});
type RouteChanges = Extract<RouterEvent, { kind: "routes-changed" }>["changes"];

/** The bodies that one event leads to, in order. */
async function told(event: RouterEvent, deps: Partial<NotifierDeps> = {}): Promise<string[]> {
  await using receiver = startReceiver();
  const { notifier, events } = notify(receiver.url, deps);
  notifier.observe(event);
  await flushed(notifier);
  expect(events).toEqual([]);
  return [...receiver.bodies];
}

const client = '"client":{"host":"192.0.2.1","port":50000}';
const steve = '"player":{"name":"Steve","uuid":"5627dd98-e6be-3c21-b8a8-e92344183641"}';
const head = (event: string, status = "success"): string =>
  `"event":"${event}","timestamp":${timestamp},"status":"${status}"`;
const disconnect = `{${head("disconnect")},${client},"server":"A.Example.com",${steve},"backend":"10.0.0.5:25566"}`;

describe("what is posted", () => {
  const rows: readonly { name: string; event: RouterEvent; bodies: readonly string[] }[] = [
    {
      name: "a player is connected",
      event: relaying(),
      bodies: [
        `{${head("connect")},${client},"server":"A.Example.com",${steve},"backend":"10.0.0.5:25566"}`,
      ],
    },
    { name: "a player is gone", event: over(relayed), bodies: [disconnect] },
    {
      name: "a ping has no player",
      event: relaying({ intent: "status", player: null }),
      bodies: [
        `{${head("connect")},${client},"server":"A.Example.com","backend":"10.0.0.5:25566"}`,
      ],
    },
    {
      name: "an unknown UUID is all zeros, a client's IPv6 address stays as it is",
      event: relaying({
        client: { ip: "2001:db8::1", port: 1 },
        player: { name: "Steve", uuid: null },
      }),
      bodies: [
        `{${head("connect")},"client":{"host":"2001:db8::1","port":1},"server":"A.Example.com","player":{"name":"Steve","uuid":"00000000-0000-0000-0000-000000000000"},"backend":"10.0.0.5:25566"}`,
      ],
    },
    {
      name: "text is escaped as Go does it",
      event: relaying({
        rawHost: '<a>&"\\\u2028\u2029\u0001\n\b\f\u007fä😀',
        player: null,
        backend: null,
      }),
      bodies: [
        `{${head("connect")},${client},"server":"\\u003ca\\u003e\\u0026\\"\\\\\\u2028\\u2029\\u0001\\n\\b\\f\u007fä😀"}`,
      ],
    },
    {
      name: "a client that names no host asks for the empty one",
      event: relaying({ rawHost: null, player: null }),
      bodies: [`{${head("connect")},${client},"server":"","backend":"10.0.0.5:25566"}`],
    },
    {
      name: "no route claims the hostname",
      event: over(dropped("unknown-host"), { route: null, row: null, backend: null }),
      bodies: [
        `{${head("connect", "missing-backend")},${client},"server":"A.Example.com",${steve},"error":"No backend found"}`,
        `{${head("disconnect")},${client},"server":"A.Example.com",${steve}}`,
      ],
    },
    {
      name: "a ping of a server that starts is answered without asking it",
      event: over(answered("waking"), { intent: "status", player: null, backend: null }),
      bodies: [
        `{${head("connect", "missing-backend")},${client},"server":"A.Example.com","error":"No backend found"}`,
        `{${head("disconnect")},${client},"server":"A.Example.com"}`,
      ],
    },
    {
      name: "the backend takes no connection",
      event: over(answered("unreachable", "refuses connections")),
      bodies: [
        `{${head("connect", "failed-backend-connection")},${client},"server":"A.Example.com",${steve},"backend":"10.0.0.5:25566","error":"refuses connections"}`,
        disconnect,
      ],
    },
    {
      name: "a ping finds the server asleep",
      event: over(answered("asleep"), { intent: "status", player: null }),
      bodies: [
        `{${head("connect", "failed-backend-connection")},${client},"server":"A.Example.com","backend":"10.0.0.5:25566","error":"no connection"}`,
        `{${head("disconnect")},${client},"server":"A.Example.com","backend":"10.0.0.5:25566"}`,
      ],
    },
    {
      name: "a ping that nothing answers",
      event: over(dropped("no-answer", "did not answer in 2 s"), {
        intent: "status",
        player: null,
      }),
      bodies: [
        `{${head("connect", "failed-backend-connection")},${client},"server":"A.Example.com","backend":"10.0.0.5:25566","error":"did not answer in 2 s"}`,
        `{${head("disconnect")},${client},"server":"A.Example.com","backend":"10.0.0.5:25566"}`,
      ],
    },
    {
      name: "a wake that failed is only over",
      event: over(answered("wake-failed")),
      bodies: [disconnect],
    },
    {
      name: "a player who left while waiting is only gone",
      event: over(dropped("left")),
      bodies: [disconnect],
    },
    {
      name: "what is no Minecraft is not told",
      event: over(dropped("not-minecraft", "a packet is empty"), { route: null, rawHost: null }),
      bodies: [],
    },
    {
      name: "a client from before 1.7 that wants to join is not told",
      event: over(answered("too-old"), { route: null, rawHost: null, player: null }),
      bodies: [],
    },
    {
      name: "a route comes",
      event: routesChanged({ added: [claim("*.example.com")] }),
      bodies: [`{${head("route-added")},"server":"*.example.com","backend":"10.0.0.5:25566"}`],
    },
    {
      name: "a route comes whose operator wrote capitals",
      event: routesChanged({ added: [claim("Play.Example.com", "Box.lan:1")] }),
      bodies: [`{${head("route-added")},"server":"Play.Example.com","backend":"Box.lan:1"}`],
    },
    {
      name: "a route goes",
      event: routesChanged({ removed: [claim("a.example.com")] }),
      bodies: [`{${head("route-removed")},"server":"a.example.com"}`],
    },
    {
      name: "a route changes: it goes and comes",
      event: routesChanged({
        changed: [{ before: claim("a.example.com"), after: claim("a.example.com", "10.0.0.6:1") }],
      }),
      bodies: [
        `{${head("route-removed")},"server":"a.example.com"}`,
        `{${head("route-added")},"server":"a.example.com","backend":"10.0.0.6:1"}`,
      ],
    },
    {
      name: "a default route comes",
      event: routesChanged({ added: [claim(null)] }),
      bodies: [`{${head("default-route-set")},"server":"","backend":"10.0.0.5:25566"}`],
    },
    {
      name: "a default route changes: it is set",
      event: routesChanged({
        changed: [{ before: claim(null), after: claim(null, "10.0.0.6:1") }],
      }),
      bodies: [`{${head("default-route-set")},"server":"","backend":"10.0.0.6:1"}`],
    },
    {
      name: "a default route goes",
      event: routesChanged({ removed: [claim(null)] }),
      bodies: [`{${head("default-route-removed")},"server":""}`],
    },
    { name: "other events are nothing to tell", event: { kind: "reloading" }, bodies: [] },
  ];
  for (const { name, event, bodies } of rows) {
    test(name, async () => {
      expect(await told(event)).toEqual([...bodies]);
    });
  }

  test("is a POST of JSON to the URL as given", async () => {
    await using receiver = startReceiver();
    const { notifier } = notify(receiver.url);
    notifier.observe(relaying());
    await flushed(notifier);
    const [request] = receiver.requests;
    expect(request?.method).toBe("POST");
    expect(request?.url).toBe(receiver.url);
    expect(request?.headers.get("content-type")).toBe("application/json");
  });

  test("says when it happened, however late it arrives", async () => {
    await using receiver = startReceiver();
    let seconds = 0;
    const { notifier } = notify(receiver.url, {
      now: () => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds++)),
    });
    notifier.observe(relaying());
    notifier.observe(over(relayed));
    await flushed(notifier);
    const times = receiver.bodies.map((body) => new Date(JSON.parse(body).timestamp).getTime());
    expect(times[1]! - times[0]!).toBe(1_000);
  });
});

describe("what is left out", () => {
  const all: readonly RouterEvent[] = [
    relaying(),
    over(relayed),
    routesChanged({ added: [claim("a.example.com"), claim(null)] }),
    routesChanged({ removed: [claim("a.example.com"), claim(null)] }),
  ];

  for (const only of webhookEvents) {
    test(`all but ${only}, when only that is wanted`, async () => {
      await using receiver = startReceiver();
      const { notifier } = notify(receiver.url, { events: new Set([only, "no-such-event"]) });
      for (const event of all) notifier.observe(event);
      await flushed(notifier);
      expect(receiver.bodies.map((body) => JSON.parse(body).event)).toEqual([only]);
    });
  }

  test("connections without a player, when users are required; routes are told", async () => {
    await using receiver = startReceiver();
    const { notifier } = notify(receiver.url, { requireUser: true });
    notifier.observe(relaying({ id: 1, player: null }));
    notifier.observe(over(relayed, { id: 1, player: null }));
    notifier.observe(over(dropped("unknown-host"), { id: 2, player: null, route: null }));
    notifier.observe(routesChanged({ added: [claim("a.example.com")] }));
    notifier.observe(relaying({ id: 3 }));
    await flushed(notifier);
    const names = receiver.bodies.map((body) => JSON.parse(body).event);
    expect(names.sort()).toEqual(["connect", "route-added"]);
  });
});

describe("a timestamp", () => {
  /** Runs at once and puts the zone back, so that no other test sees it. */
  function inZone<T>(name: string, run: () => T): T {
    const former = process.env["TZ"];
    process.env["TZ"] = name;
    try {
      return run();
    } finally {
      if (former === undefined) delete process.env["TZ"];
      else process.env["TZ"] = former;
    }
  }

  test.each([
    { zone: "UTC", at: "2026-01-02T03:04:05.678Z", text: "2026-01-02T03:04:05.678Z" },
    { zone: "UTC", at: "2026-01-02T03:04:05.670Z", text: "2026-01-02T03:04:05.67Z" },
    { zone: "UTC", at: "2026-01-02T03:04:00.100Z", text: "2026-01-02T03:04:00.1Z" },
    { zone: "UTC", at: "2026-01-02T00:00:00.000Z", text: "2026-01-02T00:00:00Z" },
    { zone: "UTC", at: "2026-01-02T00:00:10.000Z", text: "2026-01-02T00:00:10Z" },
    { zone: "UTC", at: "2026-01-02T00:00:00.001Z", text: "2026-01-02T00:00:00.001Z" },
    { zone: "Europe/Berlin", at: "2026-01-01T23:30:00.500Z", text: "2026-01-02T00:30:00.5+01:00" },
    { zone: "Europe/Berlin", at: "2026-07-01T12:00:00.000Z", text: "2026-07-01T14:00:00+02:00" },
    { zone: "America/St_Johns", at: "2026-01-01T02:00:00.000Z", text: "2025-12-31T22:30:00-03:30" },
    {
      zone: "Asia/Kathmandu",
      at: "2026-01-01T00:00:00.120Z",
      text: "2026-01-01T05:45:00.12+05:45",
    },
    { zone: "Europe/London", at: "2026-01-01T00:00:00.000Z", text: "2026-01-01T00:00:00Z" },
  ])("in $zone at $at reads $text", ({ zone, at, text }) => {
    expect(inZone(zone, () => localTime(new Date(at)))).toBe(text);
  });
});

describe("order", () => {
  test("is kept within a connection while others go on", async () => {
    const slow = Promise.withResolvers<Response>();
    await using receiver = startReceiver((body) =>
      JSON.parse(body).server === "slow" ? slow.promise : noContent("", new Request("http://a")),
    );
    const { notifier, events } = notify(receiver.url);
    notifier.observe(relaying({ id: 1, rawHost: "slow" }));
    notifier.observe(over(relayed, { id: 1, rawHost: "slow" }));
    for (let id = 2; id <= 100; id += 1) {
      notifier.observe(relaying({ id, rawHost: `fast${id}` }));
      notifier.observe(over(relayed, { id, rawHost: `fast${id}` }));
    }
    const seen = () => receiver.bodies.map((body) => JSON.parse(body));
    await until("all fast ones", () => receiver.bodies.length === 1 + 99 * 2);
    expect(seen().filter(({ server }) => server === "slow")).toHaveLength(1);

    slow.resolve(new Response());
    await flushed(notifier);
    for (const server of ["slow", "fast2", "fast100"]) {
      const order = seen().filter((body) => body.server === server);
      expect(order.map(({ event }) => event)).toEqual(["connect", "disconnect"]);
    }
    expect(events).toEqual([]);
  });

  test("is kept among changes of the routes", async () => {
    let turn = 0;
    await using receiver = startReceiver(async () => {
      await Bun.sleep(turn++ % 3);
      return new Response();
    });
    const { notifier } = notify(receiver.url);
    const hosts = Array.from({ length: 50 }, (_, index) => `h${index}.example.com`);
    notifier.observe(routesChanged({ added: hosts.map((host) => claim(host)) }));
    notifier.observe(routesChanged({ removed: hosts.map((host) => claim(host)) }));
    await flushed(notifier);
    const order = receiver.bodies
      .map((body) => JSON.parse(body))
      .map(({ event, server }) => `${event} ${server}`);
    expect(order).toEqual([
      ...hosts.map((host) => `route-added ${host}`),
      ...hosts.map((host) => `route-removed ${host}`),
    ]);
  });
});

describe("a receiver that does not do its part", () => {
  const lost = (reason: string) => ({ kind: "notifier-lost", reason }) as const;
  const back = (missed: number) => ({ kind: "notifier-back", missed }) as const;

  test("status 400 and above is one outage, told once, until a notice arrives", async () => {
    const statuses = [200, 500, 400, 404, 503, 302, 200, 500];
    await using receiver = startReceiver(
      () => new Response(null, { status: statuses.shift() ?? 204 }),
    );
    const { notifier, events } = notify(receiver.url);
    for (let index = 0; index < 8; index += 1) {
      notifier.observe(relaying({ id: 1 }));
    }
    await flushed(notifier);
    expect(receiver.bodies).toHaveLength(8);
    expect(events).toEqual([
      lost("the receiver answered with status 500"),
      back(4),
      lost("the receiver answered with status 500"),
    ]);
  });

  test("one that is not there: each notice is tried once, and nothing is thrown", async () => {
    using closed = await reserveClosedPort();
    const { notifier, events } = notify(`http://127.0.0.1:${closed.port}/`);
    for (let id = 1; id <= 50; id += 1) notifier.observe(relaying({ id }));
    await flushed(notifier);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ kind: "notifier-lost" });
    expect((events[0] as { reason: string }).reason).toMatch(/connect/i);
  });

  test("one that never answers is given up after the timeout, and the next notice goes out", async () => {
    await using receiver = startReceiver(never);
    const { notifier, events } = notify(receiver.url, { timeoutMs: 50 });
    notifier.observe(relaying());
    notifier.observe(over(relayed));
    await flushed(notifier);
    expect(receiver.bodies).toHaveLength(2);
    expect(events).toEqual([lost("no answer within 50 ms")]);
    receiver.answer(noContent);
    notifier.observe(relaying({ id: 8 }));
    await flushed(notifier);
    expect(events).toEqual([lost("no answer within 50 ms"), back(2)]);
  });

  test("one that is stuck: what waits is bounded, the rest is dropped and counted, and it all arrives afterwards", async () => {
    const stuck = Promise.withResolvers<void>();
    await using receiver = startReceiver(async () => {
      await stuck.promise;
      return new Response();
    });
    const { notifier, events } = notify(receiver.url, { timeoutMs: 0 });
    for (let id = 1; id <= 5_000; id += 1) notifier.observe(relaying({ id }));
    expect(events).toEqual([lost("more than 1000 notices wait")]);
    await until("the first requests", () => receiver.open > 0);
    expect(receiver.open).toBeLessThanOrEqual(32);
    stuck.resolve();
    await flushed(notifier);
    expect(receiver.bodies).toHaveLength(1_000);
    expect(events).toEqual([lost("more than 1000 notices wait"), back(4_000)]);
  });

  test("one that is too slow all the time is one outage, not one for each notice", async () => {
    await using receiver = startReceiver();
    const { notifier, events } = notify(receiver.url);
    let id = 0;
    // Always more than half of the room taken, while notices are delivered one by one.
    while (receiver.bodies.length < 500) {
      for (let burst = 0; burst < 1_200; burst += 1) notifier.observe(relaying({ id: ++id }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(events).toEqual([lost("more than 1000 notices wait")]);
    await flushed(notifier);
    expect(events).toEqual([
      lost("more than 1000 notices wait"),
      back(id - receiver.bodies.length),
    ]);
  });

  test("a table of any size leaves the connections their room", async () => {
    const stuck = Promise.withResolvers<void>();
    await using receiver = startReceiver(async () => {
      await stuck.promise;
      return new Response();
    });
    const { notifier, events } = notify(receiver.url);
    const one = claim("a.example.com");
    notifier.observe(routesChanged({ added: Array.from({ length: 12_000 }, () => one) }));
    notifier.observe(relaying());
    expect(events).toEqual([lost("more than 10000 notices wait")]);
    await until("the connection", () => receiver.bodies.some((body) => body.includes('"connect"')));
    stuck.resolve();
    await flushed(notifier, 60_000);
    expect(receiver.bodies).toHaveLength(10_001);
    expect(events).toEqual([lost("more than 10000 notices wait"), back(2_000)]);
  }, 60_000);

  test("memory stays bounded however much happens", () => {
    const { notifier, events } = notify("http://127.0.0.1:9/", { timeoutMs: 0 });
    const many = (count: number): void => {
      for (let id = 0; id < count; id += 1) notifier.observe(relaying({ id }));
    };
    many(2_000);
    Bun.gc(true);
    const before = process.memoryUsage().heapUsed;
    many(100_000);
    Bun.gc(true);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
    expect(events).toHaveLength(1);
  });

  test("an answer without end is judged by its status", async () => {
    let chunks = 0;
    await using receiver = startReceiver(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              chunks += 1;
              controller.enqueue(new Uint8Array(65_536));
              await Bun.sleep(1);
            },
          }),
        ),
    );
    const { notifier, events } = notify(receiver.url);
    for (let id = 1; id <= 5; id += 1) notifier.observe(relaying({ id }));
    await flushed(notifier);
    expect(receiver.bodies).toHaveLength(5);
    expect(events).toEqual([]);
    expect(chunks).toBeLessThan(5_000);
  });

  test.each([
    { status: 301, method: "GET", body: "" },
    { status: 302, method: "GET", body: "" },
    { status: 303, method: "GET", body: "" },
    { status: 307, method: "POST", body: "the notice" },
    { status: 308, method: "POST", body: "the notice" },
  ])(
    "redirects are followed as Go does: $status becomes $method",
    async ({ status, method, body }) => {
      await using target = startReceiver();
      await using receiver = startReceiver(
        () => new Response(null, { status, headers: { location: target.url } }),
      );
      const { notifier, events } = notify(receiver.url);
      notifier.observe(relaying());
      await flushed(notifier);
      expect(target.requests.map((request) => request.method)).toEqual([method]);
      expect(target.bodies).toEqual([body === "" ? "" : receiver.bodies[0]!]);
      expect(events).toEqual([]);
    },
  );

  const wrongTurns: readonly { name: string; to: (url: string) => string }[] = [
    { name: "in a circle", to: (url) => url },
    { name: "to another protocol", to: () => "ftp://example.com/" },
    { name: "to no URL", to: () => "http://[nonsense" },
  ];
  test.each(wrongTurns)(
    "redirects $name are a notice missed, and the URL stays secret",
    async ({ to }) => {
      await using receiver = startReceiver(
        (_, request) => new Response(null, { status: 307, headers: { location: to(request.url) } }),
      );
      const { notifier, events } = notify(receiver.url);
      notifier.observe(relaying());
      await flushed(notifier);
      expect(events).toHaveLength(1);
      expect(JSON.stringify(events)).not.toContain("token");
    },
  );

  test("one that closes its connections between notices misses none", async () => {
    await using receiver = startReceiver(
      () => new Response(null, { headers: { connection: "close" } }),
    );
    const { notifier, events } = notify(receiver.url);
    for (let index = 0; index < 30; index += 1) notifier.observe(relaying());
    await flushed(notifier);
    expect(receiver.bodies).toHaveLength(30);
    expect(events).toEqual([]);
  });
});

describe("at the end", () => {
  test("everything is told before flush resolves, for everybody who waits for it", async () => {
    const slow = Promise.withResolvers<Response>();
    await using receiver = startReceiver(() => slow.promise);
    const { notifier } = notify(receiver.url);
    notifier.observe(relaying());
    notifier.observe(over(relayed));
    const both = Promise.all([flushed(notifier), flushed(notifier)]);
    receiver.answer(noContent);
    slow.resolve(new Response());
    await both;
    expect(receiver.bodies).toHaveLength(2);
  });

  test("what is not told in time is given up, counted, and its requests end", async () => {
    await using receiver = startReceiver(never);
    const { notifier, events } = notify(receiver.url, { timeoutMs: 0 });
    for (let id = 1; id <= 40; id += 1) notifier.observe(relaying({ id }));
    const late = new AbortController();
    const flushing = notifier.flush(late.signal);
    await until("a request", () => receiver.open === 32);
    late.abort();
    await flushing;
    expect(events).toEqual([
      { kind: "notifier-lost", reason: "40 notices were still waiting at the end" },
    ]);
    notifier.observe(relaying({ id: 41 }));
    await flushed(notifier);
    await until("aborted", () => receiver.requests.every((request) => request.signal.aborted));
    expect(receiver.bodies).toHaveLength(32);
    expect(events).toHaveLength(1);
  });

  test("with nothing to tell, or a signal that has aborted, flush resolves at once", async () => {
    await using receiver = startReceiver(never);
    const { notifier, events } = notify(receiver.url);
    await notifier.flush(new AbortController().signal);
    notifier.observe(relaying());
    await notifier.flush(AbortSignal.abort());
    expect(events).toHaveLength(1);
  });
});

describe("a proxy from the environment", () => {
  /** Nothing else runs meanwhile: the tests of one process run one after the other. */
  async function withProxy(url: string, run: () => Promise<void>): Promise<void> {
    const former = process.env["HTTP_PROXY"];
    process.env["HTTP_PROXY"] = url;
    try {
      await run();
    } finally {
      if (former === undefined) delete process.env["HTTP_PROXY"];
      else process.env["HTTP_PROXY"] = former;
    }
  }

  test("is not asked for a receiver on this machine", async () => {
    await using receiver = startReceiver();
    using closed = await reserveClosedPort();
    await withProxy(`http://127.0.0.1:${closed.port}`, async () => {
      for (const host of ["127.0.0.1", "localhost"]) {
        const { notifier, events } = notify(receiver.url.replace("127.0.0.1", host));
        notifier.observe(relaying());
        await flushed(notifier);
        expect(events).toEqual([]);
      }
    });
    expect(receiver.bodies).toHaveLength(2);
  });

  test("is asked for any other receiver", async () => {
    await using proxy = startReceiver();
    await withProxy(new URL(proxy.url).origin, async () => {
      const { notifier, events } = notify("http://receiver.invalid/hook");
      notifier.observe(relaying());
      await flushed(notifier);
      expect(events).toEqual([]);
    });
    expect(proxy.bodies).toHaveLength(1);
  });
});

describe("real sessions", () => {
  test("tell of a login that is relayed, a ping nobody answers and a hostname nobody knows", async () => {
    using closed = await reserveClosedPort();
    using backend = startBackend({ end: (connection) => connection.close() });
    await using receiver = startReceiver();
    const { notifier, events } = notify(receiver.url);
    await using world = startSessions({
      routes: [
        route("up.example.com", backend.address),
        route("down.example.com", `127.0.0.1:${closed.port}`),
      ],
      onEvent: notifier.observe,
    });

    const player = await world.player(login({ host: "Up.example.com.\0FML2\0", name: "Alex" }));
    await world.waitForEvent("session-relaying");
    player.finish();
    await world.ended(0);
    const ping = (host: string): Buffer =>
      handshake({ protocol: 774, host, port: 25565, intent: intents.status });
    await (await world.player(ping("down.example.com"))).waitForEnd();
    await (await world.player(ping("other.example.com"))).waitForEnd();
    await world.ended(2);
    await flushed(notifier);

    const bodies = receiver.bodies.map((body) => JSON.parse(body));
    const brief = (server: string) =>
      bodies
        .filter((body) => body.server === server)
        .map(({ event, status, backend, error, player }) => [
          event,
          status,
          backend,
          error,
          player?.name,
        ]);
    const up = backend.address;
    const down = `127.0.0.1:${closed.port}`;
    expect(brief("Up.example.com.")).toEqual([
      ["connect", "success", up, undefined, "Alex"],
      ["disconnect", "success", up, undefined, "Alex"],
    ]);
    expect(brief("down.example.com")).toEqual([
      ["connect", "failed-backend-connection", down, "refuses connections", undefined],
      ["disconnect", "success", down, undefined, undefined],
    ]);
    expect(brief("other.example.com")).toEqual([
      ["connect", "missing-backend", undefined, "No backend found", undefined],
      ["disconnect", "success", undefined, undefined, undefined],
    ]);
    expect(events).toEqual([]);
  });
});
