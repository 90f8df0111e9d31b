import { expect, test } from "bun:test";
import { saslPrep } from "../../../src/providers/postgres/saslprep.ts";

// RFC 4013, section 3, and what PostgreSQL stores as it is because SASLprep forbids it.
const rows: readonly { name: string; password: string; prepared: string }[] = [
  { name: "a soft hyphen is mapped to nothing", password: "I\u00adX", prepared: "IX" },
  { name: "ASCII stays", password: "user", prepared: "user" },
  { name: "case is preserved", password: "USER", prepared: "USER" },
  { name: "NFKC turns the feminine ordinal into a letter", password: "\u00aa", prepared: "a" },
  { name: "NFKC turns a Roman numeral into letters", password: "\u2168", prepared: "IX" },
  { name: "another space becomes a space", password: "a\u00a0b", prepared: "a b" },
  { name: "composed", password: "u\u0308ber", prepared: "über" },
  { name: "a control character is forbidden", password: "\u0007\u00aa", prepared: "\u0007\u00aa" },
  { name: "mixed directions are forbidden", password: "\u0627\u0031", prepared: "\u0627\u0031" },
  {
    name: "right to left alone is not",
    password: "\u0627\u0031\u0628",
    prepared: "\u0627\u0031\u0628",
  },
  {
    name: "a character newer than Unicode 3.2 leaves all as it is",
    password: "\u00aa😀",
    prepared: "\u00aa😀",
  },
  { name: "nothing is left", password: "\u00ad", prepared: "\u00ad" },
];
test.each([...rows])("SASLprep: $name", ({ password, prepared }) => {
  expect(saslPrep(password)).toBe(prepared);
});
