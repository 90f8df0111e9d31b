import { describe, expect, test } from "bun:test";
import { err, ok, type Result } from "../../src/base/result.ts";
import { type Config, parseConfig } from "../../src/config/config.ts";
import { type Issue, issueText } from "../../src/config/environment.ts";
import type { Variables } from "../../src/config/setting.ts";
import { findSetting, namesOf, settings } from "../../src/config/settings.ts";
import { patternText } from "../../src/routing/pattern.ts";
import { standardTexts } from "../../src/session/texts.ts";
import { rangeOf } from "../support/net/addresses.ts";
import { settingsReader } from "../support/settings.ts";

const password = "hunter2";
const dsn = `postgres://router:${password}@db.example.com/mc`;

const files: Readonly<Record<string, string>> = {
  "/run/dsn": `${dsn}\n`,
  "/run/dsn-crlf": `${dsn}\r\n`,
  "/run/token": "s3cret",
  "/run/token-two-lines": "s3cret\n\n",
  "/run/empty": "",
  "/run/empty-line": "\n",
  "/run/credentials/router/AUTOMC_DSN": `${dsn}\n`,
  "/run/credentials/empty/AUTOMC_API_TOKEN": "",
};

const { parse, configOf, problemsOf, warningsOf } = settingsReader(files);

const standard: Config = {
  printVersion: false,
  listen: { bind: "::", port: 25565, shared: false, connectionsPerSecond: 1, fixed: [] },
  clients: { allow: [], deny: [] },
  proxyProtocol: { receive: null, send: false },
  limits: {
    connections: { total: null, opening: null, holding: null },
    client: {
      connections: 256,
      perSecond: 200,
      loginsPerSecond: 20,
      exempt: [
        "127.0.0.0/8",
        "::1",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
      ].map(rangeOf),
    },
    wakes: { total: 300, perClient: 30, coolDownMs: 60_000, proof: false },
  },
  egress: { allow: [], deny: [] },
  dialTimeoutMs: 2_000,
  balance: "first",
  fallback: null,
  simplifySrv: false,
  routes: [],
  routesFile: { path: null, watch: false },
  api: null,
  control: null,
  motd: { asleep: "", loading: "" },
  statusCacheMs: 0,
  texts: { kicks: standardTexts, unknown: { motd: "", kick: "" } },
  postgres: null,
  waker: null,
  ready: "status",
  docker: null,
  kubernetes: null,
  scaling: { up: false, down: false },
  scaler: null,
  idle: { afterMs: 600_000, counts: "all" },
  allowDeny: null,
  hold: true,
  transferAsLogin: false,
  relay: { mode: "auto", threads: 1 },
  readSecrets: expect.any(Function),
  drainTimeoutMs: 30_000,
  metrics: { backend: { kind: "discard" }, rateLimitPeriodMs: 1_000 },
  recordLogins: false,
  webhook: null,
  log: { level: "info", format: "logfmt" },
};

describe("defaults", () => {
  test("an empty environment gives every default and no warning", () => {
    expect(parse({})).toEqual(ok({ config: standard, warnings: [] }));
  });

  test("variables that exist but are empty count as unset", () => {
    const names = settings.flatMap(namesOf);
    const empty = Object.fromEntries(names.map((name) => [name, ""]));
    expect(parse(empty)).toEqual(ok({ config: standard, warnings: [] }));
  });

  test("every printed default may be set, and changes nothing", () => {
    const defaults = Object.fromEntries(settings.map((each) => [each.name, each.default]));
    expect(parse(defaults)).toEqual(ok({ config: standard, warnings: [] }));
  });

  test("variables of other programs are left alone", () => {
    const foreign = {
      PATH: "/bin",
      HOME: "/root",
      DOCKER_HOST: "tcp://h:1",
      NGROK_TOKEN_FILE: "x",
    };
    expect(parse(foreign)).toEqual(ok({ config: standard, warnings: [] }));
  });

  test("the extension's settings without AUTOMC_DSN turn nothing on", () => {
    const { postgres, waker } = configOf({
      AUTOMC_RESYNC_INTERVAL: "5s",
      AUTOMC_SNAPSHOT: "/var/lib/x.json",
      AUTOMC_WAKER_TIMEOUT: "5s",
    });
    expect({ postgres, waker }).toEqual({ postgres: null, waker: null });
  });
});

