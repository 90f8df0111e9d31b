/** A real Minecraft server without a world, as a process: `bun server-process.ts HOSTNAME PORT VERSION`. */
import { startMinecraftServer } from "./minecraft.ts";

const [hostname = "127.0.0.1", port = "0", version = "1.20.4"] = process.argv.slice(2);
const server = await startMinecraftServer({ hostname, port: Number(port), version });
process.once("SIGTERM", () => server[Symbol.asyncDispose]().then(() => process.exit(0)));
