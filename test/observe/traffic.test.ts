import { describe, expect, test } from "bun:test";
import { createExpvarRecorder } from "../../src/observe/expvar.ts";
import { createInfluxRecorder } from "../../src/observe/influx.ts";
import { createPrometheusRecorder, prometheusParts } from "../../src/observe/prometheus.ts";
import type { Recorder } from "../../src/observe/recorder.ts";
import { createTraffic, errorType } from "../../src/observe/traffic.ts";
import { isOtherPacket } from "../../src/protocol/handshake.ts";
import { parseOpening } from "../../src/protocol/opening.ts";
import type { SessionEvent, SessionFacts } from "../../src/session/event.ts";
import { answered, dropped, type Outcome } from "../../src/session/outcome.ts";
import {
  accepted,
  ended,
  facts,
  holding,
  relayed,
  relaying,
} from "../support/session/session-events.ts";

const steve = 'player_name="Steve",player_uuid="069a79f4-44e9-4726-a5be-fca90e38aaf5"';
const steveTags = "player_name=Steve,player_uuid=069a79f4-44e9-4726-a5be-fca90e38aaf5";
const noUuid = "00000000-0000-0000-0000-000000000000";

/** What happened, and what each output says afterwards: only its own lines, and of expvar only what is not 0. */
interface Row {
  readonly name: string;
  readonly events: readonly SessionEvent[];
  readonly recordLogins?: boolean;
  readonly prometheus: readonly string[];
  readonly expvar: Readonly<Record<string, number>>;
  readonly influx: readonly string[];
}

const joinedOnce = {
  prometheus: [
    "mc_router_active_connections 1",
    'mc_router_backend_connections{host="a.example.com",side="backend"} 1',
    'mc_router_server_active_connections{server_address="a.example.com"} 1',
  ],
  influx: [
    "mc_router_connections,host=a.example.com,side=backend count=1",
    "mc_router_connections_active value=1",
    "mc_router_server_active_connections,server_address=a.example.com value=1",
  ],
};

