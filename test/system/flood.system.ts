import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { hostnameOf } from "../bench/jobs.ts";
import { median, percentile } from "../bench/measure.ts";
import { measured } from "../support/docs/reliability.ts";
import { frame, login, string, varint } from "../support/minecraft/wire.ts";
import { type Arena, expectUnharmed, startArena, watchPeak } from "../support/net/arena.ts";
import type { Router } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;
const count = (value: number): string => value.toLocaleString("en-US");

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** The opening that slow clients begin. */
const opening = login({ host: "play.example.org", name: "Steve" }).toString("hex");

/** Lets a smaller flood of slow clients pass first: what the runtime sets up for the first ones belongs to the base. */
async function warmUp({ floods, place, router }: Arena): Promise<number> {
  const descriptors = router.fds();
  const drip = { hex: opening, bytes: 1, everyMs: 100 };
  await floods[0]?.run("hold", { ...place, count: 1_000, drip });
  await Bun.sleep(1_000);
  await floods[0]?.run("release", null);
  await until("the first flood is gone", () => Promise.resolve(router.fds() <= descriptors));
  return router.rss();
}

test("5,000 clients that say a byte a second are gone in time, cost little and disturb nobody", async () => {
  await using arena = await startArena();
  const { router, floods, place } = arena;
  const base = await warmUp(arena);
  using peak = watchPeak(router.rss);
  const drip = { hex: opening, bytes: 1, everyMs: 1_000 };
  expect(await floods[0]?.run("hold", { ...place, count: 5_000, drip })).toBe(5_000);
  const logins = await arena.login(300);
  const lives = await floods[0]?.run("lives", { withinMs: 20_000 });
  const longest = Math.max(...(lives?.ended ?? []));
  const growth = peak.value - base;
  measured({
    scenario: "T1",
    promise: "P2",
    what: "5,000 clients say a byte a second",
    result: `memory +${megabytes(growth)} (≤ 40) on ${megabytes(base)}; all closed, the last after ${seconds(longest)} (≤ 6); a login meanwhile took ${ms(median(logins))}, p99 ${ms(percentile(logins, 0.99))} (≤ 50)`,
  });
  expect(lives?.open).toBe(0);
  expect(longest).toBeLessThan(6_000);
  expect(growth).toBeLessThan(40e6);
  expect(percentile(logins, 0.99)).toBeLessThan(50);
  await expectUnharmed(arena);
});

test.each([
  { clients: 2_000, bytes: 4_096, everyMs: 200 },
  { clients: 2_000, bytes: 200, everyMs: 50 },
])(
  "$clients clients that send as much of an opening as is waited for, $bytes bytes at a time, cost no more than is promised",
  async ({ clients, bytes, everyMs }) => {
    await using arena = await startArena();
    const { router, floods, place } = arena;
    const base = await warmUp(arena);
    using peak = watchPeak(router.rss);
    // A handshake may be 16 KiB long, and this one's last byte never comes.
    const hex = frame(0x00, varint(767), string("a\0".padEnd(8_000, "é")), Buffer.alloc(3))
      .subarray(0, -1)
      .toString("hex");
    const drip = { hex, bytes, everyMs };
    expect(await floods[0]?.run("hold", { ...place, count: clients, drip })).toBe(clients);
    const lives = await floods[0]?.run("lives", { withinMs: 20_000 });
    const ended = lives?.ended ?? [];
    const each = (peak.value - base) / clients;
    measured({
      scenario: "T1",
      promise: "P2",
      what: `${count(clients)} clients send ${count(hex.length / 2)} bytes of a handshake whose last byte never comes, ${count(bytes)} at a time`,
      result: `memory +${megabytes(peak.value - base)}, ${(each / 1_024).toFixed(0)} KiB each (≤ 64); all closed, the last after ${seconds(Math.max(...ended))} (≤ 6)`,
    });
    expect(lives?.open).toBe(0);
    expect(Math.min(...ended)).toBeGreaterThan(4_000);
    expect(Math.max(...ended)).toBeLessThan(6_000);
    expect(each).toBeLessThan(64 * 1_024);
    await expectUnharmed(arena);
  },
);

