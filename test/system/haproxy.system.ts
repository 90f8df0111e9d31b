import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { believing, hello, isLetIn, proxied4, proxied6 } from "../e2e/proxied-login.ts";
import { join, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { complaints, linesOf } from "../support/process/e2e-network.ts";
import { startHaproxy } from "../support/process/haproxy.ts";
import { startRouter } from "../support/process/router.ts";

// Real HAProxies and real joins, on a machine that is busy with something else.
setDefaultTimeout(60_000);

describe("a real HAProxy on both sides", () => {
  for (const sends of ["v1", "v2"] as const) {
    test(`tells the player's address in ${sends}, and hears it again behind the router`, async () => {
      await using server = await startMinecraftServer({ version: "1.21.11" });
      await using behind = await startHaproxy({ target: server.address, accepts: true });
      await using router = await startRouter({
        env: {
          ...believing,
          USE_PROXY_PROTOCOL: "true",
          MAPPING: `play.example.com=127.0.0.1:${behind.port}`,
        },
      });
      await using front = await startHaproxy({ target: `127.0.0.1:${router.port}`, sends });

      const outcome = await join({
        port: front.port,
        host: "play.example.com",
        version: "1.21.11",
        username: "Steve",
      });
      if (outcome.kind !== "joined") throw new Error(JSON.stringify(outcome));
      using _session = outcome.session;
      expect(server.players()).toEqual(["Steve"]);

      const [seen] = await front.connections(1);
      expect(await behind.connections(1)).toEqual(seen === undefined ? [] : [seen]);
      expect(seen?.local).toBe(`127.0.0.1:${front.port}`);
      expect(linesOf(router, "session-relaying")).toMatchObject([{ client: seen?.client }]);
      expect(complaints(router)).toEqual([]);
    });
  }

  test("in front but not on the list is heard and not believed", async () => {
    await using server = await startMinecraftServer({ version: "1.8.8" });
    await using behind = await startHaproxy({ target: server.address, accepts: true });
    await using router = await startRouter({
      env: {
        ...believing,
        TRUSTED_PROXIES: "10.0.0.0/8,::1/128",
        USE_PROXY_PROTOCOL: "true",
        DEFAULT: `127.0.0.1:${behind.port}`,
      },
    });
    await using front = await startHaproxy({ target: `127.0.0.1:${router.port}`, sends: "v2" });
    const outcome = await join({
      port: front.port,
      host: "a.example",
      version: "1.8.8",
      username: "Steve",
    });
    if (outcome.kind !== "joined") throw new Error(JSON.stringify(outcome));
    using _session = outcome.session;

    const [player] = await front.connections(1);
    const [told] = await behind.connections(1);
    expect(told?.local).toBe(`127.0.0.1:${router.port}`);
    expect(told?.client).toStartWith("127.0.0.1:");
    expect(told?.client).not.toBe(player?.client ?? "");
    expect(linesOf(router, "session-relaying")).toMatchObject([{ client: told?.client }]);
  });

  const families = [
    {
      name: "IPv4",
      header: proxied4,
      client: "203.0.113.7:55555",
      local: "10.0.0.1:25565",
    },
    {
      name: "IPv6",
      header: proxied6,
      client: "[2001:db8::7]:55555",
      local: "[2001:db8::1]:25565",
    },
    {
      name: "an IPv6 player at an IPv4 address",
      header: Buffer.from("PROXY TCP6 2001:db8::7 ::ffff:10.0.0.1 55555 25565\r\n"),
      client: "[2001:db8::7]:55555",
      local: "[::ffff:10.0.0.1]:25565",
    },
    {
      name: "an IPv4 player at an IPv6 address",
      header: Buffer.from("PROXY TCP6 ::ffff:203.0.113.7 2001:db8::1 55555 25565\r\n"),
      client: "[::ffff:203.0.113.7]:55555",
      local: "[2001:db8::1]:25565",
    },
  ];
  test("behind the router understands every pair of families", async () => {
    using backend = startBackend(echo);
    await using behind = await startHaproxy({ target: backend.address, accepts: true });
    await using router = await startRouter({
      env: { ...believing, USE_PROXY_PROTOCOL: "true", DEFAULT: `127.0.0.1:${behind.port}` },
    });
    for (const [index, { name, header, client, local }] of families.entries()) {
      expect({ name, isLetIn: await isLetIn(router, header) }).toEqual({ name, isLetIn: true });
      const seen = await behind.connections(index + 1);
      expect({ name, ...seen[index] }).toEqual({ name, client, local });
    }
    for (const connection of backend.connections) expect(connection.received()).toEqual(hello);
  });
});
