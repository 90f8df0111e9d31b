import { expect, setDefaultTimeout, test } from "bun:test";
import { measured } from "../support/docs/reliability.ts";
import { crowdSettings, join, startCrowd, tally } from "../support/minecraft/crowd.ts";
import { type Child, startChild } from "../support/net/child.ts";
import { makeNetns, type Netns } from "../support/net/netns.ts";
import { type Router, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

interface Server {
  readonly child: Child;
  readonly port: number;
  readonly address: string;
}

/** A router in a namespace, and four servers outside of it that are one route's addresses. */
async function startTown(env: Readonly<Record<string, string>> = {}) {
  const stack = new AsyncDisposableStack();
  const netns = stack.use(makeNetns());
  const servers: Server[] = [];
  for (let each = 0; each < 4; each++) {
    const child = stack.use(startChild("echo-process", netns.outside));
    const { port } = (await child.next()) as { port: number };
    servers.push({ child, port, address: `${netns.outside}:${port}` });
  }
  return {
    netns,
    servers,
    async start(): Promise<Router> {
      return stack.use(
        await startRouter({
          within: netns.enter,
          env: {
            ...crowdSettings,
            ...env,
            AUTOMC_BIND: netns.inside,
            DEFAULT: servers.map(({ address }) => address).join("|"),
          },
        }),
      );
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

type Fault = (server: Server, netns: Netns) => void;

const kill: Fault = ({ child }) => child.process.kill("SIGKILL");
const stop: Fault = ({ child }) => child.process.kill("SIGSTOP");
const blackHole: Fault = ({ port }, netns) =>
  void netns.iptables(`-A OUTPUT -p tcp --dport ${port} -j DROP`);
const faults = [kill, stop, blackHole] as const;

for (const policy of ["first", "least", "random"] as const) {
  test(`of four addresses one is killed, one stopped and one black-holed under logins, and none is lost (${policy})`, async () => {
    await using town = await startTown({ AUTOMC_BALANCE: policy });
    const router = await town.start();
    const crowd = startCrowd({ hostname: town.netns.inside, port: router.port }, 30_000);
    for (const [index, fault] of faults.entries()) {
      const before = crowd.count();
      await until("players have come and gone", () => crowd.count() > before + 200, 60_000);
      const server = town.servers[index];
      if (server !== undefined) fault(server, town.netns);
    }
    await until("1,000 players have come and gone", () => crowd.count() >= 1_000, 60_000);
    const { joined, refused, lost } = await crowd.stop();
    measured({
      scenario: "T49",
      promise: "P3",
      what: `of a route's four addresses (AUTOMC_BALANCE=${policy}) one is killed, then one stopped, then one black-holed, while players join`,
      result: `${joined} players joined, ${refused} were refused, ${lost} lost`,
    });
    expect({ refused, lost }).toEqual({ refused: 0, lost: 0 });
  });
}

test("1,000 players who join at once find the one of four addresses that lives", async () => {
  // A login that comes late to its turn on a busy machine still has time for the address that lives.
  await using town = await startTown({ BACKEND_DIAL_TIMEOUT: "10s" });
  for (const [index, fault] of faults.entries()) {
    const server = town.servers[index];
    if (server !== undefined) fault(server, town.netns);
  }
  const router = await town.start();
  const place = { hostname: town.netns.inside, port: router.port };
  const since = performance.now();
  const outcomes = await Promise.all(Array.from({ length: 1_000 }, () => join(place, 60_000)));
  const tookMs = performance.now() - since;
  const { joined, refused, lost } = tally(outcomes);
  for (const player of outcomes) if (typeof player !== "string") player.close();
  measured({
    scenario: "T49",
    promise: "P3",
    what: "1,000 players join at once, and of the route's four addresses one refuses, one is stopped and one black-holed",
    result: `${joined} players joined, the last one after ${(tookMs / 1_000).toFixed(1)} s, ${refused} were refused, ${lost} lost`,
  });
  expect({ refused, lost }).toEqual({ refused: 0, lost: 0 });
});
