import { Agent } from "node:http";
import { createRequire } from "node:module";
import type { OnlineAccount } from "./minecraft.ts";
import { offlineUuid } from "./wire.ts";

/** The part of the session library that Minecraft servers and clients of the tests use. */
interface SessionLibrary {
  server(options: { readonly agent?: Agent; readonly host?: string } | undefined): unknown;
}

/** A session service as Mojang runs one, on loopback. Dispose stops it. */
export interface SessionService extends AsyncDisposable {
  /** What makes a server of the tests ask this service: its `onlineMode` option. */
  readonly onlineMode: { readonly agent: Agent };
  /** An account that this service knows; its id is not the one an offline server would give. */
  account(username: string): OnlineAccount;
  /** Names of the players that the service has vouched for, in order. */
  readonly vouchedFor: readonly string[];
}

/** Which service each agent stands for. The library has Mojang's address built in for servers; the agent is the one setting that reaches it. */
const serviceOf = new WeakMap<Agent, string>();
const library: SessionLibrary = createRequire(import.meta.url)("yggdrasil");
const original = library.server;
library.server = (options) => {
  const host = options?.host ?? (options?.agent && serviceOf.get(options.agent));
  return original(host === undefined ? options : { host });
};

/** Starts a session service: clients announce a login by `join`, servers ask for it by `hasJoined` (minecraft.wiki, "Protocol encryption"). */
export function startSessionService(): SessionService {
  const accounts = new Map<string, { readonly name: string; readonly id: string }>();
  const announced = new Map<string, string>();
  const vouchedFor: string[] = [];

  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/session/minecraft/join": {
        async POST(request) {
          const body = (await request.json()) as Record<string, string>;
          const account = accounts.get(body["accessToken"] ?? "");
          if (account?.id !== body["selectedProfile"]) {
            return Response.json({ error: "ForbiddenOperationException" }, { status: 403 });
          }
          announced.set(body["serverId"] ?? "", account?.name ?? "");
          return new Response(null, { status: 204 });
        },
      },
      "/session/minecraft/hasJoined": (request) => {
        const query = new URL(request.url).searchParams;
        const name = announced.get(query.get("serverId") ?? "");
        const account = [...accounts.values()].find((known) => known.name === name);
        // Mojang's service says 204 for a login that nobody announced.
        if (!account || name !== query.get("username")) return new Response(null, { status: 204 });
        vouchedFor.push(account.name);
        return Response.json({ ...account, properties: [] });
      },
    },
  });

  const agent = new Agent();
  const url = `http://127.0.0.1:${http.port}`;
  serviceOf.set(agent, url);

  return {
    onlineMode: { agent },
    vouchedFor,
    account(username) {
      const accessToken = `token-${username}`;
      const id = offlineUuid(`online ${username}`).replaceAll("-", "");
      accounts.set(accessToken, { name: username, id });
      return { id, accessToken, sessionServer: url };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await http.stop(true);
    },
  };
}
