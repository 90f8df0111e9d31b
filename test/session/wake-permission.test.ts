import { describe, expect, test } from "bun:test";
import { parseAllowDeny } from "../../src/config/allow-deny.ts";
import type { Player } from "../../src/protocol/login.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import { mayWake, readWakePermissions } from "../../src/session/wake-permission.ts";

const uuid = "5cddfd26-fc86-4981-b52e-c42bb10bfdef";
const player: Player = { name: "itzg", uuid };
const p = { name: "itzg", uuid };
const q = { name: "someone", uuid: "069a79f4-44e9-4726-a5be-fca90e38aaf5" };
const host = "mc.example.com";

/** Whether this file lets the player start the server behind the hostname. */
function decide(file: unknown, who: Player | null = player, raw = host): boolean {
  const permissions = readWakePermissions(file, false);
  if (!permissions.ok) throw new Error(permissions.error);
  return mayWake(permissions.value, (hostname) => hostname === toHostname(raw), who);
}

describe("mc-router's table, but that denying wins", () => {
  const allow = (...players: unknown[]) => ({ allowlist: players });
  const deny = (...players: unknown[]) => ({ denylist: players });
  const rows: readonly { name: string; global?: unknown; server?: unknown; may: boolean }[] = [
    { name: "nothing", may: true },
    { name: "an empty global object", global: {}, may: true },
    { name: "an empty entry is allowed", global: allow({}), may: false },
    { name: "allowed", global: allow(p), may: true },
    { name: "another one is allowed", global: allow(q), may: false },
    { name: "denied", global: deny(p), may: false },
    { name: "another one is denied", global: deny(q), may: true },
    { name: "an empty entry is denied", global: deny({}), may: true },
    { name: "allowed and denied", global: { ...allow(p), ...deny(p) }, may: false },
    { name: "allowed on the server", server: allow(p), may: true },
    { name: "another one is allowed on the server", server: allow(q), may: false },
    { name: "denied on the server", server: deny(p), may: false },
    { name: "allowed, and denied on the server", global: allow(p), server: deny(p), may: false },
    { name: "denied, and allowed on the server", global: deny(p), server: allow(p), may: false },
    { name: "another one allowed, and denied here", global: allow(q), server: deny(p), may: false },
  ];
  for (const { name, global, server, may } of rows) {
    test(`${name}: ${may}`, () => {
      expect(decide({ global, servers: { [host]: server } })).toBe(may);
    });
  }

  test("the lists of one server are not another's", () => {
    expect(decide({ servers: { "other.example.com": deny(p) } })).toBe(true);
  });
});

describe("an entry", () => {
  const rows: readonly { name: string; entry: unknown; who?: Player; matches: boolean }[] = [
    { name: "by name", entry: { name: "itzg" }, matches: true },
    { name: "by another name", entry: { name: "Itzg" }, matches: false },
    { name: "by UUID", entry: { uuid }, matches: true },
    { name: "by UUID in capitals", entry: { uuid: uuid.toUpperCase() }, matches: true },
    { name: "by UUID of 32 digits", entry: { uuid: uuid.replaceAll("-", "") }, matches: true },
    { name: "by UUID as a URN", entry: { uuid: `urn:uuid:${uuid}` }, matches: true },
    { name: "by UUID in braces", entry: { uuid: `{${uuid}}` }, matches: true },
    { name: "by both", entry: p, matches: true },
    { name: "by UUID and another name", entry: { uuid, name: "other" }, matches: false },
    { name: "by name and another UUID", entry: { ...q, name: "itzg" }, matches: false },
    { name: "of nothing", entry: {}, matches: false },
    { name: "of null", entry: null, matches: false },
    {
      name: "of the UUID of nothing, which is none",
      entry: { uuid: "00000000-0000-0000-0000-000000000000", name: "itzg" },
      matches: true,
    },
    { name: "of nulls beside a name", entry: { uuid: null, name: "itzg" }, matches: true },
    { name: "with members in capitals", entry: { Name: "itzg", UUID: uuid }, matches: true },
    { name: "with a member too many", entry: { name: "itzg", rank: 1 }, matches: true },
    {
      name: "by UUID, of a client that sends none",
      entry: { uuid },
      who: { name: "itzg", uuid: null },
      matches: false,
    },
    {
      name: "by name, of a client that sends no UUID",
      entry: { name: "itzg" },
      who: { name: "itzg", uuid: null },
      matches: true,
    },
  ];
  for (const { name, entry, who = player, matches } of rows) {
    test(`${name} ${matches ? "matches" : "does not match"}`, () => {
      expect(decide({ global: { denylist: [entry] } }, who)).toBe(!matches);
      expect(decide({ global: { allowlist: [entry] } }, who)).toBe(matches);
    });
  }
});

