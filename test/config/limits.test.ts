import { describe, expect, test } from "bun:test";
import type { Config } from "../../src/config/config.ts";
import { settingsReader } from "../support/settings.ts";

const { configOf, problemsOf } = settingsReader();

describe("each limit reaches its place", () => {
  const rows: readonly {
    readonly variable: string;
    readonly value: string;
    readonly pick: (config: Config) => unknown;
    readonly expected: unknown;
  }[] = [
    {
      variable: "AUTOMC_MAX_CONNECTIONS",
      value: "1000",
      pick: ({ limits }) => limits.connections.total,
      expected: 1_000,
    },
    {
      variable: "AUTOMC_MAX_OPENING",
      value: "500",
      pick: ({ limits }) => limits.connections.opening,
      expected: 500,
    },
    {
      variable: "AUTOMC_MAX_HOLDING",
      value: "200",
      pick: ({ limits }) => limits.connections.holding,
      expected: 200,
    },
    {
      variable: "AUTOMC_CLIENT_CONNECTIONS",
      value: "0",
      pick: ({ limits }) => limits.client.connections,
      expected: 0,
    },
    {
      variable: "AUTOMC_CLIENT_RATE",
      value: "7",
      pick: ({ limits }) => limits.client.perSecond,
      expected: 7,
    },
    {
      variable: "AUTOMC_CLIENT_LOGIN_RATE",
      value: "3",
      pick: ({ limits }) => limits.client.loginsPerSecond,
      expected: 3,
    },
    {
      variable: "AUTOMC_CLIENT_EXEMPT",
      value: "192.0.2.1, 198.51.100.0/24",
      pick: ({ limits }) => limits.client.exempt.length,
      expected: 2,
    },
    {
      variable: "AUTOMC_WAKES",
      value: "0",
      pick: ({ limits }) => limits.wakes.total,
      expected: 0,
    },
    {
      variable: "AUTOMC_CLIENT_WAKES",
      value: "5",
      pick: ({ limits }) => limits.wakes.perClient,
      expected: 5,
    },
    {
      variable: "AUTOMC_WAKE_COOLDOWN",
      value: "5m",
      pick: ({ limits }) => limits.wakes.coolDownMs,
      expected: 300_000,
    },
    {
      variable: "AUTOMC_WAKE_PROOF",
      value: "true",
      pick: ({ limits }) => limits.wakes.proof,
      expected: true,
    },
    {
      variable: "AUTOMC_BACKEND_ALLOW",
      value: "10.0.0.0/8:25565-25600,[fd00::/8]:25565",
      pick: ({ egress }) =>
        egress.allow.map(({ text, firstPort, lastPort }) => [text, firstPort, lastPort]),
      expected: [
        ["10.0.0.0/8:25565-25600", 25_565, 25_600],
        ["[fd00::/8]:25565", 25_565, 25_565],
      ],
    },
    {
      variable: "AUTOMC_BACKEND_DENY",
      value: "10.0.0.1",
      pick: ({ egress }) =>
        egress.deny.map(({ text, firstPort, lastPort }) => [text, firstPort, lastPort]),
      expected: [["10.0.0.1", 1, 65_535]],
    },
  ];
  test.each(rows)("$variable=$value", ({ variable, value, pick, expected }) => {
    expect(pick(configOf({ [variable]: value }))).toEqual(expected);
  });
});

describe("a limit that cannot be used is a problem", () => {
  const rows: Readonly<Record<string, readonly string[]>> = {
    AUTOMC_MAX_CONNECTIONS: ["-1", "many", "1.5", "1000001"],
    AUTOMC_MAX_OPENING: ["-1"],
    AUTOMC_MAX_HOLDING: ["all"],
    AUTOMC_CLIENT_CONNECTIONS: ["-1"],
    AUTOMC_CLIENT_RATE: ["5/s"],
    AUTOMC_CLIENT_LOGIN_RATE: ["0.4"],
    AUTOMC_CLIENT_EXEMPT: ["localhost", "10.0.0.0/33"],
    AUTOMC_WAKES: ["-5"],
    AUTOMC_CLIENT_WAKES: ["x"],
    AUTOMC_WAKE_COOLDOWN: ["60", "-1s", "25h"],
    AUTOMC_WAKE_PROOF: ["yes"],
    AUTOMC_BACKEND_ALLOW: ["10.0.0.0/8:0", "lobby:25565"],
    AUTOMC_BACKEND_DENY: ["10.0.0.0/8:5-4"],
  };
  const cases = Object.entries(rows).flatMap(([variable, values]) =>
    values.map((value) => ({ variable, value })),
  );
  test.each(cases)("$variable=$value", ({ variable, value }) => {
    const [issue, ...others] = problemsOf({ [variable]: value });
    expect(others).toEqual([]);
    expect(issue).toMatchObject({ variable, value });
    expect(issue?.expected).not.toBe("");
  });

  test("each entry of a list on its own", () => {
    const issues = problemsOf({ AUTOMC_BACKEND_ALLOW: "10.0.0.0/8,x,[::]:y" });
    expect(issues.map(({ value }) => value)).toEqual(["x", "[::]:y"]);
  });
});
