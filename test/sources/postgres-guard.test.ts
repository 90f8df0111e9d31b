import { describe, expect, test } from "bun:test";
import { createMessageGuard } from "../../src/sources/postgres-guard.ts";

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

const startup = Buffer.concat([
  authentication(10, "SCRAM-SHA-256\0\0"),
  authentication(11, "r=abcDEF+/09,s=c2FsdA==,i=4096"),
  authentication(12, "v=c2ln"),
  authentication(0),
  message("S", "server_version\x0015\0"),
  message("K", "12345678"),
  message("N", "SNOTICE\0\0"),
  message("Z", "I"),
]);
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
  test.each(cuts)("all bytes in order, in chunks of %d", (size) => {
    const guard = createMessageGuard();
    const passed: Buffer[] = [];
    for (let at = 0; at < whole.length; at += size) {
      const admitted = guard.admit(whole.subarray(at, at + size));
      if (!admitted.ok) throw new Error(admitted.error);
      passed.push(admitted.value);
    }
    expect(Buffer.concat(passed).equals(whole)).toBe(true);
  });

  test("a message of the startup only when it is whole", () => {
    const guard = createMessageGuard();
    const admitted = guard.admit(authentication(0).subarray(0, 8));
    expect(admitted.ok && admitted.value.length).toBe(0);
  });
});

describe("the guard refuses", () => {
  const another = "the server does not speak the PostgreSQL protocol";
  const early: readonly { name: string; bytes: Buffer; says?: string }[] = [
    { name: "HTTP", bytes: Buffer.from("HTTP/1.1 400 Bad Request\r\n") },
    { name: "SSH", bytes: Buffer.from("SSH-2.0-OpenSSH_9.6\r\n") },
    { name: "MySQL", bytes: Buffer.from([0x4a, 0, 0, 0, 0x0a, 0x38]) },
    { name: "a length below its own", bytes: message("E", "", 3) },
    { name: "a negative length", bytes: message("E", "", 0xffff_ffff) },
    { name: "a long message at startup", bytes: message("S", "", 70_000) },
    { name: "a row before the server is ready", bytes: message("D", "xx") },
    { name: "an authentication without its kind", bytes: message("R", "") },
    { name: "an MD5 request without its salt", bytes: authentication(5) },
    { name: "a SCRAM step without its parts", bytes: authentication(11, "r=abc") },
    { name: "a SCRAM step of endless rounds", bytes: authentication(11, "r=a,s=YQ==,i=999999999") },
    { name: "GSSAPI", bytes: authentication(7), says: "scram-sha-256" },
  ];
  test.each([...early])("$name", ({ bytes, says }) => {
    const admitted = createMessageGuard().admit(bytes);
    expect(admitted.ok ? "passed" : admitted.error).toContain(says ?? another);
  });

  const late: readonly { name: string; bytes: Buffer }[] = [
    { name: "an authentication within the session", bytes: authentication(0) },
    { name: "a COPY that nobody asked for", bytes: message("G", "") },
    { name: "a row without bounds", bytes: message("D", "", 0x7fff_ffff) },
  ];
  test.each([...late])("$name", ({ bytes }) => {
    const guard = createMessageGuard();
    expect(guard.admit(startup).ok).toBe(true);
    expect(guard.admit(bytes)).toEqual({ ok: false, error: another });
  });
});
