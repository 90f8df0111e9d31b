import type { Agent } from "node:http";
import type { Socket as NodeSocket } from "node:net";
import net from "node:net";
import minecraftData from "minecraft-data";
import minecraft, { type Client, type Server, type ServerClient } from "minecraft-protocol";
import { defaultTimeoutMs, withTimeout } from "../net/peer.ts";
import { type Handshake, intents } from "./wire.ts";

/** One version of each wire format that players still use. All join directly with the library that the tests use. */
export const versions = [
  "1.7.10",
  "1.8.8",
  "1.12.2",
  "1.16.5",
  "1.20.4",
  "1.21.11",
  "26.1",
] as const;

/** A version that the tests join with. */
export type Version = (typeof versions)[number];

/** The protocol number of a version. Throws for one that is not known. */
export const protocolOf = (version: string): number => dataOf(version).version.version;

/** What a real server has seen of one connection. */
export interface ServerConnection {
  readonly handshake: Handshake | null;
  /** Names of the packets it sent, in order, as the library calls them. */
  readonly packets: readonly string[];
  /** The player's name once its Login Start has arrived. */
  readonly username: string | null;
  readonly isEncrypted: boolean;
}

/** A real Minecraft server without a world: players log in and stay. Dispose disconnects them and stops listening. */
export interface MinecraftServer extends AsyncDisposable {
  readonly port: number;
  readonly address: string;
  readonly connections: readonly ServerConnection[];
  /** Mistakes that the library has found in what clients sent. */
  readonly errors: readonly Error[];
  /** Names of the players that are in the game now. */
  players(): string[];
  /** Ends a player's game with this text. */
  kick(username: string, text: string): void;
}

/** How the server is set up. It listens on 127.0.0.1 unless it is told otherwise. */
export interface MinecraftServerOptions {
  readonly version: string;
  readonly hostname?: string;
  /** 0: any free one. */
  readonly port?: number;
  readonly motd?: string;
  /** Marks the server as one whose players prove who they are; see the online-mode support. */
  readonly onlineMode?: { readonly agent: Agent };
  /** false: it closes each connection that asks for its status, as with `enable-status=false`. */
  readonly enableStatus?: boolean;
}

/** What the library has and its types leave out. */
interface LibraryServer extends Server {
  socketServer: { address(): { port: number }; close(done: () => void): void };
}
interface LibraryClient extends Client {
  closeTimer: ReturnType<typeof setTimeout> | null;
  cipher: object | null;
}

/** Starts a server; resolves once it listens. */
export async function startMinecraftServer(
  options: MinecraftServerOptions,
): Promise<MinecraftServer> {
  const data = dataOf(options.version);
  const { hostname = "127.0.0.1" } = options;
  const errors: Error[] = [];
  const connections: (ServerConnection & { readonly client: ServerClient })[] = [];
  const inGame = new Set<ServerClient>();

  const server = minecraft.createServer({
    version: options.version,
    host: hostname,
    port: options.port ?? 0,
    motd: options.motd ?? "A real server",
    maxPlayers: 20,
    "online-mode": options.onlineMode !== undefined,
    ...(options.onlineMode && { agent: options.onlineMode.agent }),
    errorHandler(client, error) {
      errors.push(error);
      client.end("protocol error");
    },
  }) as LibraryServer;

  server.on("connection", (client) => {
    const packets: string[] = [];
    const connection: {
      -readonly [Key in keyof ServerConnection]: ServerConnection[Key];
    } & { client: ServerClient } = {
      client,
      handshake: null,
      packets,
      username: null,
      get isEncrypted() {
        return (client as unknown as LibraryClient).cipher !== null;
      },
    };
    connections.push(connection);
    client.on("packet", (packet, { name }) => {
      packets.push(name);
      if (name === "set_protocol") {
        connection.handshake = handshakeOf(packet);
        if (options.enableStatus === false && packet.nextState === intents.status) destroy(client);
      }
      if (name === "login_start") connection.username = packet.username;
    });
    client.on("end", () => void inGame.delete(client));
  });
  server.on("playerJoin", (client) => {
    inGame.add(client);
    client.write("login", data.loginPacket ?? oldLoginPacket);
  });

  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("listening", () => resolve());
  server.once("error", reject);
  await listening;
  const { port } = server.socketServer.address();

  return {
    port,
    address: `${hostname}:${port}`,
    connections,
    errors,
    players: () => [...inGame].map((client) => client.username),
    kick(username, text) {
      for (const client of inGame) {
        if (client.username !== username) continue;
        inGame.delete(client);
        client.end(text);
      }
    },
    async [Symbol.asyncDispose]() {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      server.socketServer.close(resolve);
      for (const { client } of connections) destroy(client);
      await closed;
    },
  };
}

