import { describe, expect, test } from "bun:test";
import type { Config } from "../../src/config/config.ts";
import type { Variables } from "../../src/config/setting.ts";
import { createAddressSet } from "../../src/limits/cidr.ts";
import { settingsReader } from "../support/settings.ts";

const password = "hunter2";
const influx = "METRICS_BACKEND_CONFIG_INFLUXDB";

const files: Readonly<Record<string, string>> = {
  "/run/token": "s3cret\n",
  "/run/password": `${password}\n`,
  "/run/url": "http://127.0.0.1:8080/hook?key=1\n",
};

const { configOf, problemsOf, warningsOf } = settingsReader(files);

describe("each setting reaches its place", () => {
  const binding = (text: string): Variables => ({ API_BINDING: text });
  const rows: readonly {
    name: string;
    variables: Variables;
    pick: (config: Config) => unknown;
    expected: unknown;
  }[] = [
    {
      name: "RECEIVE_PROXY_PROTOCOL without a list believes everybody",
      variables: { RECEIVE_PROXY_PROTOCOL: "true" },
      pick: ({ proxyProtocol }) => proxyProtocol.receive,
      expected: { trusted: null },
    },
    {
      name: "TRUSTED_PROXIES alone turns nothing on",
      variables: { TRUSTED_PROXIES: "10.0.0.0/8" },
      pick: ({ proxyProtocol }) => proxyProtocol.receive,
      expected: null,
    },
    {
      name: "a TRUSTED_PROXIES of commas is no list",
      variables: { RECEIVE_PROXY_PROTOCOL: "true", TRUSTED_PROXIES: " ,\n" },
      pick: ({ proxyProtocol }) => proxyProtocol.receive,
      expected: { trusted: null },
    },
    {
      name: "USE_PROXY_PROTOCOL",
      variables: { USE_PROXY_PROTOCOL: "1" },
      pick: ({ proxyProtocol }) => proxyProtocol.send,
      expected: true,
    },
    {
      name: "ROUTES_CONFIG, verbatim",
      variables: { ROUTES_CONFIG: "conf/my routes.json" },
      pick: ({ routesFile }) => routesFile,
      expected: { path: "conf/my routes.json", watch: false },
    },
    {
      name: "ROUTES_CONFIG_WATCH",
      variables: { ROUTES_CONFIG: "/r.json", ROUTES_CONFIG_WATCH: "true" },
      pick: ({ routesFile }) => routesFile,
      expected: { path: "/r.json", watch: true },
    },
    {
      name: "API_BINDING on loopback needs no token",
      variables: binding("127.0.0.1:8080"),
      pick: ({ api }) => api,
      expected: {
        binding: { kind: "tcp", host: "127.0.0.1", port: 8080 },
        tokens: { change: null, read: null },
        hosts: [],
      },
    },
    {
      name: "API_BINDING on IPv6 loopback",
      variables: binding("[::1]:8080"),
      pick: ({ api }) => api?.binding,
      expected: { kind: "tcp", host: "::1", port: 8080 },
    },
    {
      name: "API_BINDING as a unix socket",
      variables: binding("unix:/run/automc.sock"),
      pick: ({ api }) => api?.binding,
      expected: { kind: "unix", path: "/run/automc.sock" },
    },
    {
      name: "API_BINDING everywhere with a token, and names it is called by",
      variables: {
        ...binding(":8080"),
        AUTOMC_API_TOKEN: "s3cret",
        AUTOMC_API_HOSTS: "router.lan, mc.lan",
      },
      pick: ({ api }) => api,
      expected: {
        binding: { kind: "tcp", host: "", port: 8080 },
        tokens: { change: "s3cret", read: null },
        hosts: ["router.lan", "mc.lan"],
      },
    },
    {
      name: "API_BINDING everywhere when that is wanted",
      variables: { ...binding("0.0.0.0:8080"), AUTOMC_API_OPEN: "true" },
      pick: ({ api }) => api?.binding,
      expected: { kind: "tcp", host: "0.0.0.0", port: 8080 },
    },
    {
      name: "AUTOMC_API_TOKEN_FILE",
      variables: { ...binding(":8080"), AUTOMC_API_TOKEN_FILE: "/run/token" },
      pick: ({ api }) => api?.tokens.change,
      expected: "s3cret",
    },
    ...(["discard", "expvar", "prometheus"] as const).map((kind) => ({
      name: `METRICS_BACKEND=${kind}, in any case`,
      variables: { METRICS_BACKEND: kind.toUpperCase() },
      pick: ({ metrics }: Config) => metrics.backend,
      expected: { kind },
    })),
    {
      name: "METRICS_BACKEND=influxdb with what it leaves to the defaults",
      variables: { METRICS_BACKEND: "influxdb", [`${influx}_ADDR`]: "http://h:8086" },
      pick: ({ metrics }) => metrics.backend,
      expected: {
        kind: "influxdb",
        influx: {
          url: "http://h:8086",
          database: "",
          retentionPolicy: "",
          username: "",
          password: "",
          tags: {},
          intervalMs: 60_000,
        },
      },
    },
    {
      name: "METRICS_BACKEND=influxdb with everything",
      variables: {
        METRICS_BACKEND: "influxdb",
        [`${influx}_ADDR`]: "https://h",
        [`${influx}_DATABASE`]: "mc",
        [`${influx}_RETENTION_POLICY`]: "week",
        [`${influx}_USERNAME`]: "u",
        [`${influx}_PASSWORD_FILE`]: "/run/password",
        [`${influx}_TAGS`]: "site=berlin, rack = 7",
        [`${influx}_INTERVAL`]: "10s",
      },
      pick: ({ metrics }) => metrics.backend,
      expected: {
        kind: "influxdb",
        influx: {
          url: "https://h",
          database: "mc",
          retentionPolicy: "week",
          username: "u",
          password,
          tags: { site: "berlin", rack: "7" },
          intervalMs: 10_000,
        },
      },
    },
    {
      name: "METRICS_RATE_LIMIT_PERIOD",
      variables: { METRICS_RATE_LIMIT_PERIOD: "250ms" },
      pick: ({ metrics }) => metrics.rateLimitPeriodMs,
      expected: 250,
    },
    {
      name: "METRICS_RATE_LIMIT_PERIOD beyond what timers count is cut",
      variables: { METRICS_RATE_LIMIT_PERIOD: "1000h" },
      pick: ({ metrics }) => metrics.rateLimitPeriodMs,
      expected: 86_400_000,
    },
    {
      name: "METRICS_RATE_LIMIT_PERIOD 0 turns the gauge off",
      variables: { METRICS_RATE_LIMIT_PERIOD: "0" },
      pick: ({ metrics }) => metrics.rateLimitPeriodMs,
      expected: 0,
    },
    {
      name: "RECORD_LOGINS",
      variables: { RECORD_LOGINS: "true" },
      pick: ({ recordLogins }) => recordLogins,
      expected: true,
    },
    {
      name: "WEBHOOK_URL with what it leaves to the defaults",
      variables: { WEBHOOK_URL: "http://h/hook" },
      pick: ({ webhook }) => webhook,
      expected: {
        url: "http://h/hook",
        events: new Set(["connect", "disconnect"]),
        requireUser: false,
        timeoutMs: 30_000,
      },
    },
    {
      name: "WEBHOOK_URL_FILE, its query included",
      variables: { WEBHOOK_URL_FILE: "/run/url" },
      pick: ({ webhook }) => webhook?.url,
      expected: "http://127.0.0.1:8080/hook?key=1",
    },
    {
      name: "WEBHOOK_EVENTS replaces its default",
      variables: { WEBHOOK_URL: "http://h", WEBHOOK_EVENTS: "route-added,\nconnect" },
      pick: ({ webhook }) => webhook?.events,
      expected: new Set(["route-added", "connect"]),
    },
    {
      name: "WEBHOOK_REQUIRE_USER and WEBHOOK_TIMEOUT",
      variables: {
        WEBHOOK_URL: "http://h",
        WEBHOOK_REQUIRE_USER: "true",
        WEBHOOK_TIMEOUT: "0",
      },
      pick: ({ webhook }) => webhook,
      expected: expect.objectContaining({ requireUser: true, timeoutMs: 0 }),
    },
    {
      name: "WEBHOOK_REQUIRE_USER alone tells nobody",
      variables: { WEBHOOK_REQUIRE_USER: "true", WEBHOOK_TIMEOUT: "1s" },
      pick: ({ webhook }) => webhook,
      expected: null,
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, row) => {
    expect(row.pick(configOf(row.variables))).toEqual(row.expected);
  });

  const lists = [
    { name: "CLIENTS_TO_ALLOW", pick: ({ clients }: Config) => clients.allow },
    { name: "CLIENTS_TO_DENY", pick: ({ clients }: Config) => clients.deny },
    {
      name: "TRUSTED_PROXIES",
      pick: ({ proxyProtocol }: Config) => proxyProtocol.receive?.trusted ?? [],
    },
  ];
  test.each(lists)("$name holds every network of its list, and no more", ({ name, pick }) => {
    const ranges = pick(
      configOf({
        RECEIVE_PROXY_PROTOCOL: "true",
        [name]: " 10.0.0.0/8,\n192.0.2.77/24 , 2001:db8::/32,::ffff:198.51.100.0/120,",
      }),
    );
    const { has } = createAddressSet(ranges);
    for (const ip of ["10.9.9.9", "192.0.2.1", "2001:db8::7", "198.51.100.9", "::ffff:10.0.0.1"]) {
      expect({ ip, isIn: has(ip) }).toEqual({ ip, isIn: true });
    }
    for (const ip of ["11.0.0.1", "192.0.3.1", "2001:db9::7", "198.51.101.9"]) {
      expect({ ip, isIn: has(ip) }).toEqual({ ip, isIn: false });
    }
  });
});