describe("each setting reaches its place", () => {
  const rows: readonly {
    name: string;
    variables: Variables;
    pick: (config: Config) => unknown;
    expected: unknown;
  }[] = [
    {
      name: "PORT in Go's notation",
      variables: { PORT: "25_566" },
      pick: (config) => config.listen.port,
      expected: 25566,
    },
    {
      name: "AUTOMC_REUSE_PORT",
      variables: { AUTOMC_REUSE_PORT: "true" },
      pick: (config) => config.listen.shared,
      expected: true,
    },
    {
      name: "AUTOMC_RELAY and AUTOMC_RELAY_THREADS",
      variables: { AUTOMC_RELAY: "Callbacks", AUTOMC_RELAY_THREADS: "2" },
      pick: (config) => config.relay,
      expected: { mode: "callbacks", threads: 2 },
    },
    {
      name: "PORT 0",
      variables: { PORT: "0" },
      pick: (config) => config.listen.port,
      expected: 0,
    },
    {
      name: "PORT 65535",
      variables: { PORT: "65535" },
      pick: (config) => config.listen.port,
      expected: 65535,
    },
    {
      name: "AUTOMC_BIND",
      variables: { AUTOMC_BIND: "127.0.0.1" },
      pick: (config) => config.listen.bind,
      expected: "127.0.0.1",
    },
    {
      name: "CONNECTION_RATE_LIMIT",
      variables: { CONNECTION_RATE_LIMIT: "50" },
      pick: (config) => config.listen.connectionsPerSecond,
      expected: 50,
    },
    {
      name: "CONNECTION_RATE_LIMIT below 1 is raised",
      variables: { CONNECTION_RATE_LIMIT: "-3" },
      pick: (config) => config.listen.connectionsPerSecond,
      expected: 1,
    },
    {
      name: "CONNECTION_RATE_LIMIT finer than a nanosecond is lowered",
      variables: { CONNECTION_RATE_LIMIT: "9223372036854775807" },
      pick: (config) => config.listen.connectionsPerSecond,
      expected: 1_000_000_000,
    },
    {
      name: "BACKEND_DIAL_TIMEOUT",
      variables: { BACKEND_DIAL_TIMEOUT: "1.5s" },
      pick: (config) => config.dialTimeoutMs,
      expected: 1_500,
    },
    {
      name: "BACKEND_DIAL_TIMEOUT 0 is the default",
      variables: { BACKEND_DIAL_TIMEOUT: "0" },
      pick: (config) => config.dialTimeoutMs,
      expected: 2_000,
    },
    {
      name: "BACKEND_DIAL_TIMEOUT below 0 is the default",
      variables: { BACKEND_DIAL_TIMEOUT: "-1h" },
      pick: (config) => config.dialTimeoutMs,
      expected: 2_000,
    },
    {
      name: "BACKEND_DIAL_TIMEOUT beyond what timers count is cut",
      variables: { BACKEND_DIAL_TIMEOUT: "1000h" },
      pick: (config) => config.dialTimeoutMs,
      expected: 86_400_000,
    },
    {
      name: "SIMPLIFY_SRV",
      variables: { SIMPLIFY_SRV: "T" },
      pick: (config) => config.simplifySrv,
      expected: true,
    },
    {
      name: "the MOTDs, verbatim",
      variables: { AUTO_SCALE_ASLEEP_MOTD: " zzz ", AUTO_SCALE_LOADING_MOTD: "soon\n" },
      pick: (config) => config.motd,
      expected: { asleep: " zzz ", loading: "soon\n" },
    },
    {
      name: "the MOTDs by their other names",
      variables: { USE_ASLEEP_MOTD: "zzz", USE_LOADING_MOTD: "soon" },
      pick: (config) => config.motd,
      expected: { asleep: "zzz", loading: "soon" },
    },
    {
      name: "AUTOMC_HOLD",
      variables: { AUTOMC_HOLD: "false" },
      pick: (config) => config.hold,
      expected: false,
    },
    {
      name: "AUTOMC_TRANSFER_AS_LOGIN",
      variables: { AUTOMC_TRANSFER_AS_LOGIN: "true" },
      pick: (config) => config.transferAsLogin,
      expected: true,
    },
    {
      name: "AUTOMC_DRAIN_TIMEOUT 0",
      variables: { AUTOMC_DRAIN_TIMEOUT: "0" },
      pick: (config) => config.drainTimeoutMs,
      expected: 0,
    },
    {
      name: "AUTOMC_LOG_FORMAT",
      variables: { AUTOMC_LOG_FORMAT: "json" },
      pick: (config) => config.log.format,
      expected: "json",
    },
    {
      name: "LOG_LEVEL, upstream's fatal",
      variables: { LOG_LEVEL: "FATAL" },
      pick: (config) => config.log.level,
      expected: "error",
    },
    {
      name: "DEBUG beats LOG_LEVEL",
      variables: { LOG_LEVEL: "error", DEBUG: "true" },
      pick: (config) => config.log.level,
      expected: "debug",
    },
    {
      name: "TRACE beats DEBUG and LOG_LEVEL",
      variables: { LOG_LEVEL: "error", DEBUG: "true", TRACE: "1" },
      pick: (config) => config.log.level,
      expected: "trace",
    },
    {
      name: "VERSION",
      variables: { VERSION: "true" },
      pick: (config) => config.printVersion,
      expected: true,
    },
    {
      name: "VERSION of a Minecraft image",
      variables: { VERSION: "1.21" },
      pick: (config) => config.printVersion,
      expected: false,
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, row) => {
    expect(row.pick(configOf(row.variables))).toEqual(row.expected);
  });
});

