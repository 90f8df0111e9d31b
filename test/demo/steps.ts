import { type GameSession, join, pingServer, protocolOf } from "../support/minecraft/minecraft.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { handshake, intents, statusRequest } from "../support/minecraft/wire.ts";
import { type Bot, sendBot } from "../support/minecraft/world.ts";
import { changeMs, expectEqual, expectSoon, Unexpected } from "./expectation.ts";
import { motd, type Stage } from "./stage.ts";
import { seconds } from "./timeline.ts";

/** A player's client: its name, its version, and the hostname that is typed into it. */
export interface Client {
  readonly username: string;
  readonly version: string;
  readonly hostname: string;
}

/** How long a join may take before the story has failed, ms: far longer than it should. */
const joinMs = 60_000;

/** The version that the server list is of. */
const listVersion = "1.20.4";

/** The first protocol that has Login Plugin Requests: Minecraft 1.13. */
const firstWithPluginRequests = 393;

/** The server list shows this text for the hostname. */
export async function seeInList(stage: Stage, hostname: string, text: string): Promise<void> {
  expectEqual(`the server list's text for ${hostname}`, await listText(stage, hostname), text);
  stage.timeline.tell("server list", `${hostname} says "${text}"`);
}

/** The server list shows that the server starts, as soon as the wake is under way. */
export async function seeLoading(stage: Stage, hostname: string): Promise<void> {
  const step = `the server list's text for ${hostname} while it starts`;
  await expectSoon(step, () => listText(stage, hostname), motd.loading);
  stage.timeline.tell("server list", `${hostname} says "${motd.loading}"`);
}

/** Logs in and tells what the wait was like. The caller ends the game. */
export async function joinGame(stage: Stage, client: Client): Promise<GameSession> {
  const who = announce(stage, client);
  const { hostname: host, username, version } = client;
  const { port } = stage.router;
  const outcome = await join({ port, host, version, username, timeoutMs: joinMs });
  if (outcome.kind !== "joined") throw new Unexpected(`${who} joins ${host}`, "joined", outcome);

  const { elapsedMs, largestSilenceMs, pluginRequests } = outcome.quiet;
  const facts = [`is in the game after ${seconds(elapsedMs)}`];
  // What keeps older clients alive, empty frames, the client's library passes over without a word.
  if (protocolOf(version) >= firstWithPluginRequests) facts.push(`keep-alives: ${pluginRequests}`);
  facts.push(`longest silence: ${seconds(largestSilenceMs)}`);
  stage.timeline.tell(who, facts.join(", "));
  return outcome.session;
}

/** A bot joins until it stands on the ground of its world. The caller makes it leave. */
export async function enterWorld(stage: Stage, client: Client): Promise<Bot> {
  const who = announce(stage, client);
  const { hostname: host, username, version } = client;
  const { port } = stage.router;
  const bot = await sendBot({ port, host, version, username, timeoutMs: joinMs });
  expectEqual(`what ${username} stands on`, bot.standsOn, "grass_block");
  stage.timeline.tell(who, "stands on the grass of its world");
  return bot;
}

/** All who waited have shared one start. */
export function seeOneStart({ manager, timeline }: Stage, name: string): void {
  expectEqual(`how often ${name} was to be started`, manager.plane.starts(name), 1);
  timeline.tell("control plane", `was asked to start ${name} once, not once per player`);
}

/** A server moves from one hostname to another; the old one is nobody's from then on. */
export async function renameBySql(
  stage: Stage,
  name: string,
  before: string,
  after: string,
): Promise<void> {
  await stage.database.sql`UPDATE servers SET domain = ${after} WHERE name = ${name}`;
  const committedAt = performance.now();
  stage.timeline.tell("sql", `UPDATE servers SET domain = '${after}' WHERE name = '${name}'`);
  await expectSoon(`${after} is known`, () => isKnown(stage, after), true);
  const tookMs = Math.ceil(performance.now() - committedAt);
  stage.timeline.tell("router", `routes ${after} ${tookMs} ms after the commit`);
  await seeInList(stage, after, motd.asleep);
  await seeSilence(stage, before);
}

/** A hostname that is nobody's: the connection ends without a byte. */
export async function seeSilence(stage: Stage, hostname: string): Promise<void> {
  expectEqual(`${hostname} is known`, await isKnown(stage, hostname), false);
  stage.timeline.tell("server list", `${hostname} is unknown: closed without a byte`);
}

/** The row of a running server is pointed to where nobody listens, then deleted. */
export async function moveAndDeleteBySql(
  stage: Stage,
  name: string,
  hostname: string,
): Promise<void> {
  const { sql } = stage.database;
  const address = "127.0.0.1:1";
  await sql`UPDATE servers SET address = ${address} WHERE name = ${name}`;
  stage.timeline.tell("sql", `UPDATE servers SET address = '${address}' WHERE name = '${name}'`);
  const step = `the server list's text for ${hostname} after the move`;
  await expectSoon(step, () => listText(stage, hostname), motd.asleep);

  await sql`DELETE FROM servers WHERE name = ${name}`;
  stage.timeline.tell("sql", `DELETE FROM servers WHERE name = '${name}'`);
  await expectSoon(`${hostname} is known`, () => isKnown(stage, hostname), false);
  await seeSilence(stage, hostname);
}

/** Both players of a world are still in it: what the bot says now arrives there. */
export async function seeStillPlaying(
  stage: Stage,
  name: string,
  player: GameSession,
  bot: Bot,
): Promise<void> {
  const message = "still here";
  bot.chat(message);
  const heard = await stage.manager.world(name).hear();
  expectEqual(`what the world of ${name} hears`, heard.message, message);
  expectEqual(`${player.username} is connected`, player.isConnected, true);
  stage.timeline.tell(name, `hears ${heard.username} say "${message}"`);
  stage.timeline.tell(player.username, "is still connected");
}

/** Tells that a client joins, and gives its name in the timeline. */
function announce({ timeline }: Stage, { username, version, hostname }: Client): string {
  const who = `${username} ${version}`;
  timeline.tell(who, `joins ${hostname}`);
  return who;
}

/** The description that the server list shows; null for one that is no plain text. Rejects when there is no answer. */
async function listText(stage: Stage, hostname: string): Promise<string | null> {
  const { status } = await pingServer({
    port: stage.router.port,
    host: hostname,
    version: listVersion,
    timeoutMs: changeMs,
  });
  const { description } = status as { description?: string | { text?: string } };
  return typeof description === "string" ? description : (description?.text ?? null);
}

/** True when a status request for the hostname gets a byte back, false when the connection ends without one. */
async function isKnown(stage: Stage, hostname: string): Promise<boolean> {
  const { port } = stage.router;
  using client = await connectPlayer({ port });
  const protocol = protocolOf(listVersion);
  const asked = handshake({ protocol, host: hostname, port, intent: intents.status });
  await client.send(Buffer.concat([asked, statusRequest]));
  // It rejects at the end as well as when the time is over; which of them it was is asked below.
  await client.waitForLength(1, changeMs).catch(() => undefined);
  if (client.receivedLength > 0) return true;
  if (client.ending === "open") {
    throw new Unexpected(`a status request for ${hostname}`, "an answer or the end", "neither");
  }
  return false;
}