const rows: readonly Row[] = [
  { name: "nothing", events: [], prometheus: [], expvar: {}, influx: [] },
  {
    name: "two connections",
    events: [accepted(), accepted()],
    prometheus: ['mc_router_frontend_connections{side="frontend"} 2'],
    expvar: { connections: 2 },
    influx: ["mc_router_connections,side=frontend count=2"],
  },
  {
    name: "a player who waits counts for nothing yet",
    events: [holding()],
    prometheus: [],
    expvar: {},
    influx: [],
  },
  {
    name: "a session that is joined, of a connection that was accepted",
    events: [accepted(), relaying()],
    prometheus: [
      ...joinedOnce.prometheus.slice(0, 2),
      'mc_router_frontend_connections{side="frontend"} 1',
      ...joinedOnce.prometheus.slice(2),
    ],
    expvar: { connections: 2, active_connections: 1, server_active_connections: 1 },
    influx: [
      ...joinedOnce.influx.slice(0, 1),
      "mc_router_connections,side=frontend count=1",
      ...joinedOnce.influx.slice(1),
    ],
  },
  {
    name: "a session that has ended",
    events: [relaying(), ended()],
    prometheus: [
      "mc_router_active_connections 0",
      'mc_router_backend_connections{host="a.example.com",side="backend"} 1',
      "mc_router_bytes 1100",
      'mc_router_server_active_connections{server_address="a.example.com"} 0',
    ],
    expvar: { connections: 1, bytes: 1_100 },
    influx: [
      "mc_router_connections,host=a.example.com,side=backend count=1",
      "mc_router_connections_active value=0",
      "mc_router_server_active_connections,server_address=a.example.com value=0",
      "mc_router_transmitted_bytes count=1100",
    ],
  },
  {
    name: "routes are counted each for itself, whatever backend they share",
    events: [
      relaying({ id: 1 }),
      relaying({ id: 2, route: "*.example.com" }),
      relaying({ id: 3, route: "*" }),
      relaying({ id: 4, route: "*" }),
      ended({ id: 3 }),
    ],
    prometheus: [
      "mc_router_active_connections 3",
      'mc_router_backend_connections{host="*.example.com",side="backend"} 1',
      'mc_router_backend_connections{host="a.example.com",side="backend"} 1',
      'mc_router_backend_connections{host="default",side="backend"} 2',
      "mc_router_bytes 1100",
      'mc_router_server_active_connections{server_address="*.example.com"} 1',
      'mc_router_server_active_connections{server_address="a.example.com"} 1',
      'mc_router_server_active_connections{server_address="default"} 1',
    ],
    expvar: { connections: 4, active_connections: 3, server_active_connections: 1, bytes: 1_100 },
    influx: [
      "mc_router_connections,host=*.example.com,side=backend count=1",
      "mc_router_connections,host=a.example.com,side=backend count=1",
      "mc_router_connections,host=default,side=backend count=2",
      "mc_router_connections_active value=3",
      "mc_router_server_active_connections,server_address=*.example.com value=1",
      "mc_router_server_active_connections,server_address=a.example.com value=1",
      "mc_router_server_active_connections,server_address=default value=1",
      "mc_router_transmitted_bytes count=1100",
    ],
  },
  {
    name: "a player, when players are recorded",
    recordLogins: true,
    events: [relaying()],
    prometheus: [
      ...joinedOnce.prometheus,
      `mc_router_server_active_player{${steve},server_address="a.example.com"} 1`,
      `mc_router_server_logins{${steve},server_address="a.example.com"} 1`,
    ],
    expvar: {
      connections: 1,
      active_connections: 1,
      server_active_connections: 1,
      server_active_player: 1,
      server_logins: 1,
    },
    influx: [
      ...joinedOnce.influx,
      `mc_router_server_logins,${steveTags},server_address=a.example.com count=1`,
      `mc_router_server_player_active,${steveTags},server_address=a.example.com value=1`,
    ],
  },
  {
    name: "a player who is there twice stays until both sessions have ended",
    recordLogins: true,
    events: [relaying({ id: 1 }), relaying({ id: 2 }), ended({ id: 1 })],
    prometheus: [
      "mc_router_active_connections 1",
      'mc_router_backend_connections{host="a.example.com",side="backend"} 2',
      "mc_router_bytes 1100",
      'mc_router_server_active_connections{server_address="a.example.com"} 1',
      `mc_router_server_active_player{${steve},server_address="a.example.com"} 1`,
      `mc_router_server_logins{${steve},server_address="a.example.com"} 2`,
    ],
    expvar: {
      connections: 2,
      active_connections: 1,
      server_active_connections: 1,
      server_active_player: 1,
      server_logins: 2,
      bytes: 1_100,
    },
    influx: [
      "mc_router_connections,host=a.example.com,side=backend count=2",
      "mc_router_connections_active value=1",
      "mc_router_server_active_connections,server_address=a.example.com value=1",
      `mc_router_server_logins,${steveTags},server_address=a.example.com count=2`,
      `mc_router_server_player_active,${steveTags},server_address=a.example.com value=1`,
      "mc_router_transmitted_bytes count=1100",
    ],
  },
  {
    name: "a player without a UUID who has left",
    recordLogins: true,
    events: [relaying({ player: { name: "Alex", uuid: null } }), ended()],
    prometheus: [
      "mc_router_active_connections 0",
      'mc_router_backend_connections{host="a.example.com",side="backend"} 1',
      "mc_router_bytes 1100",
      'mc_router_server_active_connections{server_address="a.example.com"} 0',
      `mc_router_server_active_player{player_name="Alex",player_uuid="${noUuid}",server_address="a.example.com"} 0`,
      `mc_router_server_logins{player_name="Alex",player_uuid="${noUuid}",server_address="a.example.com"} 1`,
    ],
    expvar: { connections: 1, server_logins: 1, bytes: 1_100 },
    influx: [
      "mc_router_connections,host=a.example.com,side=backend count=1",
      "mc_router_connections_active value=0",
      "mc_router_server_active_connections,server_address=a.example.com value=0",
      `mc_router_server_logins,player_name=Alex,player_uuid=${noUuid},server_address=a.example.com count=1`,
      `mc_router_server_player_active,player_name=Alex,player_uuid=${noUuid},server_address=a.example.com value=0`,
      "mc_router_transmitted_bytes count=1100",
    ],
  },
  {
    name: "a ping has no player to record",
    recordLogins: true,
    events: [relaying({ intent: "status", player: null })],
    prometheus: joinedOnce.prometheus,
    expvar: { connections: 1, active_connections: 1, server_active_connections: 1 },
    influx: joinedOnce.influx,
  },
  {
    name: "two sessions that went wrong in the same way and one in another",
    events: [
      ended({ id: 1, route: null }, dropped("unknown-host")),
      ended({ id: 2, route: null }, dropped("unknown-host")),
      ended({ id: 3 }, answered("unreachable", "refused")),
    ],
    prometheus: [
      'mc_router_errors{type="backend_failed"} 1',
      'mc_router_errors{type="missing_backend"} 2',
    ],
    expvar: { errors: 3 },
    influx: [
      "mc_router_errors,type=backend_failed count=1",
      "mc_router_errors,type=missing_backend count=2",
    ],
  },
];

