import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import type { RelayThread } from "../../../src/net/relay/relay.ts";
import { openLibc } from "../../../src/system/libc.ts";
import { freshSeed } from "../../support/dice.ts";
import { type Link, type LinkBench, startLinkBench } from "../../support/net/link-bench.ts";
import { countDescriptors } from "../../support/net/proc.ts";
import { fuzzRelay } from "../../support/net/relay-fuzz.ts";
import { planes, startRelay, type TestRelay, type TestSession } from "../../support/net/relayed.ts";
import { until } from "../../support/until.ts";

const script = new URL("../../support/net/faulty-worker.ts", import.meta.url);

/** Lets this process open nothing more until it is disposed. */
function withoutDescriptors(): Disposable {
  const library = openLibc({
    getrlimit: { args: ["i32", "ptr"], returns: "i32" },
    setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  });
  if (!library.ok) throw new Error(library.error);
  const { getrlimit, setrlimit } = library.value;
  const noFile = 7;
  const before = new BigUint64Array(2);
  getrlimit(noFile, before);
  const open = readdirSync("/proc/self/fd").map(Number);
  setrlimit(noFile, BigUint64Array.of(BigInt(Math.max(...open)), before[1] ?? 0n));
  // Numbers below the limit that are free.
  const fillers: number[] = [];
  try {
    for (;;) fillers.push(openSync("/dev/null", "r"));
  } catch {
    // None is left.
  }
  return {
    [Symbol.dispose]() {
      setrlimit(noFile, before);
      for (const descriptor of fillers) closeSync(descriptor);
    },
  };
}

let bench: LinkBench;
let relay: TestRelay | null = null;
beforeEach(() => {
  bench = startLinkBench();
});
afterEach(async () => {
  await relay?.[Symbol.asyncDispose]();
  relay = null;
  bench[Symbol.dispose]();
});

/** A relay on threads with that fault. */
function startFaulty(fault: string): TestRelay {
  process.env["AUTOMC_TEST_FAULT"] = fault;
  relay = startRelay("thread", {
    deadlines: bench.deadlines,
    fault: (error) => bench.faults.push(error),
    script,
  });
  return relay;
}

async function openSession(through: TestRelay): Promise<Link & { readonly session: TestSession }> {
  const link = await bench.open();
  return { ...link, session: await through.join(link.client, link.server) };
}

/** Says a word each way. */
async function exchange({ player, backend }: Link): Promise<void> {
  const [toBackend, toPlayer] = [backend.receivedLength + 4, player.receivedLength + 4];
  await player.send(Buffer.from("ping"));
  await backend.waitForLength(toBackend);
  await backend.send(Buffer.from("pong"));
  await player.waitForLength(toPlayer);
}

