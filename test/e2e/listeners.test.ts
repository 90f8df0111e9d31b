import { expect, setDefaultTimeout, test } from "bun:test";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { linesOf, noQueue, sessionEnd } from "../support/process/e2e-network.ts";
import { runRouter, startRouter } from "../support/process/router.ts";

setDefaultTimeout(30_000);

test("players of a further port go to its hostname's server, whatever they send, and are closed with the rest", async () => {
  using lobby = startBackend(echo);
  using survival = startBackend(echo);
  const port = laterPort();
  await using router = await startRouter({
    env: {
      ...noQueue,
      MAPPING: `play.example.org=${lobby.address},survival.example.org=${survival.address}`,
      AUTOMC_LISTENERS: ` ${port} = Survival.example.org. `,
    },
  });
  expect(linesOf(router, "listening-for")).toMatchObject([
    { level: "info", listenAddress: `127.0.0.1:${port}`, server: "survival.example.org" },
  ]);
  const said = login({ host: "play.example.org", name: "Steve" });
  for (const [at, backend] of [
    [port, survival],
    [router.port, lobby],
  ] as const) {
    const player = await connectPlayer({ port: at });
    await player.send(said);
    expect(await player.read(said.length)).toEqual(said);
    player.close();
    expect(backend.connections).toHaveLength(1);
  }
  expect(await sessionEnd(router, "Steve")).toMatchObject({
    server: "survival.example.org",
    route: "survival.example.org",
  });
  expect(await router.stop()).toBe(0);
  await expect(connectPlayer({ port })).rejects.toThrow();
});

test("a further port that is the first one ends the start, and says so", async () => {
  const port = String(laterPort());
  const { exitCode, stderr } = await runRouter([], {
    PORT: port,
    AUTOMC_BIND: "127.0.0.1",
    AUTOMC_LISTENERS: `${port}=a.example.org`,
  });
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`AUTOMC_LISTENERS: port ${port} is in use by this router already`);
});

test.each([
  { text: "25601", wrong: "25601" },
  { text: "0=a.example.org", wrong: "0=a.example.org" },
  { text: "25601=a.example.org,25602=*.example.org", wrong: "25602=*.example.org" },
  { text: "x=a.example.org", wrong: "x=a.example.org" },
])("$text is a problem of AUTOMC_LISTENERS, named by its entry", async ({ text, wrong }) => {
  const { exitCode, stderr } = await runRouter(["check", "--dry"], { AUTOMC_LISTENERS: text });
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`AUTOMC_LISTENERS=${JSON.stringify(wrong)}`);
});
