import { describe, expect, test } from "bun:test";
import { issueText } from "../../src/config/environment.ts";
import type { Variables } from "../../src/config/setting.ts";
import { settingsReader } from "../support/settings.ts";

const { configOf, problemsOf, warningsOf } = settingsReader();

describe("an entry of MAPPING that nobody can mean is a problem with a way out", () => {
  test.each([
    ["a:10.0.0.5:25565", 'has no "="; did you mean a=10.0.0.5:25565?'],
    ["a.org 10.0.0.5:25565", 'has no "="; did you mean a.org=10.0.0.5:25565?'],
    ["a.org->10.0.0.5", 'has no "="; did you mean a.org=10.0.0.5?'],
    ["a.org", 'has no "=", expected hostname=host:port'],
    ["10.0.0.5:25565=a.org", "has its sides swapped; did you mean a.org=10.0.0.5:25565?"],
    ["lobby:25565=a.org", "has its sides swapped; did you mean a.org=lobby:25565?"],
    ["a.org:25565=10.0.0.5:25565", "no client sends with it; did you mean a.org?"],
    ["https://a.org=10.0.0.5", "is a URL, expected only its hostname; did you mean a.org?"],
    ["a.org;b.org=10.0.0.5", 'the hostname has a ";" inside'],
    ["a.org=10.0.0.5:25565#lobby", 'the address has a "#" inside'],
    ["a.org=${BACKEND}", "the address has a placeholder that was not filled in (${BACKEND})"],
    ["a.org=", ": the address is empty, expected host:port"],
    ["a.org=127.0.0.1", ": the address is never dialled: it is this router itself"],
    ["a.org=[::1]:25565", ": the address is never dialled: it is this router itself"],
    ["a.org=0.0.0.0:25565", ": the address is never dialled: it is this router itself"],
    ["a.org=localhost:25565", ": the address is never dialled: it is this router itself"],
  ])("%s", (entry, fault) => {
    const problems = problemsOf({ MAPPING: `good.org=10.0.0.1,${entry}` });
    expect(problems.map(({ variable, value }) => [variable, value])).toEqual([["MAPPING", entry]]);
    expect(problems.map(issueText).join()).toContain(fault);
  });

  test("in words that an operator can act on", () => {
    expect(problemsOf({ MAPPING: "a:10.0.0.5:25565" }).map(issueText)).toEqual([
      'MAPPING: "a:10.0.0.5:25565" has no "="; did you mean a=10.0.0.5:25565?',
    ]);
  });

  test("quotation marks that a compose file keeps", () => {
    expect(problemsOf({ MAPPING: '"a.org=10.0.0.5:25565"' }).map(issueText)).toEqual([
      'MAPPING: "\\"a.org=10.0.0.5:25565\\"": the hostname has quotation marks, which count as part of it; did you mean a.org?',
    ]);
  });
});

test.each([
  ["10.0.0.300", 'DEFAULT: "10.0.0.300": the address is no IPv4 address'],
  [
    "127.0.0.1:25565",
    'DEFAULT: "127.0.0.1:25565": the address is never dialled: it is this router',
  ],
])("DEFAULT=%s is a problem", (value, text) => {
  const [issue, ...others] = problemsOf({ DEFAULT: value });
  expect(others).toEqual([]);
  expect(issue && issueText(issue)).toStartWith(text);
});

test("the router is where it listens, and nowhere else", () => {
  const rows: readonly Variables[] = [
    { AUTOMC_BIND: "127.0.0.2", MAPPING: "a.org=127.0.0.1:25565" },
    { PORT: "25566", MAPPING: "a.org=127.0.0.1:25565" },
    { PORT: "0", MAPPING: "a.org=127.0.0.1:25565" },
  ];
  for (const variables of rows) expect(problemsOf(variables)).toEqual([]);
});

test("a backend at every address of this machine is dialled there, with a warning", () => {
  const variables = { MAPPING: "a.org=0.0.0.0:25566" };
  expect(configOf(variables).routes[0]?.address).toEqual({
    host: "127.0.0.1",
    port: 25_566,
    text: "0.0.0.0:25566",
  });
  expect(warningsOf(variables).map(issueText)).toEqual([
    'MAPPING: "a.org=0.0.0.0:25566": the address means every address of this machine; it is dialled as 127.0.0.1',
  ]);
});

test("a backend that the rules forbid is warned of", () => {
  const variables = {
    MAPPING: "a.org=10.0.0.5,b.org=169.254.169.254:80",
    AUTOMC_BACKEND_DENY: "10.0.0.0/8",
  };
  const never = "the address is never dialled: it is";
  expect(warningsOf(variables).map(issueText)).toEqual([
    `MAPPING: "a.org=10.0.0.5": ${never} in AUTOMC_BACKEND_DENY (10.0.0.0/8)`,
    `MAPPING: "b.org=169.254.169.254:80": ${never} a link-local address`,
  ]);
});

test("the operator's own spelling of names is kept, and compared by none", () => {
  const [route, ...others] = configOf({ MAPPING: "Play.Example.ORG=MyServer:25570" }).routes;
  expect(others).toEqual([]);
  expect(route).toMatchObject({
    id: "play.example.org",
    patterns: [{ hostname: "play.example.org", written: "Play.Example.ORG" }],
    address: { host: "myserver", text: "MyServer:25570" },
  });
});
