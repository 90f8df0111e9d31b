import { describe, expect, test } from "bun:test";
import { err, ok } from "../../src/base/result.ts";
import type { Handshake } from "../../src/protocol/handshake.ts";
import { makeAddress } from "../../src/routing/address.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import { type CachedStatus, createStatusCache, statusKey } from "../../src/session/status-cache.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";

const answer = (text: string): CachedStatus => ok(new TextEncoder().encode(text));

/** A cache of one second, and a backend that answers when it is told to. */
function caching(maxAgeMs = 1_000) {
  const deadlines = manualDeadlines();
  const cache = createStatusCache({ maxAgeMs, deadlines });
  const asked: PromiseWithResolvers<CachedStatus>[] = [];
  const refresh = (): Promise<CachedStatus> => {
    const question = Promise.withResolvers<CachedStatus>();
    asked.push(question);
    return question.promise;
  };
  return { deadlines, cache, asked, ask: (key = "a") => cache.status(key, refresh) };
}

describe("a ping of a running server", () => {
  test("is answered from the cache until that is too old", async () => {
    const { deadlines, asked, ask } = caching();
    const first = ask();
    asked[0]?.resolve(answer("one"));
    expect(await first).toEqual(answer("one"));
    deadlines.advance(999);
    expect(await ask()).toEqual(answer("one"));
    expect(asked).toHaveLength(1);

    deadlines.advance(1);
    const second = ask();
    asked[1]?.resolve(answer("two"));
    expect(await second).toEqual(answer("two"));
    expect(await ask()).toEqual(answer("two"));
    expect(asked).toHaveLength(2);
  });

  test("costs the backend one ping, however many come at once", async () => {
    const { asked, ask } = caching();
    const flood = Array.from({ length: 10_000 }, () => ask());
    expect(asked).toHaveLength(1);
    asked[0]?.resolve(answer("one"));
    for (const each of await Promise.all(flood)) expect(each).toEqual(answer("one"));
    expect(asked).toHaveLength(1);
  });

  test("gets the older answer when the newer one takes half a second", async () => {
    const { deadlines, asked, ask } = caching();
    const first = ask();
    asked[0]?.resolve(answer("old"));
    await first;
    deadlines.advance(1_000);

    const second = ask();
    const third = ask();
    deadlines.advance(499);
    const isWaiting = await Promise.race([second.then(() => false), Promise.resolve(true)]);
    expect(isWaiting).toBe(true);
    deadlines.advance(1);
    expect(await Promise.all([second, third])).toEqual([answer("old"), answer("old")]);

    asked[1]?.resolve(answer("new"));
    await Promise.resolve();
    deadlines.advance(500);
    expect(await ask()).toEqual(answer("new"));
    expect(asked).toHaveLength(2);
    expect(deadlines.pending).toBe(0);
  });

  test("that nobody answers fails for all who wait, and the next one asks again", async () => {
    const { asked, ask } = caching();
    const flood = [ask(), ask(), ask()];
    asked[0]?.resolve(err("refuses connections"));
    for (const each of await Promise.all(flood)) expect(each).toEqual(err("refuses connections"));
    const next = ask();
    asked[1]?.resolve(answer("back"));
    expect(await next).toEqual(answer("back"));
  });

  test("of a server that has gone is not answered with what it once said", async () => {
    const { deadlines, asked, ask } = caching();
    const first = ask();
    asked[0]?.resolve(answer("one"));
    await first;
    deadlines.advance(5_000);
    const second = ask();
    asked[1]?.resolve(err("refuses connections"));
    expect(await second).toEqual(err("refuses connections"));
    const third = ask();
    deadlines.advance(10_000);
    asked[2]?.resolve(err("refuses connections"));
    expect(await third).toEqual(err("refuses connections"));
    expect(deadlines.pending).toBe(0);
  });

  test("whose refresh throws fails for those who wait, and for nobody later", async () => {
    const { cache, asked, ask } = caching();
    const failing = (): never => {
      throw new Error("a defect");
    };
    const outcomes = await Promise.allSettled([
      cache.status("a", failing),
      cache.status("a", failing),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const next = ask();
    asked[0]?.resolve(answer("one"));
    expect(await next).toEqual(answer("one"));
  });

  test("shares nothing with another key", async () => {
    const { asked, ask } = caching();
    const both = [ask("a"), ask("b")];
    asked[0]?.resolve(answer("a"));
    asked[1]?.resolve(answer("b"));
    expect(await Promise.all(both)).toEqual([answer("a"), answer("b")]);
  });
});

describe("the cache is bounded", () => {
  const instantly = (bytes: number) => () => Promise.resolve(ok(new Uint8Array(bytes)));

  test("to 1,000 answers: the one asked for longest ago makes room", async () => {
    const { cache } = caching(1e9);
    for (let index = 0; index <= 1_000; index += 1) await cache.status(`${index}`, instantly(1));
    let asked = 0;
    const count = () => {
      asked += 1;
      return instantly(1)();
    };
    await cache.status("1000", count);
    await cache.status("1", count);
    expect(asked).toBe(0);
    await cache.status("0", count);
    expect(asked).toBe(1);
  });

  test("to 32 MiB", async () => {
    const { cache } = caching(1e9);
    const big = 131_076;
    for (let index = 0; index < 500; index += 1) await cache.status(`${index}`, instantly(big));
    let asked = 0;
    for (let index = 499; index >= 0; index -= 1) {
      await cache.status(`${index}`, () => {
        asked += 1;
        return Promise.resolve(err("gone"));
      });
    }
    const kept = 500 - asked;
    expect(kept).toBe(Math.floor((32 * 1024 * 1024) / big));
  });

  test("also when a server answers after its place was taken", async () => {
    const { cache, asked, ask } = caching(1e9);
    const slow = ask("slow");
    for (let index = 0; index < 2_000; index += 1) await cache.status(`${index}`, instantly(1));
    asked[0]?.resolve(answer("late"));
    expect(await slow).toEqual(answer("late"));
    void ask("slow");
    expect(asked).toHaveLength(2);
  });
});

describe("a key", () => {
  const address = makeAddress("10.0.0.5", 25565);
  const keyOf = (rawHost: string, protocol = 774): string => {
    const handshake: Handshake = { protocol, rawHost, port: 25565, intent: "status" };
    return statusKey(address, handshake, toHostname(rawHost, false));
  };

  test.each([
    { name: "spelling", rawHost: "A.Example.com." },
    { name: "what TCPShield appends", rawHost: "a.example.com///192.0.2.1:5000///1700000000" },
    { name: "what proxies append", rawHost: "a.example.com\0" + "192.0.2.1\0uuid" },
  ])("is the same whatever the $name", ({ rawHost }) => {
    expect(keyOf(rawHost)).toBe(keyOf("a.example.com"));
  });

  test("is another one for each hostname, protocol, mod loader and backend", () => {
    const keys = [
      keyOf("a.example.com"),
      keyOf("b.example.com"),
      keyOf("a.example.com", 47),
      keyOf("a.example.com\0FML\0"),
      keyOf("a.example.com\0FML2\0"),
      keyOf("a.example.com\0FML3\0"),
      statusKey(
        makeAddress("10.0.0.6", 25565),
        { protocol: 774, rawHost: "a.example.com", port: 1, intent: "status" },
        toHostname("a.example.com", false),
      ),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});