test.each([16_384, 512])(
  "2,000 players who wait for a server and say as much as is kept, %d bytes at a time, cost no more than is promised",
  async (bytes) => {
    await using started = new AsyncDisposableStack();
    await using arena = await startArena({
      env({ outside }) {
        const webhook = Bun.serve({ hostname: outside, port: 0, fetch: () => new Response() });
        started.defer(() => webhook.stop(true));
        return { AUTO_SCALE_WEBHOOK_URL: `http://${outside}:${webhook.port}/` };
      },
      routes: () => ["asleep.example.org=127.0.0.1:9"],
    });
    const { router, floods, place } = arena;
    const joining = login({ host: "asleep.example.org", name: "Waiting" });
    const hold = async (players: number, more: number): Promise<void> => {
      const hex = Buffer.concat([joining, Buffer.alloc(more, 2)]).toString("hex");
      await floods[0]?.run("hold", {
        ...place,
        count: players,
        drip: { hex, bytes, everyMs: 50 },
      });
      await until("all wait", async () => {
        const holding = (await arena.api.metrics()).get('automc_sessions{state="holding"}');
        return holding === players;
      });
    };
    await hold(300, 0);
    await floods[0]?.run("release", null);
    await until("the first have gone", async () => (await arena.metric("automc_sessions")) === 0);
    const base = router.rss();
    using peak = watchPeak(router.rss);
    // What a waiting client may say of its own accord, for the backend.
    const most = joining.length + 8 * 1_024;
    await hold(2_000, most - joining.length);
    // Until the last of it has been said, and somewhat longer.
    const { open } =
      (await floods[0]?.run("lives", { withinMs: (most / bytes) * 50 + 3_000 })) ?? {};
    const each = (peak.value - base) / 2_000;
    measured({
      scenario: "T2",
      promise: "P2",
      what: `2,000 players wait for a server and say ${count(most - joining.length)} bytes that nobody has asked for, ${count(bytes)} at a time`,
      result: `memory +${megabytes(peak.value - base)}, ${(each / 1_024).toFixed(0)} KiB each (≤ 64), of which the wait itself is a part`,
    });
    expect(open).toBe(2_000);
    expect(each).toBeLessThan(64 * 1_024);
    await expectUnharmed(arena);
  },
);

test("15,000 clients that say nothing cost little, the descriptors that there are, and nothing afterwards", async () => {
  await using arena = await startArena({ floods: 2 });
  const { router, floods, place } = arena;
  const base = await warmUp(arena);
  const descriptors = router.fds();
  using peak = watchPeak(router.rss);
  const places = await arena.metric("automc_session_limit");
  const opened = await Promise.all(
    floods.map((flood) => flood.run("hold", { ...place, count: 7_500, drip: null })),
  );
  const startedAt = performance.now();
  const most = router.fds() - descriptors;
  const lives = await Promise.all(floods.map((flood) => flood.run("lives", { withinMs: 20_000 })));
  const ended = lives.flatMap((life) => life.ended);
  await until("all descriptors are free", () => Promise.resolve(router.fds() <= descriptors));
  const freeAfter = performance.now() - startedAt;
  const growth = peak.value - base;
  measured({
    scenario: "T2",
    promise: "P2",
    what: "15,000 clients say nothing",
    result: `${count(most)} were taken, for ${count(places)} sessions there are descriptors, and the others refused at once; memory +${megabytes(growth)} (≤ 60); the last one closed after ${seconds(Math.max(...ended))}; all descriptors free ${seconds(freeAfter)} after the flood (≤ 10)`,
  });
  expect(sum(opened)).toBe(ended.length);
  expect(most).toBeGreaterThan(Math.min(15_000, places) * 0.9);
  expect(growth).toBeLessThan(60e6);
  expect(freeAfter).toBeLessThan(10_000);
  await expectUnharmed(arena);
});

