import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createResolver } from "../../../src/net/resolve.ts";
import schema from "../../../src/providers/postgres/schema.sql" with { type: "text" };
import { type GateMode, openTcpGate, type TcpGate } from "../../support/net/tcp-gate.ts";
import {
  freePort,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../support/postgres/postgres.ts";
import { until } from "../../support/until.ts";
import {
  dsnOf,
  patientTimings,
  type RunningSource,
  runSource,
  type SourceOptions,
  scaledTimings,
  settled,
} from "../run-source.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

let server: TestPostgres;
let database: TestDatabase;
let gate: TcpGate;
const running: RunningSource[] = [];

beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  await database.sql.unsafe(schema);
  await database.sql`INSERT INTO servers VALUES ('a', 'a.x', 'h:1'), ('b', 'b.x', 'h:2')`;
  gate = await openTcpGate(server.port);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((source) => source.stop()));
  gate.mode = "forward";
  gate.answer = null;
  gate.toClient = (chunk) => chunk;
});
afterAll(async () => {
  gate.stop();
  await server.stop();
});

/** Ten times faster than the defaults: what may happen 15 times in 30 s may happen 15 times in 3 s here. */
const timings = scaledTimings(10);
const spanMs = 3_000;
/** For what a slow machine must not fail at. */
const patient = patientTimings(10);

function follow(deps: Partial<SourceOptions> = {}): RunningSource {
  const dsn = dsnOf(database.dsn({ port: gate.port }));
  const source = runSource({ dsn, timings, ...deps });
  running.push(source);
  return source;
}

let address = 0;
/** A change that the source must come to know. */
async function change(): Promise<void> {
  address += 1;
  await database.sql`UPDATE servers SET address = ${`h:${1_000 + address}`} WHERE name = 'a'`;
}

/**
 * ErrorResponse of a server that refuses the session (PostgreSQL protocol, "Error and Notice Message
 * Fields").
 */
