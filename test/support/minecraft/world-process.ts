/**
 * A process of its own for a world or a bot: these libraries hook process-wide errors and exits and write to the
 * terminal, which is none of a test runner's business. Talks to world.ts by messages and ends when that goes away.
 */
import { createRequire } from "node:module";
import net from "node:net";
import mineflayer from "mineflayer";

/** What the process is asked to be. */
export type Role =
  | { readonly kind: "world"; readonly version: string }
  | {
      readonly kind: "bot";
      readonly port: number;
      readonly host: string;
      readonly version: string;
      readonly username: string;
    };

/** What it tells. */
export type Report =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "heard"; readonly username: string; readonly message: string }
  | { readonly kind: "spawned"; readonly uuid: string; readonly standsOn: string }
  | { readonly kind: "failed"; readonly reason: string };

/** What it can be told while it runs. */
export type Order = { readonly kind: "chat"; readonly message: string };

/** The part of flying-squid that is used; it brings no types. */
interface WorldLibrary {
  createMCServer(options: Readonly<Record<string, unknown>>): {
    readonly listeningPort: number;
    waitForReady(timeoutMs: number): Promise<unknown>;
    on(event: "newPlayer", listener: (player: WorldPlayer) => void): void;
  };
}
interface WorldPlayer {
  readonly username: string;
  on(event: "chat", listener: (chat: { readonly message: string }) => void): void;
}

const tell = (report: Report): void => void process.send?.(report);

/** A flat world that everybody may enter, on 127.0.0.1 and a port of its own. */
async function runWorld(version: string): Promise<void> {
  const { createMCServer }: WorldLibrary = createRequire(import.meta.url)("flying-squid");
  const world = createMCServer({
    version,
    host: "127.0.0.1",
    port: 0,
    motd: "A world",
    "max-players": 20,
    "online-mode": false,
    "view-distance": 2,
    "player-list-text": { header: { text: "" }, footer: { text: "" } },
    "max-entities": 10,
    "everybody-op": false,
    generation: { name: "superflat", options: {} },
    gameMode: 1,
    difficulty: 1,
    kickTimeout: 10_000,
    plugins: {},
    logging: false,
    noConsoleOutput: true,
  });
  world.on("newPlayer", (player) => {
    player.on("chat", ({ message }) => tell({ kind: "heard", username: player.username, message }));
  });
  await world.waitForReady(10_000);
  tell({ kind: "listening", port: world.listeningPort });
}

/** A player that enters the world, looks at the block it stands on, and says what it is told to say. */
function runBot({ port, host, version, username }: Role & { readonly kind: "bot" }): void {
  const bot = mineflayer.createBot({
    username,
    host,
    port,
    version,
    viewDistance: "tiny",
    connect: (client) => client.setSocket(net.connect(port, "127.0.0.1")),
  });
  const look = (): void => {
    const block = bot.entity && bot.blockAt(bot.entity.position.offset(0, -1, 0));
    if (!block) return;
    bot.removeListener("chunkColumnLoad", look);
    tell({ kind: "spawned", uuid: bot._client.uuid, standsOn: block.name });
  };
  bot.once("spawn", () => {
    bot.on("chunkColumnLoad", look);
    look();
  });
  bot.on("kicked", (reason) => tell({ kind: "failed", reason: JSON.stringify(reason) }));
  bot.on("error", (error) => tell({ kind: "failed", reason: error.message }));
  bot.on("end", (reason) => tell({ kind: "failed", reason }));
  process.on("message", (order: Order) => bot.chat(order.message));
}

if (import.meta.main) {
  process.on("disconnect", () => process.exit(0));
  const role: Role = JSON.parse(process.argv[2] ?? "");
  if (role.kind === "world") await runWorld(role.version);
  else runBot(role);
}
