import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { openFrame } from "../../src/protocol/frame.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import {
  longestStatus,
  pong,
  readStatusPacket,
  readStatusResponse,
  statusFrame,
  statusRequest,
  statusResponse,
} from "../../src/protocol/status.ts";
import { hex, toHex } from "../fixtures/vectors.ts";

/** The JSON inside of a status response. */
function jsonOf(bytes: Uint8Array): string {
  const packet = openFrame(bytes, 0, 2_097_151);
  expect(packet.varInt()).toBe(0x00);
  const json = packet.string(500_000);
  expect(packet.finish(() => null)).toEqual({ kind: "ok", value: null, end: bytes.length });
  return json;
}

describe("a status packet", () => {
  test.each([
    { name: "request", bytes: "0100", value: { kind: "status-request" } },
    {
      name: "request, longer length than needed",
      bytes: "818000 00",
      value: { kind: "status-request" },
    },
    {
      name: "ping",
      bytes: "09010000011f71fb04cb",
      value: { kind: "ping-request", payload: hex("0000011f71fb04cb") },
    },
  ])("is read, however it is cut and whatever follows: $name", ({ bytes, value }) => {
    const all = hex(bytes);
    for (let cut = 0; cut < all.length; cut += 1) {
      expect(readStatusPacket(all.subarray(0, cut), 0)).toEqual(needMore);
    }

    const surrounded = hex(`ff ${bytes} ff`);
    expect(readStatusPacket(all, 0)).toEqual({ kind: "ok", value, end: all.length } as never);
    expect(readStatusPacket(surrounded, 1)).toEqual({
      kind: "ok",
      value,
      end: all.length + 1,
    } as never);
  });

  test.each([
    { name: "empty", bytes: "00" },
    { name: "ping of eight bytes", bytes: "08 01 00000000000000" },
    { name: "longer than any request", bytes: "8108" },
    { name: "another id", bytes: "0102" },
  ])("is bad as soon as it is told: $name", ({ bytes }) => {
    expect(readStatusPacket(hex(bytes), 0).kind).toBe("bad");
  });

  test.each([
    { name: "request", bytes: "0300 0102", kind: "status-request" },
    { name: "request in a longer encoding of its id", bytes: "028000", kind: "status-request" },
    { name: "ping", bytes: "0b01 0102030405060708 0901", kind: "ping-request" },
  ])("may have fields of a later version: $name", ({ bytes, kind }) => {
    const all = hex(bytes);
    for (let cut = 0; cut < all.length; cut += 1) {
      expect(readStatusPacket(all.subarray(0, cut), 0)).toEqual(needMore);
    }
    const packet = readStatusPacket(all, 0);
    expect(packet).toMatchObject({ kind: "ok", value: { kind }, end: all.length });
    if (packet.kind === "ok" && packet.value.kind === "ping-request") {
      expect([...packet.value.payload]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
  });

  test("ping comes back as it was", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (payload) => {
        const bytes = pong(payload);
        const packet = readStatusPacket(bytes, 0);
        expect(packet).toEqual({ kind: "ok", value: { kind: "ping-request", payload }, end: 10 });
      }),
    );
    expect(toHex(pong(hex("0000011f71fb04cb")))).toBe("09010000011f71fb04cb");
  });
});

test("a status request is what clients send", () => {
  expect(readStatusPacket(statusRequest, 0)).toEqual({
    kind: "ok",
    value: { kind: "status-request" },
    end: 2,
  });
});

describe("a backend's status response", () => {
  test("is read, however it is cut and whatever follows", () => {
    const json = '{"description":"ä😀"}';
    const whole = statusFrame(json);
    for (let cut = 0; cut < whole.length; cut += 1) {
      expect(readStatusResponse(whole.subarray(0, cut), 0)).toEqual(needMore);
    }
    const surrounded = hex(`ff ${toHex(whole)} 0901`);
    expect(readStatusResponse(surrounded, 1)).toEqual({
      kind: "ok",
      value: json,
      end: whole.length + 1,
    });
  });

  test.each([
    { name: "of one-byte characters", character: "x" },
    { name: "of three-byte characters", character: "€" },
    { name: "of four bytes for two units", character: "😀" },
  ])("is read up to 32,767 units and no further: $name", ({ character }) => {
    const most = character.repeat(Math.floor(longestStatus / character.length));
    const longest = statusFrame(most);
    expect(readStatusResponse(longest, 0)).toEqual({
      kind: "ok",
      value: most,
      end: longest.length,
    });
    expect(readStatusResponse(statusFrame(most + character), 0).kind).toBe("bad");
  });

  test.each([
    { name: "empty", bytes: "00" },
    { name: "another id", bytes: "0301" },
    { name: "longer than 128 KiB and four bytes", bytes: "818008" },
    { name: "a length of 2 MiB", bytes: "ffff7f" },
    { name: "a length of four bytes", bytes: "80808001" },
    { name: "a text that runs past the end", bytes: "0300 027b" },
    { name: "no UTF-8", bytes: "0300 01ff" },
  ])("is bad as soon as it is told: $name", ({ bytes }) => {
    expect(readStatusResponse(hex(bytes), 0).kind).toBe("bad");
  });

  test("may have fields of a later version behind its text", () => {
    expect(readStatusResponse(hex("0500 027b7d 00"), 0)).toEqual({
      kind: "ok",
      value: "{}",
      end: 6,
    });
  });

  test("of any bytes throws nothing and reads nothing beyond them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const response = readStatusResponse(bytes, 0);
        if (response.kind === "ok") expect(response.end).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

describe("a status response", () => {
  test("is byte for byte what mc-router sends", () => {
    expect(toHex(statusResponse({ protocol: 758, text: "Zzz" }))).toBe(
      "6800667b2276657273696f6e223a7b226e616d65223a22312e372b222c2270726f746f636f6c223a3735387d2c22706c6179657273223a7b226d6178223a312c226f6e6c696e65223a307d2c226465736372697074696f6e223a7b2274657874223a225a7a7a227d7d",
    );
  });

  test.each([
    { name: "quotes and backslashes", text: 'a"b\\c', json: 'a\\"b\\\\c' },
    { name: "control characters", text: "a\n\u0000\u001f", json: "a\\n\\u0000\\u001f" },
    { name: "what HTML would read", text: "<b>&", json: "\\u003cb\\u003e\\u0026" },
    { name: "line separators", text: "\u2028\u2029", json: "\\u2028\\u2029" },
    { name: "all else as it is", text: "§6Zzz … 😀 /", json: "§6Zzz … 😀 /" },
  ])("escapes $name", ({ text, json }) => {
    expect(jsonOf(statusResponse({ protocol: -1, text }))).toBe(
      `{"version":{"name":"1.7+","protocol":-1},"players":{"max":1,"online":0},"description":{"text":"${json}"}}`,
    );
  });

  test("is framed right for every length of text", () => {
    // Around 128 and 16384 the two lengths grow by a byte each, one after the other.
    const lengths = [...range(0, 60), ...range(16_240, 16_320), 40_000];
    for (const length of lengths) {
      const text = "x".repeat(length);
      const json = JSON.parse(jsonOf(statusResponse({ protocol: 5, text })));
      expect(json.description.text).toBe(text);
    }
  });

  test("says any text as it was given", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer(), (text, protocol) => {
        const json = JSON.parse(jsonOf(statusResponse({ protocol, text })));
        expect(json.description).toEqual({ text });
        expect(json.version.protocol).toBe(protocol);
      }),
    );
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
