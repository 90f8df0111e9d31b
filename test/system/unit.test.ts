import { expect, test } from "bun:test";
import { settings } from "../../src/config/settings.ts";
import { type UnitKind, unitKinds, unitText } from "../../src/system/unit.ts";

/** The assignments of a unit, without comments and sections. */
const lines = (kind: UnitKind): string[] =>
  unitText(kind)
    .split("\n")
    .filter((line) => /^[A-Za-z]+=/.test(line));

test("every secret may be a credential", () => {
  const secrets = settings.filter(({ secret, status }) => secret && status === "supported");
  const credentials = lines("service").filter((line) => line.startsWith("LoadCredential="));
  expect(credentials.toSorted()).toEqual(
    secrets.map(({ name }) => `LoadCredential=${name}`).toSorted(),
  );
});

test("an instance differs from the service in its name, its files and its socket", () => {
  const service = new Set(lines("service"));
  expect(lines("template").filter((line) => !service.has(line))).toEqual([
    "Description=Minecraft router, instance %i",
    "EnvironmentFile=-/etc/automc-router-%i.env",
    "Sockets=automc-router.socket",
    "RuntimeDirectory=automc-router-%i",
  ]);
});

test.each([...unitKinds])("%s says at its top where it belongs", (kind) => {
  const [first = ""] = unitText(kind).split("\n");
  const command = kind === "service" ? "unit" : `unit ${kind}`;
  expect(first).toStartWith(`# automc-router ${command} > /etc/systemd/system/automc-router`);
});

test("a restart is tried every two seconds without an end, except after wrong settings", () => {
  expect(lines("service")).toContain("Restart=always");
  expect(lines("service")).toContain("RestartSec=2s");
  expect(lines("service")).toContain("StartLimitIntervalSec=0");
  expect(lines("service")).toContain("RestartPreventExitStatus=2");
});

test("the environment file overrides the unit's rate of new connections", () => {
  const assignments = lines("service").filter((line) => line.startsWith("Environment"));
  expect(assignments).toEqual([
    "Environment=CONNECTION_RATE_LIMIT=1000",
    "EnvironmentFile=-/etc/automc-router.env",
  ]);
});
