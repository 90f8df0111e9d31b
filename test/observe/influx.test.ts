import { afterEach, describe, expect, test } from "bun:test";
import {
  createInfluxRecorder,
  type InfluxDeps,
  type InfluxEvent,
  type InfluxRecorder,
} from "../../src/observe/influx.ts";
import { freePort } from "../support/postgres/postgres.ts";
import { until } from "../support/until.ts";

const never = (): AbortSignal => new AbortController().signal;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** What a request said. */
interface Write {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A server that answers each write in turn, the last answer for all that follow. */
function startReceiver(...answers: readonly (() => Response | Promise<Response>)[]) {
  const writes: Write[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = await request.text();
      writes.push({
        method: request.method,
        path: pathname + search,
        headers: request.headers,
        body,
      });
      const answer = answers[Math.min(writes.length, answers.length) - 1];
      return answer?.() ?? new Response(null, { status: 204 });
    },
  });
  cleanups.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}`, writes };
}

const says =
  (status: number, text = "") =>
  () =>
    new Response(text === "" ? null : text, { status });

/** A recorder whose clock counts up by a second each flush; ended after the test. */
function start(given: Partial<InfluxDeps>): { recorder: InfluxRecorder; events: InfluxEvent[] } {
  const events: InfluxEvent[] = [];
  let now = 0;
  const recorder = createInfluxRecorder({
    url: "http://127.0.0.1:1",
    database: "mc",
    retentionPolicy: "",
    username: "",
    password: "",
    tags: {},
    intervalMs: 3_600_000,
    now: () => (now += 1_000),
    emit: (event) => events.push(event),
    ...given,
  });
  cleanups.push(() => recorder.stop(AbortSignal.abort()));
  return { recorder, events };
}

describe("the request", () => {
  test("is a write to the database with the times in nanoseconds, as mc-router's client makes it", async () => {
    const { url, writes } = startReceiver();
    const { recorder } = start({ url, database: "mc db", retentionPolicy: "a&b" });
    recorder.add("bytes", {}, 5);
    await recorder.stop(never());
    expect(writes).toHaveLength(1);
    expect(writes[0]).toMatchObject({
      method: "POST",
      path: "/write?consistency=&db=mc+db&precision=ns&rp=a%26b",
      body: "mc_router_transmitted_bytes count=5 1000000000\n",
    });
    expect(writes[0]?.headers.get("user-agent")).toBe("InfluxDBClient");
    expect(writes[0]?.headers.get("authorization")).toBeNull();
  });

  for (const { name, username, password, sent } of [
    { name: "user and password", username: "üser", password: "p:w", sent: "üser:p:w" },
    { name: "a user without password", username: "user", password: "", sent: "user:" },
  ]) {
    test(`carries ${name}`, async () => {
      const { url, writes } = startReceiver();
      const { recorder } = start({ url, username, password });
      await recorder.stop(never());
      const credentials = Buffer.from(sent).toString("base64");
      expect(writes[0]?.headers.get("authorization")).toBe(`Basic ${credentials}`);
    });
  }

  test("goes below the path that the URL has", async () => {
    const { url, writes } = startReceiver();
    const { recorder } = start({ url: `${url}/influx/` });
    await recorder.stop(never());
    expect(writes[0]?.path).toStartWith("/influx/write?");
  });

  test("is made without points too, as mc-router does it", async () => {
    const { url, writes } = startReceiver(says(200));
    const { recorder, events } = start({ url });
    await recorder.stop(never());
    expect(writes.map(({ body }) => body)).toEqual([""]);
    expect(events).toEqual([]);
  });
});

describe("the points", () => {
  for (const { name, tags = {}, player, line } of [
    {
      name: "tags sorted",
      tags: { zone: "eu", env: "p" },
      player: "Steve",
      line: ",env=p,player_name=Steve,zone=eu",
    },
    {
      name: "an empty tag left out",
      tags: { zone: "" },
      player: "Steve",
      line: ",player_name=Steve",
    },
    {
      name: "a tag without a name left out",
      tags: { "": "x" },
      player: "Steve",
      line: ",player_name=Steve",
    },
    {
      name: "a label before a tag of the same name",
      tags: { player_name: "x" },
      player: "Steve",
      line: ",player_name=Steve",
    },
    { name: "separators escaped", player: "a, =b", line: ",player_name=a\\,\\ \\=b" },
    { name: "a backslash within kept", player: "a\\b", line: ",player_name=a\\b" },
    { name: "backslashes at the end left out", player: "a\\\\", line: ",player_name=a" },
    { name: "control characters replaced", player: "a\nb\0", line: ",player_name=a\ufffdb\ufffd" },
  ]) {
    test(`have ${name}`, async () => {
      const { url, writes } = startReceiver();
      const { recorder } = start({ url, tags });
      recorder.add("serverLogins", { player_name: player }, 1);
      await recorder.stop(never());
      expect(writes[0]?.body).toBe(`mc_router_server_logins${line} count=1 1000000000\n`);
    });
  }

  test("hold what has changed since the last flush: sums of counters, last values of gauges", async () => {
    const { url, writes } = startReceiver();
    const { recorder } = start({ url, intervalMs: 20 });
    recorder.add("bytes", {}, 1);
    recorder.add("bytes", {}, 2);
    recorder.set("activeConnections", {}, 7);
    recorder.set("activeConnections", {}, 4);
    await until("a write", () => writes.length > 0);
    recorder.add("bytes", {}, 10);
    await until("bytes again", () => writes.some(({ body }) => body.includes("count=10 ")));
    await recorder.stop(never());
    const bodies = writes.map(({ body }) => body).filter((body) => body !== "");
    expect(bodies.map((body) => body.replaceAll(/ \d+\n/g, "\n"))).toEqual([
      "mc_router_transmitted_bytes count=3\nmc_router_connections_active value=4\n",
      "mc_router_transmitted_bytes count=10\n",
    ]);
  });

  test("are bounded, and those beyond are counted as dropped", async () => {
    const { url, writes } = startReceiver();
    const { recorder } = start({ url });
    for (let i = 0; i < 10_005; i++) recorder.add("serverLogins", { player_name: `p${i}` }, 1);
    await recorder.stop(never());
    expect(writes[0]?.body.match(/\n/g)).toHaveLength(10_000);
    expect(recorder.dropped).toBe(5);
  });
});

describe("when a flush fails", () => {
  for (const { name, answer, reason } of [
    { name: "an error of the server", answer: says(500, "oops"), reason: "status 500: oops" },
    { name: "a wrong password", answer: says(401, "no"), reason: "status 401: no" },
    { name: "no such database", answer: says(404, "db"), reason: "status 404: db" },
    { name: "a redirect", answer: says(302), reason: "status 302: " },
  ]) {
    test(`by ${name}, its points are sent later with the time they had, and both is told once`, async () => {
      const { url, writes } = startReceiver(answer, answer, says(204));
      const { recorder, events } = start({ url, intervalMs: 20 });
      recorder.add("bytes", {}, 1);
      await until("two writes", () => writes.length >= 2);
      recorder.add("bytes", {}, 2);
      await until("what came later", () => writes.some(({ body }) => body.includes("count=2 ")));
      await recorder.stop(never());
      expect(writes.slice(0, 3).map(({ body }) => body)).toEqual(
        Array(3).fill("mc_router_transmitted_bytes count=1 1000000000\n"),
      );
      expect(events).toEqual([
        { kind: "influx-lost", reason },
        { kind: "influx-back", dropped: 0 },
      ]);
      expect(recorder.dropped).toBe(0);
    });
  }

  for (const status of [400, 413]) {
    test(`by status ${status}, its points are given up, as they would be refused again`, async () => {
      const { url, writes } = startReceiver(says(status, "bad"), says(204));
      const { recorder, events } = start({ url, intervalMs: 20 });
      recorder.add("bytes", {}, 1);
      await until("another write", () => writes.length >= 2);
      await recorder.stop(never());
      expect(writes.filter(({ body }) => body.includes("count=1 "))).toHaveLength(1);
      expect(events).toEqual([
        { kind: "influx-lost", reason: `status ${status}: bad` },
        { kind: "influx-back", dropped: 1 },
      ]);
      expect(recorder.dropped).toBe(1);
    });
  }

  test("the newest points are kept, within bounds", async () => {
    let isUp = false;
    const { url, writes } = startReceiver(() => new Response(null, { status: isUp ? 204 : 503 }));
    const line = "mc_router_transmitted_bytes count=1 1000000000\n";
    const { recorder } = start({ url, intervalMs: 10, keptBytes: 3 * line.length });
    for (let i = 1; i <= 6; i++) {
      recorder.add("bytes", {}, i);
      const before = writes.length;
      await until("another write", () => writes.length > before + 1);
    }
    isUp = true;
    await until("all are sent", () => writes.some(({ body }) => body.includes("count=6 ")));
    await recorder.stop(never());
    const arrived = writes.slice(writes.findLastIndex(({ body }) => body.includes("count=4 ")));
    expect(arrived.map(({ body }) => /count=\d/.exec(body)?.[0]).slice(0, 3)).toEqual([
      "count=4",
      "count=5",
      "count=6",
    ]);
    expect(recorder.dropped).toBe(3);
  });

  test("because nobody answers, it is given up in time", async () => {
    const { url, writes } = startReceiver(() => Promise.withResolvers<Response>().promise);
    const { recorder, events } = start({ url, timeoutMs: 50 });
    recorder.add("bytes", {}, 1);
    await recorder.stop(never());
    expect(writes).toHaveLength(1);
    expect(events).toEqual([{ kind: "influx-lost", reason: "no answer within 0.05 s" }]);
  });

  test("because nobody listens, it says so", async () => {
    const { recorder, events } = start({ url: `http://127.0.0.1:${await freePort()}` });
    await recorder.stop(never());
    expect(events).toHaveLength(1);
    expect(events[0]?.kind).toBe("influx-lost");
  });
});

