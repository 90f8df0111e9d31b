import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { ok } from "../../../src/base/result.ts";
import { guardSocket } from "../../../src/providers/postgres/guard.ts";
import { createMessageGuard } from "../../../src/providers/postgres/message-guard.ts";

/** One message: its type, its length, its body. */
function message(type: string, body: string | Buffer, size?: number): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(size ?? 4 + bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
const authentication = (kind: number, rest = "") =>
  message("R", Buffer.concat([Buffer.from([0, 0, 0, kind]), Buffer.from(rest)]));

const greeting = Buffer.concat([
  authentication(10, "SCRAM-SHA-256\0\0"),
  authentication(11, "r=abcDEF+/09,s=c2FsdA==,i=4096"),
  authentication(12, "v=c2ln"),
  authentication(0),
]);
const announcement = Buffer.concat([
  message("S", "server_version\x0015\0"),
  message("K", "12345678"),
  message("N", "SNOTICE\0\0"),
  message("Z", "I"),
]);
const startup = Buffer.concat([greeting, announcement]);
const session = Buffer.concat([
  message("1", ""),
  message("D", "x".repeat(100_000)),
  message("A", "1234channel\0payload\0"),
  message("C", "SELECT 1\0"),
  message("E", "SERROR\0\0"),
  message("Z", "I"),
]);

describe("the guard passes on", () => {
  const whole = Buffer.concat([startup, session]);
  const cuts = [1, 2, 3, 4, 5, 6, 7, 11, 64, 4_096, whole.length];
  test.each(cuts)("all but the authentication in order, in chunks of %d", (size) => {
    const guard = createMessageGuard();
    const passed: Buffer[] = [];
    const requests: number[] = [];
    const keys: string[] = [];
    for (let at = 0; at < whole.length; at += size) {
      const admitted = guard.admit(whole.subarray(at, at + size));
      if (!admitted.ok) throw new Error(admitted.error);
      passed.push(admitted.value.bytes);
      requests.push(...admitted.value.requests.map((body) => body.readUInt32BE(0)));
      if (admitted.value.key !== null) keys.push(admitted.value.key.toString());
    }
    expect(Buffer.concat(passed).equals(Buffer.concat([announcement, session]))).toBe(true);
    expect(requests).toEqual([10, 11, 12, 0]);
    expect(keys).toEqual(["12345678"]);
  });

  test("a message of the startup only when it is whole", () => {
    const guard = createMessageGuard();
    const admitted = guard.admit(message("S", "server_version\x0015\0").subarray(0, 8));
    expect(admitted.ok && admitted.value.bytes.length).toBe(0);
  });
});

describe("the guard refuses", () => {
  const another = "the server does not speak the PostgreSQL protocol";
  const early: readonly { name: string; bytes: Buffer }[] = [
    { name: "HTTP", bytes: Buffer.from("HTTP/1.1 400 Bad Request\r\n") },
    { name: "SSH", bytes: Buffer.from("SSH-2.0-OpenSSH_9.6\r\n") },
    { name: "MySQL", bytes: Buffer.from([0x4a, 0, 0, 0, 0x0a, 0x38]) },
    { name: "a length below its own", bytes: message("E", "", 3) },
    { name: "a negative length", bytes: message("E", "", 0xffff_ffff) },
    { name: "a long message at startup", bytes: message("S", "", 70_000) },
    { name: "a row before the server is ready", bytes: message("D", "xx") },
  ];
  test.each([...early])("$name", ({ bytes }) => {
    expect(createMessageGuard().admit(bytes)).toEqual({ ok: false, error: another });
  });

  const late: readonly { name: string; bytes: Buffer }[] = [
    { name: "an authentication within the session", bytes: authentication(0) },
    { name: "a COPY without a request", bytes: message("G", "") },
    { name: "a row without bounds", bytes: message("D", "", 0x7fff_ffff) },
  ];
  test.each([...late])("$name", ({ bytes }) => {
    const guard = createMessageGuard();
    expect(guard.admit(startup).ok).toBe(true);
    expect(guard.admit(bytes)).toEqual({ ok: false, error: another });
  });
});

/** A guarded connection to a server that sends these bytes at once and then nothing, or ends. */
async function guardedFrom(bytes: Buffer, ends: boolean) {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (ends) socket.end(bytes);
    else socket.write(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const violations: string[] = [];
  const guarded = guardSocket(socket, {
    authenticator: { answer: async () => ok(null) },
    onViolation: (reason) => violations.push(reason),
    onKey: () => undefined,
    onParameter: () => undefined,
  });
  return {
    guarded,
    socket,
    violations,
    [Symbol.dispose]() {
      guarded.destroy();
      server.close();
    },
  };
}

describe("a guarded connection", () => {
  const notifications = Buffer.concat(
    Array.from({ length: 20_000 }, (_, i) => message("A", `1234channel\0payload-${i}\0`)),
  );
  const flood = Buffer.concat([announcement, notifications]);

  test("hands a flood out in pieces with room between them, whole and in order, and closes after the last", async () => {
    using world = await guardedFrom(flood, true);
    const pieces: Buffer[] = [];
    let turn = 0;
    const turns: number[] = [];
    const count = setInterval(() => {
      turn += 1;
    }, 0);
    world.guarded.on("data", (piece: Buffer) => {
      pieces.push(piece);
      turns.push(turn);
    });
    await once(world.guarded, "close");
    clearInterval(count);
    expect(Buffer.concat(pieces).equals(flood)).toBe(true);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(32 * 1024);
    expect(new Set(turns).size).toBeGreaterThan(1);
    expect(world.violations).toEqual([]);
  });

  test("waits for a reader that is slow", async () => {
    using world = await guardedFrom(flood, false);
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of world.guarded) {
      pieces.push(piece);
      length += piece.length;
      if (length >= flood.length) break;
      await Bun.sleep(0);
    }
    expect(Buffer.concat(pieces).equals(flood)).toBe(true);
  });

  test("that is destroyed in the middle of a flood hands nothing more out", async () => {
    using world = await guardedFrom(flood, false);
    let arrived = 0;
    world.guarded.on("data", (piece: Buffer) => {
      arrived += piece.length;
      world.guarded.destroy();
    });
    await once(world.guarded, "close");
    const before = arrived;
    await Bun.sleep(5);
    expect(arrived).toBe(before);
    expect(world.socket.destroyed).toBe(true);
  });

  test("is destroyed by what is no message, and says why", async () => {
    using world = await guardedFrom(Buffer.from("HTTP/1.1 400 Bad Request\r\n"), false);
    world.guarded.on("data", () => undefined);
    await once(world.guarded, "close");
    expect(world.violations).toEqual(["the server does not speak the PostgreSQL protocol"]);
  });
});