describe("fixed routes", () => {
  const routesOf = (variables: Variables) =>
    configOf(variables).routes.map(
      ({ patterns, address }) => `${patterns.map(patternText).join()} ${address.text}`,
    );
  const rows: readonly { name: string; variables: Variables; expected: readonly string[] }[] = [
    {
      name: "entries are cut at commas and newlines, spaces around the = do not count",
      variables: { MAPPING: "a.example.com=10.0.0.1:25566,\nb.example.com = backend\n" },
      expected: ["a.example.com 10.0.0.1:25566", "b.example.com backend:25565"],
    },
    {
      name: "hostnames take their one form",
      variables: { MAPPING: "MC.Example.COM.=h:1" },
      expected: ["mc.example.com h:1"],
    },
    {
      name: "wildcards work",
      variables: { MAPPING: "*.example.com=h:1" },
      expected: ["*.example.com h:1"],
    },
    {
      name: "the last of several entries for a hostname counts",
      variables: { MAPPING: "a.example.com=h:1,A.example.com=h:2" },
      expected: ["a.example.com h:2"],
    },
    {
      name: "the SRV prefix goes when it is simplified away",
      variables: { MAPPING: "_minecraft._tcp.a.example.com=h:1", SIMPLIFY_SRV: "true" },
      expected: ["a.example.com h:1"],
    },
    {
      name: "the default route comes along",
      variables: { MAPPING: "a.example.com=h:1", DEFAULT: "lobby:25570" },
      expected: ["a.example.com h:1", "* lobby:25570"],
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, row) => {
    expect(routesOf(row.variables)).toEqual([...row.expected]);
  });

  test("they belong to the source env, are named by their pattern and cannot be woken", () => {
    const { routes } = configOf({ MAPPING: "*.example.com=h:1", DEFAULT: "h:2" });
    expect(routes.map(({ source, id, wake }) => ({ source, id, wake }))).toEqual([
      { source: "env", id: "*.example.com", wake: null },
      { source: "env", id: "*", wake: null },
    ]);
  });

  test("a hostname that comes twice is warned of, by its entry", () => {
    expect(warningsOf({ MAPPING: "a=h:1,b=h:2,a=h:3" })).toEqual([
      { variable: "MAPPING", value: "a=h:3", expected: expect.stringContaining("once") },
    ]);
  });

  test("each bad entry is a problem of its own, named by the entry", () => {
    const problems = problemsOf({
      MAPPING: "good=h:1,=h:1,no-value,bad port=h,bad=h:99999,a.*.b=h:1",
    });
    expect(problems.map(({ value }) => value)).toEqual([
      "=h:1",
      "no-value",
      "bad port=h",
      "bad=h:99999",
      "a.*.b=h:1",
    ]);
    for (const { expected } of problems) expect(expected).toStartWith("hostname=host:port");
  });
});

describe("Postgres", () => {
  test("AUTOMC_DSN turns it on, and LISTEN uses the same link", () => {
    const { postgres } = configOf({ AUTOMC_DSN: dsn });
    expect(postgres).toMatchObject({
      dsn: { password, database: "mc" },
      resyncMs: 60_000,
      snapshot: null,
    });
    expect(postgres?.listenDsn).toBeNull();
  });

  test("AUTOMC_LISTEN_DSN stands beside it", () => {
    const { postgres } = configOf({
      AUTOMC_DSN: dsn,
      AUTOMC_LISTEN_DSN: "postgres://direct.example.com/direct",
    });
    expect(postgres).toMatchObject({ dsn: { database: "mc" }, listenDsn: { database: "direct" } });
  });

  test("AUTOMC_LISTEN_DSN alone does nothing, and says so without showing it", () => {
    const variables = { AUTOMC_LISTEN_DSN: dsn };
    expect(configOf(variables).postgres).toBeNull();
    expect(warningsOf(variables)).toEqual([
      {
        variable: "AUTOMC_LISTEN_DSN",
        value: "***",
        expected: expect.stringContaining("AUTOMC_DSN"),
      },
    ]);
  });

  const snapshots: readonly { name: string; variables: Variables; expected: string | null }[] = [
    { name: "is off by default", variables: {}, expected: null },
    {
      name: "goes to the state directory of the unit",
      variables: { STATE_DIRECTORY: "/var/lib/automc-router" },
      expected: "/var/lib/automc-router/routes.json",
    },
    {
      name: "goes to the first of several state directories",
      variables: { STATE_DIRECTORY: "/var/lib/a:/var/lib/b" },
      expected: "/var/lib/a/routes.json",
    },
    {
      name: "goes where it is told",
      variables: { STATE_DIRECTORY: "/var/lib/a", AUTOMC_SNAPSHOT: "/srv/x.json" },
      expected: "/srv/x.json",
    },
    {
      name: "can be turned off",
      variables: { STATE_DIRECTORY: "/var/lib/a", AUTOMC_SNAPSHOT: "off" },
      expected: null,
    },
  ];
  test.each(snapshots.map((row) => [row.name, row] as const))("the snapshot %s", (_, row) => {
    expect(configOf({ AUTOMC_DSN: dsn, ...row.variables }).postgres?.snapshot).toBe(row.expected);
  });
});

