import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "../bench/measure.ts";
import { measured } from "../support/docs/reliability.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { type Arena, expectUnharmed, startArena } from "../support/net/arena.ts";
import { type Backend, echo, startBackend } from "../support/net/backend.ts";
import { type DnsRecord, type DnsServer, startDnsServer } from "../support/net/dns.ts";
import type { Netns } from "../support/net/netns.ts";
import type { Peer } from "../support/net/peer.ts";
import { laterPort } from "../support/net/ports.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const spread = (values: readonly number[]): string =>
  `${median(values).toFixed(1)} ms, at most ${Math.max(...values).toFixed(1)}`;

/** Where nameservers listen. */
const dnsPort = 53;

const ours = ({ outside }: Netns): string => `nameserver ${outside}\n`;

/** A nameserver at our end of the link. */
const serve = ({ netns }: Arena, zone: Record<string, DnsRecord>): Promise<DnsServer> =>
  startDnsServer(zone, { hostname: netns.outside, port: dnsPort });

/** A player that has asked for that hostname. */
async function enter({ netns, router }: Arena, host: string): Promise<Peer> {
  const player = await connectPlayer({ hostname: netns.inside, port: router.port });
  await player.send(login({ host, name: "Player" }));
  return player;
}

/** How long it takes until an echo has answered a player of that hostname, ms. */
async function joinTime(arena: Arena, host: string): Promise<number> {
  const since = performance.now();
  using player = await enter(arena, host);
  await player.waitForLength(1);
  return performance.now() - since;
}

/** How long it takes until a route is made and saved, ms. */
async function saveTime({ api }: Arena, path: string, index: number): Promise<number> {
  const name = `saved${index}.example.org`;
  const since = performance.now();
  const response = await api.request("/routes", {
    method: "POST",
    body: JSON.stringify({ serverAddress: name, backend: "127.0.0.1:9" }),
  });
  expect(response.status).toBe(201);
  await until("it is saved", () => readFileSync(path, "utf8").includes(name));
  return performance.now() - since;
}

test("dead nameservers hold up nobody but those who need them", async () => {
  const dead = Array.from({ length: 50 }, (_, i) => `dead${i}.example.org`);
  const directory = mkdtempSync(join(tmpdir(), "automc-dns-"));
  await using started = new AsyncDisposableStack();
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "routes.json");
  await using arena = await startArena({
    resolvConf: ours,
    env: () => ({ ROUTES_CONFIG: path }),
    routes({ outside }) {
      const { port } = started.use(startBackend(echo, outside));
      return [
        `fresh.example.org=fresh.example.net:${port}`,
        `stale.example.org=stale.example.net:${port}`,
        ...dead.map((host, i) => `${host}=dead${i}.example.net:${port}`),
      ];
    },
  });
  using _names = await serve(arena, {
    "fresh.example.net": { a: [arena.netns.outside], ttlSeconds: 60 },
    "stale.example.net": { a: [arena.netns.outside], ttlSeconds: 5 },
  });
  await joinTime(arena, "fresh.example.org");
  await joinTime(arena, "stale.example.org");
  // Five seconds is the shortest time that an address is kept for.
  await Bun.sleep(5_500);
  using _rule = arena.netns.iptables(`-A INPUT -p udp --sport ${dnsPort} -j DROP`);

  const lost = await Promise.all(dead.map((host) => enter(arena, host)));
  const told = Promise.all(
    lost.map(async (player) => {
      await player.waitForEnd();
      return performance.now() - player.openedAtMs;
    }),
  );
  const literal = await arena.login(50);
  const fresh: number[] = [];
  const saved: number[] = [];
  for (let i = 0; i < 20; i++) {
    fresh.push(await joinTime(arena, "fresh.example.org"));
    saved.push(await saveTime(arena, path, i));
  }
  const stale = await joinTime(arena, "stale.example.org");
  const waits = await told;
  measured({
    scenario: "T19",
    promise: "P3",
    what: "the nameserver goes silent and 50 players ask for names that are not known yet",
    result: `they are told after ${seconds(Math.min(...waits))} to ${seconds(Math.max(...waits))} (BACKEND_DIAL_TIMEOUT is 2 s); meanwhile a login takes ${spread(literal)} to an address, ${spread(fresh)} to a known name (≤ 500), ${stale.toFixed(0)} ms to a name whose time is over (≤ 500); a route is saved within ${spread(saved)} (≤ 500)`,
  });
  expect(Math.max(...waits)).toBeLessThan(3_000);
  expect(Math.max(...literal, ...fresh, ...saved)).toBeLessThan(500);
  expect(stale).toBeLessThan(500);
  await expectUnharmed(arena);
});

test("a name with four addresses costs one connection, and a name that moves is followed", async () => {
  const port = laterPort();
  const backends: Backend[] = [];
  await using started = new AsyncDisposableStack();
  const addresses: string[] = [];
  await using arena = await startArena({
    resolvConf: ours,
    routes(netns) {
      for (let index = 11; index <= 15; index++) {
        const address = netns.addAddress("outside", index);
        addresses.push(address);
        backends.push(started.use(startBackend(echo, address, port)));
      }
      return [`four.example.org=four.example.net:${port}`];
    },
  });
  using names = await serve(arena, {
    "four.example.net": { a: addresses.slice(0, 4), ttlSeconds: 5 },
  });
  const connections = (): number[] => backends.map((backend) => backend.connections.length);

  using early = await enter(arena, "four.example.org");
  await early.waitForLength(1);
  for (let times = 1; times < 20; times++) await joinTime(arena, "four.example.org");
  const atFirst = connections();

  names.zone.set("four.example.net", { a: addresses.slice(4), ttlSeconds: 5 });
  const since = performance.now();
  await until("the new address is used", async () => {
    await joinTime(arena, "four.example.org");
    return (connections()[4] ?? 0) > 0;
  });
  const followedAfter = performance.now() - since;
  await early.send(Buffer.from("still here"));
  await early.waitForLength(login({ host: "four.example.org", name: "Player" }).length + 10);
  measured({
    scenario: "T20",
    promise: "P7",
    what: "20 players join by a name with four addresses, which then moves to a fifth",
    result: `connections at the four: ${atFirst.slice(0, 4).join(", ")}; the fifth is used ${seconds(followedAfter)} after the change (time to live 5 s), and a game at the first goes on`,
  });
  expect(atFirst).toEqual([20, 0, 0, 0, 0]);
  expect(followedAfter).toBeLessThan(8_000);
  await expectUnharmed(arena);
});
