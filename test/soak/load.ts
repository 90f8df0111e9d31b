import type { Dice } from "../support/dice.ts";
import { connectPlayer, firstWord, waitThroughHold } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { atPace } from "../support/postgres/live-table.ts";
import { type SoakWorld, sleeperName, sleepers, victimHost } from "./world.ts";

/** What the load has come to. */
export interface Tally {
  /** How often each thing was done. */
  readonly counts: ReadonlyMap<string, number>;
  /** What must never happen, and when it did. */
  readonly failures: readonly string[];
}

/** Games that nothing may end. */
const games = 40;
const gamePackets = { perSecond: 10, bytes: 64, seconds: 5 } as const;
/** Players of the victims at a time. */
const victimPlayers = 10;

/** Logins, games, pings, changes of routes and wakes until the signal aborts. Resolves with everything ended; the tally is kept up to date all the time. */
export function startLoading(
  world: SoakWorld,
  dice: Dice,
  signal: AbortSignal,
): { readonly tally: Tally; readonly ended: Promise<void> } {
  const { load, router, changes, table, plane } = world;
  const { port } = router;
  const counts = new Map<string, number>();
  const failures: string[] = [];
  const startedAt = performance.now();
  const count = (what: string, times = 1): void => {
    counts.set(what, (counts.get(what) ?? 0) + times);
  };
  const fail = (what: string): void => {
    failures.push(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${what}`);
  };
  /** Whatever goes wrong in it must not. */
  const surely = (what: string, act: () => Promise<void>) => (): Promise<void> =>
    act().catch((error: unknown) => fail(`${what}: ${String(error).split("\n", 1)[0]}`));

  async function play(): Promise<void> {
    await load.run("open", { port, hostname: "game.x", count: games, held: false });
    const exchange = surely("a game", async () => {
      count("packets", await load.run("exchange", gamePackets));
    });
    await atPace(0, signal, exchange);
    const cut = await load.run("close", {});
    if (cut > 0) fail(`${cut} of ${games} games were cut`);
  }

  const logIn = surely("a login", async () => {
    const hostnames = Array.from({ length: 5 }, () => dice.pick(changes.lasting));
    count("logins", (await load.run("logins", { port, hostnames })).length);
  });

  const ping = surely("a ping", async () => {
    await load.run("pings", { port, hostname: "status.x", count: 5, parallel: 5 });
    count("pings", 5);
  });

  const look = surely("a look", async () => {
    const host = dice.pick(changes.lasting);
    if ((await firstWord({ port }, host, 20_000)) === "") fail(`${host} was not routed`);
    count("looks at routes");
  });

  async function change(): Promise<void> {
    try {
      await table.database.ask(changes.next());
      count("changes of routes");
    } catch {
      // Postgres is away.
      await Bun.sleep(100);
    }
  }

  /** Wakes a server, reads its word or why it did not come up, and lets it sleep again. */
  const wake = surely("a wake", async () => {
    const name = sleeperName(dice.below(sleepers));
    using player = await connectPlayer({ port });
    await player.send(login({ host: `${name}.x`, name: `W${dice.below(1_000)}` }));
    await waitThroughHold(player, { timeoutMs: 40_000 });
    count("wakes");
    plane.setStopped(name);
  });

  /** These may be cut at any time, as their backends are. */
  async function crowdVictims(): Promise<void> {
    const victims = world.victims();
    try {
      await victims.run("open", { port, hostname: victimHost, count: victimPlayers, held: false });
      await Bun.sleep(dice.between(0, 3_000));
      await victims.run("close", {});
      count("games of victims", victimPlayers);
    } catch {
      await Bun.sleep(200);
    }
  }

  const ended = Promise.all([
    play(),
    atPace(500, signal, logIn),
    atPace(1_000, signal, ping),
    atPace(200, signal, look),
    atPace(50, signal, change),
    ...Array.from({ length: 3 }, () => atPace(1_000, signal, wake)),
    atPace(100, signal, crowdVictims),
  ]).then(() => undefined);
  return { tally: { counts, failures }, ended };
}