describe("the waker", () => {
  const waker = (variables: Variables) => configOf({ AUTOMC_DSN: dsn, ...variables }).waker;

  test("has the standard times and no token", () => {
    expect(waker({ AUTOMC_WAKER_URL: "http://127.0.0.1:8080" })).toEqual({
      url: "http://127.0.0.1:8080",
      token: null,
      ca: null,
      timeoutMs: 90_000,
      pollIntervalMs: 2_000,
      mayStop: false,
    });
  });

  test("takes the authorities of its certificate from a file", () => {
    const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    const variables = {
      AUTOMC_DSN: dsn,
      AUTOMC_WAKER_URL: "https://manager.example.com",
      AUTOMC_WAKER_CA: "/etc/ca.pem",
    };
    expect(settingsReader({ "/etc/ca.pem": pem }).configOf(variables).waker?.ca).toBe(pem);
    expect(settingsReader({ "/etc/ca.pem": "nothing" }).problemsOf(variables)).toEqual([
      {
        variable: "AUTOMC_WAKER_CA",
        value: "/etc/ca.pem",
        expected: "a PEM file with at least one certificate",
      },
    ]);
  });

  test("takes its token and its times", () => {
    const variables = {
      AUTOMC_WAKER_URL: "https://manager.example.com",
      AUTOMC_WAKER_TOKEN: "s3cret",
      AUTOMC_WAKER_TIMEOUT: "3m",
      AUTOMC_WAKER_POLL_INTERVAL: "500ms",
    };
    expect(waker(variables)).toMatchObject({
      token: "s3cret",
      timeoutMs: 180_000,
      pollIntervalMs: 500,
    });
  });

  const urls: readonly (readonly [string, string])[] = [
    ["http://h:8080/", "http://h:8080"],
    ["http://h/base/", "http://h/base"],
    ["http://h/base//", "http://h/base"],
    ["HTTPS://H.example.com/Base", "https://h.example.com/Base"],
    ["http://[::1]:8080", "http://[::1]:8080"],
  ];
  test.each(urls)("the base of %s is %s", (given, base) => {
    expect(waker({ AUTOMC_WAKER_URL: given })?.url).toBe(base);
  });

  test("does nothing without Postgres, and says so", () => {
    const variables = { AUTOMC_WAKER_URL: "http://h" };
    expect(configOf(variables).waker).toBeNull();
    expect(warningsOf(variables)).toEqual([
      {
        variable: "AUTOMC_WAKER_URL",
        value: "http://h",
        expected: expect.stringContaining("AUTOMC_DSN"),
      },
    ]);
  });

  test("a token without a URL does nothing, and says so without showing it", () => {
    expect(warningsOf({ AUTOMC_DSN: dsn, AUTOMC_WAKER_TOKEN: "s3cret" })).toEqual([
      {
        variable: "AUTOMC_WAKER_TOKEN",
        value: "***",
        expected: expect.stringContaining("AUTOMC_WAKER_URL"),
      },
    ]);
  });
});

