import type { Deadlines } from "../base/deadlines.ts";
import { type Conn, close, send, take } from "../net/conn.ts";
import { legacyDisconnect, legacyPingReply } from "../protocol/legacy-ping.ts";
import { loginDisconnect } from "../protocol/login.ts";
import type { Opening } from "../protocol/opening.ts";
import { pong, readStatusPacket, type StatusPacket } from "../protocol/status.ts";
import { awaitPacket } from "./packet.ts";

/** How long a pinging client may take for its status request, and then for its ping, ms. */
const requestMs = 3_000;
const pingMs = 2_000;

/** Ends a login with this text. The client is closed when it has been read. */
export function kick(client: Conn, text: string, deadlines: Deadlines): void {
  send(client, loginDisconnect(text));
  close(client, deadlines);
}

/** Ends the join of a client from before Minecraft 1.7 with this text. */
export function kickLegacy(client: Conn, text: string, deadlines: Deadlines): void {
  send(client, legacyDisconnect(text));
  close(client, deadlines);
}

/**
 * What a ping is answered with: the text for clients before 1.7, the status response for others; null for
 * none.
 */
export interface ListEntry {
  readonly text: string;
  readonly status: Uint8Array | null;
}

/** Answers a ping with an entry for the server list, and the pong behind it. Closes the client. */
export async function answerPing(
  client: Conn,
  opening: Opening,
  { text, status }: ListEntry,
  deadlines: Deadlines,
): Promise<void> {
  if (opening.kind === "legacy-ping") {
    send(client, legacyPingReply(opening.form, text));
  } else if (opening.kind === "status" && status !== null) {
    await answerStatus(client, status, deadlines);
  }
  close(client, deadlines);
}

async function answerStatus(client: Conn, status: Uint8Array, deadlines: Deadlines): Promise<void> {
  const first = await readStatus(client, requestMs, deadlines);
  if (first?.kind === "ping-request") {
    send(client, pong(first.payload));
    return;
  }
  // A client that asks for nothing gets its answer all the same, as from mc-router.
  send(client, status);
  const ping = await readStatus(client, pingMs, deadlines);
  if (ping?.kind === "ping-request") send(client, pong(ping.payload));
}

async function readStatus(
  client: Conn,
  ms: number,
  deadlines: Deadlines,
): Promise<StatusPacket | null> {
  const arrived = await awaitPacket(client, readStatusPacket, ms, deadlines);
  if (arrived === null) return null;
  take(client, arrived.end);
  return arrived.value;
}