/** How an attempt to join ended. */
export type JoinOutcome =
  /** In the game: the server's Join Game packet has arrived. The caller ends it. */
  | { readonly kind: "joined"; readonly session: GameSession }
  /** Turned away with a text, in whatever phase. */
  | { readonly kind: "disconnected"; readonly text: string; readonly state: string }
  /** The connection ended without a word, the time was over, or the server broke the protocol. */
  | { readonly kind: "failed"; readonly reason: string };

/** What the client's socket has seen since it was opened. */
export interface Quiet {
  readonly elapsedMs: number;
  /** The longest time without a byte from the server. */
  readonly largestSilenceMs: number;
  /** Login Plugin Requests received; the library answers each one as vanilla does. */
  readonly pluginRequests: number;
}

/** A player in the game. Dispose leaves it. */
export interface GameSession extends Disposable {
  readonly username: string;
  readonly uuid: string;
  readonly isEncrypted: boolean;
  readonly isConnected: boolean;
  /** Resolves with the text of the kick, or with "" for an end without one. */
  readonly ended: Promise<string>;
}

/** Who joins, with what, and where. */
export interface JoinOptions {
  readonly port: number;
  /** The hostname as the player typed it; the connection itself goes to `address`. */
  readonly host: string;
  /** 127.0.0.1 unless it is given. */
  readonly address?: string;
  readonly version: string;
  readonly username: string;
  readonly timeoutMs?: number;
  /** An account that can prove who it is; see the online-mode support. */
  readonly account?: OnlineAccount;
}

/** What a client needs to prove who it is: its profile and the session service that vouches for it. */
export interface OnlineAccount {
  readonly id: string;
  readonly accessToken: string;
  readonly sessionServer: string;
}

/** Joins as a real client does. Resolves with how that ended and what the wait was like; never rejects. */
export async function join(options: JoinOptions): Promise<JoinOutcome & { readonly quiet: Quiet }> {
  const { port, host, version, username, account, timeoutMs = defaultTimeoutMs } = options;
  const socket = net.connect(port, options.address ?? "127.0.0.1");
  const watch = watchSilence(socket);
  const outcome = Promise.withResolvers<JoinOutcome>();
  const ended = Promise.withResolvers<string>();
  const session = account && {
    accessToken: account.accessToken,
    selectedProfile: { name: username, id: account.id },
  };

  const client = minecraft.createClient({
    username,
    version,
    host,
    port,
    connect: (client) => client.setSocket(socket),
    ...(account && {
      sessionServer: account.sessionServer,
      accessToken: account.accessToken,
      auth(client: Client, library: minecraft.ClientOptions) {
        client.username = username;
        if (session) client.session = session;
        // The library asks the session service only when it is told that there is an account.
        Object.assign(library, { haveCredentials: true });
        library.connect?.(client);
      },
    }),
  }) as LibraryClient;

  let pluginRequests = 0;
  let farewell = "";
  client.on("login_plugin_request", () => {
    pluginRequests++;
  });
  const sayGoodbye = (packet: { reason: unknown }): void => {
    farewell = textOf(packet.reason);
    outcome.resolve({ kind: "disconnected", text: farewell, state: String(client.state) });
  };
  client.on("disconnect", sayGoodbye);
  client.on("kick_disconnect", sayGoodbye);
  client.on("error", (error) => outcome.resolve({ kind: "failed", reason: error.message }));
  client.on("end", () => {
    outcome.resolve({ kind: "failed", reason: "the connection ended" });
    ended.resolve(farewell);
  });
  client.once("login", () =>
    outcome.resolve({
      kind: "joined",
      session: {
        username: client.username,
        uuid: client.uuid,
        isEncrypted: client.cipher !== null,
        get isConnected() {
          return !client.ended;
        },
        ended: ended.promise,
        [Symbol.dispose]: () => destroy(client),
      },
    }),
  );

  await withTimeout(outcome.promise, timeoutMs);
  outcome.resolve({ kind: "failed", reason: `not in the game within ${timeoutMs} ms` });
  const settled = await outcome.promise;
  if (settled.kind !== "joined") destroy(client);
  return { ...settled, quiet: { ...watch(), pluginRequests } };
}

