import type { Deadline, Deadlines } from "../base/deadlines.ts";
import {
  type Arrival,
  type Conn,
  close,
  more,
  peek,
  send,
  take,
  unwatch,
  watch,
} from "../net/conn.ts";
import {
  type ConfigurationFormat,
  clearDialog,
  configurationDisconnect,
  configurationKeepAlive,
  configurationPing,
  loginSuccess,
  readConfigurationPacket,
  readLoginAcknowledged,
  showDialog,
  transfer,
} from "../protocol/configuration.ts";

/**
 * Why a stay is over before the server was ready: the client is gone, the player pressed the button, the client broke the rules
 * or does not answer any more, it has waited as long as it may, or the router stops.
 */
export type RoomEnd = "gone" | "left" | "out-of-turn" | "mute" | "late" | "stopping";

/** What a player reads while he waits. */
export interface RoomText {
  readonly title: string;
  readonly lines: readonly string[];
}

/**
 * A client that waits in the configuration phase, where the router can show it text. It has been told that its login succeeded,
 * so this connection never reaches a backend: when the server is ready the client is transferred to the hostname that it came by,
 * and logs in anew. Plain data, as thousands may wait at a time; only this file writes its fields.
 */
export interface Room {
  readonly client: Conn;
  readonly format: ConfigurationFormat;
  readonly deps: RoomDeps;
  /** Aborts when the stay is over for a reason on this side. */
  readonly control: AbortController;
  /** Why it is over; null while the client waits. */
  end: RoomEnd | null;
  /** The client has accepted Login Success: before that it understands no packet of the configuration phase. */
  isAccepted: boolean;
  /** The text that the client shows, as one string. */
  shown: string;
  /** Keep-alives sent and answered. Each carries its number, counted from 1. */
  asked: number;
  answered: number;
  /** Packets since the last keep-alive was sent. */
  packets: number;
  /** Since when an acceptance or an answer has been owed, on the deadlines' clock. */
  owedSince: number;
  /** When the next keep-alive is due, and when the client has waited as long as it may, on the same clock. */
  askAt: number;
  limitAt: number;
  /** Null once the stay is over. */
  timer: Deadline | null;
}

/** Every client that waits in a room. */
export interface Rooms {
  readonly inside: Set<Room>;
  /** The router stops: no client waits any longer. */
  readonly stopping: AbortSignal;
}

/** What a room needs. */
export interface RoomDeps {
  readonly deadlines: Deadlines;
  readonly rooms: Rooms;
  /** What the player reads now. Asked every 3 s. */
  text(): RoomText;
  /** How much longer the client may wait, ms; asked again when that time is over. */
  leftMs(): number;
}

/** The client's own claim, which the login at the backend replaces. */
export interface RoomPlayer {
  readonly name: string;
  readonly uuid: string;
}

/** Between two looks at whether the text has changed, ms. */
const showMs = 3_000;
/** Between two keep-alives, ms: a client gives up after 30 s without a byte. */
const askMs = 8_000;
/** A client that owes an answer for so long is gone, ms: a window that is being dragged answers late. */
const muteMs = 60_000;
/** A client sends its brand and its settings, and then only answers. */
const packetLimit = 64;
/** How long the client may take to take the dialog away before the connection ends, ms. */
const farewellMs = 5_000;

const leave = { button: "Leave", buttonId: "automc:leave" } as const;
const lastPing = 1;

/** No client waits yet. */
export function createRooms(stopping: AbortSignal): Rooms {
  const inside = new Set<Room>();
  stopping.addEventListener("abort", () => {
    for (const room of [...inside]) finish(room, "stopping");
  });
  return { inside, stopping };
}

/**
 * Takes a client, whose Login Start has been taken from its inbox, into a room. It is read and written until it leaves by
 * `transferFromRoom` or `closeRoom`, one of which must be called.
 */
export function enterRoom(
  client: Conn,
  format: ConfigurationFormat,
  player: RoomPlayer,
  deps: RoomDeps,
): Room {
  const now = deps.deadlines.now();
  const room: Room = {
    client,
    format,
    deps,
    control: new AbortController(),
    end: null,
    isAccepted: false,
    shown: "",
    asked: 0,
    answered: 0,
    packets: 0,
    owedSince: now,
    askAt: now + askMs,
    limitAt: now + deps.leftMs(),
    timer: null,
  };
  deps.rooms.inside.add(room);
  send(client, loginSuccess(format, player, crypto.getRandomValues(new Uint8Array(16))));
  watch(client, (arrival) => onArrival(room, arrival));
  arm(room);
  if (deps.rooms.stopping.aborted) finish(room, "stopping");
  else if (client.closed || client.ending !== null) finish(room, "gone");
  return room;
}

