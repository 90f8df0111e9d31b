/** A real Minecraft server for inside a container: `minecraft-inside.ts [VERSION] [TEXT]` listens at port 25565 until SIGTERM. */
import { startMinecraftServer } from "../minecraft/minecraft.ts";

const [version = "1.21.11", motd = "A server in a container"] = process.argv.slice(2);

// The first process of a container has no handler by default, and would have to be killed.
process.on("SIGTERM", () => process.exit(0));
await startMinecraftServer({ version, motd, hostname: "0.0.0.0", port: 25565 });