describe("a relay thread", () => {
  test("whose code throws on a session cuts that one, tells it, and goes on with the others", async () => {
    const through = startFaulty("throw");
    const [unlucky, other] = [await openSession(through), await openSession(through)];
    await exchange(unlucky);
    await unlucky.player.send(Buffer.from("boom"));
    expect(await unlucky.session.ended).toMatchObject({ ending: "relay-failed", toClient: 4 });
    expect(await unlucky.player.waitForEnd()).toBe("reset");
    expect(await unlucky.backend.waitForEnd()).toBe("reset");
    await until("it is told", () => bench.faults.length > 0);
    expect(bench.faults.map(String)).toEqual(["Error: relay thread: boom in a read"]);
    await exchange(other);
    await exchange(await openSession(through));
  });

  const deaths = [
    { name: "that throws outside of a session", fault: "die", reason: "boom in the wait" },
    { name: "that exits", fault: "exit", reason: "it exited" },
  ];
  test.each(deaths)(
    "$name ends its sessions, leaves no descriptor, and the callbacks go on",
    async (death) => {
      const before = countDescriptors();
      const through = startFaulty(death.fault);
      const sessions = [await openSession(through), await openSession(through)];
      for (const each of sessions) {
        expect(each.session.isHandedOver()).toBe(true);
        await exchange(each);
      }
      await sessions[0]?.player.send(Buffer.from("boom"));
      for (const { session, player, backend } of sessions) {
        expect(await session.ended).toMatchObject({ ending: "relay-failed", toClient: 4 });
        await player.waitForEnd();
        await backend.waitForEnd();
      }
      expect(bench.faults.map(String)).toEqual([
        `Error: a relay thread failed: ${death.reason}; its 2 sessions are over, and players are relayed by the main thread until the router is restarted`,
      ]);
      const next = await bench.open();
      void through.join(next.client, next.server);
      await exchange(next);
      expect(next.client.closed).toBe(false);
      next[Symbol.dispose]();
      for (const each of sessions) each[Symbol.dispose]();
      await until("no descriptor is left", () => countDescriptors() <= before);
    },
  );

  test("that gets no pipe copies: 16 MB each way arrive unchanged, behind slow readers too", async () => {
    await fuzzRelay(bench, startFaulty("no-pipes"), { seed: freshSeed(), count: 12, parallel: 4 });
    expect(bench.faults).toEqual([]);
  });

  test("whose calls are interrupted by signals loses nothing", async () => {
    await fuzzRelay(bench, startFaulty("interrupted"), {
      seed: freshSeed(),
      count: 24,
      parallel: 4,
    });
    expect(bench.faults).toEqual([]);
  });

  test("that can watch no more sockets cuts the session and says why", async () => {
    const { session, player } = await openSession(startFaulty("no-watch"));
    expect(await session.ended).toMatchObject({ ending: "relay-failed" });
    expect(await player.waitForEnd()).toBe("reset");
    await until("it is told", () => bench.faults.length > 0);
    expect(bench.faults.map(String)).toEqual([
      "Error: relay thread: epoll_ctl failed with error 28",
    ]);
  });
});

describe.skipIf(!planes.includes("thread"))("a hand-over", () => {
  const startThreads = (threads = 1): TestRelay => {
    relay = startRelay("thread", {
      deadlines: bench.deadlines,
      fault: (error) => bench.faults.push(error),
      threads,
    });
    return relay;
  };

  test("waits for descriptors: until there are some, the session stays in the callbacks", async () => {
    const through = startThreads();
    await exchange(await openSession(through));
    const link = await bench.open();
    const session = through.joinAtOnce(link.client, link.server);
    {
      using _ = withoutDescriptors();
      await exchange(link);
      expect(session.isHandedOver()).toBe(false);
    }
    await exchange(link);
    expect(session.isHandedOver()).toBe(true);
    await exchange(link);
    link.player.close();
    await link.backend.waitForEnd();
    link.backend.close();
    expect(await session.ended).toMatchObject({ toBackend: 12, toClient: 12, ending: "fin" });
  });

  test("leaves no descriptor of the session behind, however it ends", async () => {
    const through = startThreads();
    await exchange(await openSession(through));
    const before = countDescriptors();
    await fuzzRelay(bench, through, { seed: freshSeed(), count: 60, parallel: 6 });
    // Pipes that are kept open for the next session.
    await until("no more than idle pipes are left", () => countDescriptors() <= before + 96);
    expect(bench.faults).toEqual([]);
  }, 60_000);

  test("uses a slot again and again", async () => {
    const through = startThreads();
    for (let round = 0; round < 300; round += 1) {
      using link = await openSession(through);
      await exchange(link);
      link.player.close();
      await link.backend.waitForEnd();
      link.backend.close();
      expect(await link.session.ended).toMatchObject({ toBackend: 4, toClient: 4, ending: "fin" });
    }
  });

  test("goes to the thread that has the fewest sessions", async () => {
    const through = startThreads(2);
    const threads: (RelayThread | null)[] = [];
    const open = async (): Promise<void> => {
      threads.push((await openSession(through)).session.thread());
    };
    // The one that is ready first has all of them until the other one is.
    while (new Set(threads).size < 2) await open();
    const late = threads.at(-1);
    const lead = threads.length - 2;
    for (let count = 0; count < lead; count += 1) await open();
    expect(threads.slice(-1 - lead)).toEqual(Array(1 + lead).fill(late));
  });
});
