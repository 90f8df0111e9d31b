import { expect, test } from "bun:test";
import { err, ok } from "../../src/base/result.ts";
import type { SourceEvent } from "../../src/providers/event.ts";
import {
  type ListWatchTimings,
  runListWatch,
  type WatchEnd,
  type WatchListener,
} from "../../src/providers/list-watch.ts";
import { parseAddress } from "../../src/routing/address.ts";
import type { Route } from "../../src/routing/route.ts";
import { until } from "../support/until.ts";
import { patternOf } from "./static/run-static-routes.ts";

/** A listing is the names that are routed. */
type Names = readonly string[];

function routeOf(name: string): Route {
  const address = parseAddress("x:1");
  if (!address.ok) throw new Error(address.error);
  return {
    source: "docker",
    id: name,
    patterns: [patternOf(name)],
    address: address.value,
    wake: null,
  };
}

/** One watch that is under way. */
interface Watch {
  readonly since: Names;
  readonly listener: WatchListener<Names>;
  end(how: WatchEnd): void;
}

/** The loop at work on an origin that does what the test says. */
function start(
  timings: Partial<ListWatchTimings> = {},
  resyncMs: number | null = null,
  trouble: string | null = null,
) {
  const stopping = new AbortController();
  const world = {
    names: ["a"] as Names,
    /** What listing fails with; null: it works. */
    trouble,
    lists: 0,
    watches: [] as Watch[],
    published: [] as Names[],
    events: [] as SourceEvent[],
    last: (): Watch => {
      const watch = world.watches.at(-1);
      if (watch === undefined) throw new Error("nothing watches");
      return watch;
    },
    watching: (count: number) => until(`${count} watches`, () => world.watches.length === count),
    holds: (names: Names) =>
      until(`it holds ${names.join()}`, () => Bun.deepEquals(world.published.at(-1), names)),
    kinds: () => world.events.map(({ kind }) => kind),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended;
    },
    stop: () => stopping.abort(),
    ended: () => ended,
  };
  const ended = runListWatch<Names>(
    {
      source: "docker",
      origin: {
        list() {
          world.lists += 1;
          return Promise.resolve(world.trouble === null ? ok(world.names) : err(world.trouble));
        },
        watch(since, listener, signal) {
          return new Promise((resolve) => {
            const end = (how: WatchEnd): void => resolve(how);
            signal.addEventListener("abort", () => end({ kind: "ended" }));
            world.watches.push({ since, listener, end });
          });
        },
      },
      routes: (names) => names.map(routeOf),
      resyncMs,
      emit: (event) => world.events.push(event),
      timings: { backoffMs: 1, backoffMaxMs: 8, gapMs: 1, provenMs: 0, ...timings },
    },
    {
      replace: (routes) => world.published.push(routes.map(({ id }) => id)),
      patch: () => {
        throw new Error("the loop publishes whole sets");
      },
    },
    stopping.signal,
  );
  return world;
}

test("lists, publishes, watches, and is live when the watch is open", async () => {
  await using world = start();
  await world.watching(1);
  expect(world.published).toEqual([["a"]]);
  expect(world.last().since).toEqual(["a"]);
  expect(world.events).toEqual([]);
  world.last().listener.open();
  expect(world.events).toEqual([
    { kind: "source-live", source: "docker", routes: 1, mode: "notify", awayMs: 0 },
  ]);
});

test("a change that says how it is now is published without listing", async () => {
  await using world = start();
  await world.watching(1);
  world.last().listener.changed(["b", "c"]);
  await world.holds(["b", "c"]);
  expect(world.lists).toBe(1);
});

test("a change that does not say is listed, and a storm of them not each", async () => {
  await using world = start({ gapMs: 50 });
  await world.watching(1);
  for (let i = 0; i < 1_000; i += 1) {
    world.names = [`n${i}`];
    world.last().listener.changed(null);
    if (i % 100 === 0) await Bun.sleep(1);
  }
  await world.holds(["n999"]);
  expect(world.lists).toBeLessThan(20);
});

