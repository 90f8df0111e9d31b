import { expect, test } from "bun:test";
import { offlineUuid } from "./wire.ts";
import { sendBot, startWorld, worldVersions } from "./world.ts";

for (const version of worldVersions) {
  test(`a bot spawns in a ${version} world, knows the ground and is heard`, async () => {
    await using world = await startWorld(version);
    await using bot = await sendBot({
      port: world.port,
      host: "play.example.com",
      version,
      username: "Robin",
    });
    expect(bot.uuid).toBe(offlineUuid("Robin"));
    expect(bot.standsOn).toStartWith("grass");
    bot.chat("good morning");
    expect(await world.hear()).toEqual(
      expect.objectContaining({ username: "Robin", message: "good morning" }),
    );
  });
}

test("a bot that finds no world says why", async () => {
  const world = await startWorld("1.8.8");
  await world[Symbol.asyncDispose]();
  const sent = sendBot({
    port: world.port,
    host: "play.example.com",
    version: "1.8.8",
    username: "Robin",
  });
  await expect(sent).rejects.toThrow("ECONNREFUSED");
});