describe("scaling of fixed routes", () => {
  const url = "https://scale.example.com/hook?key=1";

  test("is on with the webhook's URL, with mc-router's times", () => {
    expect(configOf({ AUTO_SCALE_WEBHOOK_URL: url }).scaler).toEqual({
      url,
      headers: {},
      timeoutMs: 30_000,
      wakeTimeoutMs: 60_000,
    });
  });

  test("takes headers and times of its own", () => {
    const variables = {
      AUTO_SCALE_WEBHOOK_URL: url,
      AUTO_SCALE_WEBHOOK_HEADERS: "Authorization=Bearer a=b, X-From = router",
      AUTO_SCALE_WEBHOOK_TIMEOUT: "0",
      AUTO_SCALE_WEBHOOK_WAKE_TIMEOUT: "-1s",
    };
    expect(configOf(variables).scaler).toEqual({
      url,
      headers: { authorization: "Bearer a=b", "x-from": "router" },
      timeoutMs: 86_400_000,
      wakeTimeoutMs: 0,
    });
  });

  test("is off without it, whatever else is set, and the switches for discovered backends are not its own", () => {
    const variables = {
      AUTO_SCALE_WEBHOOK_HEADERS: "a=b",
      AUTO_SCALE_UP: "true",
      AUTO_SCALE_DOWN: "true",
    };
    const config = { ...standard, scaling: { up: true, down: true } };
    expect(parse(variables)).toEqual(ok({ config, warnings: [] }));
  });

  test.each(["scale.example.com/hook", "ftp://scale.example.com", "http://"])(
    "the URL %s is a problem, and not shown",
    (bad) => {
      const [problem, ...others] = problemsOf({ AUTO_SCALE_WEBHOOK_URL: bad });
      expect(others).toEqual([]);
      expect(problem).toMatchObject({ variable: "AUTO_SCALE_WEBHOOK_URL", value: "***" });
    },
  );

  test.each(["a b=c", "=c", "a=\u0001", "a=ü€"])(
    "the header %j is a problem, and not shown",
    (bad) => {
      const problems = problemsOf({ AUTO_SCALE_WEBHOOK_HEADERS: bad });
      expect(problems).toMatchObject([{ variable: "AUTO_SCALE_WEBHOOK_HEADERS", value: "***" }]);
    },
  );

  test.each(["yes", "1x"])("AUTO_SCALE_UP=%s is a mistake, though it is of no effect", (bad) => {
    expect(problemsOf({ AUTO_SCALE_UP: bad })).toMatchObject([{ variable: "AUTO_SCALE_UP" }]);
  });

  for (const { name, variables, idle } of [
    {
      name: "a delay of less than nothing",
      variables: { AUTO_SCALE_DOWN_AFTER: "-5m" },
      idle: { afterMs: 0, counts: "all" },
    },
    {
      name: "a delay of one hour",
      variables: { AUTO_SCALE_DOWN_AFTER: "1h" },
      idle: { afterMs: 3_600_000, counts: "all" },
    },
    {
      name: "only logins",
      variables: { AUTOMC_IDLE_COUNTS: "Logins" },
      idle: { afterMs: 600_000, counts: "logins" },
    },
  ] as const) {
    test(`idle backends: ${name}`, () => {
      expect(configOf(variables).idle).toEqual(idle);
    });
  }

  test("who counts is everybody or logins", () => {
    expect(problemsOf({ AUTOMC_IDLE_COUNTS: "players" })).toEqual([
      { variable: "AUTOMC_IDLE_COUNTS", value: "players", expected: "all or logins" },
    ]);
  });
});

describe("the allow and deny file", () => {
  const withFile = (content: Result<string, string>) =>
    parseConfig({ AUTO_SCALE_ALLOW_DENY: "/etc/allow.json" }, () => content);

  test("is read at the start", () => {
    const parsed = withFile(ok('{"global":{"denylist":[{"name":"Steve"}]}}'));
    expect(parsed).toMatchObject({
      value: {
        config: {
          allowDeny: {
            path: "/etc/allow.json",
            permissions: { global: { allow: [], deny: [{ name: "Steve", uuid: null }] } },
          },
        },
      },
    });
  });

  for (const { name, content, expected } of [
    { name: "is not there", content: err("ENOENT: no such file"), expected: "ENOENT" },
    { name: "is no JSON", content: ok("{"), expected: "line 1, column 2: it ends too early" },
    { name: "says something else", content: ok('{"global":1}'), expected: 'its "global"' },
  ]) {
    test(`that ${name} is a problem`, () => {
      expect(withFile(content)).toMatchObject({
        ok: false,
        error: [{ variable: "AUTO_SCALE_ALLOW_DENY", expected: expect.stringContaining(expected) }],
      });
    });
  }
});

