import type { Dice } from "../support/dice.ts";
import type { Misbehaviour } from "../support/process/control-plane.ts";
import type { SoakWorld } from "./world.ts";

/** Something that goes wrong around the router, and is mended before it resolves. */
export interface Mishap {
  readonly name: string;
  happen(world: SoakWorld, dice: Dice): Promise<void>;
}

const misbehaviours: readonly Misbehaviour[] = [
  { kind: "hang" },
  { kind: "answer", status: 500 },
  { kind: "answer", status: 404 },
  { kind: "answer", status: 429, headers: { "retry-after": "60" } },
  { kind: "answer", status: 200, body: "{" },
  { kind: "huge", bytes: 10_000_000 },
  { kind: "gzip-bomb", bytes: 50_000_000 },
  { kind: "drip", everyMs: 100 },
];

/** Waits between these times, in seconds, drawn by chance. */
const pause = (dice: Dice, from: number, to: number): Promise<void> =>
  Bun.sleep(dice.between(from, to) * 1000);

async function restartPostgres(
  { table }: SoakWorld,
  dice: Dice,
  end: (server: SoakWorld["table"]["server"]) => Promise<void>,
): Promise<void> {
  await end(table.server);
  await pause(dice, 0, 8);
  // Without a server every further mishap of Postgres would fail: a machine that is too busy for one start gets more.
  for (let left = 5; left > 0; left--) {
    const failure = await table.server.start().then(
      () => null,
      (error: unknown) => error,
    );
    if (failure === null) return;
    console.error(`  ${String(failure)}`);
    await pause(dice, 1, 3);
  }
  throw new Error("Postgres does not start any more");
}

/** All that may happen, each as likely as the others. */
export const mishaps: readonly Mishap[] = [
  { name: "backends and players killed", happen: (world) => world.replaceVictims() },
  {
    name: "backends stopped",
    async happen(world, dice) {
      const { backendPid } = world.victims();
      process.kill(backendPid, "SIGSTOP");
      await pause(dice, 2, 10);
      process.kill(backendPid, "SIGCONT");
    },
  },
  {
    name: "Postgres killed",
    happen: (world, dice) => restartPostgres(world, dice, (server) => server.crash()),
  },
  {
    name: "Postgres shut down",
    happen: (world, dice) => restartPostgres(world, dice, (server) => server.kill()),
  },
  {
    name: "a session of Postgres killed",
    async happen({ table }, dice) {
      const pids = await table.database.routerPids();
      if (pids.length > 0) process.kill(dice.pick(pids), "SIGKILL");
    },
  },
  {
    name: "the path to Postgres frozen",
    async happen({ path }, dice) {
      path.freeze();
      await pause(dice, 3, 25);
      path.thaw();
    },
  },
  {
    name: "the control plane misbehaves",
    async happen({ plane }, dice) {
      plane.misbehave(dice.pick(misbehaviours));
      await pause(dice, 3, 15);
      plane.misbehave(null);
      plane.forgetRequests();
    },
  },
  {
    name: "SIGHUP",
    happen({ router }) {
      router.signal("SIGHUP");
      return Promise.resolve();
    },
  },
];
