import { describe, expect, test } from "bun:test";
import { settingsHelp, settingsTable, variableForFlag } from "../../src/config/help.ts";
import { namesOf, settingGroups, settings } from "../../src/config/settings.ts";
import { upstreamVariables } from "../fixtures/upstream-variables.ts";

/** Every variable that upstream does not have, or leaves to its Docker library. */
const ownNames = [
  "DOCKER_HOST",
  "DOCKER_CERT_PATH",
  "DOCKER_TLS_VERIFY",
  "AUTOMC_KUBE_AWAIT_PODS",
  "AUTOMC_DSN",
  "AUTOMC_DSN_FILE",
  "AUTOMC_LISTEN_DSN",
  "AUTOMC_LISTEN_DSN_FILE",
  "AUTOMC_WAKER_URL",
  "AUTOMC_WAKER_TOKEN",
  "AUTOMC_WAKER_TOKEN_FILE",
  "AUTOMC_WAKER_CA",
  "AUTOMC_WAKER_TIMEOUT",
  "AUTOMC_WAKER_POLL_INTERVAL",
  "AUTOMC_WAKER_STOP",
  "AUTOMC_READY",
  "AUTOMC_HOLD",
  "AUTOMC_RESYNC_INTERVAL",
  "AUTOMC_API_HOSTS",
  "AUTOMC_API_OPEN",
  "AUTOMC_API_READ_TOKEN",
  "AUTOMC_API_READ_TOKEN_FILE",
  "AUTOMC_API_TOKEN",
  "AUTOMC_API_TOKEN_FILE",
  "AUTOMC_STATUS_CACHE",
  "AUTOMC_UNKNOWN_MOTD",
  "AUTOMC_UNKNOWN_KICK",
  "AUTOMC_TEXT_UNREACHABLE",
  "AUTOMC_TEXT_START_FAILED",
  "AUTOMC_TEXT_STARTING",
  "AUTOMC_TEXT_START_DENIED",
  "AUTOMC_TEXT_START_REFUSED",
  "AUTOMC_TEXT_UNPROVEN",
  "AUTOMC_TEXT_READY",
  "AUTOMC_TEXT_BAD_NAME",
  "AUTOMC_TEXT_THROTTLED",
  "AUTOMC_TEXT_FULL",
  "AUTOMC_TEXT_STOPPING",
  "AUTOMC_TEXT_TOO_OLD",
  "METRICS_BACKEND_CONFIG_INFLUXDB_PASSWORD_FILE",
  "WEBHOOK_URL_FILE",
  "AUTO_SCALE_WEBHOOK_URL_FILE",
  "AUTO_SCALE_WEBHOOK_HEADERS_FILE",
  "AUTOMC_IDLE_COUNTS",
  "AUTOMC_SNAPSHOT",
  "AUTOMC_MAX_CONNECTIONS",
  "AUTOMC_MAX_OPENING",
  "AUTOMC_MAX_HOLDING",
  "AUTOMC_CLIENT_CONNECTIONS",
  "AUTOMC_CLIENT_RATE",
  "AUTOMC_CLIENT_LOGIN_RATE",
  "AUTOMC_CLIENT_EXEMPT",
  "AUTOMC_BACKEND_ALLOW",
  "AUTOMC_BACKEND_DENY",
  "AUTOMC_WAKES",
  "AUTOMC_CLIENT_WAKES",
  "AUTOMC_WAKE_COOLDOWN",
  "AUTOMC_WAKE_PROOF",
  "AUTOMC_BALANCE",
  "AUTOMC_FALLBACK",
  "AUTOMC_BIND",
  "AUTOMC_LISTENERS",
  "AUTOMC_REUSE_PORT",
  "AUTOMC_RELAY",
  "AUTOMC_RELAY_THREADS",
  "AUTOMC_CONTROL",
  "AUTOMC_DRAIN_TIMEOUT",
  "AUTOMC_TRANSFER_AS_LOGIN",
  "AUTOMC_LOG_FORMAT",
  "USE_ASLEEP_MOTD",
  "USE_LOADING_MOTD",
];

