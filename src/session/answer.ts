import type { Deadlines } from "../base/deadlines.ts";
import { type Conn, close, send, take } from "../net/conn.ts";
import { legacyDisconnect, legacyPingReply } from "../protocol/legacy-ping.ts";
import { loginDisconnect } from "../protocol/login.ts";
import type { Opening } from "../protocol/opening.ts";
import { pong, readStatusPacket, type StatusPacket } from "../protocol/status.ts";
import type { Answer } from "./outcome.ts";
import { awaitPacket } from "./packet.ts";

/** An answer that refuses a login. */
type Refusal = Exclude<Answer, "running">;

/** What a player reads instead of a world: what is the matter, and what to do. */
const kickTexts: Readonly<Record<Refusal, string>> = {
  asleep: "This server is asleep. Join to start it.",
  waking: "This server is starting. Please join again in a moment.",
  unreachable: "This server cannot be reached right now. Please try again in a moment.",
  "wake-failed": "This server did not start in time. Please try again in a few minutes.",
  "wake-denied": "This server is asleep, and you may not start it.",
  "wake-refused":
    "This server is asleep and cannot be started right now. Please try again in a few minutes.",
  unproven:
    "This server is asleep, and your game did not answer. Please join again, with Minecraft 1.13 or newer.",
  mute: "The server is ready now. Please join again.",
  "bad-name": "Your player name is too long for this network.",
  throttled:
    "Too many players are joining from your network right now. Please try again in a few seconds.",
  full: "All places are taken right now. Please try again in a few minutes.",
  stopping: "The network is being restarted. Please join again in a moment.",
  "too-old": "This network needs Minecraft 1.7 or newer.",
};

/** How long a pinging client may take for its status request, and then for its ping, ms. */
const requestMs = 3_000;
const pingMs = 2_000;

/** Ends a login with words, the router's own where `words` is empty. The client is closed when they have been read. */
export function kick(client: Conn, answer: Refusal, words: string, deadlines: Deadlines): void {
  send(client, loginDisconnect(words || kickTexts[answer]));
  close(client, deadlines);
}

/** Ends the join of a client from before Minecraft 1.7 with words. */
export function kickLegacy(client: Conn, answer: Refusal, deadlines: Deadlines): void {
  send(client, legacyDisconnect(kickTexts[answer]));
  close(client, deadlines);
}

/** What a ping is answered with: the text for clients before 1.7, the status response for others; null for none. */
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
