import type { Peer } from "../net/peer.ts";
import { connectPlayer, type PlayerOptions } from "./player.ts";
import { login } from "./wire.ts";

/** What a router needs so that one address may send it a whole crowd. */
export const crowdSettings = {
  CONNECTION_RATE_LIMIT: "100000",
  AUTOMC_CLIENT_EXEMPT: "198.18.0.0/15",
} as const;

const opening = login({ host: "play.example.org", name: "Steve" });

/** A player who has joined a backend that echoes; or, in a word, what became of the attempt. */
export type Joined = Peer | "refused" | "lost";

/** Joins. Somebody who got a connection and no game is lost. */
export async function join(place: PlayerOptions, timeoutMs?: number): Promise<Joined> {
  let player: Peer;
  try {
    player = await connectPlayer(place);
  } catch {
    return "refused";
  }
  try {
    await player.send(opening);
    const heard = await player.read(opening.length, timeoutMs);
    if (!heard.equals(opening)) throw new Error("the router spoke itself");
    return player;
  } catch {
    player.reset();
    return "lost";
  }
}

/** Joins for a game that the test is about. Rejects when that fails. */
export async function joinGame(place: PlayerOptions): Promise<Peer> {
  const player = await join(place);
  if (typeof player === "string") throw new Error(`the player was ${player}`);
  return player;
}

/** Says something in the game and waits until it comes back. */
export async function speak(player: Peer, text: string): Promise<void> {
  await player.send(Buffer.from(text));
  const heard = (await player.read(Buffer.byteLength(text))).toString();
  if (heard !== text) throw new Error(`heard ${JSON.stringify(heard)}`);
}

/** What became of many attempts. */
export interface Tally {
  readonly joined: number;
  readonly refused: number;
  readonly lost: number;
}

/** Counts what became of each. */
export function tally(outcomes: readonly Joined[]): Tally {
  const refused = outcomes.filter((outcome) => outcome === "refused").length;
  const lost = outcomes.filter((outcome) => outcome === "lost").length;
  return { joined: outcomes.length - refused - lost, refused, lost };
}

/** Players who come and go, one after the other at each of some places, until they are stopped. */
export interface Crowd {
  /** How many attempts are over. */
  count(): number;
  /** Resolves when nobody is under way any more. */
  stop(): Promise<Tally>;
}

/** A crowd of sixteen at a time. */
export function startCrowd(place: PlayerOptions, timeoutMs?: number): Crowd {
  const outcomes: Joined[] = [];
  let isOver = false;
  const walkers = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      const outcome = await join(place, timeoutMs);
      outcomes.push(outcome);
      if (typeof outcome !== "string") outcome.close();
    }
  });
  return {
    count: () => outcomes.length,
    async stop() {
      isOver = true;
      await Promise.all(walkers);
      return tally(outcomes);
    },
  };
}
