import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measured } from "../support/docs/reliability.ts";
import { firstWord } from "../support/minecraft/player.ts";
import { type Backend, sending, startBackend } from "../support/net/backend.ts";
import { type Authority, makeAuthority } from "../support/net/certificates.ts";
import {
  atPace,
  converge,
  countOf,
  startLiveTable,
  startOpenRouter,
} from "../support/postgres/live-table.ts";
import { startPgBouncer } from "../support/postgres/pgbouncer.ts";
import { startPostgres } from "../support/postgres/postgres.ts";
import { linesOf } from "../support/process/e2e-network.ts";
import { expectUnharmed } from "../support/process/unharmed.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), "automc-places-"));
let ours: Authority;
let strange: Authority;
let backend: Backend;
beforeAll(() => {
  backend = startBackend(sending(Buffer.from("here")));
  ours = makeAuthority(folder, "ours");
  strange = makeAuthority(folder, "strange");
});
afterAll(() => {
  backend.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.concurrent("Postgres", () => {
  test("that cannot prove who it is gives no routes, and the log says why", async () => {
    await using good = await startLiveTable({ tls: ours.certify() });
    await using expired = await startLiveTable({ tls: ours.certify(10) });
    await using plain = await startLiveTable();
    const verify = `sslmode=verify-full&sslrootcert=${ours.path}`;
    const cases = [
      {
        name: "another authority",
        table: good,
        host: "localhost",
        query: `sslmode=verify-full&sslrootcert=${strange.path}`,
        says: /TLS failed: unable to/,
      },
      { name: "another name", table: good, host: "127.0.0.1", query: verify, says: /ALTNAME/ },
      { name: "expired", table: expired, host: "localhost", query: verify, says: /expired/i },
      {
        name: "no TLS at all",
        table: plain,
        host: "localhost",
        query: verify,
        says: /the server does not offer TLS, but sslmode=verify-full requires it/,
      },
    ];
    const reasons = await Promise.all(
      cases.map(async ({ name, table, host, query, says }) => {
        const { sql } = table.database;
        await sql`INSERT INTO servers VALUES (${name}, ${`${name.replaceAll(" ", "-")}.x`}, ${backend.address})`;
        const dsn = table.database.dsn({ query }).replace("127.0.0.1", host);
        await using one = await startOpenRouter({ AUTOMC_DSN: dsn, DEFAULT: backend.address });
        await until("it says so", () => countOf(one.router, "source-lost") === 1);
        const reason = String(linesOf(one.router, "source-lost")[0]?.["reason"]);
        expect(reason).toMatch(says);
        expect(await one.api.routes()).toEqual([]);
        expect(await firstWord(one.router, "any.x")).toBe("here");
        expectUnharmed(one.router);
        return `${name}: "${reason}"`;
      }),
    );
    // The same authority and name, in time: it is not TLS itself that fails.
    await using well = await startOpenRouter({
      AUTOMC_DSN: good.database.dsn({ query: verify }).replace("127.0.0.1", "localhost"),
    });
    await converge(well, good.database);
    measured({
      scenario: "T28",
      promise: "P5",
      what: "sslmode=verify-full to servers with the wrong authority, the wrong name, an expired certificate, no TLS",
      result: `no routes from any of them, those of the settings in force. ${reasons.join("; ")}`,
    });
  });

  test("behind a PgBouncer in transaction mode is polled, and says so; a direct connection beside it hears at once", async () => {
    await using table = await startLiveTable();
    const { server, database } = table;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', '10.0.0.1:1')`;
    await using pooler = await startPgBouncer(server);
    const pooled = { AUTOMC_DSN: database.dsn({ port: pooler.port }) };
    await using polling = await startOpenRouter(pooled);
    await using hearing = await startOpenRouter({
      ...pooled,
      AUTOMC_LISTEN_DSN: database.dsn(),
    });
    await until("both are live", () =>
      [polling, hearing].every(({ router }) => countOf(router, "source-live") > 0),
    );
    const modes = [polling, hearing].map(
      ({ router }) => linesOf(router, "source-live").at(-1)?.["changes"],
    );
    const seconds: number[][] = [[], []];
    for (let change = 0; change < 5; change++) {
      await database.sql`UPDATE servers SET address = ${`10.0.0.1:${2 + change}`}`;
      const took = await Promise.all([polling, hearing].map((one) => converge(one, database)));
      took.forEach((value, index) => void seconds[index]?.push(value));
    }
    const worst = seconds.map((values) => Math.max(...values));
    const warned = linesOf(polling.router, "source-warning");
    measured({
      scenario: "T28",
      promise: "P5",
      what: "a real PgBouncer in transaction mode, alone and with AUTOMC_LISTEN_DSN beside it; 5 changes",
      result: `alone: "${modes[0]}", at most ${worst[0]?.toFixed(1)} s late (it reads every 5 s), said once in the log; with it: "${modes[1]}", at most ${worst[1]?.toFixed(2)} s`,
    });
    expect(modes).toEqual(["polled", "heard at once"]);
    expect(warned).toEqual([
      expect.objectContaining({ msg: expect.stringContaining("AUTOMC_LISTEN_DSN") }),
    ]);
    expect(worst[0]).toBeLessThan(7);
    expect(worst[1]).toBeLessThan(2);
    expectUnharmed(polling.router, hearing.router);
  });

  test("that fails over to its standby is followed there", async () => {
    await using table = await startLiveTable();
    const { server, database } = table;
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', ${backend.address})`;
    const standby = await startPostgres({ standbyOf: server });
    await using _standby = { [Symbol.asyncDispose]: () => standby.stop() };
    const both = `127.0.0.1:${server.port},127.0.0.1:${standby.port}`;
    const dsn = database
      .dsn({ query: "sslmode=disable&target_session_attrs=primary" })
      .replace(`127.0.0.1:${server.port}`, both);
    await using one = await startOpenRouter({ AUTOMC_DSN: dsn });
    await converge(one, database);

    const enough = new AbortController();
    const absent: string[] = [];
    const looking = atPace(50, enough.signal, async () => {
      const word = await firstWord(one.router, "a.x");
      if (word !== "here") absent.push(word);
    });
    const failedAt = performance.now();
    await server.crash();
    await until("the router has noticed", () => countOf(one.router, "source-lost") === 1);
    const noticed = (performance.now() - failedAt) / 1000;
    // An operator, or his failover program, takes a moment.
    await Bun.sleep(2_000);
    await standby.promote();
    const promotedAt = performance.now();
    const now = standby.connect(database.name);
    await now.sql`INSERT INTO servers VALUES ('b', 'b.x', ${backend.address})`;
    await converge(one, now);
    const followed = (performance.now() - promotedAt) / 1000;
    enough.abort();
    const looks = await looking;
    measured({
      scenario: "T28",
      promise: "P5",
      what: "the primary of two hosts in the DSN is killed, its standby promoted 2 s later",
      result: `noticed after ${noticed.toFixed(1)} s; the new primary's table routed ${followed.toFixed(1)} s after its promotion (limit 20 s); ${absent.length} of ${looks} logins meanwhile found no route`,
    });
    expect(absent).toEqual([]);
    expect(followed).toBeLessThan(20);
    expectUnharmed(one.router);
  });
});