function play(recorder: Recorder, { events, recordLogins = false }: Row): void {
  const observe = createTraffic({ recorder, recordLogins });
  for (const event of events) observe(event);
}

/** The lines of an InfluxDB recorder's only flush, without their times. */
async function influxLines(row: Row): Promise<readonly string[]> {
  const bodies: string[] = [];
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      bodies.push(await request.text());
      return new Response(null, { status: 204 });
    },
  });
  const recorder = createInfluxRecorder({
    url: `http://127.0.0.1:${server.port}`,
    database: "mc",
    retentionPolicy: "",
    username: "",
    password: "",
    tags: {},
    intervalMs: 3_600_000,
    now: () => 1_700_000_000_000,
    emit: () => undefined,
  });
  play(recorder, row);
  await recorder.stop(new AbortController().signal);
  expect(bodies).toHaveLength(1);
  const lines = (bodies[0] ?? "").split("\n").filter((line) => line !== "");
  return lines.map((line) => line.replace(/ 1700000000000000000$/, "")).toSorted();
}

describe("what mc-router's metrics say", () => {
  for (const row of rows) {
    test(`prometheus, ${row.name}`, () => {
      const { recorder, families } = createPrometheusRecorder();
      play(recorder, row);
      const lines = [...prometheusParts(families)].join("").split("\n");
      expect(lines.filter((line) => line !== "" && !line.startsWith("#")).toSorted()).toEqual([
        ...row.prometheus,
      ]);
    });

    test(`expvar, ${row.name}`, () => {
      const recorder = createExpvarRecorder();
      play(recorder, row);
      const changed = Object.entries(recorder.values()).filter(([, value]) => value !== 0);
      expect(Object.fromEntries(changed)).toEqual({ ...row.expvar });
    });

    test(`influxdb, ${row.name}`, async () => {
      expect(await influxLines(row)).toEqual([...row.influx]);
    });
  }

  test("prometheus, the type of each metric", () => {
    const { recorder, families } = createPrometheusRecorder();
    play(recorder, {
      ...(rows[6] as Row),
      events: [accepted(), relaying(), ended({}, relayed("reset"))],
    });
    recorder.set("rateLimitAvailable", {}, -1);
    expect([...prometheusParts(families)].join("").match(/^# TYPE .*$/gm)).toEqual([
      "# TYPE mc_router_active_connections gauge",
      "# TYPE mc_router_backend_connections counter",
      "# TYPE mc_router_bytes counter",
      "# TYPE mc_router_errors counter",
      "# TYPE mc_router_frontend_connections counter",
      "# TYPE mc_router_rate_limit_available gauge",
      "# TYPE mc_router_server_active_connections gauge",
      "# TYPE mc_router_server_active_player gauge",
      "# TYPE mc_router_server_logins counter",
    ]);
  });

  test("expvar has every key at 0 from the start", () => {
    expect(createExpvarRecorder().values()).toEqual({
      active_connections: 0,
      bytes: 0,
      connections: 0,
      errors: 0,
      rate_limit_available: 0,
      server_active_connections: 0,
      server_active_player: 0,
      server_logins: 0,
    });
  });
});

