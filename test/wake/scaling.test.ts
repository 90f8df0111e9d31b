import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, start } from "../../src/app/start.ts";
import { err, ok } from "../../src/base/result.ts";
import { parseConfig } from "../../src/config/config.ts";
import { issueText } from "../../src/config/environment.ts";
import type { RouterEvent } from "../../src/observe/events.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { connectPlayer, disconnectText, waitThroughHold } from "../support/minecraft/player.ts";
import { frame, handshake, intents, login, statusRequest } from "../support/minecraft/wire.ts";
import { running, startBackend, status } from "../support/net/backend.ts";
import { workerScript } from "../support/net/relayed.ts";
import { freshView } from "../support/process/router-view.ts";
import { sleepingBackend } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";
import { type Receiver, startReceiver } from "./receiver.ts";

const greeting = frame(0x02, Buffer.from("welcome"));

const pingOf = (host: string): Buffer =>
  Buffer.concat([
    handshake({ protocol: 774, host, port: 25565, intent: intents.status }),
    statusRequest,
  ]);

const greets = running(greeting);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The whole router in this process, with a webhook and an allow and deny file. */
async function startRouter(variables: Readonly<Record<string, string>>, allowDeny?: unknown) {
  const receiver: Receiver = startReceiver();
  cleanups.push(() => receiver[Symbol.asyncDispose]());
  const folder = mkdtempSync(join(tmpdir(), "automc-scaling-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "allow-deny.json");
  const write = (content: unknown): void =>
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  if (allowDeny !== undefined) write(allowDeny);

  const parsed = parseConfig(
    {
      PORT: "0",
      AUTOMC_BIND: "127.0.0.1",
      CONNECTION_RATE_LIMIT: "10000",
      AUTOMC_DRAIN_TIMEOUT: "0s",
      AUTO_SCALE_WEBHOOK_URL: receiver.url,
      AUTO_SCALE_ASLEEP_MOTD: "asleep",
      ...(allowDeny === undefined ? {} : { AUTO_SCALE_ALLOW_DENY: path }),
      ...variables,
    },
    () => (allowDeny === undefined ? err("no file") : ok(JSON.stringify(allowDeny))),
  );
  if (!parsed.ok) throw new Error(parsed.error.map(issueText).join("\n"));
  const { config } = parsed.value;
  const events: RouterEvent[] = [];
  const emit = (event: RouterEvent): void => void events.push(event);
  const metrics = createMetrics({
    ...config.metrics,
    recordLogins: false,
    version: "1",
    commit: "c",
    commandLine: [],
    droppedLines: () => 0,
    emit,
  });
  cleanups.push(() => metrics.stop(AbortSignal.abort()));
  const view = freshView();
  const started = await start(config, {
    emit,
    metrics,
    view,
    sessionLimit: 1_000,
    relayScript: workerScript,
  });
  if (!started.ok) throw new Error(started.error);
  const app: App = started.value;
  cleanups.push(() => app.stop("test", AbortSignal.abort()));
  return {
    app,
    receiver,
    events,
    write,
    kinds: () => events.map(({ kind }) => kind),
    async player(opening: Buffer) {
      const player = await connectPlayer({ port: app.port });
      cleanups.push(() => player.reset());
      await player.send(opening);
      return player;
    },
  };
}

test("a fixed route from sleep to sleep: called up by a login, reached where the webhook says, called down when idle", async () => {
  using sleeping = await sleepingBackend();
  const router = await startRouter({
    MAPPING: "Play.example.com=127.0.0.1:1",
    AUTO_SCALE_DOWN_AFTER: "300ms",
  });
  await until("down after the start", () => router.receiver.calls.length === 1);
  const names = { serverAddress: "Play.example.com", backend: "127.0.0.1:1" };
  expect(router.receiver.actions()).toEqual([{ action: "down", ...names }]);

  const pinging = await router.player(pingOf("play.example.com"));
  expect((await pinging.readFrame()).body.toString()).toContain("asleep");
  expect(router.receiver.calls.length).toBe(1);

  router.receiver.answer(() => Response.json({ backend: sleeping.address }));
  const player = await router.player(login({ host: "play.example.com", name: "Steve" }));
  await until("up", () => router.receiver.calls.length === 2);
  expect(router.receiver.actions()[1]).toEqual({ action: "up", ...names });
  using backend = sleeping.listen(greets);
  expect((await waitThroughHold(player)).frame.raw).toEqual(greeting);

  backend.behave({ ...status('{"x":1}'), end: (connection) => connection.close() });
  const other = await router.player(pingOf("play.example.com"));
  expect((await other.readFrame()).body.toString()).toContain('{"x":1}');
  other.reset();
  await Bun.sleep(600);
  expect(router.receiver.calls.length).toBe(2);

  player.reset();
  await until("down", () => router.receiver.calls.length === 3);
  expect(router.receiver.actions()[2]).toEqual({ action: "down", ...names });
  await until(
    "the sleep",
    () => router.kinds().filter((kind) => kind === "sleep-done").length === 2,
  );
  backend.stop();
  const last = await router.player(pingOf("play.example.com"));
  expect((await last.readFrame()).body.toString()).toContain("asleep");
});

test("the default route is called by no hostname, and an unknown hostname calls nothing", async () => {
  using backend = startBackend(greets);
  using sleeping = await sleepingBackend();
  const withDefault = await startRouter({ DEFAULT: sleeping.address });
  const player = await withDefault.player(login({ host: "any.example.com", name: "Steve" }));
  await until("up", () => withDefault.receiver.calls.length === 1);
  using _woken = sleeping.listen(greets);
  expect((await waitThroughHold(player)).frame.raw).toEqual(greeting);
  expect(withDefault.receiver.actions()).toEqual([
    { action: "up", serverAddress: "", backend: sleeping.address },
  ]);

  const without = await startRouter({ MAPPING: `a.example.com=${backend.address}` });
  const stranger = await without.player(login({ host: "any.example.com", name: "Steve" }));
  await stranger.waitForEnd();
  expect(stranger.receivedLength).toBe(0);
  expect(without.receiver.calls).toEqual([]);
});

test("a webhook that fails ends the wait with words, and a backend that is up lets players in without it", async () => {
  using backend = startBackend(greets);
  const router = await startRouter({
    MAPPING: `up.example.com=${backend.address},down.example.com=127.0.0.1:1`,
  });
  router.receiver.answer(() => new Response(null, { status: 500 }));
  const lucky = await router.player(login({ host: "up.example.com", name: "Steve" }));
  expect((await waitThroughHold(lucky)).frame.raw).toEqual(greeting);
  const other = await router.player(login({ host: "down.example.com", name: "Steve" }));
  expect(disconnectText((await waitThroughHold(other)).frame)).toContain("did not start in time");
  expect(router.events).toContainEqual(
    expect.objectContaining({ kind: "wake-failed", reason: 'the webhook\'s "up": status 500' }),
  );
});

test("a player who may not start a server reaches it when it is up, joins a wake of others, and is told so otherwise", async () => {
  using backend = startBackend(greets);
  using sleeping = await sleepingBackend();
  const router = await startRouter(
    { MAPPING: `up.example.com=${backend.address},down.example.com=${sleeping.address}` },
    {
      servers: {
        "UP.example.com.": { denylist: [{ name: "Steve" }] },
        "down.example.com": { allowlist: [{ name: "Alex" }] },
      },
    },
  );
  const visitor = await router.player(login({ host: "up.example.com", name: "Steve" }));
  expect((await waitThroughHold(visitor)).frame.raw).toEqual(greeting);

  const denied = await router.player(login({ host: "down.example.com", name: "Steve" }));
  const words = "This server is asleep, and you may not start it.";
  expect(disconnectText((await waitThroughHold(denied)).frame)).toContain(words);
  expect(router.receiver.calls).toEqual([]);
  await until("the end", () =>
    router.events.some(
      (event) =>
        event.kind === "session-ended" &&
        event.outcome.kind === "answered" &&
        event.outcome.answer === "wake-denied",
    ),
  );

  const starter = await router.player(login({ host: "down.example.com", name: "Alex" }));
  await until("up", () => router.receiver.calls.length === 1);
  const joiner = await router.player(login({ host: "down.example.com", name: "Steve" }));
  await until(
    "both wait",
    () => router.kinds().filter((kind) => kind === "session-holding").length === 2,
  );
  using _down = sleeping.listen(greets);
  expect((await waitThroughHold(starter)).frame.raw).toEqual(greeting);
  expect((await waitThroughHold(joiner)).frame.raw).toEqual(greeting);
  expect(router.receiver.calls.length).toBe(1);
});

test("the allow and deny file is read again at a reload; one that cannot be used changes nothing, and is told", async () => {
  const router = await startRouter(
    { MAPPING: "a.example.com=127.0.0.1:1,b.example.com=127.0.0.1:2" },
    { global: { denylist: [{ name: "Steve" }] } },
  );
  const words = async (host: string): Promise<string> => {
    const player = await router.player(login({ host, name: "Steve" }));
    return disconnectText((await waitThroughHold(player)).frame);
  };
  expect(await words("a.example.com")).toContain("may not start");
  router.write("{ nonsense");
  await router.app.reload();
  expect(await words("a.example.com")).toContain("may not start");
  expect(router.events).toContainEqual({
    kind: "setting-warning",
    message: expect.stringContaining("line 1, column 3"),
  });
  router.write({});
  await router.app.reload();
  router.receiver.answer(() => new Response(null, { status: 500 }));
  expect(await words("b.example.com")).toContain("did not start");
});

test("a stop takes back what was to be put to sleep", async () => {
  const router = await startRouter({
    MAPPING: "a.example.com=127.0.0.1:1",
    AUTO_SCALE_DOWN_AFTER: "200ms",
  });
  await router.app.stop("test", AbortSignal.abort());
  await Bun.sleep(400);
  expect(router.receiver.calls).toEqual([]);
});