describe("secrets from files", () => {
  test("are read without the line feed at their end", () => {
    const variables = {
      AUTOMC_DSN_FILE: "/run/dsn",
      AUTOMC_LISTEN_DSN_FILE: "/run/dsn-crlf",
      AUTOMC_WAKER_URL: "http://h",
      AUTOMC_WAKER_TOKEN_FILE: "/run/token",
    };
    const { postgres, waker } = configOf(variables);
    expect(postgres).toMatchObject({ dsn: { database: "mc" }, listenDsn: { database: "mc" } });
    expect(waker?.token).toBe("s3cret");
  });

  test("are credentials of systemd, by the setting's name", () => {
    const { postgres, api } = configOf({
      CREDENTIALS_DIRECTORY: "/run/credentials/router",
      API_BINDING: "127.0.0.1:8080",
      AUTOMC_API_TOKEN: "s3cret",
    });
    expect(postgres).toMatchObject({ dsn: { database: "mc" }, listenDsn: null });
    expect(api?.tokens.change).toBe("s3cret");
  });

  const rows: readonly { name: string; variables: Variables; issue: Issue }[] = [
    {
      name: "the credential is empty",
      variables: { CREDENTIALS_DIRECTORY: "/run/credentials/empty" },
      issue: {
        variable: "AUTOMC_API_TOKEN_FILE",
        value: "/run/credentials/empty/AUTOMC_API_TOKEN",
        expected: "a file that is not empty",
      },
    },
    {
      name: "the secret is given as a credential too",
      variables: {
        AUTOMC_DSN_FILE: "/run/dsn",
        CREDENTIALS_DIRECTORY: "/run/credentials/router",
      },
      issue: {
        variable: "AUTOMC_DSN",
        value: "***",
        expected: "only one of AUTOMC_DSN_FILE and the credential AUTOMC_DSN",
      },
    },
    {
      name: "the file does not exist",
      variables: { AUTOMC_DSN_FILE: "/run/none" },
      issue: {
        variable: "AUTOMC_DSN_FILE",
        value: "/run/none",
        expected: "a file that can be read (ENOENT: no such file or directory)",
      },
    },
    {
      name: "the file is empty",
      variables: { AUTOMC_WAKER_TOKEN_FILE: "/run/empty" },
      issue: {
        variable: "AUTOMC_WAKER_TOKEN_FILE",
        value: "/run/empty",
        expected: "a file that is not empty",
      },
    },
    {
      name: "the file holds nothing but a line feed",
      variables: { AUTOMC_WAKER_TOKEN_FILE: "/run/empty-line" },
      issue: {
        variable: "AUTOMC_WAKER_TOKEN_FILE",
        value: "/run/empty-line",
        expected: "a file that is not empty",
      },
    },
    {
      name: "the secret is given twice",
      variables: { AUTOMC_WAKER_TOKEN: "s3cret", AUTOMC_WAKER_TOKEN_FILE: "/run/token" },
      issue: {
        variable: "AUTOMC_WAKER_TOKEN",
        value: "***",
        expected: "only one of AUTOMC_WAKER_TOKEN and AUTOMC_WAKER_TOKEN_FILE",
      },
    },
    {
      name: "the file's secret is not usable",
      variables: { AUTOMC_WAKER_TOKEN_FILE: "/run/token-two-lines" },
      issue: {
        variable: "AUTOMC_WAKER_TOKEN",
        value: "***",
        expected: "printable ASCII without spaces or line feeds around it",
      },
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("a problem: %s", (_, row) => {
    expect(problemsOf(row.variables)).toEqual([row.issue]);
  });
});

describe("a value that cannot be used is a problem", () => {
  const rows: Readonly<Record<string, readonly string[]>> = {
    PORT: ["-1", "65536", "http", "25565.0", " 25565"],
    CONNECTION_RATE_LIMIT: ["fast", "9223372036854775808"],
    BACKEND_DIAL_TIMEOUT: ["2", "2 s", "soon"],
    SIMPLIFY_SRV: ["yes"],
    DEBUG: ["on"],
    TRACE: [" true"],
    LOG_LEVEL: ["verbose"],
    DEFAULT: [" ", "host:port", "http://h", "h:0"],
    AUTOMC_BIND: ["localhost", "[::]", "0.0.0.0:25565", "256.1.1.1"],
    AUTOMC_DRAIN_TIMEOUT: ["-1s", "25h", "30"],
    AUTOMC_TRANSFER_AS_LOGIN: ["maybe"],
    AUTOMC_HOLD: ["no"],
    AUTOMC_LOG_FORMAT: ["text"],
    AUTOMC_RESYNC_INTERVAL: ["0", "-1m", "500ms", "60", "25h"],
    AUTOMC_SNAPSHOT: ["routes.json", "./routes.json", "false"],
    AUTOMC_WAKER_TIMEOUT: ["0", "-90s", "10ms", "90"],
    AUTOMC_WAKER_POLL_INTERVAL: ["0", "1ms", "-2s"],
    AUTOMC_WAKER_URL: ["manager:8080", "ftp://h", "http://", "//h", "http:h"],
  };
  for (const [variable, values] of Object.entries(rows)) {
    test.each([...values])(`${variable}=%s`, (value) => {
      const [issue, ...others] = problemsOf({ [variable]: value });
      expect(others).toEqual([]);
      expect(issue).toMatchObject({ variable, value });
      expect(issue?.expected).not.toBe("");
    });
  }
});

describe("what must not be seen is not shown", () => {
  const rows: readonly { name: string; variables: Variables }[] = [
    { name: "a DSN of another database", variables: { AUTOMC_DSN: `mysql://u:${password}@h/d` } },
    { name: "a DSN that is no URL", variables: { AUTOMC_DSN: password } },
    { name: "a DSN with a bad TLS mode", variables: { AUTOMC_DSN: `${dsn}?sslmode=bogus` } },
    { name: "a listening DSN", variables: { AUTOMC_DSN: dsn, AUTOMC_LISTEN_DSN: `x${dsn}` } },
    { name: "a token that is no header", variables: { AUTOMC_WAKER_TOKEN: `${password}\n` } },
    {
      name: "a token given twice",
      variables: { AUTOMC_WAKER_TOKEN: password, AUTOMC_WAKER_TOKEN_FILE: "/run/token" },
    },
    {
      name: "a waker URL with a password",
      variables: { AUTOMC_WAKER_URL: `http://u:${password}@h` },
    },
    {
      name: "a waker URL with a token",
      variables: { AUTOMC_WAKER_URL: `http://h/?token=${password}` },
    },
    {
      name: "a broken waker URL with a password",
      variables: { AUTOMC_WAKER_URL: `http://u:${password}@h:x` },
    },
    { name: "a misspelled secret", variables: { AUTOMC_TOKEN: password } },
    { name: "ngrok's token", variables: { NGROK_TOKEN: password } },
    {
      name: "a webhook's URL",
      variables: { WEBHOOK_URL: `hooks.example.com/${password}` },
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, row) => {
    const problems = problemsOf(row.variables);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.value).toBe("***");
    expect(JSON.stringify(problems)).not.toContain(password);
  });

  test("nothing of a file that holds a bad secret", () => {
    const problems = parseConfig({ AUTOMC_DSN_FILE: "/x" }, () => ok(`mysql://u:${password}@h/d`));
    expect(JSON.stringify(problems)).toContain("AUTOMC_DSN");
    expect(JSON.stringify(problems)).not.toContain(password);
  });

  test("a long value is cut", () => {
    const [issue] = problemsOf({ PORT: "9".repeat(10_000) });
    expect(issue?.value).toMatch(/^9{120}\.\.\.$/);
  });
});

describe("settings of upstream that do nothing here", () => {
  const other: Readonly<Record<string, string>> = {
    NGROK_TOKEN: "something",
    NGROK_REMOTE_ADDR: "something",
    CPU_PROFILE: "something",
    DOCKER_REFRESH_INTERVAL: "7m7s",
  };
  const unsupported = settings.filter(({ status }) => status !== "supported");

  test.each(unsupported.map((setting) => [setting.name, setting] as const))(
    "%s is refused or warned of by name as soon as it has a value of its own",
    (name, { status, advice }) => {
      const parsed = parse({ [name]: other[name] });
      const issues = parsed.ok ? parsed.value.warnings : parsed.error;
      expect(parsed.ok).toBe(status === "accepted and ignored");
      expect(issues.map(({ variable }) => variable)).toEqual([name]);
      expect(issues[0]?.expected).toContain(advice ?? "not supported yet");
    },
  );

  const spellings: Variables = {
    IN_DOCKER: "F",
    AUTO_SCALE_DOWN_AFTER: "600s",
    METRICS_BACKEND: "Discard",
    WEBHOOK_EVENTS: " connect,\ndisconnect ",
    DOCKER_REFRESH_INTERVAL: "0s",
    CLIENTS_TO_ALLOW: ",",
  };
  test("may have their default, however it is spelled", () => {
    expect(parse(spellings)).toEqual(ok({ config: standard, warnings: [] }));
  });

  test("are problems too when they cannot even be read", () => {
    expect(problemsOf({ IN_DOCKER: "yes" })).toHaveLength(1);
  });

  test("ngrok's come with advice", () => {
    expect(problemsOf({ NGROK_TOKEN: "x" })[0]?.expected).toContain("ngrok agent");
    expect(findSetting("NGROK_TOKEN")?.status).toBe("refused");
  });
});

describe("warnings", () => {
  test("VERSION that is no boolean is ignored, not silently", () => {
    expect(warningsOf({ VERSION: "1.21.4" })).toMatchObject([
      { variable: "VERSION", value: "1.21.4" },
    ]);
  });

  test("two MOTDs that differ", () => {
    const variables = { AUTO_SCALE_ASLEEP_MOTD: "a", USE_ASLEEP_MOTD: "b" };
    expect(configOf(variables).motd.asleep).toBe("a");
    expect(warningsOf(variables)).toMatchObject([{ variable: "AUTO_SCALE_ASLEEP_MOTD" }]);
  });

  test("two MOTDs that agree are no matter", () => {
    expect(warningsOf({ AUTO_SCALE_ASLEEP_MOTD: "a", USE_ASLEEP_MOTD: "a" })).toEqual([]);
  });
});

describe("unknown names that begin with ours", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["AUTOMC_DNS", "AUTOMC_DSN"],
    ["AUTOMC_WAKER_URI", "AUTOMC_WAKER_URL"],
    ["AUTOMC_WAKER_TOKEN_FIEL", "AUTOMC_WAKER_TOKEN_FILE"],
    ["AUTOMC_DRAINTIMEOUT", "AUTOMC_DRAIN_TIMEOUT"],
    ["AUTOMC_PORT", "PORT"],
    ["AUTOMC_MAPPING", "MAPPING"],
  ];
  test.each(rows)("%s is a problem that suggests %s", (variable, meant) => {
    expect(problemsOf({ [variable]: "" })).toEqual([
      { variable, value: "***", expected: `the name ${meant}` },
    ]);
  });

  test("one that resembles nothing is a problem without a suggestion", () => {
    expect(problemsOf({ AUTOMC_QQQQQQ: "1" })).toMatchObject([
      { variable: "AUTOMC_QQQQQQ", expected: "it to be unset: there is no such setting" },
    ]);
  });

  test("a file variant of what is no secret is unknown", () => {
    expect(problemsOf({ AUTOMC_HOLD_FILE: "/x" })).toHaveLength(1);
  });

  test("the variables that Kubernetes makes for a service called automc-router are not ours", () => {
    const links = {
      AUTOMC_ROUTER_SERVICE_HOST: "10.0.0.1",
      AUTOMC_ROUTER_SERVICE_PORT: "25565",
      AUTOMC_ROUTER_SERVICE_PORT_MINECRAFT: "25565",
      AUTOMC_ROUTER_PORT: "tcp://10.0.0.1:25565",
      AUTOMC_ROUTER_PORT_25565_TCP: "tcp://10.0.0.1:25565",
      AUTOMC_ROUTER_PORT_25565_TCP_PROTO: "tcp",
      AUTOMC_ROUTER_PORT_25565_TCP_PORT: "25565",
      AUTOMC_ROUTER_PORT_25565_TCP_ADDR: "10.0.0.1",
      AUTOMC_PORT: "tcp://10.0.0.2:80",
    };
    expect(parse(links)).toEqual(ok({ config: standard, warnings: [] }));
  });
});

