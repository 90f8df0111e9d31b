import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeString } from "../../src/protocol/cursor.ts";
import { frame } from "../../src/protocol/frame.ts";
import {
  type Handshake,
  loginInsteadOfTransfer,
  readHandshake,
} from "../../src/protocol/handshake.ts";
import { needMore } from "../../src/protocol/parsed.ts";
import { encodeVarInt } from "../../src/protocol/varint.ts";
import { hex, toHex } from "../fixtures/vectors.ts";

const numbers = { status: 1, login: 2, transfer: 3 };

const write = ({ protocol, rawHost, port, intent }: Handshake): Uint8Array =>
  frame(
    0x00,
    encodeVarInt(protocol),
    encodeString(rawHost),
    Uint8Array.of(port >> 8, port & 0xff),
    encodeVarInt(numbers[intent]),
  );

const handshake = (rawHost: string): Handshake => ({
  protocol: 758,
  rawHost,
  port: 25565,
  intent: "login",
});

describe("a handshake", () => {
  test.each([
    { name: "Forge 1.7 to 1.12", rawHost: "mc.example.com\u0000FML\u0000" },
    { name: "Forge 1.18 to 1.20.1", rawHost: "mc.example.com\u0000FML3\u0000" },
    { name: "Forge 1.20.2", rawHost: "mc.example.com\u0000FORGE" },
    { name: "TCPShield", rawHost: "mc.example.com///192.0.2.1:1234///1700000000" },
    {
      name: "BungeeCord",
      rawHost: "mc.example.com\u0000192.0.2.1\u0000069a79f444e94726a5befca90e38aaf5",
    },
    { name: "an SRV target in upper case", rawHost: "MC1.Example.COM." },
    { name: "an umlaut", rawHost: "bücher.example" },
    { name: "nothing", rawHost: "" },
  ])("keeps the host as it was sent: $name", ({ rawHost }) => {
    const bytes = write(handshake(rawHost));
    expect(readHandshake(bytes, 0)).toEqual({
      kind: "ok",
      value: handshake(rawHost),
      end: bytes.length,
    });
  });

  test.each([
    { name: "255 letters", rawHost: "a".repeat(255) },
    { name: "255 letters of three bytes", rawHost: "€".repeat(255) },
    { name: "127 characters of two units and a letter", rawHost: `${"😀".repeat(127)}a` },
    {
      name: "BungeeCord's, with a skin",
      rawHost: `a.example\u0000192.0.2.7\u0000${"f".repeat(32)}\u0000${"x".repeat(5_000)}`,
    },
    {
      name: "255 letters, and all that may follow",
      rawHost: `${"a".repeat(255)}\u0000${"x".repeat(7_936)}`,
    },
  ])("takes a host at the limit: $name", ({ rawHost }) => {
    expect(readHandshake(write(handshake(rawHost)), 0).kind).toBe("ok");
  });

  test.each([
    { name: "256 letters", rawHost: "a".repeat(256) },
    { name: "256 letters of three bytes", rawHost: "€".repeat(256) },
    { name: "128 characters of two units", rawHost: "😀".repeat(128) },
    { name: "256 letters before the NUL", rawHost: `${"a".repeat(256)}\u0000FML3\u0000` },
    { name: "too much behind the NUL", rawHost: `a\u0000${"x".repeat(8_191)}` },
  ])("refuses a host over the limit: $name", ({ rawHost }) => {
    expect(readHandshake(write(handshake(rawHost)), 0).kind).toBe("bad");
  });

  test("refuses a host that is not UTF-8", () => {
    expect(readHandshake(hex("0800f60502c32863dd02"), 0).kind).toBe("bad");
  });

  test("may be 16 KiB long and no longer, which its length tells", () => {
    expect(readHandshake(hex("808001"), 0)).toEqual(needMore);
    expect(readHandshake(hex("818001"), 0).kind).toBe("bad");
  });

  test("is read from where it starts", () => {
    const bytes = write(handshake("a"));
    const shifted = Uint8Array.of(0xff, 0xff, ...bytes, 0xff);
    expect(readHandshake(shifted, 2)).toEqual({
      kind: "ok",
      value: handshake("a"),
      end: 2 + bytes.length,
    });
  });

  test("comes back from every encoding", () => {
    const any: fc.Arbitrary<Handshake> = fc.record({
      protocol: fc.integer(),
      rawHost: fc.string({ unit: "binary", maxLength: 127 }),
      port: fc.nat(65_535),
      intent: fc.constantFrom("status", "login", "transfer"),
    });

    fc.assert(
      fc.property(any, (value) => {
        const bytes = write(value);
        expect(readHandshake(bytes, 0)).toEqual({ kind: "ok", value, end: bytes.length });
      }),
    );
  });
});

describe("a transfer that asks for a login instead", () => {
  test.each([
    {
      name: "as clients send it",
      transfer: "1700860610706c61792e6578616d706c652e636f6d63dd03",
      login: "1700860610706c61792e6578616d706c652e636f6d63dd02",
    },
    {
      name: "with an intent of two bytes behind a port that ends in a high bit",
      transfer: "0900860601619cff8300",
      login: "0900860601619cff8200",
    },
    {
      name: "with all numbers longer than needed",
      transfer: "8e80008000868c008180006163dd838000",
      login: "8e80008000868c008180006163dd828000",
    },
  ])("differs in the intent alone: $name", ({ transfer, login }) => {
    const bytes = hex(transfer);
    const rewritten = loginInsteadOfTransfer(bytes);

    expect(toHex(rewritten)).toBe(login);
    expect(toHex(bytes)).toBe(transfer);

    const before = readHandshake(bytes, 0);
    const after = readHandshake(rewritten, 0);
    expect(before).toMatchObject({ kind: "ok", value: { intent: "transfer" } });
    if (before.kind !== "ok") throw new Error("the transfer is not valid");
    expect(after).toEqual({ ...before, value: { ...before.value, intent: "login" } });
  });

  test("leaves a Buffer alone, whose slices share memory", () => {
    const received = Buffer.from("ff1700860610706c61792e6578616d706c652e636f6d63dd03ff", "hex");
    const before = received.toString("hex");
    loginInsteadOfTransfer(received.subarray(1, 25));
    expect(received.toString("hex")).toBe(before);
  });
});
