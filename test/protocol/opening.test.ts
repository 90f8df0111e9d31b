import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concat } from "../../src/protocol/cursor.ts";
import { readHandshake } from "../../src/protocol/handshake.ts";
import { type Opening, parseOpening } from "../../src/protocol/opening.ts";
import { needMore, type Parsed } from "../../src/protocol/parsed.ts";
import { hex, junk, openings, toHex } from "../fixtures/vectors.ts";

/** The frame's length and the longest handshake, then the same for the longest Login Start. */
const longestHandshake = 3 + 16 * 1024;
const longestLoginStart = 3 + 4700;

describe("an opening", () => {
  test.each([...openings])("is read: $name", ({ hex: digits, opening }) => {
    const bytes = hex(digits);
    expect(parseOpening(bytes)).toEqual({ kind: "ok", value: opening, end: bytes.length });
  });

  test.each([...openings])("is waited for, cut at every byte: $name", ({ hex: digits }) => {
    const bytes = hex(digits);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      expect(parseOpening(bytes.subarray(0, cut)).kind).toBe("need-more");
    }
  });

  test.each([...openings])(
    "is the same with bytes behind it: $name",
    ({ hex: digits, opening }) => {
      const bytes = hex(digits);
      for (const behind of ["00", "0100", "fe01", "ff".repeat(3000)]) {
        expect(parseOpening(concat([bytes, hex(behind)]))).toEqual({
          kind: "ok",
          value: opening,
          end: bytes.length,
        });
      }
    },
  );

  test("means something by silence only where it may be an old ping", () => {
    const meanings = new Map<string, Opening | undefined>();
    for (const { hex: digits } of openings) {
      const bytes = hex(digits);
      for (let cut = 0; cut < bytes.length; cut += 1) {
        const seen = bytes.subarray(0, cut);
        const result = parseOpening(seen);
        if (result.kind === "need-more" && result !== needMore)
          meanings.set(toHex(seen), result.ifQuiet);
      }
    }

    const ping = { kind: "legacy-ping", protocol: null, rawHost: null } as const;
    const { fe, fe01, ...beginnings } = Object.fromEntries(meanings);
    expect({ fe, fe01 }).toEqual({
      fe: { ...ping, form: "beta-1.8" },
      fe01: { ...ping, form: "1.4" },
    });
    expect(Object.keys(beginnings)).toContain("fe01fa");
    for (const [seen, meaning] of Object.entries(beginnings)) {
      expect(seen).toStartWith("fe01fa");
      expect(meaning).toEqual({ ...ping, form: "1.4" });
    }
  });
});

describe("what is no opening", () => {
  test.each([...junk])("is refused by the byte that proves it: $name", (row) => {
    const bytes = hex(row.hex);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const expected = cut < row.provedBy ? "need-more" : "bad";
      expect(parseOpening(bytes.subarray(0, cut)).kind).toBe(expected);
    }
  });
});

/** One change to some bytes. */
type Edit =
  | { readonly kind: "set" | "insert"; readonly at: number; readonly byte: number }
  | { readonly kind: "remove"; readonly at: number };

function edited(bytes: Uint8Array, edit: Edit): Uint8Array {
  const at = edit.at % (bytes.length + 1);
  const before = bytes.subarray(0, at);
  const behind = bytes.subarray(edit.kind === "insert" ? at : at + 1);
  return concat([before, edit.kind === "remove" ? hex("") : Uint8Array.of(edit.byte), behind]);
}

const edits: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("set", "insert"),
    at: fc.nat(60),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xfa, 0xfe, 0xff)),
  }),
  fc.record({ kind: fc.constant("remove" as const), at: fc.nat(60) }),
);

const mutated = fc
  .tuple(
    fc.constantFrom(...openings.map(({ hex: digits }) => hex(digits))),
    fc.array(edits, { maxLength: 4 }),
    fc.uint8Array({ maxLength: 8 }),
  )
  .map(([bytes, changes, behind]) => concat([changes.reduce(edited, bytes), behind]));

const plausible = fc
  .tuple(
    fc.constantFrom("", "02", "fe", "fe01", "fe01fa", "1500", "1500f605", "0600", "8c0800"),
    fc.uint8Array({ maxLength: 80 }),
  )
  .map(([start, rest]) => concat([hex(start), rest]));

const anything = fc.oneof(mutated, plausible, fc.uint8Array({ maxLength: 80 }));

/** The result for all bytes, after checking that the results for their beginnings lead up to it. */
function parseByByte(bytes: Uint8Array): Parsed<Opening> {
  let settled: Parsed<Opening> | null = null;

  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const result = parseOpening(bytes.subarray(0, cut));
    if (settled !== null) {
      expect(result).toEqual(settled);
    } else if (result.kind !== "need-more") {
      settled = result;
      if (result.kind === "ok") expect(result.end).toBe(cut);
    }
  }

  return settled ?? needMore;
}

describe("any bytes", () => {
  test("settle once: what is ok or bad stays so, and is ok at its last byte and not before", () => {
    const seen = { ok: 0, bad: 0, "need-more": 0 };
    fc.assert(
      fc.property(anything, (bytes) => {
        seen[parseByByte(bytes).kind] += 1;
      }),
      { numRuns: 3000 },
    );

    // Else the property would say nothing about one of the three.
    expect(Math.min(seen.ok, seen.bad, seen["need-more"])).toBeGreaterThan(20);
  });

  test("are never an opening beyond its limits", () => {
    fc.assert(
      fc.property(anything, (bytes) => {
        const result = parseOpening(bytes);
        if (result.kind !== "ok") return;
        expect(result.end).toBeLessThanOrEqual(bytes.length);

        const opening = result.value;
        if (opening.kind === "legacy-login") return;
        if (opening.kind === "legacy-ping") {
          expect(opening.rawHost?.length).toBeLessThanOrEqual(255);
          return;
        }

        const { handshake } = opening;
        const first = readHandshake(bytes, 0);
        const handshakeEnd = first.kind === "ok" ? first.end : -1;
        expect(handshakeEnd).toBeLessThanOrEqual(longestHandshake);
        expect(handshake.rawHost.split("\0")[0]?.length).toBeLessThanOrEqual(255);
        expect(handshake.protocol | 0).toBe(handshake.protocol);
        if (opening.kind === "status") {
          expect([handshake.intent, result.end]).toEqual(["status", handshakeEnd]);
          return;
        }

        expect(["login", "transfer"]).toContain(handshake.intent);
        expect(result.end - handshakeEnd).toBeLessThanOrEqual(longestLoginStart);
        expect(opening.player.name).not.toBe("");
        expect(opening.player.uuid ?? "00000000-0000-0000-0000-000000000000").toMatch(
          /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
        );
      }),
      { numRuns: 3000 },
    );
  });

  test("are read where they lie and nowhere else: as a window on other bytes they mean the same", () => {
    const windows = fc.tuple(
      anything,
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }),
    );
    fc.assert(
      fc.property(windows, ([bytes, before, behind]) => {
        const around = Buffer.from(concat([before, bytes, behind]));
        const copy = around.toString("hex");
        const window = around.subarray(before.length, before.length + bytes.length);

        expect(parseOpening(window)).toEqual(parseOpening(bytes));
        expect(around.toString("hex")).toBe(copy);
      }),
      { numRuns: 2000 },
    );
  });
});
