import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { own } from "../support/postgres/postgres.ts";
import { runRouter } from "../support/process/router.ts";
import { type DemoPostgres, startDemoPostgres } from "./postgres.ts";
import { type DemoRouter, startDemoRouter } from "./router.ts";
import { plans, type ServerManager, startServerManager } from "./server-manager.ts";
import type { Timeline } from "./timeline.ts";

/** What the server list shows of a server that sleeps, and of one that starts. */
export const motd = {
  asleep: "Asleep. Join to start it.",
  loading: "Starting. Players are waiting.",
} as const;

/** Everything that the story plays on, up and running. Dispose ends all of it and leaves nothing behind. */
export interface Stage extends AsyncDisposable {
  readonly folder: string;
  readonly database: DemoPostgres;
  readonly manager: ServerManager;
  readonly router: DemoRouter;
  readonly timeline: Timeline;
}

/** Starts Postgres, the control plane and the router, in a folder of their own under the system's temporary one. */
export async function openStage(timeline: Timeline): Promise<Stage> {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "automc-demo-"));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  own(folder);

  const database = opened.use(await startDemoPostgres(join(folder, "postgres")));
  await applySchema(database.sql);
  timeline.tell("postgres", `PostgreSQL ${database.version}, private; schema applied, twice`);

  const token = crypto.randomUUID();
  const manager = opened.use(await startServerManager({ sql: database.sql, token, timeline }));
  const names = plans.map(({ name, version }) => `${name} (${version})`).join(", ");
  timeline.tell("control plane", `${manager.plane.url}; all asleep: ${names}`);

  const router = opened.use(
    await startDemoRouter(folder, {
      AUTOMC_DSN: database.dsn,
      AUTOMC_WAKER_URL: manager.plane.url,
      AUTOMC_WAKER_TOKEN: token,
      AUTO_SCALE_ASLEEP_MOTD: motd.asleep,
      AUTO_SCALE_LOADING_MOTD: motd.loading,
      AUTOMC_DRAIN_TIMEOUT: "1s",
      // The story asks again and again, faster than any one player would.
      CONNECTION_RATE_LIMIT: "1000",
    }),
  );
  timeline.tell("router", `listens on 127.0.0.1:${router.port}`);

  const kept = opened.move();
  return {
    folder,
    database,
    manager,
    router,
    timeline,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Applies what `automc-router schema` prints; the second time must find nothing to do and nothing to complain about. */
async function applySchema(sql: DemoPostgres["sql"]): Promise<void> {
  const schema = await runRouter(["schema"]);
  if (schema.exitCode !== 0) throw new Error(`automc-router schema failed: ${schema.stderr}`);
  for (const _ of ["first", "again"]) await sql.unsafe(schema.stdout).simple();
}
