import {
  frame,
  handshake,
  intents,
  legacyPing,
  login,
  loginStart,
  string,
  u16,
  varint,
} from "./wire.ts";

/** A random number from 0 up to, but not including, `below`. */
export type Random = (below: number) => number;

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const hex = (text: string): Buffer => Buffer.from(text, "hex");

/** A handshake whose fields are what they are given as. */
const rawHandshake = (protocol: Buffer, host: Buffer, intent: Buffer): Buffer =>
  frame(0x00, protocol, host, u16(25_565), intent);

const someProtocol = varint(767);
const someHost = string("play.example.org");

/** Openings that are right, to be spoilt. */
export const wellFormed: readonly Buffer[] = [
  ...[47, 340, 758, 759, 760, 763, 767, 774].map((protocol) =>
    login({ host: "play.example.org", name: "Steve", protocol }),
  ),
  login({ host: "play.example.org", name: "Steve", intent: intents.transfer }),
  handshake({ protocol: 767, host: "play.example.org.", port: 25_565, intent: intents.status }),
  login({ host: "play.example.org\0FML3\0", name: "Steve" }),
  legacyPing.withHost("play.example.org", 25_565),
  legacyPing.release,
  legacyPing.beta,
];

/** Things that are no opening, by what is wrong with them. */
export const malformed: Readonly<Record<string, Buffer>> = {
  "length 0": hex("00"),
  "length 2^21-1": hex("ffff7f"),
  "length 2^31-1": hex("ffffffff07"),
  "negative length": hex("ffffffff0f"),
  "VarInt of 6 bytes": hex("8080808080 01".replaceAll(" ", "")),
  "VarInt of 10 bytes": hex("80808080808080808001"),
  "another packet": frame(0x01, Buffer.alloc(8)),
  "hostname of 256 letters": rawHandshake(someProtocol, string("a".repeat(256)), varint(1)),
  "hostname of 32767 letters": rawHandshake(someProtocol, string("a".repeat(32_767)), varint(1)),
  "hostname with a negative length": rawHandshake(someProtocol, hex("ffffffff0f"), varint(1)),
  "hostname that is no UTF-8": rawHandshake(someProtocol, hex("04c328a0a1"), varint(1)),
  "intent 0": rawHandshake(someProtocol, someHost, varint(0)),
  "intent 2^31-1": rawHandshake(someProtocol, someHost, varint(0x7fff_ffff)),
  "protocol of 10 bytes": rawHandshake(hex("80808080808080808001"), someHost, varint(1)),
  "Login Start with a name of 5,000": Buffer.concat([
    handshake({ protocol: 767, host: "play.example.org", port: 25_565, intent: 2 }),
    loginStart(767, "a".repeat(5_000)),
  ]),
  "Login Start with no name": Buffer.concat([
    handshake({ protocol: 767, host: "play.example.org", port: 25_565, intent: 2 }),
    loginStart(767, ""),
  ]),
  NULs: Buffer.alloc(64),
  ones: Buffer.alloc(64, 0xff),
  "TLS ClientHello": hex("16030100f5010000f10303"),
  HTTP: bytes("GET / HTTP/1.1\r\nHost: play.example.org\r\n\r\n"),
  SSH: bytes("SSH-2.0-OpenSSH_9.6\r\n"),
  RDP: hex("0300002f2ae00000000000436f6f6b69653a206d737473686173683d"),
  "PROXY v1": bytes("PROXY TCP4 203.0.113.7 192.0.2.1 55555 25565\r\n"),
  "PROXY v1 without an end": bytes(`PROXY ${"A".repeat(200)}`),
  "PROXY v2": hex("0d0a0d0a000d0a515549540a2111000ccb007107c0000201d90363dd"),
  "PROXY v2 with length 65535": hex("0d0a0d0a000d0a515549540a2111ffff"),
  "old ping with more behind it": hex("fe01fb00"),
};

const kinds = Object.values(malformed);

/** What the login of a client from before Minecraft 1.7 begins with, which gets an answer whatever it asks for. */
const legacyLoginId = 0x02;

/**
 * Something malformed: one of the above; or an opening with bits flipped, cut short, with bytes put in or said twice; or noise.
 * Some of it is by chance the beginning of something that is right, or all of it, but never the login of a client before 1.7.
 */
export function makeMalformed(random: Random): Buffer {
  const made = makeAny(random);
  if (made[0] === legacyLoginId) made[0] = 0;
  return made;
}

function makeAny(random: Random): Buffer {
  const opening = wellFormed[random(wellFormed.length)] ?? Buffer.alloc(0);
  switch (random(6)) {
    case 0:
      return kinds[random(kinds.length)] ?? Buffer.alloc(0);
    case 1: {
      const flipped = Buffer.from(opening);
      for (let flips = 1 + random(4); flips > 0; flips--) {
        const at = random(flipped.length);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8));
      }
      return flipped;
    }
    case 2:
      return opening.subarray(0, random(opening.length));
    case 3: {
      const at = random(opening.length);
      const more = Buffer.from(Array.from({ length: 1 + random(8) }, () => random(256)));
      return Buffer.concat([opening.subarray(0, at), more, opening.subarray(at)]);
    }
    case 4: {
      const at = random(opening.length);
      return Buffer.concat([opening.subarray(0, at), opening]);
    }
    default:
      return Buffer.from(Array.from({ length: random(300) }, () => random(256)));
  }
}
