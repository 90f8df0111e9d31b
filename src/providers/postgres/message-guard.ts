import { err, ok, type Result } from "../../base/result.ts";

/**
 * Message types of a server before and after its first ReadyForQuery (PostgreSQL protocol, "Message
 * Formats").
 */
const startupTypes = new Set(Buffer.from("RSKENZ"));
const sessionTypes = new Set(Buffer.from("ACDEINSTZ123nst"));
const readyForQuery = 0x5a;
const authentication = 0x52;
const backendKeyData = 0x4b;
const parameterStatus = 0x53;
/**
 * No startup message of a real server comes near this, and no row that the router asks for near the other.
 */
const longestAtStartup = 64 * 1024;
const longestInSession = 16 * 1024 * 1024;
/** Type and length. */
const headSize = 5;

/** What a chunk of the server's bytes came to. */
export interface Admitted {
  /** What postgres.js may have by now. */
  readonly bytes: Buffer;
  /** Bodies of Authentication messages, in order. */
  readonly requests: readonly Buffer[];
  /** The body of BackendKeyData, by which a statement can be cancelled; null: it did not come. */
  readonly key: Buffer | null;
  /** Names and values that ParameterStatus messages have reported. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Follows the messages in a stream of bytes. */
interface MessageGuard {
  /** Takes the next bytes. The error says why no further ones may be passed on. */
  admit(chunk: Buffer): Result<Admitted, string>;
}

/**
 * Keeps from postgres.js what it cannot take: some malformed messages make it throw where nothing can catch,
 * and it has no bound for lengths. Until the server is ready, messages are passed on whole and without those
 * of the authentication; after that as they come.
 */
export function createMessageGuard(): MessageGuard {
  let held: Buffer = Buffer.alloc(0);
  let isReady = false;
  /** How many bytes of the message under way are still to come. */
  let owed = 0;

  /** Size of the message that begins here; null: the server does not speak the protocol. */
  function sizeAt(bytes: Buffer, at: number): number | null {
    const size = 1 + bytes.readUInt32BE(at + 1);
    const longest = isReady ? longestInSession : longestAtStartup;
    const isKnown = (isReady ? sessionTypes : startupTypes).has(bytes.readUInt8(at));
    return isKnown && size >= headSize && size <= longest ? size : null;
  }

  function admitStartup(bytes: Buffer): Result<Admitted, string> {
    const passed: Buffer[] = [];
    const requests: Buffer[] = [];
    const parameters: (readonly [string, string])[] = [];
    let key: Buffer | null = null;
    let at = 0;
    while (!isReady && bytes.length - at >= headSize) {
      const size = sizeAt(bytes, at);
      if (size === null) return err(noPostgres);
      if (bytes.length - at < size) break;
      const type = bytes.readUInt8(at);
      const message = bytes.subarray(at, at + size);
      if (type === authentication) requests.push(message.subarray(headSize));
      else passed.push(message);
      if (type === backendKeyData) key = message.subarray(headSize);
      if (type === parameterStatus) {
        const [name = "", value = ""] = message.toString("utf8", headSize).split("\0");
        parameters.push([name, value]);
      }
      if (type === readyForQuery) isReady = true;
      at += size;
    }
    held = bytes.subarray(at);
    return ok({ bytes: Buffer.concat(passed), requests, key, parameters });
  }

  function admitSession(bytes: Buffer): Result<Buffer, string> {
    let at = Math.min(owed, bytes.length);
    owed -= at;
    while (bytes.length - at >= headSize) {
      const size = sizeAt(bytes, at);
      if (size === null) return err(noPostgres);
      const here = Math.min(size, bytes.length - at);
      at += here;
      owed = size - here;
    }
    held = bytes.subarray(at);
    return ok(bytes.subarray(0, at));
  }

  return {
    admit(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      if (isReady) {
        const passed = admitSession(bytes);
        return passed.ok ? ok({ bytes: passed.value, ...nothingElse }) : passed;
      }
      const startup = admitStartup(bytes);
      if (!startup.ok || !isReady) return startup;
      const rest = admitSession(held);
      if (!rest.ok) return rest;
      return ok({ ...startup.value, bytes: Buffer.concat([startup.value.bytes, rest.value]) });
    },
  };
}

const nothingElse = { requests: [], key: null, parameters: [] };

const noPostgres = "the server does not speak the PostgreSQL protocol";
