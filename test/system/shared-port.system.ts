import { expect, setDefaultTimeout, test } from "bun:test";
import { measured } from "../support/docs/reliability.ts";
import {
  crowdSettings,
  join,
  joinGame,
  speak,
  startCrowd,
  tally,
} from "../support/minecraft/crowd.ts";
import { type Backend, echo, startBackend } from "../support/net/backend.ts";
import { makeNetns, type Netns } from "../support/net/netns.ts";
import { laterPort } from "../support/net/ports.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

/** Instances that share one port of a namespace, and the backend behind them. Dispose ends all of it. */
function makeInstances(migrates: boolean) {
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
      ...crowdSettings,
      AUTOMC_REUSE_PORT: "true",
      AUTOMC_BIND: netns.inside,
      PORT: String(port),
      DEFAULT: backend.address,
    },
  });

test("instances that share a port come and go under traffic, and refuse nobody", async () => {
  await using instances = makeInstances(true);
  let leaving = await instances.start();
  const staying = await instances.start();
  const player = await joinGame(instances.place);
  const crowd = startCrowd(instances.place);
  const changes = 6;
  for (let change = 0; change < changes; change++) {
    const joining = await instances.start();
    const before = crowd.count();
    leaving.signal("SIGTERM");
    await leaving.waitForLine(({ event }) => event === "draining");
    await until("players have come and gone", () => crowd.count() > before + 200);
    leaving = joining;
  }
  const { joined, refused, lost } = await crowd.stop();
  await speak(player, "still here");
  expect(staying.lines.some(({ event }) => event === "session-ended")).toBe(true);
  measured({
    scenario: "T37",
    promise: "P7",
    what: `two instances share a port (AUTOMC_REUSE_PORT, net.ipv4.tcp_migrate_req=1); ${changes} times one joins and one leaves while players come and go`,
    result: `${joined} players joined, ${refused} were refused, ${lost} lost; a game that was under way went on`,
  });
  expect({ refused, lost }).toEqual({ refused: 0, lost: 0 });
});

test.each([{ migrates: true }, { migrates: false }])(
  "an instance leaves while 200 handshakes are under way; the kernel hands them on: $migrates",
  async ({ migrates }) => {
    await using instances = makeInstances(migrates);
    const leaving = await instances.start();
    await instances.start();
    const isWarned = leaving.lines.some(({ msg }) => String(msg).includes("tcp_migrate_req"));
    expect(isWarned).toBe(!migrates);
    // The last packet of each handshake is on its way while this rule stands, as it is for a moment over any real distance.
    const rule = instances.netns.iptables(
      `-A INPUT -p tcp --dport ${instances.place.port} --tcp-flags SYN,ACK ACK -j DROP`,
    );
    const players = Array.from({ length: 200 }, () => join(instances.place));
    await until("the handshakes are under way", () => halfOpen(instances.netns) === 200);
    leaving.signal("SIGTERM");
    await leaving.waitForExit();
    rule[Symbol.dispose]();
    const outcomes = await Promise.all(players);
    for (const outcome of outcomes) if (typeof outcome !== "string") outcome.reset();
    const { joined, refused, lost } = tally(outcomes);
    measured({
      scenario: "T37",
      promise: "P7",
      what: `one of two instances leaves while 200 handshakes are under way, net.ipv4.tcp_migrate_req=${migrates ? 1 : 0}`,
      result: `${joined} joined, ${refused} were refused, ${lost} disconnected${migrates ? "" : ": the kernel resets those of the instance that left, of which the router warns at start"}`,
    });
    expect(refused).toBe(0);
    if (migrates) expect(lost).toBe(0);
    else expect(joined).toBeGreaterThan(0);
  },
);

/** How many connections of the namespace have not finished their handshake. */
const halfOpen = (netns: Netns): number =>
  netns.run("ss", "-Htn", "state", "syn-recv").split("\n").filter(Boolean).length;
