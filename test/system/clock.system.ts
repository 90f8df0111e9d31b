import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostnameOf } from "../bench/jobs.ts";
import { startLoad } from "../bench/load.ts";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer, disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import { login, loginDisconnect } from "../support/minecraft/wire.ts";
import { running, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { countOf, startLiveTable, startOpenRouter } from "../support/postgres/live-table.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { insertRows, linesOf, sessionEnd } from "../support/process/e2e-network.ts";
import { faketimeLibrary } from "../support/process/faketime.ts";
import type { LogLine } from "../support/process/router.ts";
import { expectUnharmed } from "../support/process/unharmed.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const players = 50;
const wakeSeconds = 6;
const host = hostnameOf("echo");

/** Files that go with the test. */
function ownFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "automc-clock-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** By how much the clock of a log line is ahead of ours, in hours. */
const hoursAhead = ({ time }: LogLine): number =>
  Math.round((Date.parse(String(time)) - Date.now()) / 3_600_000);

test("a clock that jumps an hour forward, two back and one forward times nobody out and stops no timer", async () => {
  using folder = ownFolder();
  const clock = join(folder.path, "clock");
  // It is read at each look at the clock, and must not be found half written.
  const jumpTo = (hours: number): void => {
    writeFileSync(`${clock}.new`, `${hours < 0 ? "" : "+"}${hours * 3600}\n`);
    renameSync(`${clock}.new`, clock);
  };
  jumpTo(0);
  await using table = await startLiveTable();
  const { database } = table;
  await using load = await startLoad();
  const echo = `127.0.0.1:${load.backends.roles.echo}`;
  using awake = startBackend(running(loginDisconnect("awake")));
  const names = ["forward", "back", "never-forward", "never-back"];
  await using plane = startControlPlane({
    servers: names.map((name) => ({ name, startMs: null })),
  });
  const rows = names.map((name) => ({
    name,
    domain: `${name}.x`,
    address: `127.0.0.1:${laterPort()}`,
  }));
  await insertRows(database, rows);
  await using one = await startOpenRouter({
    MAPPING: `${host}=${echo}`,
    AUTOMC_DSN: database.dsn(),
    AUTOMC_RESYNC_INTERVAL: "2s",
    AUTOMC_WAKER_URL: plane.url,
    AUTOMC_WAKER_TIMEOUT: `${wakeSeconds}s`,
    AUTOMC_WAKER_POLL_INTERVAL: "500ms",
    CONNECTION_RATE_LIMIT: "50",
    ...{
      LD_PRELOAD: faketimeLibrary(),
      FAKETIME_TIMESTAMP_FILE: clock,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
  });
  const { router, api } = one;
  await load.run("open", { port: router.port, hostname: host, count: players, held: false });

  /** The routes without the one that is there from the settings are the table's. */
  const converged = () =>
    until("the table is routed", async () => {
      const wanted = await database.sql<{ domain: string; address: string }[]>`
        SELECT domain, address FROM servers`;
      const routes = await api.routes();
      return wanted.every(({ domain, address }) => routes.includes(`${domain} ${address}`));
    });
  await converged();

  async function wait(name: string, player: string) {
    const peer = await connectPlayer({ port: router.port });
    await peer.send(login({ host: `${name}.x`, name: player }));
    await router.waitForLine(
      (line) => line["event"] === "session-holding" && String(line["player"]).startsWith(player),
    );
    return peer;
  }

  const openings: number[] = [];
  const failures: number[] = [];
  const changes: number[] = [];
  const resyncs: number[] = [];
  const exchanging = load.run("exchange", { perSecond: 10, bytes: 64, seconds: 18 });
  // It is awaited below; whatever fails before that is told first.
  exchanging.catch(() => undefined);
  for (const { jump, hours } of [
    { jump: "forward", hours: 1 },
    { jump: "back", hours: -1 },
  ]) {
    // Each of these has a time that the jump falls into.
    using silent = await connectPlayer({ port: router.port });
    using waiting = await wait(jump, `In-${jump}`);
    using failing = await wait(`never-${jump}`, `Out-${jump}`);
    jumpTo(hours);
    router.signal("SIGHUP");
    const reloading = (line: LogLine) =>
      line["event"] === "reloading" && hoursAhead(line) === hours;
    await router.waitForLine(reloading);
    const jumpedAt = performance.now();

    await database.sql`UPDATE servers SET address = ${`127.0.0.1:${laterPort()}`}`;
    await converged();
    changes.push((performance.now() - jumpedAt) / 1000);
    // Nobody tells of this change: the router finds it by its own reading.
    await database.sql.unsafe("ALTER TABLE servers DISABLE TRIGGER ALL");
    const hiddenAt = performance.now();
    await database.sql`UPDATE servers SET address = ${`127.0.0.1:${laterPort()}`}`;
    await converged();
    resyncs.push((performance.now() - hiddenAt) / 1000);
    await database.sql.unsafe("ALTER TABLE servers ENABLE TRIGGER ALL");

    plane.setRunning(jump, awake.address);
    expect(disconnectText((await waitThroughHold(waiting)).frame)).toContain("awake");
    await silent.waitForEnd();
    openings.push((performance.now() - silent.openedAtMs) / 1000);
    await waitThroughHold(failing);
    failures.push((performance.now() - failing.openedAtMs) / 1000);
    expect(await sessionEnd(router, `Out-${jump}`)).toMatchObject({
      msg: "refused: the server did not start in time",
    });
  }
  jumpTo(0);
  await load.run("logins", {
    port: router.port,
    hostnames: Array.from({ length: 100 }, () => host),
  });
  const exchanged = await exchanging;
  const cut = await load.run("close", {});
  const range = (values: readonly number[]): string =>
    values.map((value) => value.toFixed(1)).join(" and ");
  measured({
    scenario: "T33",
    promise: "P7",
    what: `the clock (libfaketime) an hour forward, two back, one forward, under ${players} games, logins, wakes and changes`,
    result: `${cut} of ${players} games cut, all ${exchanged.toLocaleString("en-US")} packets came back; openings given up after ${range(openings)} s (5), wakes after ${range(failures)} s (${wakeSeconds}); a change routed after ${range(changes)} s, one that nobody told of after ${range(resyncs)} s (AUTOMC_RESYNC_INTERVAL=2s)`,
  });
  expect(cut).toBe(0);
  for (const seconds of openings) {
    expect(seconds).toBeGreaterThan(4.5);
    expect(seconds).toBeLessThan(7);
  }
  for (const seconds of failures) {
    expect(seconds).toBeGreaterThan(wakeSeconds - 0.5);
    expect(seconds).toBeLessThan(wakeSeconds + 3);
  }
  expect(Math.max(...changes)).toBeLessThan(5);
  expect(Math.max(...resyncs)).toBeLessThan(6);
  expect(countOf(router, "source-lost")).toBe(0);
  expect(linesOf(router, "reloading").map(hoursAhead)).not.toContain(0);
  expectUnharmed(router);
});
