import { expect } from "bun:test";
import { join, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { connectPlayer, disconnectText } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { laterPort } from "../support/net/ports.ts";
import { noQueue, sessionEnd } from "../support/process/e2e-network.ts";
import { type Router, startRouter } from "../support/process/router.ts";

const version = "1.20.4";

/** A router with a route to a real server and a route to a closed port. Dispose ends all. */
export async function startSmallNetwork(env: Readonly<Record<string, string>>) {
  const server = await startMinecraftServer({ version });
  const down = `127.0.0.1:${laterPort()}`;
  const router = await startRouter({
    env: {
      ...noQueue,
      RECORD_LOGINS: "true",
      MAPPING: `play.example.com=${server.address},down.example.com=${down}`,
      ...env,
    },
  });
  return {
    router,
    server,
    down,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Joins the real server as Steve; throws when he does not get in. */
export async function enterGame(router: Router) {
  const asked = { port: router.port, host: "Play.example.com", version, username: "Steve" };
  const joined = await join(asked);
  if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
  return joined.session;
}

/** Lets one player ask for a hostname without a route, and one for the closed port. */
export async function failTwice(router: Router): Promise<void> {
  using lost = await connectPlayer({ port: router.port });
  await lost.send(login({ host: "Nowhere.example.com", name: "Lost" }));
  await lost.waitForEnd();
  using late = await connectPlayer({ port: router.port });
  await late.send(login({ host: "down.example.com", name: "Late" }));
  expect(disconnectText(await late.readFrame())).toContain("cannot be reached");
  await sessionEnd(router, "Late");
}
