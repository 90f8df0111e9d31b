import { expect, setDefaultTimeout, test } from "bun:test";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer, disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import { login, loginDisconnect } from "../support/minecraft/wire.ts";
import { watchPeak } from "../support/net/arena.ts";
import { closing, running, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { startLiveTable, startOpenRouter } from "../support/postgres/live-table.ts";
import { type Misbehaviour, startControlPlane } from "../support/process/control-plane.ts";
import { insertRows, linesOf } from "../support/process/e2e-network.ts";
import { expectUnharmed } from "../support/process/unharmed.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const timeoutSeconds = 8;
const pollMs = 500;

/** What a control plane may answer about one server, and how that server is. */
interface Case {
  readonly name: string;
  readonly misbehaviour?: Misbehaviour;
  /** It says that the server runs there. */
  readonly runningAt?: string;
}

test("a control plane that does anything but its part costs players the stated time, and nobody else anything", async () => {
  await using table = await startLiveTable();
  await using plane = startControlPlane();
  await using elsewhere = startControlPlane();
  using dying = startBackend(closing);
  using backend = startBackend(running(loginDisconnect("awake")));
  const answer = (status: number, rest: { body?: string; headers?: Record<string, string> } = {}) =>
    ({ kind: "answer", status, ...rest }) as const;
  const to = (location: string) => ({ headers: { location } });
  const cases: readonly Case[] = [
    { name: "hangs", misbehaviour: { kind: "hang" } },
    { name: "500", misbehaviour: answer(500) },
    { name: "409", misbehaviour: answer(409) },
    { name: "429", misbehaviour: answer(429, { headers: { "retry-after": "3600" } }) },
    { name: "404", misbehaviour: answer(404) },
    { name: "empty", misbehaviour: answer(200) },
    { name: "10 MB", misbehaviour: { kind: "huge", bytes: 10_000_000 } },
    { name: "gzip bomb", misbehaviour: { kind: "gzip-bomb", bytes: 200_000_000 } },
    { name: "drip", misbehaviour: { kind: "drip", everyMs: 50 } },
    { name: "to a link-local address", misbehaviour: answer(302, to("http://169.254.7.7/latest")) },
    { name: "to another", misbehaviour: answer(307, to(`${elsewhere.url}/servers/other`)) },
    { name: "broken JSON", misbehaviour: answer(200, { body: '{"state":"running","address":' }) },
    { name: "closed port", runningAt: `127.0.0.1:${laterPort()}` },
    { name: "dies", runningAt: dying.address },
    { name: "elsewhere", runningAt: "127.7.7.7:25565" },
    { name: "link-local", runningAt: "169.254.7.7:25565" },
  ];
  for (const { name, misbehaviour, runningAt } of cases) {
    const isRunning = runningAt !== undefined;
    plane.add({ name, ...(isRunning ? { state: "running", address: runningAt } : {}) });
    if (misbehaviour !== undefined) plane.misbehave(misbehaviour, { server: name });
  }
  plane.add({ name: "well", address: backend.address, startMs: 1_000 });
  const rows = [...cases.map(({ name }) => name), "well"].map((name) => ({
    name,
    domain: `${name.replaceAll(" ", "-")}.x`,
    address: `127.0.0.1:${laterPort()}`,
  }));
  await insertRows(table.database, rows);
  await using one = await startOpenRouter({
    AUTOMC_DSN: table.database.dsn(),
    AUTOMC_WAKER_URL: plane.url,
    AUTOMC_WAKER_TIMEOUT: `${timeoutSeconds}s`,
    AUTOMC_WAKER_POLL_INTERVAL: `${pollMs}ms`,
    AUTOMC_BACKEND_ALLOW: "127.0.0.0/24",
  });
  const { router } = one;
  const base = router.rss();
  using peak = watchPeak(router.rss);

  const playersEach = 10;
  const waiting = cases.flatMap(({ name }) =>
    Array.from({ length: playersEach }, async (_, index) => {
      using player = await connectPlayer({ port: router.port });
      await player.send(login({ host: `${name.replaceAll(" ", "-")}.x`, name: `P${index}` }));
      const { frame } = await waitThroughHold(player);
      const seconds = (performance.now() - player.openedAtMs) / 1000;
      return { name, text: disconnectText(frame), seconds };
    }),
  );
  using lucky = await connectPlayer({ port: router.port });
  await lucky.send(login({ host: "well.x", name: "Lucky" }));
  expect(disconnectText((await waitThroughHold(lucky)).frame)).toContain("awake");
  const well = (performance.now() - lucky.openedAtMs) / 1000;
  const told = await Promise.all(waiting);
  const seconds = told.map((each) => each.seconds);
  const starts = cases.map(({ name }) => plane.starts(name));
  const looks = cases.map(
    ({ name }) =>
      plane.requests.filter(({ kind, server }) => kind === "state" && server === name).length,
  );
  const growth = (peak.value - base) / 1e6;
  measured({
    scenario: "T29",
    promise: "P3",
    what: `${playersEach} players each at ${cases.length} servers whose control plane ${cases.map(({ name }) => name).join(", ")}`,
    result: `all read that it did not start in time, after ${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s (AUTOMC_WAKER_TIMEOUT is ${timeoutSeconds} s); at most ${Math.max(...starts)} starts and ${Math.max(...looks)} looks for one server, ${elsewhere.requests.length} requests where redirects led; a well server beside them took ${well.toFixed(1)} s (it starts in 1 s); memory +${growth.toFixed(0)} MB`,
  });
  expect(well).toBeLessThan(4);
  expect(new Set(told.map(({ text }) => text))).toEqual(
    new Set([
      JSON.stringify({
        text: "This server did not start in time. Please try again in a few minutes.",
      }),
    ]),
  );
  expect(Math.min(...seconds)).toBeGreaterThan(timeoutSeconds - 1);
  expect(Math.max(...seconds)).toBeLessThan(timeoutSeconds + 3);
  // However many players wait, requests are as many as one of them would cause.
  const rounds = (timeoutSeconds * 1000) / pollMs + 2;
  expect(Math.max(...starts, ...looks)).toBeLessThanOrEqual(rounds);
  expect(elsewhere.requests).toEqual([]);
  expect(growth).toBeLessThan(64);
  expectUnharmed(router);
});

/** So many sleeping servers that never come up, and a router before them. */
async function startSleepers(count: number, env: Readonly<Record<string, string>>) {
  const stack = new AsyncDisposableStack();
  const table = stack.use(await startLiveTable());
  const names = Array.from({ length: count }, (_, index) => `s${index}`);
  const servers = names.map((name) => ({ name, startMs: null }));
  const plane = stack.use(startControlPlane({ servers }));
  const port = laterPort();
  await table.database.sql.unsafe(
    `INSERT INTO servers SELECT 's' || i, 's' || i || '.x', '127.0.0.1:${port}'
     FROM generate_series(0, ${count - 1}) i`,
  );
  const one = stack.use(
    await startOpenRouter({
      AUTOMC_DSN: table.database.dsn(),
      AUTOMC_WAKER_URL: plane.url,
      AUTOMC_WAKER_TIMEOUT: "20s",
      ...env,
    }),
  );
  const starts = (): number => names.reduce((sum, name) => sum + plane.starts(name), 0);
  return { ...one, plane, starts, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Logs in so often at once, to the servers in turn, and leaves when nothing is asked for any more. */
async function rush(
  scene: Awaited<ReturnType<typeof startSleepers>>,
  count: number,
  servers: number,
): Promise<{ readonly refused: number; readonly holding: number }> {
  const { router, starts } = scene;
  using stack = new DisposableStack();
  const players = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const player = stack.use(await connectPlayer({ port: router.port }));
      await player.send(login({ host: `s${index % servers}.x`, name: `P${index}` }));
      return player;
    }),
  );
  const holding = () => linesOf(router, "session-holding").length;
  const refused = () => players.filter(({ ending }) => ending !== "open").length;
  await until("everybody waits or has been refused", () => holding() + refused() >= count);
  let last = -1;
  await until("no more starts come", async () => {
    const before = last;
    last = starts();
    if (before !== last) await Bun.sleep(2_000);
    return before === last;
  });
  return { refused: refused(), holding: holding() };
}

