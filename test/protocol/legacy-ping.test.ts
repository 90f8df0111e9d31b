import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  legacyDisconnect,
  legacyPingReply,
  readLegacyLogin,
  readLegacyPing,
} from "../../src/protocol/legacy-ping.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import { hex, toHex } from "../fixtures/vectors.ts";

const pingHost = "fe01fa000b004d0043007c00500069006e00670048006f00730074";

/** The end of a 1.6 ping: its declared length, then protocol, hostname with its declared length, and port. */
function ping(rest: number, units: number, rawHost: string): Uint8Array {
  const host = Array.from(rawHost, (character) => uint16(character.charCodeAt(0))).join("");
  return hex(`${pingHost} ${uint16(rest)} 4a ${uint16(units)} ${host} 000063dd`);
}

const uint16 = (value: number): string => value.toString(16).padStart(4, "0");

/** The text of a packet FF, which must fill it. */
function textOf(packet: Uint8Array): string {
  const units = (packet.length - 3) / 2;
  expect([packet[0], ((packet[1] ?? 0) << 8) | (packet[2] ?? 0)]).toEqual([0xff, units]);
  return Buffer.from(packet.subarray(3)).swap16().toString("utf16le");
}

/** A ping of 1.6 that has not arrived whole: alone, it is answered as that of 1.4. */
const unfinished = {
  kind: "need-more",
  ifQuiet: { kind: "legacy-ping", form: "1.4", protocol: null, rawHost: null },
} as const;

describe("a legacy ping", () => {
  test("of one byte is beta 1.8 to 1.3, if nothing follows", () => {
    expect(readLegacyPing(hex("fe"))).toEqual({
      kind: "need-more",
      ifQuiet: { kind: "legacy-ping", form: "beta-1.8", protocol: null, rawHost: null },
    });
  });

  test("of two bytes is 1.4 to 1.5, if nothing follows", () => {
    expect(readLegacyPing(hex("fe01"))).toEqual({
      kind: "need-more",
      ifQuiet: { kind: "legacy-ping", form: "1.4", protocol: null, rawHost: null },
    });
  });

  test("of 1.6 that ends early is answered as the one before it, when nothing follows", () => {
    const whole = ping(11, 2, "ab");
    for (let cut = 3; cut < whole.length; cut += 1) {
      expect(readLegacyPing(whole.subarray(0, cut))).toEqual(unfinished);
    }
  });

  test.each([{ bytes: "fe00" }, { bytes: "fe02" }, { bytes: "fe0100" }, { bytes: "fe0180" }])(
    "is not what a modern frame begins like: $bytes",
    ({ bytes }) => {
      expect(readLegacyPing(hex(bytes))).toBeNull();
    },
  );

  test.each([
    { name: "without a host", bytes: ping(7, 0, "") },
    { name: "with a host of 255", bytes: ping(517, 255, "a".repeat(255)) },
  ])("is taken at its limits: $name", ({ bytes }) => {
    expect(readLegacyPing(bytes)).toMatchObject({ kind: "ok", end: bytes.length });
  });

  test("may declare bytes behind its port, which belong to it", () => {
    const bytes = Uint8Array.of(...ping(11, 1, "a"), 0, 0);
    expect(readLegacyPing(bytes.subarray(0, -1))).toEqual(unfinished);
    expect(readLegacyPing(bytes)).toMatchObject({ kind: "ok", end: bytes.length });
  });

  test.each([
    { name: "a host longer than the rest", bytes: ping(9, 2, "ab") },
    { name: "a host of 32768, whose bytes overflow 16 bits", bytes: ping(9, 32_768, "a") },
    { name: "a host of 256", bytes: ping(519, 256, "a".repeat(256)) },
    { name: "a rest longer than any host needs", bytes: ping(518, 1, "a") },
    { name: "a rest too short for its fields", bytes: ping(6, 0, "") },
    { name: "no rest", bytes: ping(0, 0, "") },
  ])("is bad with $name", ({ bytes }) => {
    expect(readLegacyPing(bytes)?.kind).toBe("bad");
  });

  test("is bad by its declared lengths alone", () => {
    expect(readLegacyPing(hex(`${pingHost} 0205`))).toEqual(unfinished);
    expect(readLegacyPing(hex(`${pingHost} 0206`))?.kind).toBe("bad");
    expect(readLegacyPing(hex(`${pingHost} 0009 4a 0004`))?.kind).toBe("bad");
  });

  test("keeps its host however it is written", () => {
    expect(readLegacyPing(ping(11, 2, "\ud800a"))).toMatchObject({ value: { rawHost: "\ufffda" } });
    expect(readLegacyPing(ping(11, 2, "\ufeffA"))).toMatchObject({ value: { rawHost: "\ufeffA" } });
  });
});