function fatal(code: string, message: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${code}\0M${message}\0\0`;
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeUInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, Buffer.from(fields)]);
}

/** Cuts the notifications (message type A) out of a chunk of whole messages. */
function withoutNotifications(chunk: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at + 5 <= chunk.length; ) {
    const end = at + 1 + chunk.readUInt32BE(at + 1);
    if (chunk[at] !== 0x41) kept.push(chunk.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

const misbehaviours: readonly {
  name: string;
  mode: GateMode;
  answer: Buffer | null;
  says: string;
}[] = [
  {
    name: "accepts and closes",
    mode: "close",
    answer: null,
    says: "the server closed the connection",
  },
  { name: "accepts and is silent", mode: "mute", answer: null, says: "the server does not answer" },
  {
    name: "has no connection left",
    mode: "forward",
    answer: fatal("53300", "sorry, too many clients already"),
    says: "sorry, too many clients already (53300)",
  },
  {
    name: "does not know the database",
    mode: "forward",
    answer: fatal("3D000", 'database "x" does not exist'),
    says: 'database "x" does not exist (3D000); check the database\'s name',
  },
  {
    name: "answers with something else",
    mode: "forward",
    answer: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
    says: "the server does not speak the PostgreSQL protocol",
  },
];

describe.concurrent("dials are bounded and the cause is told, while the server", () => {
  test.each([...misbehaviours])("$name", async ({ mode, answer, says }) => {
    const own = await openTcpGate(server.port);
    own.mode = mode;
    own.answer = answer;
    const source = runSource({ dsn: dsnOf(database.dsn({ port: own.port })), timings });
    await Bun.sleep(spanMs);
    expect(own.dials()).toBeGreaterThan(1);
    expect(own.dials()).toBeLessThanOrEqual(15);
    expect(source.count("source-lost")).toBe(1);
    expect(source.count("source-retry")).toBeGreaterThan(0);
    expect(source.last("source-lost")?.reason).toContain(says);
    own.mode = "forward";
    own.answer = null;
    await source.live();
    await settled(source, database);
    await source.stop();
    own.stop();
  });

  test("refuses", async () => {
    const port = await freePort();
    const source = runSource({ dsn: dsnOf(database.dsn({ port })), timings });
    await Bun.sleep(spanMs);
    const attempts = source.count("source-lost") + source.count("source-retry");
    expect(attempts).toBeGreaterThan(2);
    expect(attempts).toBeLessThanOrEqual(15);
    expect(source.last("source-lost")?.reason).toBe(`127.0.0.1:${port}: connection refused`);
    await source.stop();
  });

  test("ends every link as soon as it is up", async () => {
    const own = await openTcpGate(server.port);
    const source = runSource({ dsn: dsnOf(database.dsn({ port: own.port })), timings });
    const cutter = setInterval(() => {
      if (own.dials() > 0 && source.count("source-live") > source.count("source-lost")) own.cut();
    }, 1);
    await Bun.sleep(spanMs);
    clearInterval(cutter);
    expect(source.count("source-live")).toBeGreaterThan(2);
    expect(own.dials()).toBeLessThanOrEqual(15);
    await source.live(source.count("source-lost") + 1);
    await source.stop();
    own.stop();
  });

  test("has nothing for the role to read", async () => {
    const empty = await server.createDatabase();
    const own = await openTcpGate(server.port);
    const source = runSource({ dsn: dsnOf(empty.dsn({ port: own.port })), timings });
    await Bun.sleep(spanMs);
    expect(own.dials()).toBeLessThanOrEqual(15);
    expect(source.last("source-lost")?.reason).toContain("automc-router schema");
    await empty.sql.unsafe(schema);
    await source.live();
    await source.stop();
    own.stop();
  });
});

describe("the link", () => {
  test("comes back after a crash of the server with what changed meanwhile", async () => {
    const source = follow({ timings: patient });
    await source.live();
    await server.kill();
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.claims()).toHaveLength(2);
    await server.start();
    await change();
    await source.live(2);
    await settled(source, database);
    expect(source.last("source-live")?.awayMs).toBeGreaterThan(0);
    expect(source.count("source-lost")).toBe(1);
  });

  test("finds a path that forwards nothing any more, by its heartbeat", async () => {
    const source = follow();
    await source.live();
    const dialsBefore = gate.dials();
    gate.mode = "freeze";
    await until("the outage", () => source.count("source-lost") === 1);
    await until("a further attempt", () => source.count("source-retry") > 0);
    await change();
    expect(gate.dials() - dialsBefore).toBeLessThanOrEqual(15);
    gate.mode = "forward";
    await source.live(2);
    await settled(source, database);
  });

  test("finds sessions that are stopped, and works around them", async () => {
    const source = follow();
    await source.live();
    const stopped = await database.routerPids();
    for (const pid of stopped) process.kill(pid, "SIGSTOP");
    try {
      await source.live(2);
      await change();
      await settled(source, database);
    } finally {
      for (const pid of stopped) process.kill(pid, "SIGCONT");
    }
  });

  test("leaves no descriptor behind, however often it has to begin anew", async () => {
    const fds = () => readdirSync("/dev/fd").length;
    const source = follow({ timings: { ...patient, backoffMs: 1, dialBurst: 1_000 } });
    await source.live();
    await until("the first cycle is up", () => gate.open() === 2);
    const before = fds();
    for (let cycle = 2; cycle <= 20; cycle += 1) {
      for (const pid of await database.routerPids()) {
        await database.sql`SELECT pg_terminate_backend(${pid})`;
      }
      await source.live(cycle);
    }
    await until("only the last cycle is left", () => gate.open() === 2);
    expect(fds()).toBeLessThanOrEqual(before + 2);
    await change();
    await settled(source, database);
  });

  test("sees at once that the server closes, however early it does", async () => {
    gate.mode = "close";
    const source = follow({ timings: { ...patient, roundMs: 3_600_000, dialBurst: 1_000 } });
    await until("five attempts", () => source.count("source-retry") >= 4);
    expect(source.last("source-retry")?.reason).toContain("the server closed the connection");
  });

  test("tries the next host when one does not answer", async () => {
    const text = `postgres://postgres@127.0.0.1:${await freePort()},127.0.0.1:${gate.port}/${database.name}?sslmode=disable`;
    const source = follow({ dsn: dsnOf(text), timings: patient });
    await source.live();
    await settled(source, database);
  });

  test("gives all hosts one round's time, and tries the last good one first from then on", async () => {
    const dead = [await openTcpGate(server.port), await openTcpGate(server.port)];
    for (const each of dead) each.mode = "mute";
    const hosts = [...dead, gate].map(({ port }) => `127.0.0.1:${port}`).join(",");
    const dsn = dsnOf(`postgres://postgres@${hosts}/${database.name}?sslmode=disable`);
    const source = follow({ dsn, timings: { ...patient, roundMs: 3_000 } });
    await source.live();
    expect(dead.map((each) => each.dials())).toEqual([1, 1]);
    for (const pid of await database.routerPids()) {
      await database.sql`SELECT pg_terminate_backend(${pid})`;
    }
    await source.live(2);
    expect(dead.map((each) => each.dials())).toEqual([1, 1]);
    for (const each of dead) each.stop();
  });

  test("tries every address of a name, as the router's own resolver knows them", async () => {
    const hostsPath = join(mkdtempSync(join(tmpdir(), "automc-hosts-")), "hosts");
    writeFileSync(hostsPath, "127.0.0.77 db.test\n127.0.0.1 db.test\n");
    const dsn = dsnOf(database.dsn({ port: gate.port }).replace("127.0.0.1", "db.test"));
    const source = follow({ dsn, timings: patient, resolver: createResolver({ hostsPath }) });
    await source.live();
    await settled(source, database);
    rmSync(dirname(hostsPath), { recursive: true });
  });

  test("works over a unix socket", async () => {
    const text = `postgres:///${database.name}?host=${server.folder}&port=${server.port}&user=postgres`;
    const source = follow({ dsn: dsnOf(text), timings: patient });
    await source.live();
    await settled(source, database);
  });

  test("survives a session limit for idle clients", async () => {
    const query = "sslmode=disable&options=-c%20idle_session_timeout%3D250";
    const dsn = dsnOf(database.dsn({ port: gate.port, query }));
    const source = follow({ dsn, timings: { ...patient, heartbeatMs: 50 } });
    await source.live();
    const dials = gate.dials();
    await Bun.sleep(1_000);
    expect(gate.dials()).toBe(dials);
    expect(source.count("source-lost")).toBe(0);
  });
});