/** The least memory of quiet seconds, at most twenty, fewer where it is little enough before: what the garbage collector has not come round to yet is no drift. */
async function lowestRss(router: Router, enough: number): Promise<number> {
  let lowest = router.rss();
  const giveUpAt = performance.now() + 20_000;
  while (lowest > enough && performance.now() < giveUpAt) {
    await Bun.sleep(100);
    lowest = Math.min(lowest, router.rss());
  }
  return lowest;
}

test("100,000 malformed openings end nothing but themselves", async () => {
  await using arena = await startArena();
  const { router, floods, place } = arena;
  const flood = (times: number, seed: number) =>
    floods[0]?.run("junk", { ...place, count: times, parallel: 64, seed });
  await flood(50_000, 1);
  await Bun.sleep(5_000);
  const base = router.rss();
  const descriptors = router.fds();
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`seed ${seed}`);
  const startedAt = performance.now();
  const result = await flood(100_000, seed);
  const tookMs = performance.now() - startedAt;
  const drift = (await lowestRss(router, base)) - base;
  measured({
    scenario: "T3",
    promise: "P1",
    what: "100,000 malformed openings over 64 connections at a time",
    result: `none was answered, the last one was closed within ${seconds(result?.longestMs ?? 0)}; ${count(Math.round(100_000 / (tookMs / 1000)))} a second; 0 faults; memory ${drift < 0 ? "" : "+"}${megabytes(drift)} (≤ 10); descriptors as before`,
  });
  expect(result?.bytesBack).toBe(0);
  expect(result?.longestMs).toBeLessThan(6_000);
  expect(router.fds()).toBeLessThanOrEqual(descriptors);
  expect(drift).toBeLessThan(10e6);
  await expectUnharmed(arena);
});

test("clients that connect and close as fast as they can are all counted, and a player gets in between", async () => {
  await using arena = await startArena({ floods: 2 });
  const { floods, load, place } = arena;
  const counted = () => arena.metric("mc_router_frontend_connections");
  const before = await counted();
  const flood = { ...place, parallel: 128 };
  const churned = Promise.all(
    floods.map((each) => each.run("churn", { ...flood, seconds: 15, waits: true })),
  );
  const game = { port: place.port, hostname: hostnameOf("echo"), seconds: 10 };
  const [logins, echoes] = await Promise.all([arena.login(200), load.run("probe", game)]);
  const made = sum((await churned).map(({ connections }) => connections));
  const failed = sum((await churned).map(({ failures }) => failures));
  const wanted = before + made + logins.length + 1;
  await until("each connection is counted", async () => (await counted()) === wanted);

  const offered = await Promise.all(
    floods.map((each) => each.run("churn", { ...flood, seconds: 5, waits: false })),
  );
  // The kernel may still refuse one whose connect came while its queue was full.
  const since = performance.now();
  await until("a player gets in", async () => (await arena.login(1).catch(() => [])).length > 0);
  const after = performance.now() - since;
  measured({
    scenario: "T6",
    promise: "P1",
    what: "clients connect and close as fast as the router takes them, 15 s; then as fast as they can, 5 s",
    result: `${count(Math.round(made / 15))} a second, ${count(made)} made and counted, ${failed} failed; a login meanwhile took ${ms(median(logins))}, p99 ${ms(percentile(logins, 0.99))} (≤ 500), a packet of a player there and back ${ms(median(echoes))}, p99 ${ms(percentile(echoes, 0.99))}, at most ${ms(Math.max(...echoes))}; right after ${count(Math.round(sum(offered.map(({ connections }) => connections)) / 5))} a second were offered, a player was in after ${ms(after)} (≤ 2,000)`,
  });
  expect(made).toBeGreaterThan(1_000);
  expect(failed).toBe(0);
  expect(percentile(logins, 0.99)).toBeLessThan(500);
  expect(after).toBeLessThan(2_000);
  await expectUnharmed(arena);
});

