import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { err, ok, type Result } from "../../base/result.ts";

/** Message types of a server before its first ReadyForQuery, and after it (PostgreSQL protocol, "Message Formats"). */
const startupTypes = new Set(Buffer.from("RSKENZ"));
const sessionTypes = new Set(Buffer.from("ACDEINSTZ123nst"));
const readyForQuery = 0x5a;
const authentication = 0x52;
/** No startup message of a real server comes near this, and no row of the table near the other. */
const longestAtStartup = 64 * 1024;
const longestInSession = 16 * 1024 * 1024;
/** Bytes for postgres.js in one go: some hundred notifications or rows, a millisecond or two of work. */
const mostAtOnce = 32 * 1024;
/** Type and length. */
const headSize = 5;
/** PostgreSQL's default is 4,096. postgres.js works them off without a pause, so that many would stop the whole program. */
const mostScramRounds = 1_000_000;

/** Follows the messages in a stream of bytes. */
export interface MessageGuard {
  /** The bytes that may be passed on by now, or why none ever may again. */
  admit(chunk: Buffer): Result<Buffer, string>;
}

/**
 * Keeps from postgres.js what it cannot take: some malformed messages make it throw where nobody can catch, and
 * lengths have no bound. Until the server is ready, messages are passed on whole; after that as they come.
 */
export function createMessageGuard(): MessageGuard {
  let held: Buffer = Buffer.alloc(0);
  let isReady = false;
  /** How many bytes of the message under way are still to come. */
  let owed = 0;

  return {
    admit(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      let at = Math.min(owed, bytes.length);
      owed -= at;
      while (bytes.length - at >= headSize) {
        const type = bytes.readUInt8(at);
        const size = 1 + bytes.readUInt32BE(at + 1);
        const longest = isReady ? longestInSession : longestAtStartup;
        const isKnown = (isReady ? sessionTypes : startupTypes).has(type);
        if (!isKnown || size < headSize || size > longest) return err(noPostgres);
        const here = Math.min(size, bytes.length - at);
        if (!isReady && here < size) break;
        if (type === authentication) {
          const problem = authenticationProblem(bytes.subarray(at + headSize, at + size));
          if (problem !== null) return err(problem);
        }
        if (type === readyForQuery) isReady = true;
        at += here;
        owed = size - here;
      }
      held = bytes.subarray(at);
      return ok(bytes.subarray(0, at));
    },
  };
}

/**
 * The connection as postgres.js sees it: everything that the server sends has passed the guard. `onViolation` hears
 * why the connection was destroyed. Whoever destroys either end destroys both.
 */
export function guardSocket(socket: Socket, onViolation: (reason: string) => void): Duplex {
  const guard = createMessageGuard();
  /** What has been admitted and not been passed on; the socket is paused while there is any, but may have more to say all the same. */
  let waiting: Buffer = Buffer.alloc(0);
  let state: "open" | "ended" | "closed" = "open";
  let next: ReturnType<typeof setImmediate> | null = null;
  const guarded = new Duplex({
    read() {
      if (waiting.length === 0) socket.resume();
    },
    write: (chunk: Buffer, _, done) => socket.write(chunk, done),
    final: (done) => socket.end(done),
    destroy(error, done) {
      if (next !== null) clearImmediate(next);
      socket.destroy();
      done(error);
    },
  });

  /** postgres.js works off what it gets in one go, and the kernel hands out half a megabyte at a time. */
  function pass(): void {
    next = null;
    const piece = waiting.subarray(0, mostAtOnce);
    waiting = waiting.subarray(mostAtOnce);
    const isWanted = piece.length === 0 || guarded.push(piece);
    if (waiting.length > 0 || !isWanted) socket.pause();
    if (guarded.destroyed) return;
    if (waiting.length > 0) next = setImmediate(pass);
    else if (state === "closed") guarded.destroy();
    else if (state === "ended") guarded.push(null);
    else if (isWanted) socket.resume();
  }

  function finish(how: "ended" | "closed"): void {
    state = how;
    if (next === null) pass();
  }

  socket.on("data", (chunk: Buffer) => {
    const admitted = guard.admit(chunk);
    if (!admitted.ok) {
      onViolation(admitted.error);
      guarded.destroy();
      return;
    }
    waiting = waiting.length === 0 ? admitted.value : Buffer.concat([waiting, admitted.value]);
    if (next === null) pass();
  });
  socket.once("end", () => finish("ended"));
  socket.once("close", () => finish("closed"));
  // postgres.js says goodbye only to what calls itself open, as a socket does.
  Object.defineProperty(guarded, "readyState", { get: () => socket.readyState });
  return guarded;
}

const noPostgres = "the server does not speak the PostgreSQL protocol";

/** AuthenticationOk 0, cleartext 3, MD5 5, SASL 10 to 12 (same place); of SASL, the SCRAM of RFC 5802. */
function authenticationProblem(body: Buffer): string | null {
  if (body.length < 4) return noPostgres;
  switch (body.readUInt32BE(0)) {
    case 0:
    case 3:
    case 10:
    case 12:
      return null;
    case 5:
      return body.length === 8 ? null : noPostgres;
    case 11: {
      const [, rounds = ""] =
        /^r=[^,]+,s=[\w+/]+={0,2},i=(\d{1,9})$/.exec(body.toString("latin1", 4)) ?? [];
      return rounds !== "" && Number(rounds) <= mostScramRounds ? null : noPostgres;
    }
    default:
      return "the server asks for an authentication that is not supported; use a password (scram-sha-256)";
  }
}