describe("where notifications do not arrive, the link", () => {
  test("says so once, reads again and again, and listens as soon as it can", async () => {
    gate.toClient = withoutNotifications;
    const source = follow({ timings: { ...timings, relistenMs: 300 } });
    await source.live();
    expect(source.last("source-live")?.mode).toBe("poll");
    expect(source.last("source-warning")?.message).toContain("set AUTOMC_LISTEN_DSN");
    await change();
    await settled(source, database);
    const dials = gate.dials();
    await until("more attempts to listen", () => gate.dials() > dials + 1);
    expect(source.count("source-warning")).toBe(1);
    gate.toClient = (chunk) => chunk;
    await source.live(2);
    expect(source.last("source-live")).toMatchObject({ mode: "notify", awayMs: 0 });
    expect(source.count("source-lost")).toBe(0);
  });

  test("notices when that begins later", async () => {
    const source = follow();
    await source.live();
    gate.toClient = withoutNotifications;
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toBe("a heartbeat did not come back");
    await source.live(2);
    expect(source.last("source-live")?.mode).toBe("poll");
  });

  test("polls while only the connection for LISTEN is down", async () => {
    const source = follow({
      listenDsn: dsnOf(database.dsn({ port: await freePort() })),
      timings: { ...timings, relistenMs: 300 },
    });
    await source.live();
    expect(source.last("source-live")?.mode).toBe("poll");
    expect(source.last("source-warning")?.message).toContain("connection refused");
    await change();
    await settled(source, database);
  });
});

describe("a hot standby", () => {
  let standby: TestPostgres;
  beforeAll(async () => {
    standby = await startPostgres({ standbyOf: server });
  });
  afterAll(() => standby.stop());

  test("is read by polling, because it refuses LISTEN", async () => {
    const source = follow({ dsn: dsnOf(database.dsn({ port: standby.port })), timings: patient });
    await source.live();
    expect(source.last("source-live")?.mode).toBe("poll");
    expect(source.last("source-warning")?.message).toContain("during recovery (25006)");
    await change();
    await settled(source, database);
  });

  test.each(["primary", "read-write"])(
    "is passed over when the wanted server is %s",
    async (wanted) => {
      const text = `postgres://postgres@127.0.0.1:${standby.port},127.0.0.1:${server.port}/${database.name}`;
      const dsn = dsnOf(`${text}?sslmode=disable&target_session_attrs=${wanted}`);
      const source = follow({ dsn, timings: patient });
      await source.live();
      expect(source.last("source-live")?.mode).toBe("notify");
    },
  );

  test.each(["standby", "read-only", "prefer-standby"])(
    "is taken, and polled, when the wanted server is %s",
    async (wanted) => {
      const text = `postgres://postgres@127.0.0.1:${server.port},127.0.0.1:${standby.port}/${database.name}`;
      const dsn = dsnOf(`${text}?sslmode=disable&target_session_attrs=${wanted}`);
      const source = follow({ dsn, timings: patient });
      await source.live();
      expect(source.last("source-live")?.mode).toBe("poll");
      await settled(source, database);
    },
  );

  test("alone is no link when the wanted server is primary", async () => {
    const query = "sslmode=disable&target_session_attrs=primary";
    const source = follow({
      dsn: dsnOf(database.dsn({ port: standby.port, query })),
      timings: patient,
    });
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toContain("the server is a standby");
  });
});
