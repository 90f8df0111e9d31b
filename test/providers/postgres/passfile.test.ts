import { expect, test } from "bun:test";
import { findPassword, parsePassfile } from "../../../src/providers/postgres/passfile.ts";

const lines = parsePassfile(
  [
    "# host:port:database:user:password",
    "",
    "too:few:fields",
    String.raw`db:5432:routes:me:a\:b\\c:d`,
    "localhost:*:*:*:local",
    "*:*:*:other:any",
  ].join("\n"),
);
const rows: readonly { name: string; key: string; password: string | null }[] = [
  { name: "all fields, with escapes", key: "db 5432 routes me", password: "a:b\\c:d" },
  { name: "another port", key: "db 5433 routes me", password: null },
  { name: "wildcards", key: "localhost 1 x y", password: "local" },
  { name: "a user anywhere", key: "far 1 x other", password: "any" },
];
test.each([...rows])("a password file is searched: $name", ({ key, password }) => {
  const [host = "", port = "", database = "", user = ""] = key.split(" ");
  expect(findPassword(lines, { host, port: Number(port), database, user })).toBe(password);
});
