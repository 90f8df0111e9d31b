import { expect, setDefaultTimeout, test } from "bun:test";
import { createInfluxRecorder, type InfluxEvent } from "../../src/observe/influx.ts";
import { enterGame, failTwice, startSmallNetwork } from "../e2e/small-network.ts";
import { offlineUuid } from "../support/minecraft/wire.ts";
import { laterPort } from "../support/net/ports.ts";
import { freePort } from "../support/postgres/postgres.ts";
import { linesOf, sessionEnd } from "../support/process/e2e-network.ts";
import { startInfluxDb } from "../support/process/influxdb.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

test("a real InfluxDB has the points, those of the end included", async () => {
  const port = laterPort();
  const password = "s3cret";
  await using influx = await startInfluxDb(port, password);
  const addr = "METRICS_BACKEND_CONFIG_INFLUXDB";
  await using network = await startSmallNetwork({
    METRICS_BACKEND: "influxdb",
    [`${addr}_ADDR`]: `http://127.0.0.1:${port}`,
    [`${addr}_DATABASE`]: "mc",
    [`${addr}_USERNAME`]: "automc",
    [`${addr}_PASSWORD`]: password,
    [`${addr}_TAGS`]: "site=berlin",
    [`${addr}_INTERVAL`]: "100ms",
  });
  const { router } = network;
  {
    using _session = await enterGame(router);
    await until("the login has arrived", async () => {
      return (await influx.points("mc_router_server_logins")).length > 0;
    });
    expect(await influx.points("mc_router_server_logins")).toMatchObject([
      {
        count: 1,
        player_name: "Steve",
        player_uuid: offlineUuid("Steve"),
        server_address: "play.example.com",
        site: "berlin",
      },
    ]);
  }
  await sessionEnd(router, "Steve");
  await failTwice(router);
  expect(await router.stop()).toBe(0);
  const active = await influx.points("mc_router_connections_active");
  expect(active.at(-1)).toMatchObject({ value: 0, site: "berlin" });
  const errors = await influx.points("mc_router_errors");
  expect(errors.map(({ type, count }) => `${type} ${count}`).sort()).toEqual([
    "backend_failed 1",
    "missing_backend 1",
  ]);
  expect(linesOf(router, "influx-lost")).toEqual([]);
});

test("a real InfluxDB has every point, those of the time before it was there, and whatever text players choose", async () => {
  const port = await freePort();
  const password = crypto.randomUUID();
  const startedMs = 1_700_000_000_000;
  let flushes = 0;
  const events: InfluxEvent[] = [];
  const recorder = createInfluxRecorder({
    url: `http://127.0.0.1:${port}`,
    username: "automc",
    password,
    intervalMs: 50,
    tags: { region: "eu west" },
    now: () => startedMs + 1_000 * flushes++,
    database: "mc",
    retentionPolicy: "",
    emit: (event) => events.push(event),
  });
  recorder.add("errors", { type: "read" }, 2);
  await until("that it is away", () => events.length === 1);

  await using database = await startInfluxDb(port, password);
  await until("that it is there", () => events.length === 2, 30_000);
  recorder.set("rateLimitAvailable", {}, -1);
  const player = 'a,b =\\c\n"d\\';
  recorder.add("serverLogins", { player_name: player, player_uuid: "", server_address: "*.b" }, 1);
  await recorder.stop(new AbortController().signal);

  expect(events).toEqual([
    { kind: "influx-lost", reason: expect.any(String) },
    { kind: "influx-back", dropped: 0 },
  ]);
  expect(await database.points("mc_router_errors")).toEqual([
    { time: startedMs * 1e6, count: 2, region: "eu west", type: "read" },
  ]);
  expect(await database.points("mc_router_rate_limit_available")).toEqual([
    { time: expect.any(Number), region: "eu west", value: -1 },
  ]);
  expect(await database.points("mc_router_server_logins")).toEqual([
    {
      time: expect.any(Number),
      count: 1,
      player_name: 'a,b =\\c\ufffd"d',
      region: "eu west",
      server_address: "*.b",
    },
  ]);
});