describe("names without our prefix that are nearly a setting's", () => {
  test.each([
    ["MAPING", "MAPPING"],
    ["MAPPPING", "MAPPING"],
    ["ROUTE_CONFIG", "ROUTES_CONFIG"],
    ["WEBHOOK_URI", "WEBHOOK_URL"],
    ["LOG_LEVLE", "LOG_LEVEL"],
  ])("%s is warned of, and %s suggested", (variable, meant) => {
    expect(warningsOf({ [variable]: "hunter2" }).map(issueText)).toEqual([
      `${meant}: "***": there is no setting ${variable}; did you mean ${meant}?`,
    ]);
  });

  test("names of other programs are left alone", () => {
    const foreign = {
      SESSION: "x",
      PORTS: "1",
      KUBECONFIG: "/k",
      LOGNAME: "root",
      DOCKER_CONFIG: "/d",
      KUBERNETES_PORT: "tcp://10.0.0.1:443",
      XDG_SESSION_ID: "1",
      INVOCATION_ID: "x",
      JOURNAL_STREAM: "8:1",
      MAPING: "",
    };
    expect(warningsOf(foreign)).toEqual([]);
  });
});

test("variables that rule the runtime are refused in words", () => {
  const variables = { BUN_OPTIONS: "--smol", BUN_INSPECT: "ws://x", BUN_INSPECT_CONNECT_TO: "" };
  expect(problemsOf(variables).map(issueText)).toEqual([
    'BUN_OPTIONS="***": expected it to be unset: it gives the runtime further arguments',
    'BUN_INSPECT="***": expected it to be unset: it opens a debugger to other programs',
  ]);
});