describe("a value that cannot be used is a problem", () => {
  const clients = ["7", "10.0.0.0/33", "010.0.0.1", "fe80::1%eth0/64", "localhost", "10.0.0.1 /8"];
  const bindings = [
    "8080",
    "127.0.0.1",
    "127.0.0.1:70000",
    "unix:relative",
    "http://h:1",
    "::1:80",
  ];
  const rows: Readonly<Record<string, readonly string[]>> = {
    CLIENTS_TO_ALLOW: clients,
    CLIENTS_TO_DENY: clients,
    // A single address is none here: upstream's list takes networks only.
    TRUSTED_PROXIES: ["10.0.0.1", "10.0.0.0/33", "proxy/8"],
    RECEIVE_PROXY_PROTOCOL: ["yes"],
    USE_PROXY_PROTOCOL: ["on"],
    ROUTES_CONFIG_WATCH: ["always"],
    API_BINDING: [...bindings, ":8080", "0.0.0.0:8080", "[::]:8080", "router.lan:8080"],
    AUTOMC_API_OPEN: ["yes"],
    RECORD_LOGINS: ["yes"],
    METRICS_RATE_LIMIT_PERIOD: ["1", "often"],
    [`${influx}_INTERVAL`]: ["0", "-1s", "25h", "60"],
    WEBHOOK_REQUIRE_USER: ["yes"],
    WEBHOOK_TIMEOUT: ["-1s", "30", "25h"],
  };
  for (const [variable, values] of Object.entries(rows)) {
    test.each([...values])(`${variable}=%s`, (value) => {
      const [issue, ...others] = problemsOf({ [variable]: value });
      expect(others).toEqual([]);
      expect(issue).toMatchObject({ variable, value });
      expect(issue?.expected).not.toBe("");
    });
  }

  test("each bad entry of a list is one of its own, named by the entry", () => {
    expect(
      problemsOf({ CLIENTS_TO_DENY: "10.0.0.0/8,7,::1,bad" }).map(({ value }) => value),
    ).toEqual(["7", "bad"]);
  });

  test("InfluxDB without its URL", () => {
    expect(problemsOf({ METRICS_BACKEND: "influxdb" })).toMatchObject([
      { variable: `${influx}_ADDR`, value: "" },
    ]);
  });

  test("an API without a token beyond this machine says both ways out", () => {
    const [issue] = problemsOf({ API_BINDING: ":8080" });
    expect(issue?.expected).toContain("AUTOMC_API_TOKEN");
    expect(issue?.expected).toContain("AUTOMC_API_OPEN=true");
  });

  test("all of them are told at once", () => {
    const problems = problemsOf({
      CLIENTS_TO_ALLOW: "x",
      CLIENTS_TO_DENY: "x",
      TRUSTED_PROXIES: "x",
      RECEIVE_PROXY_PROTOCOL: "x",
      USE_PROXY_PROTOCOL: "x",
      ROUTES_CONFIG_WATCH: "x",
      API_BINDING: "x",
      AUTOMC_API_TOKEN: "\u00e9",
      AUTOMC_API_OPEN: "x",
      METRICS_BACKEND: "influxdb",
      [`${influx}_INTERVAL`]: "x",
      METRICS_RATE_LIMIT_PERIOD: "x",
      RECORD_LOGINS: "x",
      WEBHOOK_URL: "x",
      WEBHOOK_TIMEOUT: "x",
      WEBHOOK_REQUIRE_USER: "x",
    });
    expect(problems.map(({ variable }) => variable).sort()).toEqual(
      [
        "API_BINDING",
        "AUTOMC_API_OPEN",
        "AUTOMC_API_TOKEN",
        "CLIENTS_TO_ALLOW",
        "CLIENTS_TO_DENY",
        `${influx}_ADDR`,
        `${influx}_INTERVAL`,
        "METRICS_RATE_LIMIT_PERIOD",
        "RECEIVE_PROXY_PROTOCOL",
        "RECORD_LOGINS",
        "ROUTES_CONFIG_WATCH",
        "TRUSTED_PROXIES",
        "USE_PROXY_PROTOCOL",
        "WEBHOOK_REQUIRE_USER",
        "WEBHOOK_TIMEOUT",
        "WEBHOOK_URL",
      ].sort(),
    );
  });
});