test("a login whose player is not known matches no entry: it is denied where somebody is allowed", () => {
  expect(decide({ global: { denylist: [p, {}] } }, null)).toBe(true);
  expect(decide({ global: { allowlist: [p, {}] } }, null)).toBe(false);
  expect(decide({}, null)).toBe(true);
});

describe("a server's lists count however its hostname is written", () => {
  for (const raw of [host, "MC.Example.com", `${host}.`, `${host}\0FML2\0`, `${host}///1.2.3.4`]) {
    test(`typed as ${JSON.stringify(raw)}`, () => {
      expect(decide({ servers: { "Mc.example.COM.": { denylist: [p] } } }, player, raw)).toBe(
        false,
      );
    });
  }

  test("two spellings of one hostname count together", () => {
    const servers = { [host]: { denylist: [q] }, "MC.example.com": { denylist: [p] } };
    expect(decide({ servers })).toBe(false);
  });
});

test("members are found in any case, null is nothing given, and what nobody knows is ignored", () => {
  expect(decide({ GLOBAL: { DenyList: [p] }, extra: 1 })).toBe(false);
  expect(decide({ global: null, servers: null })).toBe(true);
  expect(decide({ global: { denylist: null }, servers: { [host]: null } })).toBe(true);
  expect(decide(null)).toBe(true);
});

describe("a file that cannot be used says where and why", () => {
  const rows: readonly { name: string; text: string; error: string }[] = [
    { name: "nothing", text: "", error: "it is no JSON: line 1, column 1: it ends too early" },
    {
      name: "a comment",
      text: "{\n  // nobody\n}",
      error: 'it is no JSON: line 2, column 3: "/" is not expected there (JSON has no comments)',
    },
    { name: "a list", text: "[]", error: "it is no JSON object" },
    { name: "a global text", text: '{"global":"x"}', error: 'its "global" is no object' },
    { name: "a list of servers", text: '{"servers":[]}', error: 'its "servers" is no object' },
    {
      name: "a server's text",
      text: '{"servers":{"a.b":"x"}}',
      error: '"a.b" in its "servers" is no object',
    },
    {
      name: "an allowlist that is none",
      text: '{"global":{"allowlist":{}}}',
      error: 'the allowlist of its "global" is no list',
    },
    {
      name: "an entry that is a name",
      text: '{"global":{"denylist":[{"name":"a"},"itzg"]}}',
      error: 'entry 2 in the denylist of its "global" is no object with a name or a uuid',
    },
    {
      name: "a name that is a number",
      text: '{"servers":{"a.b":{"denylist":[{"name":1}]}}}',
      error: 'entry 1 in the denylist of "a.b" in its "servers" has a name that is no string',
    },
    ...["", "x", `${uuid}0`, `{${uuid}`, `urn:uuid:{${uuid}}`, uuid.slice(1)].map((bad) => ({
      name: `the UUID ${JSON.stringify(bad)}`,
      text: JSON.stringify({ global: { allowlist: [{ uuid: bad }] } }),
      error: 'entry 1 in the allowlist of its "global" has a uuid that is none',
    })),
  ];
  for (const { name, text, error } of rows) {
    test(name, () => {
      expect(parseAllowDeny(text, false)).toEqual({ ok: false, error });
    });
  }
});
