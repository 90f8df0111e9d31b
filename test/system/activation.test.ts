import { expect, test } from "bun:test";
import { inheritedSockets } from "../../src/system/activation.ts";

const pid = 4_711;

const rows = [
  { name: "no variables", variables: {}, expected: [] },
  { name: "one socket", variables: { LISTEN_FDS: "1" }, expected: [{ fd: 3, name: "unknown" }] },
  {
    name: "two sockets with names",
    variables: { LISTEN_FDS: "2", LISTEN_FDNAMES: "players.socket:more.socket" },
    expected: [
      { fd: 3, name: "players.socket" },
      { fd: 4, name: "more.socket" },
    ],
  },
  {
    name: "fewer names than sockets",
    variables: { LISTEN_FDS: "2", LISTEN_FDNAMES: "players.socket" },
    expected: [
      { fd: 3, name: "players.socket" },
      { fd: 4, name: "unknown" },
    ],
  },
  { name: "no sockets", variables: { LISTEN_FDS: "0" }, expected: [] },
  {
    name: "sockets for another process",
    variables: { LISTEN_FDS: "1", LISTEN_PID: "1" },
    expected: [],
  },
  {
    name: "sockets for nobody in particular",
    variables: { LISTEN_FDS: "1", LISTEN_PID: undefined },
    expected: [],
  },
];
test.each(rows)("$name", ({ variables, expected }) => {
  const given = { LISTEN_PID: String(pid), ...variables };
  expect(inheritedSockets(given, pid)).toEqual({ ok: true, value: expected });
});

test.each(["", "x", "-1", "1.5", "99999999999"])("LISTEN_FDS=%s is refused", (count) => {
  const given = { LISTEN_PID: String(pid), LISTEN_FDS: count };
  expect(inheritedSockets(given, pid)).toEqual({
    ok: false,
    error: `LISTEN_FDS=${JSON.stringify(count)} is not a number`,
  });
});