describe("stopping", () => {
  test("waits for no answer any more once the signal aborts", async () => {
    const { url, writes } = startReceiver(() => Promise.withResolvers<Response>().promise);
    const { recorder } = start({ url, timeoutMs: 600_000 });
    const enough = new AbortController();
    const stopped = recorder.stop(enough.signal);
    await until("a write", () => writes.length === 1);
    enough.abort();
    await stopped;
    expect(writes).toHaveLength(1);
  });

  test("sends nothing when the signal has aborted already", async () => {
    const { url, writes } = startReceiver();
    const { recorder } = start({ url });
    recorder.add("bytes", {}, 1);
    await recorder.stop(AbortSignal.abort());
    expect(writes).toEqual([]);
  });

  test("during a flush sends what came meanwhile after it", async () => {
    const first = Promise.withResolvers<Response>();
    const { url, writes } = startReceiver(() => first.promise, says(204));
    const { recorder } = start({ url, intervalMs: 20 });
    recorder.add("bytes", {}, 1);
    await until("a write", () => writes.length === 1);
    recorder.add("bytes", {}, 2);
    const stopped = recorder.stop(never());
    first.resolve(new Response(null, { status: 204 }));
    await stopped;
    expect(writes.at(-1)?.body).toContain("count=2 ");
  });
});