/** The status that a real client's server list shows, as the server sent it. Rejects when there is none. */
export async function pingServer(options: {
  readonly port: number;
  readonly host: string;
  /** 127.0.0.1 unless it is given. */
  readonly address?: string;
  readonly version: string;
  readonly timeoutMs?: number;
}): Promise<{ readonly status: unknown; readonly latencyMs: number }> {
  const { port, host, version, timeoutMs = defaultTimeoutMs } = options;
  const socket = net.connect(port, options.address ?? "127.0.0.1");
  try {
    const { latency, ...status } = (await minecraft.ping({
      host,
      port,
      version,
      closeTimeout: timeoutMs,
      ...{ connect: (client: Client) => client.setSocket(socket) },
    } as minecraft.PingOptions)) as minecraft.NewPingResult;
    return { status, latencyMs: latency };
  } finally {
    socket.destroy();
  }
}

/** What old versions want in Join Game; newer ones have it in the library's data. */
const oldLoginPacket = {
  entityId: 1,
  gameMode: 0,
  dimension: 0,
  difficulty: 2,
  maxPlayers: 20,
  levelType: "default",
  reducedDebugInfo: false,
};

/** The library's data for a version. */
function dataOf(version: string): {
  readonly version: { readonly version: number };
  readonly loginPacket?: object;
} {
  const data = minecraftData(version);
  if (!data) throw new Error(`no Minecraft ${version} here`);
  return data as never;
}

function handshakeOf(packet: {
  protocolVersion: number;
  serverHost: string;
  serverPort: number;
  nextState: number;
}): Handshake {
  return {
    protocol: packet.protocolVersion,
    host: packet.serverHost,
    port: packet.serverPort,
    intent: packet.nextState,
  };
}

/** A text component, whatever form its version gives it, as plain text. */
function textOf(component: unknown): string {
  if (typeof component === "string") {
    const json = /^[{["]/.test(component) ? parsedJson(component) : undefined;
    return json === undefined ? component : textOf(json);
  }
  if (Array.isArray(component)) return component.map(textOf).join("");
  if (component === null || typeof component !== "object") return "";
  // NBT as the library reads it: every tag is { type, value }.
  if ("type" in component && "value" in component) return textOf(component.value);
  const { text = "", translate = "", extra = [] } = component as Record<string, unknown>;
  return textOf(text) + textOf(translate) + textOf(extra);
}

/** The value of a JSON text; undefined when it is none. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Measures the silences of a socket; the returned function tells them so far. */
function watchSilence(socket: NodeSocket): () => Omit<Quiet, "pluginRequests"> {
  const startMs = performance.now();
  let sinceMs = startMs;
  let largestMs = 0;
  const look = (): void => {
    const nowMs = performance.now();
    largestMs = Math.max(largestMs, nowMs - sinceMs);
    sinceMs = nowMs;
  };
  socket.on("data", look);
  return () => {
    look();
    return { elapsedMs: sinceMs - startMs, largestSilenceMs: largestMs };
  };
}

/** Ends the library's client with everything it holds; its own `end` may leave a timer of 30 s behind. */
function destroy(client: Client): void {
  const { closeTimer } = client as LibraryClient;
  client.removeAllListeners("error");
  client.on("error", () => {});
  client.socket?.destroy();
  if (closeTimer) clearTimeout(closeTimer);
}
