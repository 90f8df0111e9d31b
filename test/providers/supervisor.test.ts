import { describe, expect, test } from "bun:test";
import { untilAborted } from "../../src/base/wait.ts";
import { superviseSources } from "../../src/providers/supervisor.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import type { SourceName } from "../../src/routing/route.ts";
import type { Publish, RouteSource } from "../../src/routing/source.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import { route } from "../support/session/session-world.ts";

/** A source that does what the test says, when the test says it. */
function puppet(name: SourceName) {
  const ended = Promise.withResolvers<void>();
  let publish: Publish | null = null;
  let stops = 0;
  const source: RouteSource = {
    name,
    run(given, signal) {
      publish = given;
      signal.addEventListener("abort", () => {
        stops += 1;
      });
      return ended.promise;
    },
  };
  return {
    source,
    stops: () => stops,
    /** The source's way into the table. */
    publish(): Publish {
      if (publish === null) throw new Error("not running");
      return publish;
    },
    end: ended.resolve,
    fail: ended.reject,
  };
}

/** Sources under supervision, and what was told about them. */
function supervise(...sources: readonly RouteSource[]) {
  const table = createRouteTable();
  const told: string[] = [];
  const faults: Error[] = [];
  const supervisor = superviseSources(sources, {
    table,
    changed: (source, { added, removed, changed, conflicts }) =>
      told.push(
        `${source} +${added.length} -${removed.length} ~${changed.length} !${conflicts.length}`,
      ),
    fault: (error) => faults.push(error),
    timings: { backoffMs: 60_000, backoffMaxMs: 60_000 },
  });
  const firstRoutes = async (signal = new AbortController().signal): Promise<string> => {
    await supervisor.firstRoutes(signal);
    return "there";
  };
  return { ...supervisor, table, told, faults, firstRoutes };
}

const of = (source: SourceName, hostname: string, address = "10.0.0.1:1") => ({
  ...route(hostname, address),
  source,
});

/** "pending" unless the promise has settled by the time everything due has run. */
async function stateOf(promise: Promise<string>): Promise<string> {
  await Bun.sleep(0);
  return await Promise.race([promise, Promise.resolve("pending")]);
}

describe("the first routes", () => {
  test("are there when each source has published, an empty set included", async () => {
    const [env, postgres] = [puppet("env"), puppet("postgres")];
    const running = supervise(env.source, postgres.source);
    const first = running.firstRoutes();
    postgres.publish().replace([of("postgres", "a.example.com")]);
    postgres.publish().replace([of("postgres", "b.example.com")]);
    expect(await stateOf(first)).toBe("pending");
    env.publish().replace([]);
    expect(await first).toBe("there");
    expect(await running.firstRoutes()).toBe("there");
    env.end();
    postgres.end();
    await running.stop();
  });

  test("are not waited for any longer than the signal says", async () => {
    const { source, end } = puppet("postgres");
    const running = supervise(source);
    const patience = new AbortController();
    const first = running.firstRoutes(patience.signal);
    expect(await stateOf(first)).toBe("pending");
    patience.abort();
    expect(await first).toBe("there");
    expect(await running.firstRoutes(AbortSignal.abort())).toBe("there");
    end();
    await running.stop();
  });

  test("are not waited for from a source that is passed over", async () => {
    const [env, kubernetes] = [puppet("env"), puppet("kubernetes")];
    const running = supervise(env.source, kubernetes.source);
    const first = running.firstRoutes();
    running.passOver("kubernetes");
    expect(await stateOf(first)).toBe("pending");
    env.publish().replace([]);
    expect(await first).toBe("there");
    expect([...running.published()]).toEqual(["env"]);
    env.end();
    kubernetes.end();
    await running.stop();
  });

  test("are there at once without sources", async () => {
    const running = supervise();
    expect(await running.firstRoutes()).toBe("there");
    await running.stop();
  });
});

