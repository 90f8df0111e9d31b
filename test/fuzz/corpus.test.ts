import { expect, test } from "bun:test";
import { parseOpening } from "../../src/protocol/opening.ts";
import { readProxyHeader } from "../../src/protocol/proxy-header.ts";
import { createDice, freshSeed } from "../support/dice.ts";
import { readCorpus } from "./corpus.ts";
import { nextInput, seeds } from "./mutate.ts";
import { check, type Parsers } from "./oracle.ts";

const parsers: Parsers = { parseOpening, readProxyHeader };

/** What the oracle holds against the input; null when all is well. */
function complaint(input: Buffer, by = parsers): string | null {
  try {
    check(input, by);
    return null;
  } catch (error) {
    return `${input.toString("hex")}: ${error}`;
  }
}

test("every input that a fuzzer has kept is read as it must be", async () => {
  const corpus = [...seeds, ...(await readCorpus())];
  expect(corpus.length).toBeGreaterThan(100);
  expect(corpus.map((input) => complaint(input)).filter((said) => said !== null)).toEqual([]);
});

test("and so are some that nobody has seen", async () => {
  const corpus = [...seeds, ...(await readCorpus())];
  const dice = createDice(freshSeed());
  for (let times = 0; times < 2_000; times++) {
    const said = complaint(nextInput(corpus, dice));
    if (said !== null) throw new Error(`seed ${dice.seed}: ${said}`);
  }
});

test.each<{ name: string; by: Parsers }>([
  {
    name: "decides on what it has not seen yet",
    by: {
      ...parsers,
      parseOpening: (bytes) =>
        bytes.length === 10 ? { kind: "bad", reason: "too early" } : parseOpening(bytes),
    },
  },
  {
    name: "ends behind its last byte",
    by: {
      ...parsers,
      readProxyHeader: (bytes) => {
        const header = readProxyHeader(bytes);
        return header.kind === "ok" ? { ...header, end: bytes.length + 1 } : header;
      },
    },
  },
  {
    name: "looks at the bytes around",
    by: {
      ...parsers,
      parseOpening: (bytes) =>
        bytes.byteOffset === 32 ? { kind: "bad", reason: "off" } : parseOpening(bytes),
    },
  },
  {
    name: "reads another hostname",
    by: {
      ...parsers,
      parseOpening(bytes) {
        const opening = parseOpening(bytes);
        if (opening.kind !== "ok" || opening.value.kind !== "status") return opening;
        const handshake = { ...opening.value.handshake, rawHost: "other" };
        return { ...opening, value: { ...opening.value, handshake } };
      },
    },
  },
])("a parser that $name is caught", ({ by }) => {
  expect(seeds.some((input) => complaint(input, by) !== null)).toBe(true);
});
