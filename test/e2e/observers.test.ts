import { expect, setDefaultTimeout, test } from "bun:test";
import { noQueue, sessionEnd } from "../support/e2e-network.ts";
import { startInfluxDb } from "../support/influxdb.ts";
import { join, type MinecraftServer, startMinecraftServer } from "../support/minecraft.ts";
import { type Notice, receiveNotices } from "../support/notices.ts";
import { connectPlayer, disconnectText } from "../support/player.ts";
import { laterPort } from "../support/ports.ts";
import { until } from "../support/postgres.ts";
import { promtool } from "../support/prometheus.ts";
import { type Router, startRouter } from "../support/router.ts";
import { login, offlineUuid } from "../support/wire.ts";

setDefaultTimeout(60_000);

const version = "1.20.4";
const steve = { name: "Steve", uuid: offlineUuid("Steve") };

/** A network of one server and one that is down, with somebody who has played, somebody lost and somebody turned away. */
async function playThree(router: Router): Promise<void> {
  const joined = await join({
    port: router.port,
    host: "Play.example.com",
    version,
    username: "Steve",
  });
  if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
  joined.session[Symbol.dispose]();
  await sessionEnd(router, "Steve");

  using lost = await connectPlayer({ port: router.port });
  await lost.send(login({ host: "nowhere.example.com", name: "Lost" }));
  await lost.waitForEnd();

  using late = await connectPlayer({ port: router.port });
  await late.send(login({ host: "down.example.com", name: "Late" }));
  expect(disconnectText(await late.readFrame())).toContain("cannot be reached");
  await sessionEnd(router, "Late");
}

const envFor = (server: MinecraftServer, down: number): Readonly<Record<string, string>> => ({
  ...noQueue,
  MAPPING: `*.example.com=${server.address},down.example.com=127.0.0.1:${down},nowhere.example.com=`.replace(
    ",nowhere.example.com=",
    "",
  ),
});