const unknown: Partial<SessionFacts> = {
  intent: null,
  hostname: null,
  route: null,
  backend: null,
  player: null,
};

/** How a real parser refuses these bytes. */
function refused(bytes: readonly number[]): Outcome {
  const opening = parseOpening(Buffer.from(bytes));
  if (opening.kind !== "bad") throw new Error(`it is ${opening.kind}`);
  const why = isOtherPacket(Buffer.from(bytes)) ? "other-packet" : "not-minecraft";
  return dropped(why, opening.reason);
}

describe("the type of an error", () => {
  for (const { name, session = {}, outcome, type } of [
    { name: "a bare TCP connection", session: unknown, outcome: dropped("silent"), type: "read" },
    { name: "an opening too slow", session: unknown, outcome: dropped("too-slow"), type: "read" },
    { name: "an empty packet", session: unknown, outcome: refused([0, 0]), type: "read" },
    {
      name: "a packet that is no handshake",
      session: unknown,
      outcome: refused([5, 1, 0, 0, 0, 0]),
      type: "unexpected_content",
    },
    {
      name: "a login from before Minecraft 1.7",
      session: { ...unknown, intent: "legacy-login" as const },
      outcome: answered("too-old"),
      type: "unexpected_content",
    },
    {
      name: "a PROXY protocol header that makes no sense",
      session: unknown,
      outcome: dropped("bad-proxy-header"),
      type: "read",
    },
    { name: "a filtered client", session: unknown, outcome: dropped("filtered"), type: null },
    { name: "left within the opening", session: unknown, outcome: dropped("left"), type: "read" },
    { name: "left later", outcome: dropped("left"), type: null },
    {
      name: "an unknown hostname",
      session: { route: null, backend: null },
      outcome: dropped("unknown-host"),
      type: "missing_backend",
    },
    { name: "nobody there", outcome: answered("unreachable"), type: "backend_failed" },
    {
      name: "a ping of a server that sleeps",
      session: { intent: "status" as const },
      outcome: answered("asleep"),
      type: "backend_failed",
    },
    {
      name: "a ping of a server that starts",
      session: { intent: "status" as const, backend: null },
      outcome: answered("waking"),
      type: null,
    },
    {
      name: "a ping that was not answered as nobody was there",
      session: { intent: "status" as const },
      outcome: dropped("no-answer"),
      type: "backend_failed",
    },
    {
      name: "a ping that was not answered for another reason",
      session: { intent: "status" as const, backend: null },
      outcome: dropped("no-answer"),
      type: null,
    },
    { name: "a failed wake", outcome: answered("wake-failed"), type: "wakeup_failed" },
    { name: "a client that went mute", outcome: answered("mute"), type: null },
    { name: "out of turn", outcome: dropped("out-of-turn"), type: null },
    { name: "a full router", outcome: answered("full"), type: null },
    { name: "a router that stops", outcome: answered("stopping"), type: null },
    { name: "a session that ended well", outcome: relayed("fin"), type: null },
    { name: "a session that ended by a reset", outcome: relayed("reset"), type: "relay" },
    { name: "a session that the router cut", outcome: relayed("aborted"), type: null },
  ]) {
    test(`of ${name}: ${type ?? "none"}`, () => {
      expect(errorType(facts(session), outcome)).toBe(type as ReturnType<typeof errorType>);
    });
  }
});