/** What docs/reliability.md advises against floods of connects, with the port put in. */
const firewallRule = (port: number): string =>
  `-A INPUT -p tcp --dport ${port} --syn -m hashlimit --hashlimit-name minecraft --hashlimit-mode srcip --hashlimit-above 100/second --hashlimit-burst 1000 -j DROP`;

test.each([
  { name: "", isBehindFirewall: false },
  { name: ", behind a firewall that limits them too", isBehindFirewall: true },
])(
  "clients of one address that connect as fast as they can are refused beyond their share$name",
  async ({ isBehindFirewall }) => {
    // Loopback, where the player comes from, is exempt; the flood takes the namespace's own address.
    await using arena = await startArena({
      floods: 2,
      env: () => ({ AUTOMC_CLIENT_EXEMPT: "127.0.0.0/8", AUTOMC_CLIENT_RATE: "100" }),
    });
    const { floods, load, netns, place } = arena;
    using rules = new DisposableStack();
    if (isBehindFirewall) {
      const advice = await Bun.file(join(import.meta.dir, "../../docs/reliability.md")).text();
      expect(advice).toContain(`\niptables ${firewallRule(25_565)}\n`);
      rules.use(netns.iptables("-A INPUT -s 127.0.0.1 -j ACCEPT"));
      rules.use(netns.iptables(firewallRule(place.port)));
    }
    const before = await arena.metric("mc_router_frontend_connections");
    const since = performance.now();
    const flood = { hostname: netns.inside, port: place.port, parallel: 128, waits: true };
    const churned = Promise.all(floods.map((each) => each.run("churn", { ...flood, seconds: 11 })));
    const game = { port: place.port, hostname: hostnameOf("echo"), seconds: 10 };
    const [logins, echoes] = await Promise.all([arena.login(200), load.run("probe", game)]);
    const offered = sum((await churned).map(({ connections, failures }) => connections + failures));
    const letIn = (await arena.metric("mc_router_frontend_connections")) - before - 201;
    const tookMs = performance.now() - since;
    measured({
      scenario: "T6",
      promise: "P1",
      what: `AUTOMC_CLIENT_RATE=100: one address connects as fast as it can for 11 s${isBehindFirewall ? ", behind the firewall rule above" : ""}`,
      result: `${count(Math.round(offered / 11))} a second got through to it, of which ${count(letIn)} in all were let in (1,000 at once, then 100 a second); a login meanwhile took ${ms(median(logins))}, p99 ${ms(percentile(logins, 0.99))} (≤ 500), a packet of a player there and back ${ms(median(echoes))}, p99 ${ms(percentile(echoes, 0.99))}, at most ${ms(Math.max(...echoes))}`,
    });
    expect(offered).toBeGreaterThan(isBehindFirewall ? 1_000 : 5_000);
    expect(letIn).toBeLessThan(1_000 + (tookMs / 1_000 + 1) * 100);
    expect(percentile(logins, 0.99)).toBeLessThan(500);
    await expectUnharmed(arena);
  },
);

test("10,000 clients that reset before they are accepted leave nothing behind", async () => {
  await using arena = await startArena();
  const { router, floods, place } = arena;
  const descriptors = router.fds();
  const before = await arena.metric("mc_router_frontend_connections");
  // A router that stands still accepts nobody; its queue has 512 places.
  for (let round = 0; round < 25; round++) {
    router.signal("SIGSTOP");
    await floods[0]?.run("resets", { ...place, count: 400 });
    router.signal("SIGCONT");
    await arena.login(1);
  }
  const seen = (await arena.metric("mc_router_frontend_connections")) - before - 25;
  await until("all descriptors are free", () => Promise.resolve(router.fds() <= descriptors));
  measured({
    scenario: "T7",
    promise: "P1",
    what: "10,000 clients connect and reset before they are accepted",
    result: `${count(10_000 - seen)} had no address any more; 0 faults; a login after each 400 of them; descriptors as before`,
  });
  await expectUnharmed(arena);
});