describe("a secret is never shown", () => {
  const rows: readonly { name: string; variables: Variables; variable: string }[] = [
    {
      name: "an API token that fits no header",
      variables: { AUTOMC_API_TOKEN: `${password}\n` },
      variable: "AUTOMC_API_TOKEN",
    },
    {
      name: "an API token that fits no header, where one is needed",
      variables: { AUTOMC_API_TOKEN: `${password}\n`, API_BINDING: ":8080" },
      variable: "AUTOMC_API_TOKEN",
    },
    {
      name: "an API token given twice",
      variables: { AUTOMC_API_TOKEN: password, AUTOMC_API_TOKEN_FILE: "/run/token" },
      variable: "AUTOMC_API_TOKEN",
    },
    {
      name: "InfluxDB's password given twice",
      variables: { [`${influx}_PASSWORD`]: password, [`${influx}_PASSWORD_FILE`]: "/run/password" },
      variable: `${influx}_PASSWORD`,
    },
    {
      name: "an InfluxDB URL with an account in it",
      variables: { [`${influx}_ADDR`]: `http://u:${password}@h:8086` },
      variable: `${influx}_ADDR`,
    },
    {
      name: "a broken InfluxDB URL with an account in it",
      variables: { [`${influx}_ADDR`]: `u:${password}@h` },
      variable: `${influx}_ADDR`,
    },
    {
      name: "a webhook's URL that is none",
      variables: { WEBHOOK_URL: `ftp://h/${password}` },
      variable: "WEBHOOK_URL",
    },
    {
      name: "a webhook's URL given twice",
      variables: { WEBHOOK_URL: `http://h/${password}`, WEBHOOK_URL_FILE: "/run/url" },
      variable: "WEBHOOK_URL",
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, row) => {
    const problems = problemsOf(row.variables);
    expect(problems).toMatchObject([{ variable: row.variable, value: "***" }]);
    expect(JSON.stringify(problems)).not.toContain(password);
  });

  for (const variable of ["AUTOMC_API_TOKEN", `${influx}_PASSWORD`, "WEBHOOK_URL"]) {
    test(`a ${variable}_FILE that cannot be read is a problem`, () => {
      expect(problemsOf({ [`${variable}_FILE`]: "/run/none" })).toMatchObject([
        { variable: `${variable}_FILE`, value: "/run/none" },
      ]);
    });
  }
});

describe("warnings", () => {
  const rows: readonly { name: string; variables: Variables; warned: readonly string[] }[] = [
    {
      name: "everybody may say who they are",
      variables: { RECEIVE_PROXY_PROTOCOL: "true" },
      warned: ["RECEIVE_PROXY_PROTOCOL"],
    },
    {
      name: "nobody is warned of a list of proxies",
      variables: { RECEIVE_PROXY_PROTOCOL: "true", TRUSTED_PROXIES: "10.0.0.0/8" },
      warned: [],
    },
    {
      name: "a metrics backend that does not exist counts as discard",
      variables: { METRICS_BACKEND: "statsd" },
      warned: ["METRICS_BACKEND"],
    },
    {
      name: "an event that does not exist",
      variables: { WEBHOOK_URL: "http://h", WEBHOOK_EVENTS: "connect,join" },
      warned: ["WEBHOOK_EVENTS"],
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, row) => {
    expect(warningsOf(row.variables).map(({ variable }) => variable)).toEqual([...row.warned]);
  });
});
