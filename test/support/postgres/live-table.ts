import { linesOf, noQueue, printedSchema } from "../process/e2e-network.ts";
import { type Router, type RouterOptions, startRouter } from "../process/router.ts";
import { type RouterApi, reserveRouterApi } from "../process/router-api.ts";
import { until } from "../until.ts";
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
  type TestPostgresOptions,
} from "./postgres.ts";

/**
 * The table `servers` on a Postgres server of its own, which a test may treat as it likes. Dispose ends the
 * server.
 */
export interface LiveTable extends AsyncDisposable {
  readonly server: TestPostgres;
  readonly database: TestDatabase;
}

/** A server with the table as `automc-router schema` makes it. */
export async function startLiveTable(options?: TestPostgresOptions): Promise<LiveTable> {
  const server = await startPostgres(options);
  const database = await server.createDatabase();
  await database.sql.unsafe(await printedSchema());
  return { server, database, [Symbol.asyncDispose]: () => server.stop() };
}

/** A router whose operator reads its API. Dispose kills it. */
export interface OpenRouter extends AsyncDisposable {
  readonly router: Router;
  readonly api: RouterApi;
}

/** A router with the API open, and without a queue of connections. */
export async function startOpenRouter(
  env: Readonly<Record<string, string>>,
  options: Omit<RouterOptions, "env"> = {},
): Promise<OpenRouter> {
  const api = reserveRouterApi();
  const router = await startRouter({
    // Without a database it waits 5 s for its first routes.
    timeoutMs: 30_000,
    ...options,
    env: { ...noQueue, ...api.env, ...env },
  });
  return { router, api, [Symbol.asyncDispose]: () => router[Symbol.asyncDispose]() };
}

/** What `/routes` should say, from the table itself; for rows with one hostname each. */
export async function tableRoutes({ ask }: TestDatabase): Promise<readonly string[]> {
  const rows = await ask<{ domain: string; address: string }>(
    "SELECT domain, address FROM servers WHERE domain != '' AND address != ''",
  );
  return rows.map(({ domain, address }) => `${domain} ${address}`).sort();
}

/** Waits until the router routes what the table says; gives how long that took, in seconds. */
export async function converge(
  { api }: Pick<OpenRouter, "api">,
  database: TestDatabase,
  limitMs = 20_000,
): Promise<number> {
  const startedAt = performance.now();
  const isTable = async (): Promise<boolean> =>
    Bun.deepEquals(await api.routes(), await tableRoutes(database));
  // Our own connection to a server that was killed may have to be made again first.
  await until("the routes are the table", () => isTable().catch(() => false), limitMs);
  return (performance.now() - startedAt) / 1000;
}

/** How often the router has told of that event. */
export const countOf = (router: Router, event: string): number => linesOf(router, event).length;

/**
 * Does something at an even pace, one after the other, until the signal aborts; gives how often. Time that
 * was lost is not made up for.
 */
export async function atPace(
  everyMs: number,
  signal: AbortSignal,
  act: () => Promise<void>,
): Promise<number> {
  let count = 0;
  for (let due = performance.now(); !signal.aborted; count++) {
    await act();
    due = Math.max(due + everyMs, performance.now());
    await Bun.sleep(due - performance.now());
  }
  return count;
}