describe("a legacy login", () => {
  test("is none where a modern frame of two bytes has another packet", () => {
    const wrong = { kind: "bad", reason: "the first packet is not a handshake" } as const;
    expect(readLegacyLogin(hex("020578"))).toEqual(wrong);
    for (const protocol of [1, 29, 80, 255]) {
      expect(readLegacyLogin(Uint8Array.of(2, protocol))).toEqual(wrong);
    }
    expect(readLegacyLogin(hex("0227"))).toEqual(needMore);
  });

  test.each([
    {
      name: "name and host at their limits",
      bytes: `024e0010${"0061".repeat(16)}00ff${"0061".repeat(255)}000063dd`,
    },
    { name: "1.3, without a host", bytes: "02270001006100000000 63dd" },
    { name: "beta 1.8, name alone", bytes: "0200050053007400650076 0065" },
  ])("is read to its end: $name", ({ bytes }) => {
    const all = hex(bytes);
    const value = { kind: "legacy-login" } as const;
    expect(readLegacyLogin(all)).toEqual({ kind: "ok", value, end: all.length });
    expect(readLegacyLogin(hex(`${bytes} ff`))).toEqual({ kind: "ok", value, end: all.length });
    expect(readLegacyLogin(all.subarray(0, -1))).toEqual(needMore);
  });

  test.each([
    { name: "a name of 17", bytes: "024e0011" },
    { name: "no name", bytes: "024e0000" },
    { name: "a host of 256", bytes: "024e000100610100" },
    { name: "no name before 1.3", bytes: "020000" },
  ])("is bad with $name", ({ bytes }) => {
    expect(readLegacyLogin(hex(bytes)).kind).toBe("bad");
  });
});

describe("a legacy answer", () => {
  test("to 1.4 and newer is byte for byte what mc-router sends", () => {
    const expected =
      "ff001300a70031000000310032003700000031002e0037002b0000005a007a007a0000003000000031";
    expect(toHex(legacyPingReply("1.6", "Zzz"))).toBe(expected);
    expect(toHex(legacyPingReply("1.4", "Zzz"))).toBe(expected);
  });

  test("carries any text as UTF-16", () => {
    expect(toHex(legacyDisconnect("asleep§0§20"))).toBe(
      "ff000b00610073006c00650065007000a7003000a700320030",
    );
    expect(toHex(legacyDisconnect("§1\u0000127\u000026.3\u0000asleep\u00000\u000020"))).toBe(
      "ff001700a700310000003100320037000000320036002e0033000000610073006c00650065007000000030000000320030",
    );
  });

  test.each([
    { name: "plain", motd: "asleep", text: "asleep§0§1" },
    { name: "colours", motd: "§6Zzz §lnow§R!", text: "Zzz now!§0§1" },
    { name: "a section sign that is no code", motd: "§ 5§", text: " 5§0§1" },
    { name: "nothing", motd: "", text: "§0§1" },
  ])("to beta 1.8 has three fields, whatever the text: $name", ({ motd, text }) => {
    expect(textOf(legacyPingReply("beta-1.8", motd))).toBe(text);
  });

  test("has six fields for 1.4, whatever the text", () => {
    expect(textOf(legacyPingReply("1.4", "a\u0000b§6")).split("\u0000")).toEqual([
      "§1",
      "127",
      "1.7+",
      "ab§6",
      "0",
      "1",
    ]);
  });

  test("is cut to what clients before 1.7 take, between two characters", () => {
    expect(textOf(legacyDisconnect("a".repeat(256)))).toBe("a".repeat(256));
    expect(textOf(legacyDisconnect("a".repeat(257)))).toBe("a".repeat(256));
    expect(textOf(legacyDisconnect(`${"a".repeat(255)}😀`))).toBe("a".repeat(255));
    expect(textOf(legacyDisconnect(`${"a".repeat(254)}😀`))).toBe(`${"a".repeat(254)}😀`);
  });

  test("never loses a field and is never longer than 256 units", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), (motd) => {
        const beta = textOf(legacyPingReply("beta-1.8", motd));
        expect(beta.length).toBeLessThanOrEqual(256);
        expect(beta.split("§").slice(1)).toEqual(["0", "1"]);

        const newer = textOf(legacyPingReply("1.4", motd));
        expect(newer.length).toBeLessThanOrEqual(256);
        expect(newer.split("\u0000")).toHaveLength(6);
        expect(newer.endsWith("\u00000\u00001")).toBe(true);
      }),
    );
  });
});
