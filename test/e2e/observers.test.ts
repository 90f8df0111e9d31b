import { expect, setDefaultTimeout, test } from "bun:test";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login, offlineUuid } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { linesOf, noQueue, sessionEnd } from "../support/process/e2e-network.ts";
import { receiveNotices } from "../support/process/notices.ts";
import { startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";
import { enterGame, failTwice, startSmallNetwork } from "./small-network.ts";

// Real servers, on a machine that is busy with something else.
setDefaultTimeout(60_000);

const labels = `player_name="Steve",player_uuid="${offlineUuid("Steve")}",server_address="play.example.com"`;

test("/metrics counts real players under mc-router's names", async () => {
  const binding = `127.0.0.1:${laterPort()}`;
  await using network = await startSmallNetwork({
    API_BINDING: binding,
    METRICS_BACKEND: "prometheus",
  });
  const { router } = network;
  const scrape = async (): Promise<string> => (await fetch(`http://${binding}/metrics`)).text();
  const mcRouter = async (): Promise<readonly string[]> =>
    (await scrape())
      .split("\n")
      .filter((line) => line.startsWith("mc_router_") && !/_bytes|_available/.test(line))
      .sort();
  {
    using _session = await enterGame(router);
    expect(await mcRouter()).toEqual([
      "mc_router_active_connections 1",
      'mc_router_backend_connections{host="play.example.com",side="backend"} 1',
      'mc_router_frontend_connections{side="frontend"} 1',
      'mc_router_server_active_connections{server_address="play.example.com"} 1',
      `mc_router_server_active_player{${labels}} 1`,
      `mc_router_server_logins{${labels}} 1`,
    ]);
  }
  await sessionEnd(router, "Steve");
  await failTwice(router);
  expect(await mcRouter()).toEqual([
    "mc_router_active_connections 0",
    'mc_router_backend_connections{host="play.example.com",side="backend"} 1',
    'mc_router_errors{type="backend_failed"} 1',
    'mc_router_errors{type="missing_backend"} 1',
    'mc_router_frontend_connections{side="frontend"} 3',
    'mc_router_server_active_connections{server_address="play.example.com"} 0',
    `mc_router_server_active_player{${labels}} 0`,
    `mc_router_server_logins{${labels}} 1`,
  ]);
  const text = await scrape();
  expect(text).toMatch(/^mc_router_bytes [1-9]/m);
  expect(text).toMatch(/^mc_router_rate_limit_available \d/m);
  expect(text).toMatch(/^automc_build_info\{.*version="[^"]+".*\} 1$/m);
});

test("RECORD_LOGINS tells every attempt to log in at info, with who, from where and where to", async () => {
  await using network = await startSmallNetwork({});
  const { router } = network;
  (await enterGame(router))[Symbol.dispose]();
  await sessionEnd(router, "Steve");
  await failTwice(router);
  const told = linesOf(router, "session-ended").map(({ level, player, serverAddress, client }) => ({
    level,
    player: String(player).split("/", 1)[0],
    serverAddress,
    isFrom: String(client).startsWith("127.0.0.1:"),
  }));
  expect(told).toEqual([
    { level: "info", player: "Steve", serverAddress: "play.example.com", isFrom: true },
    { level: "info", player: "Lost", serverAddress: "nowhere.example.com", isFrom: true },
    { level: "warn", player: "Late", serverAddress: "down.example.com", isFrom: true },
  ]);
});

test("/vars counts them without labels", async () => {
  const binding = `127.0.0.1:${laterPort()}`;
  await using network = await startSmallNetwork({
    API_BINDING: binding,
    METRICS_BACKEND: "expvar",
  });
  const { router } = network;
  const vars = async () => (await (await fetch(`http://${binding}/vars`)).json()) as object;
  {
    using _session = await enterGame(router);
    expect(await vars()).toMatchObject({
      active_connections: 1,
      connections: 2,
      errors: 0,
      server_active_connections: 1,
      server_active_player: 1,
      server_logins: 1,
    });
  }
  await sessionEnd(router, "Steve");
  await failTwice(router);
  expect(await vars()).toMatchObject({
    active_connections: 0,
    connections: 4,
    errors: 2,
    server_active_connections: 0,
    server_active_player: 0,
    server_logins: 1,
    cmdline: [expect.stringContaining("automc-router")],
    memstats: { Alloc: expect.any(Number) },
  });
});

test("the webhook hears of players who joined, were lost and found nobody", async () => {
  await using receiver = receiveNotices({ hangs: false });
  await using network = await startSmallNetwork({ WEBHOOK_URL: receiver.url });
  const { router, server, down } = network;
  const session = await enterGame(router);
  await until("the first notice is there", () => receiver.notices.length === 1);
  session[Symbol.dispose]();
  await sessionEnd(router, "Steve");
  await failTwice(router);
  expect(await router.stop()).toBe(0);

  const of = (name: string) =>
    receiver.notices.filter(({ player }) => (player as { name: string }).name === name);
  const common = (name: string, server: string) => ({
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/),
    client: { host: "127.0.0.1", port: expect.any(Number) },
    server,
    player: { name, uuid: offlineUuid(name) },
  });
  const steve = { ...common("Steve", "Play.example.com"), backend: server.address };
  expect(of("Steve")).toEqual([
    { event: "connect", status: "success", ...steve },
    { event: "disconnect", status: "success", ...steve },
  ]);
  const lost = common("Lost", "Nowhere.example.com");
  expect(of("Lost")).toEqual([
    { event: "connect", status: "missing-backend", ...lost, error: "No backend found" },
    { event: "disconnect", status: "success", ...lost },
  ]);
  const late = { ...common("Late", "down.example.com"), backend: down };
  expect(of("Late")).toEqual([
    {
      event: "connect",
      status: "failed-backend-connection",
      ...late,
      error: expect.stringMatching(/./),
    },
    { event: "disconnect", status: "success", ...late },
  ]);
  expect(receiver.notices).toHaveLength(6);
});

test("a webhook that hangs holds nobody up, and hears everything if it recovers before the end", async () => {
  using backend = startBackend(echo);
  await using receiver = receiveNotices({ hangs: true });
  await using router = await startRouter({
    env: { ...noQueue, DEFAULT: backend.address, WEBHOOK_URL: receiver.url },
  });
  const hello = login({ host: "play.example.com", name: "Steve" });
  const players = 40;
  for (let count = 0; count < players; count++) {
    using player = await connectPlayer({ port: router.port });
    await player.send(hello);
    expect(await player.read(hello.length)).toEqual(hello);
  }
  // Every one of them was in and out while no notice was answered.
  expect(receiver.answered).toBe(0);
  expect(receiver.notices.length).toBeGreaterThan(0);

  router.signal("SIGTERM");
  await router.waitForLine(({ event }) => event === "stopped");
  receiver.answer();
  expect(await router.waitForExit()).toBe(0);
  expect(receiver.notices).toHaveLength(2 * players);
  expect(linesOf(router, "notifier-lost")).toEqual([]);
});

test("a webhook that hangs for good is given up at the end, and what it missed is counted", async () => {
  using backend = startBackend(echo);
  await using receiver = receiveNotices({ hangs: true });
  await using router = await startRouter({
    env: { ...noQueue, DEFAULT: backend.address, WEBHOOK_URL: receiver.url },
  });
  {
    const hello = login({ host: "play.example.com", name: "Steve" });
    using player = await connectPlayer({ port: router.port });
    await player.send(hello);
    await player.read(hello.length);
  }
  await sessionEnd(router, "Steve");
  // It waits 5 s for the receiver; the rest is room for a busy machine.
  expect(await router.stop("SIGTERM", 20_000)).toBe(0);
  expect(linesOf(router, "notifier-lost")).toMatchObject([
    { level: "warn", reason: "2 notices were still waiting at the end" },
  ]);
});