/** Sends the client to this address, where it logs in anew, and closes the connection. */
export function transferFromRoom(room: Room, host: string, port: number): void {
  const { client, format, deps } = room;
  stop(room);
  send(client, clearDialog(format));
  send(client, transfer(format, host, port));
  close(client, deps.deadlines);
}

/**
 * Ends the stay with words and closes the connection. A client shows why it was disconnected only when the dialog is gone, so it is
 * asked for a sign that it is; a client that gives none within 5 s is disconnected all the same.
 */
export async function closeRoom(room: Room, words: string): Promise<void> {
  const { client, format, deps } = room;
  stop(room);
  if (room.isAccepted) {
    send(client, clearDialog(format));
    send(client, configurationPing(format, lastPing));
    await pong(room);
    send(client, configurationDisconnect(format, words));
  }
  close(client, deps.deadlines);
}

async function pong(room: Room): Promise<void> {
  const { client, deps } = room;
  const until = deps.deadlines.now() + farewellMs;
  for (;;) {
    const packet = readConfigurationPacket(peek(client), 0);
    if (packet.kind === "bad") return;
    if (packet.kind === "ok") {
      take(client, packet.end);
      if (packet.value.kind === "pong" && packet.value.id === lastPing) return;
      continue;
    }
    const arrival = await more(client, deps.deadlines, until - deps.deadlines.now());
    if (arrival !== "data") return;
  }
}

function stop(room: Room): void {
  room.timer?.cancel();
  room.timer = null;
  if (room.deps.rooms.inside.delete(room)) unwatch(room.client);
}

function finish(room: Room, why: RoomEnd): void {
  if (room.end !== null) return;
  room.end = why;
  stop(room);
  room.control.abort();
}

function arm(room: Room): void {
  const { deadlines } = room.deps;
  const nextMs = Math.min(showMs, room.limitAt - deadlines.now());
  room.timer = deadlines.after(Math.max(0, nextMs), () => onTime(room));
}

function onTime(room: Room): void {
  const { deadlines, leftMs } = room.deps;
  const now = deadlines.now();
  if (now >= room.limitAt) room.limitAt = now + leftMs();
  const isOwing = !room.isAccepted || room.answered < room.asked;
  if (now >= room.limitAt) finish(room, "late");
  else if (isOwing && now - room.owedSince > muteMs) finish(room, "mute");
  else if (room.isAccepted) {
    show(room);
    if (now >= room.askAt) ask(room, now);
  }
  // What was sent may have found the client gone.
  if (room.end === null) arm(room);
}

function show(room: Room): void {
  const text = room.deps.text();
  const shown = [text.title, ...text.lines].join("\n");
  if (shown === room.shown) return;
  room.shown = shown;
  send(room.client, showDialog(room.format, { ...text, ...leave }));
}

function ask(room: Room, now: number): void {
  if (room.asked === room.answered) room.owedSince = now;
  room.asked += 1;
  room.packets = 0;
  room.askAt = now + askMs;
  send(room.client, configurationKeepAlive(room.format, room.asked));
}

function onArrival(room: Room, arrival: Arrival): void {
  const end = arrival === "data" ? readAll(room) : "gone";
  if (end !== null) finish(room, end);
}

/** Reads what has arrived; gives why the stay is over by it, or null. */
function readAll(room: Room): RoomEnd | null {
  const { client } = room;
  for (;;) {
    const packet = room.isAccepted
      ? readConfigurationPacket(peek(client), 0)
      : readLoginAcknowledged(peek(client), 0);
    if (packet.kind === "need-more") return null;
    if (packet.kind === "bad") return "out-of-turn";
    take(client, packet.end);
    room.packets += 1;
    if (room.packets > packetLimit) return "out-of-turn";
    if (packet.value === true) {
      room.isAccepted = true;
      show(room);
    } else if (packet.value.kind === "click" && packet.value.id === leave.buttonId) {
      return "left";
    } else if (packet.value.kind === "keep-alive") {
      if (packet.value.id !== room.answered + 1 || room.answered === room.asked)
        return "out-of-turn";
      room.answered += 1;
      room.owedSince = room.deps.deadlines.now();
    }
  }
}
