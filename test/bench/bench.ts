/**
 * Measures the built router beside HAProxy and nginx: `bun run bench [--quick | --micro] [--doc] [--only
 * PART]... [--peer name=/path]... [--router /path]`. `--doc` puts the result into docs/performance.md; with
 * `--from FILE` that of an earlier run.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { latencyRows } from "./latency-rows.ts";
import { type Load, startLoad } from "./load.ts";
import { baseRows, idleRows } from "./memory-rows.ts";
import { isFast, type MicroRow, microRows } from "./micro.ts";
import { writePage } from "./page.ts";
import { relayRows } from "./relay-rows.ts";
import { commitText, machineText, microText, type Result, runText, tableText } from "./report.ts";
import { routesRows } from "./routes-rows.ts";
import type { Row } from "./row.ts";
import {
  bareBun,
  type Contender,
  goRelay,
  haproxy,
  minecraftRouter,
  nginx,
  programsText,
  type Target,
} from "./targets.ts";
import { wakeRows } from "./wake-rows.ts";

const root = join(import.meta.dir, "../..");

const sizes = {
  quick: {
    memoryRounds: 1,
    latencySeconds: 5,
    startRounds: 3,
    relay: { rounds: 3, warmUpPings: 12_000, bulkBytes: 5e8, packetSeconds: 2, pings: 4_000 },
    wake: { rounds: 3, pings: 4_000, holdSeconds: 16 },
    routes: { changes: 50, seedChanges: 20, stallSeconds: 5 },
  },
  full: {
    memoryRounds: 3,
    latencySeconds: 15,
    startRounds: 5,
    relay: { rounds: 5, warmUpPings: 30_000, bulkBytes: 2e9, packetSeconds: 8, pings: 20_000 },
    wake: { rounds: 5, pings: 10_000, holdSeconds: 32 },
    routes: { changes: 200, seedChanges: 200, stallSeconds: 15 },
  },
} as const;

type Size = (typeof sizes)[keyof typeof sizes];

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    doc: { type: "boolean", default: false },
    from: { type: "string" },
    micro: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    peer: { type: "string", multiple: true, default: [] },
    router: { type: "string", default: join(root, "dist/automc-router") },
  },
});

const binary = resolve(values.router);

if (values.doc && values.only.length > 0) throw new Error("--doc needs all parts, without --only");

const peers = values.peer.map((peer) => {
  const [name = "", path] = peer.split(/=(.*)/s);
  if (path === undefined) throw new Error(`--peer ${peer} is not name=/path`);
  return { name, path: resolve(path) };
});

/**
 * The router first, then the programs that only copy bytes, then other Minecraft routers, which get
 * `routes` routes more than they need.
 */
const contenders = (routes: number): readonly Contender[] => {
  const more = Array.from({ length: routes }, (_, i) => `more${i}.example.org=127.0.0.1:9`);
  return [
    minecraftRouter("automc-router", binary, {}, more),
    haproxy,
    nginx,
    ...peers.map(({ name, path }) => minecraftRouter(name, path, {}, more)),
  ];
};

async function compareRelays(load: Load, size: Size): Promise<readonly Row[]> {
  const targets: Target[] = [];
  try {
    for (const contender of [...contenders(0), goRelay, bareBun])
      targets.push(await contender.start(load.backends));
    return await relayRows(targets, load, size.relay);
  } finally {
    for (const target of targets) await target[Symbol.asyncDispose]();
  }
}

/** The parts of the bench, in the order of the table. Those that need no Postgres do not start one. */
const parts: Readonly<Record<string, (load: Load, size: Size) => Promise<readonly Row[]>>> = {
  relay: compareRelays,
  base: (load, size) => baseRows(contenders(1_000), load, size.startRounds),
  idle: (load, size) => idleRows([...contenders(0), bareBun], load, size.memoryRounds),
  latency: (load, size) => latencyRows([...contenders(0), goRelay], load, size.latencySeconds),
  wake: (load, size) => withPostgres((postgres) => wakeRows(binary, postgres, load, size.wake)),
  routes: (load, size) =>
    withPostgres((postgres) => routesRows(binary, postgres, load, haproxy, size.routes)),
};

async function withPostgres<T>(use: (postgres: TestPostgres) => Promise<T>): Promise<T> {
  const postgres = await startPostgres();
  try {
    return await use(postgres);
  } finally {
    await postgres.stop();
  }
}

/** Runs the parts one after the other, or those that were named. */
async function measure(size: Size): Promise<readonly Row[]> {
  const names = values.only.length > 0 ? values.only : Object.keys(parts);
  await using load = await startLoad();
  const rows: Row[] = [];
  for (const name of names) {
    const part = parts[name];
    if (part === undefined) throw new Error(`--only ${name}: there is ${Object.keys(parts)}`);
    const startedAt = performance.now();
    rows.push(...(await part(load, size)));
    console.error(`${name}: ${Math.round((performance.now() - startedAt) / 1000)} s`);
  }
  return rows;
}

async function bench(mode: Result["mode"]): Promise<Result> {
  const startedAt = performance.now();
  const about = {
    machine: machineText(),
    programs: programsText(),
    commit: commitText(),
    date: new Date().toISOString(),
  };
  const rows = await measure(sizes[mode]);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const result: Result = { ...about, mode, seconds, rows };
  await Bun.write(join(root, "bench.json"), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** The exit code guards: 1 when a call is slower than its limit. */
function showMicro(rows: readonly MicroRow[]): void {
  console.log(microText(rows));
  if (!rows.every(isFast)) process.exitCode = 1;
}

async function show(result: Result): Promise<void> {
  console.log(`\n${tableText(result.rows)}\n\n${runText(result)}`);
  if (values.doc) await writePage(result);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
if (values.micro) showMicro(microRows());
else if (values.from !== undefined) await show(await Bun.file(values.from).json());
else await show(await bench(values.quick ? "quick" : "full"));
