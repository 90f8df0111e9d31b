import { type Load, startLoad } from "../bench/load.ts";
import type { Dice } from "../support/dice.ts";
import { laterPort } from "../support/net/ports.ts";
import { type LiveTable, startLiveTable } from "../support/postgres/live-table.ts";
import { planTableChanges, type TableChanges } from "../support/postgres/table-changes.ts";
import { type ControlPlane, startControlPlane } from "../support/process/control-plane.ts";
import { type Haproxy, startHaproxy } from "../support/process/haproxy.ts";
import { type RouterApi, reserveRouterApi } from "../support/process/router-api.ts";
import { type SoakRouter, startSoakRouter } from "./router.ts";

/** Everything around the router. Dispose ends it all. */
export interface SoakWorld extends AsyncDisposable {
  readonly router: SoakRouter;
  readonly api: RouterApi;
  readonly table: LiveTable;
  /** Between the router and Postgres. */
  readonly path: Haproxy;
  readonly plane: ControlPlane;
  readonly changes: TableChanges;
  /** Backends that nothing happens to, and their players. */
  readonly load: Load;
  /** Backends that things happen to, and their players; another one after a death. */
  victims(): Load;
  /** Kills the victims' processes and puts others in their place, to which the table then leads. */
  replaceVictims(): Promise<void>;
}

/** Hostname of the victims. */
export const victimHost = "victim.x";
/** Servers that sleep until somebody joins, by number. */
export const sleepers = 20;
export const sleeperName = (index: number): string => `sleeper${index}`;

const echoOf = ({ backends }: Load): string => `127.0.0.1:${backends.roles.echo}`;

/** Starts Postgres, HAProxy, a control plane, backends, players and the router. */
export async function startWorld(dice: Dice): Promise<SoakWorld> {
  await using started = new AsyncDisposableStack();
  const table = started.use(await startLiveTable());
  const { sql } = table.database;
  const path = started.use(await startHaproxy({ target: `127.0.0.1:${table.server.port}` }));
  const load = started.use(await startLoad());
  const { roles } = load.backends;
  let victims = await startLoad();
  started.defer(() => victims[Symbol.asyncDispose]());

  const stable = [roles.echo, roles.echo2].map((port) => `127.0.0.1:${port}`);
  const changes = planTableChanges(dice, stable);
  await sql.unsafe(changes.fill);
  await sql`INSERT INTO servers VALUES ('victim', ${victimHost}, ${echoOf(victims)})`;
  const plane = started.use(
    startControlPlane({
      // A backend that answers with a whole packet, so that a player knows the end of the wait.
      async onStart() {
        await Bun.sleep(dice.between(100, 3_000));
        return `127.0.0.1:${roles.status}`;
      },
    }),
  );
  const asleep = `127.0.0.1:${laterPort()}`;
  for (let index = 0; index < sleepers; index++) {
    const name = sleeperName(index);
    plane.add({ name });
    await sql`INSERT INTO servers VALUES (${name}, ${`${name}.x`}, ${asleep})`;
  }
  plane.add({ name: "victim", state: "running", address: echoOf(victims) });
  for (const host of changes.lasting) {
    plane.add({ name: host.replace(".x", ""), state: "running", address: echoOf(load) });
  }

  const api = reserveRouterApi();
  const router = started.use(
    await startSoakRouter(laterPort(), {
      ...api.env,
      CONNECTION_RATE_LIMIT: "100000",
      MAPPING: `game.x=${stable[0]},status.x=127.0.0.1:${roles.status}`,
      AUTOMC_DSN: table.database.dsn({ port: path.port }),
      AUTOMC_WAKER_URL: plane.url,
      AUTOMC_WAKER_TIMEOUT: "20s",
      AUTOMC_WAKER_POLL_INTERVAL: "500ms",
      // A flood of wakes is what this is about, and not what is kept out.
      AUTOMC_WAKES: "0",
      AUTOMC_WAKE_COOLDOWN: "0s",
    }),
  );
  const opened = started.move();
  return {
    router,
    api,
    table,
    path,
    plane,
    changes,
    load,
    victims: () => victims,
    async replaceVictims() {
      const next = await startLoad();
      const before = victims;
      victims = next;
      plane.setRunning("victim", echoOf(next));
      process.kill(before.backendPid, "SIGKILL");
      await before[Symbol.asyncDispose]();
      // The database may be away; the next change that gets through will do.
      for (let isTold = false; !isTold; ) {
        isTold = await table.database
          .ask(`UPDATE servers SET address = '${echoOf(next)}' WHERE name = 'victim'`)
          .then(
            () => true,
            () => Bun.sleep(500).then(() => false),
          );
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