test("500 logins at once to one sleeping server start it once", async () => {
  await using scene = await startSleepers(1, {});
  const { holding } = await rush(scene, 500, 1);
  measured({
    scenario: "T30",
    promise: "P6",
    what: "500 logins at once to one sleeping server",
    result: `${scene.starts()} start; ${holding} players wait`,
  });
  expect(scene.starts()).toBe(1);
  expect(holding).toBe(500);
  expectUnharmed(scene.router);
});

const budgets = [
  {
    name: "from one address",
    // Loopback is exempt unless something else is said.
    env: {
      AUTOMC_CLIENT_EXEMPT: "192.0.2.1",
      AUTOMC_CLIENT_LOGIN_RATE: "0",
      AUTOMC_CLIENT_CONNECTIONS: "0",
    },
    limit: 30,
    setting: "AUTOMC_CLIENT_WAKES",
  },
  { name: "from exempt addresses", env: {}, limit: 300, setting: "AUTOMC_WAKES" },
];
test.each(budgets)(
  "500 logins at once to 500 sleeping servers $name stay within the budget",
  async ({ name, env, limit, setting }) => {
    await using scene = await startSleepers(500, env);
    const { refused } = await rush(scene, 500, 500);
    const starts = scene.starts();
    measured({
      scenario: "T30",
      promise: "P6",
      what: `500 logins at once to 500 sleeping servers ${name}`,
      result: `${starts} starts (${setting} is ${limit}); ${refused} players read why not`,
    });
    expect(starts).toBe(limit);
    expect(refused).toBe(500 - limit);
    expectUnharmed(scene.router);
  },
);