const supported = settings.filter((setting) => setting.status === "supported");

test("the table of settings holds every variable of upstream and of ours, each once", () => {
  const names = settings.flatMap(namesOf);
  expect(names.toSorted()).toEqual([...upstreamVariables, ...ownNames].toSorted());
});

test("every setting is described in one sentence that fits into a table", () => {
  for (const { meaning, advice = "" } of settings) {
    expect(meaning).toMatch(/^[A-Z][^|\n]*\.$/);
    expect(advice).not.toMatch(/[|\n.]$/);
  }
});

test("what is refused or ignored says what to do instead", () => {
  const needing = settings.filter(
    ({ status }) => status === "refused" || status === "accepted and ignored",
  );
  expect(needing.map(({ name }) => name)).toEqual([
    "NGROK_TOKEN",
    "NGROK_REMOTE_ADDR",
    "CPU_PROFILE",
    "DOCKER_REFRESH_INTERVAL",
  ]);
  for (const { advice } of needing) expect(advice).toMatch(/\w+ \w+/);
});

describe("the settings table", () => {
  const table = settingsTable();

  test("has one row for each supported setting, with every one of its names", () => {
    const rows = table.split("\n").filter((line) => line.startsWith("| `"));
    expect(rows).toHaveLength(supported.length);
    for (const setting of supported) {
      const row = rows.find((line) => line.startsWith(`| \`${setting.name}\``));
      for (const name of namesOf(setting)) expect(row).toContain(`\`${name}\``);
      expect(row).toContain(setting.meaning);
    }
  });

  test("has a heading for each group that has something to show, and no other setting", () => {
    const titles = table.split("\n").filter((line) => line.startsWith("## "));
    const expected = settingGroups.filter((group) =>
      group.settings.some(({ status }) => status === "supported"),
    );
    expect(titles).toEqual(expected.map(({ title }) => `## ${title}`));
    expect(table).not.toContain("NGROK_TOKEN");
  });

  test("has four cells in every row", () => {
    for (const line of table.split("\n").filter((each) => each.startsWith("|"))) {
      expect(line.split("|")).toHaveLength(5);
    }
  });
});

test("the help names every supported setting with its meaning, and apart from them those that are not", () => {
  const [known = "", missing = ""] = settingsHelp().split("Not supported:");
  for (const setting of supported) {
    for (const name of namesOf(setting)) expect(known).toMatch(new RegExp(`\\b${name}\\b`));
    expect(known.replace(/\s+/g, " ")).toContain(setting.meaning.replaceAll("`", ""));
  }
  for (const { name } of settings.filter(({ status }) => status === "refused")) {
    expect(missing).toContain(`  ${name}\n`);
    expect(known).not.toMatch(new RegExp(`\\b${name}\\b`));
  }
});

describe("a flag of upstream has a variable", () => {
  const expected: readonly (readonly [string, string | null])[] = [
    ["--in-docker", "IN_DOCKER=true"],
    ["-in-docker", "IN_DOCKER=true"],
    ["--in-docker=false", "IN_DOCKER=false"],
    ["--mapping=a=b", "MAPPING=a=b"],
    ["--mapping=a=b\nc=d", "MAPPING=a=b\nc=d"],
    ["--port", "PORT=..."],
    ["--port=", "PORT="],
    ["-auto-scale-down-after=10m", "AUTO_SCALE_DOWN_AFTER=10m"],
    ["--ngrok-token=hunter2", "NGROK_TOKEN=..."],
    ["--automc-dsn=postgres://u:hunter2@h/d", "AUTOMC_DSN=..."],
    ["--no-such-flag", null],
    ["--constructor", null],
    ["---port", null],
    ["--PORT", null],
    ["--", null],
    ["-", null],
    ["", null],
    ["port", null],
    ["run", null],
  ];
  test.each(expected)("%j is %j", (argument, variable) => {
    expect(variableForFlag(argument)).toBe(variable);
  });
});
