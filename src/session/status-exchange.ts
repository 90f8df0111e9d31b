import type { Deadlines } from "../base/deadlines.ts";
import { type Conn, peek, send, take } from "../net/conn.ts";
import { readStatusPacket, readStatusResponse, statusRequest } from "../protocol/status.ts";
import { awaitPacket } from "./packet.ts";

/** What a backend said about itself: the frame as it came, for a client to read, and the text in it. */
export interface StatusAnswer {
  readonly frame: Uint8Array;
  readonly json: string;
}

/** How long a client may take to ask, and a backend to answer, ms. */
const requestMs = 3_000;
const answerMs = 3_000;

/**
 * Asks a backend that has been sent a handshake for its status. Null when no valid answer comes in time. The
 * connection is left open.
 */
export function askStatus(
  backend: Conn,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<StatusAnswer | null> {
  if (!send(backend, statusRequest)) return Promise.resolve(null);
  return awaitAnswer(backend, deadlines, signal);
}

/**
 * Passes a client's status request on and waits for the answer, which stays where it is: the relay that
 * follows hands it over like everything else. Null when the client asks for something else or nothing, or no
 * valid answer comes in time; the relay then goes on from there.
 */
export async function captureStatus(
  client: Conn,
  backend: Conn,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<StatusAnswer | null> {
  const request = await awaitPacket(client, readStatusPacket, requestMs, deadlines, signal);
  if (request?.value.kind !== "status-request") return null;
  const asked = send(backend, peek(client).subarray(0, request.end));
  take(client, request.end);
  return asked ? awaitAnswer(backend, deadlines, signal) : null;
}

async function awaitAnswer(
  backend: Conn,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<StatusAnswer | null> {
  const response = await awaitPacket(backend, readStatusResponse, answerMs, deadlines, signal);
  if (response === null) return null;
  // A copy: the answer may be kept for long, and the bytes that arrived with it would be kept too.
  const frame = new Uint8Array(peek(backend).subarray(0, response.end));
  return { frame, json: response.value };
}
