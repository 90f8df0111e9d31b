import { expect, setDefaultTimeout, test } from "bun:test";
import { type Backend, echo, startBackend } from "../support/backend.ts";
import { noQueue } from "../support/e2e-network.ts";
import { makeNetns, type Netns } from "../support/netns.ts";
import type { Peer } from "../support/peer.ts";
import { connectPlayer } from "../support/player.ts";
import { laterPort } from "../support/ports.ts";
import { measured } from "../support/reliability.ts";
import { type Router, startRouter } from "../support/router.ts";
import { login } from "../support/wire.ts";

setDefaultTimeout(60_000);

const opening = login({ host: "play.example.org", name: "Steve" });

/** Instances that share one port of a namespace, and the backend behind them. Dispose ends all of it. */
function startInstances(migrates: boolean) {
  const stack = new AsyncDisposableStack();
  const netns = stack.use(makeNetns());
  netns.run("sysctl", "-qw", `net.ipv4.tcp_migrate_req=${migrates ? 1 : 0}`);
  const backend = stack.use(startBackend(echo, netns.outside));
  const port = laterPort();
  return {
    netns,
    place: { hostname: netns.inside, port },
    start: async (): Promise<Router> => stack.use(await startInstance(netns, backend, port)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const startInstance = (netns: Netns, backend: Backend, port: number): Promise<Router> =>
  startRouter({
    within: netns.enter,
    env: {
      ...noQueue,
      AUTOMC_REUSE_PORT: "true",
      AUTOMC_BIND: netns.inside,
      PORT: String(port),
      DEFAULT: backend.address,
    },
  });

/** Joins; the player in the game, or in words what became of it. */
async function join(place: { hostname: string; port: number }): Promise<Peer | string> {
  let player: Peer;
  try {
    player = await connectPlayer(place);
  } catch {
    return "refused";
  }
  try {
    await player.send(opening);
    await player.read(opening.length);
    return player;
  } catch {
    player.reset();
    return "lost";
  }
}

/** How often each thing happened. */
function tally(outcomes: readonly (Peer | string)[]): { joined: number; lost: number } {
  const lost = outcomes.filter((outcome) => typeof outcome === "string").length;
  return { joined: outcomes.length - lost, lost };
}

/** Players who come and go, a few at a time, until they are stopped. */
function startCrowd(place: { hostname: string; port: number }) {
  const outcomes: (Peer | string)[] = [];
  let isOver = false;
  const walkers = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      const outcome = await join(place);
      outcomes.push(outcome);
      if (typeof outcome !== "string") outcome.close();
    }
  });
  return {
    count: () => outcomes.length,
    async stop() {
      isOver = true;
      await Promise.all(walkers);
      return outcomes;
    },
  };
}

test("instances that share a port come and go under traffic, and refuse nobody", async () => {
  await using instances = startInstances(true);
  let leaving = await instances.start();
  const staying = await instances.start();
  const player = await join(instances.place);
  if (typeof player === "string") throw new Error(`the first player was ${player}`);
  const crowd = startCrowd(instances.place);
  const changes = 6;
  for (let change = 0; change < changes; change++) {
    const joining = await instances.start();
    const before = crowd.count();
    leaving.signal("SIGTERM");
    await leaving.waitForLine(({ event }) => event === "draining");
    while (crowd.count() < before + 200) await Bun.sleep(10);
    leaving = joining;
  }
  const outcomes = await crowd.stop();
  const { joined, lost } = tally(outcomes);
  await player.send(Buffer.from("still here"));
  expect((await player.read(10)).toString()).toBe("still here");
  expect(staying.lines.some(({ event }) => event === "session-ended")).toBe(true);
  measured({
    scenario: "T37",
    promise: "P7",
    what: `two instances share a port (AUTOMC_REUSE_PORT, net.ipv4.tcp_migrate_req=1); ${changes} times one joins and one leaves while players come and go`,
    result: `${joined} players joined, ${lost} were refused or lost; a game that was under way went on`,
  });
  expect(outcomes.filter((outcome) => outcome === "refused")).toEqual([]);
  expect(lost).toBe(0);
});

test.each([{ migrates: true }, { migrates: false }])(
  "an instance leaves while 200 handshakes are under way; the kernel hands them on: $migrates",
  async ({ migrates }) => {
    await using instances = startInstances(migrates);
    const leaving = await instances.start();
    await instances.start();
    const isWarned = (line: Readonly<Record<string, unknown>>): boolean =>
      String(line["msg"]).includes("tcp_migrate_req");
    expect(leaving.lines.some(isWarned)).toBe(!migrates);
    // The last packet of each handshake is on its way while this rule stands, as it is for a moment over any real distance.
    const rule = instances.netns.iptables(
      `-A INPUT -p tcp --dport ${instances.place.port} --tcp-flags SYN,ACK ACK -j DROP`,
    );
    const players = Array.from({ length: 200 }, () => join(instances.place));
    await Bun.sleep(300);
    leaving.signal("SIGTERM");
    await leaving.waitForExit();
    rule[Symbol.dispose]();
    const outcomes = await Promise.all(players);
    for (const outcome of outcomes) if (typeof outcome !== "string") outcome.reset();
    const { joined, lost } = tally(outcomes);
    measured({
      scenario: "T37",
      promise: "P7",
      what: `one of two instances leaves while 200 handshakes are under way, net.ipv4.tcp_migrate_req=${migrates ? 1 : 0}`,
      result: `${joined} joined, ${lost} were disconnected${migrates ? "" : ": the kernel resets those of the instance that left, which the router warns of at start"}`,
    });
    if (migrates) expect(lost).toBe(0);
    else expect(joined).toBeGreaterThan(0);
  },
);
