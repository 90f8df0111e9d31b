import { expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostnameOf, roles } from "../../bench/jobs.ts";
import { type Load, startLoad } from "../../bench/load.ts";
import { noQueue } from "../process/e2e-network.ts";
import { type Router, startRouter } from "../process/router.ts";
import { type RouterApi, reserveRouterApi } from "../process/router-api.ts";
import { startWorker, type Worker } from "../process/worker.ts";
import type { FloodJobs } from "./flood-jobs.ts";
import { makeNetns, type Netns } from "./netns.ts";

/** The built router in a namespace of its own, between the backends and players of the bench and a flood. Dispose ends them all. */
export interface Arena extends AsyncDisposable {
  readonly netns: Netns;
  readonly router: Router;
  /** Well-behaved players, and backends for each role under `hostnameOf(role)`. */
  readonly load: Load;
  /** The others, in as many processes as were asked for. */
  readonly floods: readonly Worker<FloodJobs>[];
  /** Where the router listens, as seen from inside the namespace. */
  readonly place: { readonly hostname: string; readonly port: number };
  readonly api: RouterApi;
  /** The value of a metric, all labels together; 0 for one that has none yet. */
  metric(name: string): Promise<number>;
  /** Logs in to an echo so many times, one after the other; gives the time to the first byte of each, ms. */
  login(times: number): Promise<readonly number[]>;
}

/** The largest value that has been seen of something. Dispose ends the watch. */
export interface Peak extends Disposable {
  readonly value: number;
}

/** Looks at something twenty times a second. */
export function watchPeak(read: () => number): Peak {
  let value = read();
  const look = (): void => {
    value = Math.max(value, read());
  };
  const timer = setInterval(look, 50);
  return {
    get value() {
      look();
      return value;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Fails unless the router lives, has met nothing that it did not expect, and serves the next player. */
export async function expectUnharmed(arena: Arena): Promise<void> {
  const { router } = arena;
  expect(router.lines.filter(({ level }) => level === "error")).toEqual([]);
  expect(await arena.metric("automc_faults_total")).toBe(0);
  expect(await arena.login(1)).toHaveLength(1);
}

/** What an arena may be given. */
export interface ArenaOptions {
  /** The router's settings beside those that all have. */
  readonly env?: (netns: Netns) => Readonly<Record<string, string>>;
  /** What the router finds in /etc/resolv.conf. */
  readonly resolvConf?: (netns: Netns) => string;
  /** More routes, as `MAPPING` has them. */
  readonly routes?: (netns: Netns) => readonly string[];
  /** How many processes the flood comes from; 1 if not given. */
  readonly floods?: number;
}

/** Starts everything; the router has served some logins already, so that what a runtime needs for its first ones is not measured. */
export async function startArena(options: ArenaOptions = {}): Promise<Arena> {
  await using started = new AsyncDisposableStack();
  const netns = started.use(makeNetns());
  const load = started.use(await startLoad(netns.enter));
  const directory = mkdtempSync(join(tmpdir(), "automc-arena-"));
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  const api = reserveRouterApi(join(directory, "api"));
  const router = started.use(
    await startRouter({
      within: [...netns.enter, ...withResolvConf(directory, options.resolvConf?.(netns))],
      env: {
        ...noQueue,
        ...api.env,
        AUTOMC_BIND: "0.0.0.0",
        // The players of many a test come from one address.
        AUTOMC_CLIENT_EXEMPT: "127.0.0.0/8,198.18.0.0/15",
        MAPPING: [...routesTo(load), ...(options.routes?.(netns) ?? [])].join(","),
        ...options.env?.(netns),
      },
    }),
  );
  const floods = Array.from({ length: options.floods ?? 1 }, () =>
    started.use(startWorker<FloodJobs>(join(import.meta.dir, "flood-process.ts"), netns.enter)),
  );
  const login = (times: number): Promise<readonly number[]> =>
    load.run("logins", {
      port: router.port,
      hostnames: Array.from({ length: times }, () => hostnameOf("echo")),
    });
  await login(200);
  const running = started.move();
  return {
    netns,
    router,
    load,
    floods,
    place: { hostname: "127.0.0.1", port: router.port },
    api,
    async metric(name) {
      const series = [...(await api.metrics())].filter(([key]) => key.split("{", 1)[0] === name);
      return series.reduce((sum, [, value]) => sum + value, 0);
    },
    login,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const routesTo = ({ backends }: Load): readonly string[] =>
  roles.map((role) => `${hostnameOf(role)}=127.0.0.1:${backends.roles[role]}`);

/** What to put in front of a command so that it finds that text in /etc/resolv.conf, and nobody else does. */
function withResolvConf(directory: string, text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  const file = join(directory, "resolv.conf");
  writeFileSync(file, text);
  const mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  return ["unshare", "--mount", "sh", "-c", mount, file];
}
