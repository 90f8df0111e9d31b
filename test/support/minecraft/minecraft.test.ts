import { describe, expect, test } from "bun:test";
import { startBackend } from "../net/backend.ts";
import { join, pingServer, protocolOf, startMinecraftServer, versions } from "./minecraft.ts";
import { startSessionService } from "./online-mode.ts";
import { intents, loginDisconnect, offlineUuid, pluginRequest } from "./wire.ts";

describe("a real client and a real server, without a router", () => {
  for (const version of versions) {
    test(`${version}: status and offline join`, async () => {
      await using server = await startMinecraftServer({ version, motd: "Zzz" });
      const asked = { port: server.port, host: "play.example.com", version };

      const { status } = await pingServer(asked);
      expect(status).toMatchObject({
        description: { text: "Zzz" },
        version: { protocol: protocolOf(version) },
      });

      const joined = await join({ ...asked, username: "Steve" });
      if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
      using session = joined.session;
      expect(session).toMatchObject({
        username: "Steve",
        uuid: offlineUuid("Steve"),
        isEncrypted: false,
        isConnected: true,
      });
      expect(server.players()).toEqual(["Steve"]);
      expect(server.connections.map(({ handshake }) => handshake)).toEqual([
        {
          protocol: protocolOf(version),
          host: asked.host,
          port: asked.port,
          intent: intents.status,
        },
        {
          protocol: protocolOf(version),
          host: asked.host,
          port: asked.port,
          intent: intents.login,
        },
      ]);
      expect(server.connections[1]?.packets.slice(0, 2)).toEqual(["set_protocol", "login_start"]);
      expect(server.errors).toEqual([]);
    });

    test(`${version}: encrypted join with an account that the session service vouches for`, async () => {
      await using service = startSessionService();
      await using server = await startMinecraftServer({ version, onlineMode: service.onlineMode });
      const account = service.account("Alex");

      const joined = await join({
        port: server.port,
        host: "play.example.com",
        version,
        username: "Alex",
        account,
      });
      if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
      using session = joined.session;
      expect(session.uuid.replaceAll("-", "")).toBe(account.id);
      expect(session.isEncrypted).toBe(true);
      expect(server.connections[0]?.isEncrypted).toBe(true);
      expect(service.vouchedFor).toEqual(["Alex"]);
    });

    test(`${version}: a kick reaches the player with its text`, async () => {
      await using server = await startMinecraftServer({ version });
      const joined = await join({
        port: server.port,
        host: "a.example",
        version,
        username: "Steve",
      });
      if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
      server.kick("Steve", "See you");
      expect(await joined.session.ended).toBe("See you");
      expect(server.players()).toEqual([]);
    });
  }

  const holds = [
    { name: "empty frames", version: "1.8.8", keepalive: Buffer.of(0), pluginRequests: 0 },
    {
      name: "login plugin requests",
      version: "26.1",
      keepalive: pluginRequest(0x40000000, "a:b", Buffer.alloc(0)),
      pluginRequests: 1,
    },
  ];
  for (const { name, version, keepalive, pluginRequests } of holds) {
    test(`${version}: ${name} keep a login waiting, and its end is told with a text`, async () => {
      using backend = startBackend({
        async open(connection) {
          await Bun.sleep(150);
          await connection.send(keepalive);
          await Bun.sleep(50);
          await connection.send(loginDisconnect("Not today"));
          connection.finish();
        },
      });
      const outcome = await join({
        port: backend.port,
        host: "a.example",
        version,
        username: "Steve",
      });
      expect(outcome).toMatchObject({
        kind: "disconnected",
        text: "Not today",
        state: "login",
        quiet: { pluginRequests },
      });
      expect(outcome.quiet.largestSilenceMs).toBeGreaterThanOrEqual(140);
    });
  }

  test("an account that nobody vouches for is turned away", async () => {
    await using service = startSessionService();
    await using server = await startMinecraftServer({
      version: "1.20.4",
      onlineMode: service.onlineMode,
    });
    const outcome = await join({
      port: server.port,
      host: "play.example.com",
      version: "1.20.4",
      username: "Mallory",
    });
    expect(outcome).toMatchObject({ kind: "disconnected", text: "Failed to verify username!" });
  });

  test("nobody listening is a failed join, not an exception", async () => {
    const server = await startMinecraftServer({ version: "1.8.8" });
    await server[Symbol.asyncDispose]();
    const outcome = await join({
      port: server.port,
      host: "play.example.com",
      version: "1.8.8",
      username: "Steve",
    });
    expect(outcome.kind).toBe("failed");
  });
});
