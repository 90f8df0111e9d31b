import { expect, setDefaultTimeout, test } from "bun:test";
import { echo, startBackend } from "../support/backend.ts";
import { noQueue, sessionEnd } from "../support/e2e-network.ts";
import { makeNetns } from "../support/netns.ts";
import { connectPlayer } from "../support/player.ts";
import { measured } from "../support/reliability.ts";
import { startRouter } from "../support/router.ts";
import { login } from "../support/wire.ts";

setDefaultTimeout(60_000);

test("a backend in a black hole is given up when its time is over, and others are reached meanwhile", async () => {
  using netns = makeNetns();
  using backend = startBackend(echo, netns.outside);
  await using router = await startRouter({
    within: netns.enter,
    env: {
      ...noQueue,
      AUTOMC_BIND: netns.inside,
      MAPPING: `dead.example.org=${netns.outside}:1,live.example.org=${backend.address}`,
    },
  });
  using _rule = netns.iptables("-A OUTPUT -p tcp --dport 1 -j DROP");
  const place = { hostname: netns.inside, port: router.port };

  using lost = await connectPlayer(place);
  await lost.send(login({ host: "dead.example.org", name: "Lost" }));
  using other = await connectPlayer(place);
  const opening = login({ host: "live.example.org", name: "Other" });
  await other.send(opening);
  expect(await other.read(opening.length)).toEqual(opening);

  await lost.waitForEnd();
  const seconds = (performance.now() - lost.openedAtMs) / 1000;
  await sessionEnd(router, "Lost");
  measured({
    scenario: "T16",
    promise: "P3",
    what: "a backend whose packets are dropped is dialled",
    result: `told the player after ${seconds.toFixed(2)} s (BACKEND_DIAL_TIMEOUT is 2 s)`,
  });
  expect(seconds).toBeGreaterThan(1.9);
  expect(seconds).toBeLessThan(2.5);
});