test("a first set that comes in parts is routed at once, and counts and is told when it is whole", async () => {
  const { source, publish, end } = puppet("postgres");
  const running = supervise(source);
  const first = running.firstRoutes();
  const hostnames = [["a.example.com", "b.example.com"], ["c.example.com"]];
  for (const part of hostnames) {
    const upsert = part.map((hostname) => of("postgres", hostname));
    publish().patch({ upsert, remove: [] }, "more");
  }
  expect(running.table.resolve(toHostname("a.example.com"))).not.toBeNull();
  expect([...running.published()]).toEqual([]);
  expect(running.told).toEqual([]);
  expect(await stateOf(first)).toBe("pending");
  publish().patch({ upsert: [of("postgres", "d.example.com")], remove: [] });
  expect(await first).toBe("there");
  expect([...running.published()]).toEqual(["postgres"]);
  expect(running.told).toEqual(["postgres +4 -0 ~0 !0"]);
  publish().patch({ upsert: [], remove: ["b.example.com"] });
  expect(running.told.slice(1)).toEqual(["postgres +0 -1 ~0 !0"]);
  end();
  await running.stop();
});

test("what a publication changes is told with its source, and one that changes nothing is not", async () => {
  const [env, postgres] = [puppet("env"), puppet("postgres")];
  const running = supervise(env.source, postgres.source);
  env.publish().replace([of("env", "a.example.com")]);
  env.publish().replace([of("env", "a.example.com")]);
  postgres.publish().replace([of("postgres", "a.example.com"), of("postgres", "b.example.com")]);
  const moved = of("postgres", "b.example.com", "10.0.0.2:1");
  postgres.publish().patch({ upsert: [moved], remove: [] });
  postgres.publish().patch({ upsert: [], remove: ["b.example.com"] });
  postgres.publish().patch({ upsert: [], remove: ["never there"] });
  expect(running.told).toEqual([
    "env +1 -0 ~0 !0",
    "postgres +1 -0 ~0 !1",
    "postgres +0 -0 ~1 !0",
    "postgres +0 -1 ~0 !0",
  ]);
  env.end();
  postgres.end();
  await running.stop();
});

test("a source that throws is told once for each time; its routes and the other sources stay", async () => {
  const [env, postgres] = [puppet("env"), puppet("postgres")];
  const running = supervise(env.source, postgres.source);
  postgres.publish().replace([of("postgres", "a.example.com")]);
  postgres.fail(new TypeError("broken"));
  env.publish().replace([of("env", "b.example.com")]);
  await Bun.sleep(0);
  expect(running.faults).toEqual([new TypeError("broken")]);
  for (const hostname of ["a.example.com", "b.example.com"]) {
    expect(running.table.resolve(toHostname(hostname))).not.toBeNull();
  }
  env.end();
  await running.stop();
  expect(running.faults.length).toBe(1);
});

test("a source that throws is run anew, and what it publishes then is routed", async () => {
  const publishers: Publish[] = [];
  const faults: string[] = [];
  const second = Promise.withResolvers<void>();
  const table = createRouteTable();
  const supervisor = superviseSources(
    [
      {
        name: "postgres",
        run(publish, signal) {
          publishers.push(publish);
          if (publishers.length === 1) throw new Error("broken");
          second.resolve();
          return untilAborted(signal);
        },
      },
    ],
    {
      table,
      changed: () => undefined,
      fault: (error, source, nextMs) => faults.push(`${source} ${error.message} ${nextMs > 0}`),
      timings: { backoffMs: 2, backoffMaxMs: 2 },
    },
  );
  await second.promise;
  publishers[1]?.replace([of("postgres", "a.example.com")]);
  expect(table.resolve(toHostname("a.example.com"))).not.toBeNull();
  expect(faults).toEqual(["postgres broken true"]);
  await supervisor.stop();
});

test("what is thrown and is no Error arrives as one", async () => {
  const { source, fail } = puppet("postgres");
  const running = supervise(source);
  fail("just text");
  await Bun.sleep(0);
  await running.stop();
  expect(running.faults).toEqual([new Error("just text")]);
});

test("stop tells each source once, and is over when the last one has ended", async () => {
  const [env, postgres] = [puppet("env"), puppet("postgres")];
  const running = supervise(env.source, postgres.source);
  const stopped = running.stop().then(() => "stopped");
  expect([env.stops(), postgres.stops()]).toEqual([1, 1]);
  env.end();
  expect(await stateOf(stopped)).toBe("pending");
  postgres.end();
  expect(await stopped).toBe("stopped");
  await running.stop();
  expect([env.stops(), postgres.stops()]).toEqual([1, 1]);
});