test("a watch that ends in good order is taken up from what was heard last", async () => {
  await using world = start();
  await world.watching(1);
  world.last().listener.open();
  world.last().listener.changed(["b"]);
  await world.holds(["b"]);
  world.last().end({ kind: "ended" });
  await world.watching(2);
  expect(world.last().since).toEqual(["b"]);
  expect(world.lists).toBe(1);
  expect(world.kinds()).toEqual(["source-live"]);
});

test("a watch that is stale leads to a new listing, and nobody need know", async () => {
  await using world = start();
  await world.watching(1);
  world.last().listener.open();
  world.names = ["b"];
  world.last().end({ kind: "stale" });
  await world.watching(2);
  expect(world.last().since).toEqual(["b"]);
  expect(world.published).toEqual([["a"], ["b"]]);
  expect(world.kinds()).toEqual(["source-live"]);
});

test("what was told right before the end is not lost", async () => {
  await using world = start();
  await world.watching(1);
  world.names = ["b"];
  world.last().listener.changed(null);
  world.last().end({ kind: "ended" });
  await world.holds(["b"]);
});

test("an outage is told once, keeps the routes, and ends with a listing", async () => {
  await using world = start();
  await world.watching(1);
  world.last().listener.open();
  world.trouble = "connection refused";
  world.last().end({ kind: "lost", reason: "the stream ended" });
  await until("it has tried again", () => world.kinds().includes("source-retry"));
  expect(world.published).toEqual([["a"]]);
  world.names = ["b"];
  world.trouble = null;
  await world.watching(2);
  world.last().listener.open();
  expect(world.published).toEqual([["a"], ["b"]]);
  const kinds = world.kinds();
  expect(kinds.filter((kind) => kind === "source-lost")).toHaveLength(1);
  expect(kinds.slice(0, 2)).toEqual(["source-live", "source-lost"]);
  expect(world.events.at(1)).toMatchObject({ reason: "the stream ended", routes: 1 });
  expect(world.events.at(-1)).toMatchObject({ kind: "source-live", routes: 1 });
});

test("a listing that fails while the watch is well is an outage too", async () => {
  await using world = start();
  await world.watching(1);
  world.last().listener.open();
  world.trouble = "status 500";
  world.last().listener.changed(null);
  await until("it is told", () => world.kinds().includes("source-lost"));
  expect(world.events.at(1)).toMatchObject({ reason: "status 500" });
});

test("a platform that is away at start is waited for", async () => {
  await using world = start({}, null, "there is no such socket");
  await until("it is told", () => world.kinds().includes("source-retry"));
  expect(world.events[0]).toMatchObject({ reason: "there is no such socket", routes: 0 });
  expect(world.published).toEqual([]);
  world.trouble = null;
  await world.watching(1);
  expect(world.published).toEqual([["a"]]);
});

test("watches that end at once, one after the other, are an outage in the end", async () => {
  await using world = start({ provenMs: 60_000 });
  const ending = setInterval(() => world.watches.at(-1)?.end({ kind: "ended" }), 1);
  await until("it is told", () => world.kinds().includes("source-lost"));
  clearInterval(ending);
  expect(world.watches.length).toBeGreaterThan(4);
  expect(world.events.at(-1)).toMatchObject({ reason: "every watch ends at once" });
});

test("everything is listed again now and then, where that is wanted", async () => {
  await using world = start({}, 5);
  await world.watching(1);
  world.names = ["b"];
  await world.holds(["b"]);
  expect(world.watches).toHaveLength(1);
});

test("it ends when it is stopped, whatever it does at the moment", async () => {
  const watching = start();
  await watching.watching(1);
  watching.stop();
  await watching.ended();

  const pausing = start({ backoffMs: 60_000, backoffMaxMs: 60_000 });
  await pausing.watching(1);
  pausing.last().end({ kind: "lost", reason: "gone" });
  await until("it pauses", () => pausing.kinds().includes("source-lost"));
  pausing.stop();
  await pausing.ended();
});