test("all problems are told at once", () => {
  const problems = problemsOf({
    PORT: "x",
    DEBUG: "x",
    LOG_LEVEL: "x",
    BACKEND_DIAL_TIMEOUT: "x",
    MAPPING: "a=h:0,b=h:0",
    DEFAULT: "h:0",
    AUTOMC_BIND: "x",
    AUTOMC_DSN: "x",
    AUTOMC_LISTEN_DSN_FILE: "/run/none",
    AUTOMC_WAKER_URL: "x",
    AUTOMC_WAKER_TOKEN: "x\n",
    AUTOMC_SNAPSHOT: "x",
    AUTOMC_HOLD: "x",
    AUTOMC_LOG_FORMAT: "x",
    IN_DOCKER: "yes",
    NGROK_TOKEN: "x",
    AUTOMC_XYZ: "x",
  });
  expect(problems.map(({ variable }) => variable).toSorted()).toEqual([
    "AUTOMC_BIND",
    "AUTOMC_DSN",
    "AUTOMC_HOLD",
    "AUTOMC_LISTEN_DSN_FILE",
    "AUTOMC_LOG_FORMAT",
    "AUTOMC_SNAPSHOT",
    "AUTOMC_WAKER_TOKEN",
    "AUTOMC_WAKER_URL",
    "AUTOMC_XYZ",
    "BACKEND_DIAL_TIMEOUT",
    "DEBUG",
    "DEFAULT",
    "IN_DOCKER",
    "LOG_LEVEL",
    "MAPPING",
    "MAPPING",
    "NGROK_TOKEN",
    "PORT",
  ]);
});

test("an issue reads as one line, whatever its value holds", () => {
  const issue = { variable: "PORT", value: "1\n2\u001b[31m", expected: "an integer" };
  expect(issueText(issue)).toBe('PORT="1\\n2\\u001b[31m": expected an integer');
});

for (const path of ["/state/routes.json", "/state/../state/statuses.json"]) {
  test(`a routes file at ${path}, which the snapshot's folder keeps, is refused`, () => {
    const variables = { AUTOMC_DSN: "postgres://u@h/d", STATE_DIRECTORY: "/state" };
    expect(problemsOf({ ...variables, ROUTES_CONFIG: path })).toEqual([
      {
        variable: "ROUTES_CONFIG",
        value: path,
        expected: "another file than those that AUTOMC_SNAPSHOT keeps",
      },
    ]);
    expect(problemsOf({ ...variables, ROUTES_CONFIG: "/state/own.json" })).toEqual([]);
    expect(problemsOf({ ...variables, AUTOMC_SNAPSHOT: "off", ROUTES_CONFIG: path })).toEqual([]);
  });
}
