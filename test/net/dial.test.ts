import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { err, ok, type Result } from "../../src/base/result.ts";
import { createEgress, type Egress } from "../../src/limits/egress.ts";
import { abort, type Conn, more, peek, send } from "../../src/net/conn.ts";
import type { DialFailure } from "../../src/net/connect.ts";
import { createDialer, type Dialer } from "../../src/net/dial.ts";
import type { Resolver } from "../../src/net/resolve.ts";
import { type Backend, echo, sending, silent, startBackend } from "../support/net/backend.ts";
import { type DeafBackend, startDeafBackend } from "../support/net/deaf-backend.ts";
import { anywhere, egressRanges } from "../support/net/egress.ts";
import { fixedResolver, never, settled } from "../support/net/link-bench.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { countDescriptors, countSocketsTo } from "../support/net/proc.ts";
import { until } from "../support/until.ts";

const deadlines = createDeadlines();
const dialled: Conn[] = [];
const faults: Error[] = [];

beforeEach(() => {
  dialled.length = 0;
  faults.length = 0;
});
afterEach(() => {
  for (const conn of dialled) abort(conn);
  expect(faults).toEqual([]);
});

/** A dialer that keeps what it opened for the end of the test. */
function startDialer(
  timeoutMs: number,
  resolver: Resolver = fixedResolver(),
  egress: Pick<Egress, "refusal"> = anywhere,
): Dialer {
  const fault = (error: Error): void => void faults.push(error);
  const dialer = createDialer({ resolver, egress, deadlines, timeoutMs, fault });
  return {
    ...dialer,
    async dial(target, signal) {
      const result = await dialer.dial(target, signal);
      if (result.ok) dialled.push(result.value);
      return result;
    },
  };
}

const at = (port: number, host = "127.0.0.1") => ({ host, port });

/** The kinds of the failures, `open` for a connection. */
const kindsOf = (results: readonly Result<Conn, DialFailure>[]): string[] =>
  results.map((result) => (result.ok ? "open" : result.error.kind));

describe("a dial", () => {
  test("opens a connection that can be written and read", async () => {
    using backend = startBackend(echo);
    const result = await startDialer(5_000).dial(at(backend.port), never);
    if (!result.ok) throw new Error(result.error.message);
    const conn = result.value;
    expect(conn.remote).toEqual({ ip: "127.0.0.1", port: backend.port });
    send(conn, Buffer.from("hello"));
    expect(await more(conn, deadlines, 10_000)).toBe("data");
    expect(peek(conn).toString()).toBe("hello");
  });

  test("loses nothing of what the backend says at once", async () => {
    using backend = startBackend(sending(Buffer.from("welcome")));
    const result = await startDialer(5_000).dial(at(backend.port), never);
    if (!result.ok) throw new Error(result.error.message);
    await until("the words", () => peek(result.value).toString() === "welcome");
  });

  test("to a port that nobody listens on is refused", async () => {
    using closed = await reserveClosedPort();
    const result = await startDialer(5_000).dial(at(closed.port), never);
    expect(result).toEqual(err({ kind: "refused", message: "refuses connections" }));
  });

  test("gives its place back however it went: the hundredth fares like the first", async () => {
    using closed = await reserveClosedPort();
    using backend = startBackend(echo);
    const dialer = startDialer(5_000);
    const kinds = new Set<string>();
    for (let each = 0; each < 100; each += 1) {
      kinds.add(kindsOf([await dialer.dial(at(closed.port), never)]).join());
      kinds.add(kindsOf([await dialer.dial(at(backend.port), never)]).join());
    }
    expect([...kinds]).toEqual(["refused", "open"]);
  });

  test("of a name that is not known says what the resolver said", async () => {
    const resolver: Resolver = {
      resolve: () =>
        Promise.resolve(err({ kind: "not-found", message: "the name does not exist" } as const)),
    };
    const result = await startDialer(5_000, resolver).dial(at(25_565, "nowhere.test"), never);
    expect(result).toEqual(err({ kind: "unresolved", message: "the name does not exist" }));
  });

  test("ends in time although the resolver does not", async () => {
    const { promise } = Promise.withResolvers<never>();
    const dialer = startDialer(100, { resolve: () => promise });
    expect(kindsOf([await dialer.dial(at(25_565, "slow.test"), never)])).toEqual(["unresolved"]);
    expect(await dialer.accepts(at(25_565, "slow.test"), never)).toBe(false);
  });

  test("that is no longer wanted fails without a connection", async () => {
    using backend = startBackend(echo);
    const result = await startDialer(5_000).dial(at(backend.port), AbortSignal.abort());
    expect(kindsOf([result])).toEqual(["aborted"]);
    expect(backend.connections).toHaveLength(0);
  });

  test("that the signal takes back while it opens leaves no connection behind", async () => {
    using backend = startBackend(echo);
    const dialer = startDialer(5_000);
    const control = new AbortController();
    const dialling = dialer.dial(at(backend.port), control.signal);
    // Promises only: the kernel has connected, and Bun has had no turn to say so.
    for (let turn = 0; turn < 100 && countSocketsTo(backend.port, "established") === 0; turn += 1) {
      await Promise.resolve();
    }
    expect(countSocketsTo(backend.port, "established")).toBe(1);
    control.abort();
    expect(kindsOf([await dialling])).toEqual(["aborted"]);
    const connection = await backend.waitForConnection(0);
    expect(await connection.waitForEnd()).toBe("reset");
    expect(kindsOf([await dialer.dial(at(backend.port), never)])).toEqual(["open"]);
  });
});

describe("a name with several addresses", () => {
  /** Backends on one port of 127.0.0.1 and of `::1`. */
  function startTwo(): { v4: Backend; v6: { connections: number; stop(): void } } {
    const v4 = startBackend(echo);
    let connections = 0;
    const listener = Bun.listen({
      hostname: "::1",
      port: v4.port,
      socket: {
        open: () => {
          connections += 1;
        },
        data() {},
      },
    });
    return {
      v4,
      v6: {
        get connections() {
          return connections;
        },
        stop: () => listener.stop(true),
      },
    };
  }

  test("is dialled at the first one that accepts, and nowhere else", async () => {
    const { v4, v6 } = startTwo();
    using _ = v4;
    const dialer = startDialer(5_000, fixedResolver(["127.0.0.1", "::1", "127.0.0.1"]));
    expect(kindsOf([await dialer.dial(at(v4.port, "many.test"), never)])).toEqual(["open"]);
    // Connections to both would have been made at once.
    const second = await startDialer(5_000).dial(at(v4.port, "::1"), never);
    await until("the witness", () => second.ok && v6.connections > 0);
    expect(v4.connections).toHaveLength(1);
    expect(v6.connections).toBe(1);
    v6.stop();
  });

  test("is dialled at the next one when the first refuses", async () => {
    const { v4, v6 } = startTwo();
    using _ = v4;
    v6.stop();
    const dialer = startDialer(5_000, fixedResolver(["::1", "127.0.0.1"]));
    const result = await dialer.dial(at(v4.port, "many.test"), never);
    expect(result.ok && result.value.remote.ip).toBe("127.0.0.1");
  });

  test("is dialled at the next one when the first does not answer, within one budget", async () => {
    using deaf = await startDeafBackend();
    const backend = Bun.listen({ hostname: "::1", port: deaf.port, socket: { data() {} } });
    const dialer = startDialer(1_000, fixedResolver(["127.0.0.1", "::1"]));
    const since = performance.now();
    const result = await dialer.dial(at(deaf.port, "many.test"), never);
    expect(result.ok && result.value.remote.ip).toBe("::1");
    // Half of the budget went to the first address.
    expect(performance.now() - since).toBeGreaterThanOrEqual(500);
    backend.stop(true);
  });

  test("that all fail fails as the last one did", async () => {
    using closed = await reserveClosedPort();
    const dialer = startDialer(5_000, fixedResolver(["::1", "127.0.0.1"]));
    const result = await dialer.dial(at(closed.port, "many.test"), never);
    expect(kindsOf([result])).toEqual(["refused"]);
  });
});

describe("a backend that does not answer", () => {
  let deaf: DeafBackend;
  beforeEach(async () => {
    deaf = await startDeafBackend();
  });
  afterEach(() => {
    deaf[Symbol.dispose]();
  });

  test("is given up after the timeout, and not before", async () => {
    const dialer = startDialer(300);
    const since = performance.now();
    const result = await dialer.dial(at(deaf.port), never);
    expect(result).toEqual(err({ kind: "timeout", message: "does not answer" }));
    expect(performance.now() - since).toBeGreaterThanOrEqual(300);
  });

  test("is asked before it is dialled again, which leaves no further connect behind", async () => {
    const dialer = startDialer(150);
    for (let each = 0; each < 4; each += 1) {
      expect(kindsOf([await dialer.dial(at(deaf.port), never)])).toEqual(["timeout"]);
    }
    expect(countSocketsTo(deaf.port, "connecting")).toBe(1);
  });

  test("costs at most 32 pending connects however many dial it, and other backends none", async () => {
    using backend = startBackend(echo);
    const dialer = startDialer(600);
    const descriptors = countDescriptors();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, countSocketsTo(deaf.port, "connecting"));
    }, 5);
    const dials = Array.from({ length: 200 }, () => dialer.dial(at(deaf.port), never));
    await until("the first", () => countSocketsTo(deaf.port, "connecting") > 0);
    expect(kindsOf([await dialer.dial(at(backend.port), never)])).toEqual(["open"]);
    const kinds = kindsOf(await Promise.all(dials));
    expect(kinds.every((kind) => kind === "timeout" || kind === "busy")).toBe(true);
    // The next ones ask before they dial, so it does not get more.
    const again = Array.from({ length: 200 }, () => dialer.dial(at(deaf.port), never));
    await Promise.all(again);
    clearInterval(watch);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(32);
    expect(countDescriptors()).toBeLessThanOrEqual(descriptors + 32 + 4);
  });

  test("is dialled again as soon as it answers, although the kernel still tries the old connects", async () => {
    const dialer = startDialer(300);
    const dials = Array.from({ length: 100 }, () => dialer.dial(at(deaf.port), never));
    await Promise.all(dials);
    // The line is not full of what was given up: there is room to ask.
    expect(kindsOf([await dialer.dial(at(deaf.port), never)])).toEqual(["timeout"]);
    deaf.wake();
    // The child takes a moment to empty its backlog.
    let kind = "";
    for (let each = 0; each < 20 && kind !== "open"; each += 1) {
      [kind = ""] = kindsOf([await dialer.dial(at(deaf.port), never)]);
    }
    expect(kind).toBe("open");
  });

  test("that answers late finds the connection cut", async () => {
    const dialer = startDialer(300);
    const own = countSocketsTo(deaf.port, "established");
    const dials = Array.from({ length: 10 }, () => dialer.dial(at(deaf.port), never));
    expect(kindsOf(await Promise.all(dials))).toEqual(Array(10).fill("timeout"));
    expect(countSocketsTo(deaf.port, "connecting")).toBe(10);
    deaf.wake();
    // The kernel repeats a connect after 1 s, 3 s and 7 s.
    await until("every connect", () => countSocketsTo(deaf.port, "connecting") === 0, 10_000);
    await until("every cut", () => countSocketsTo(deaf.port, "established") === own);
    expect(kindsOf([await dialer.dial(at(deaf.port), never)])).toEqual(["open"]);
  }, 15_000);

  test("frees a waiter whose signal aborts at once, in the line and behind it", async () => {
    const dialer = startDialer(60_000);
    const control = new AbortController();
    const dials = Array.from({ length: 100 }, () => dialer.dial(at(deaf.port), control.signal));
    const all = Promise.all(dials);
    const isOver = settled(all);
    await until("the line", () => countSocketsTo(deaf.port, "connecting") > 1);
    expect(isOver()).toBe(false);
    control.abort();
    expect(kindsOf(await all)).toEqual(Array(100).fill("aborted"));
  });

  test("is not taken for one that accepts, and leaves nothing of the question behind", async () => {
    const dialer = startDialer(200);
    expect(await dialer.accepts(at(deaf.port), never)).toBe(false);
    await until("nothing", () => countSocketsTo(deaf.port, "connecting") === 0);
    const control = new AbortController();
    const asking = startDialer(60_000).accepts(at(deaf.port), control.signal);
    await until("the question", () => countSocketsTo(deaf.port, "connecting") === 1);
    control.abort();
    expect(await asking).toBe(false);
    await until("nothing again", () => countSocketsTo(deaf.port, "connecting") === 0);
  });
});

describe("asking whether something accepts", () => {
  test("is true for a backend, which sees one short connection", async () => {
    using backend = startBackend(echo);
    expect(await startDialer(5_000).accepts(at(backend.port), never)).toBe(true);
    const connection = await backend.waitForConnection(0);
    await connection.waitForEnd();
    expect(connection.receivedLength).toBe(0);
    expect(backend.connections).toHaveLength(1);
  });

  test("is false for a closed port, an unknown name and an aborted signal", async () => {
    using closed = await reserveClosedPort();
    using backend = startBackend(echo);
    const unknown: Resolver = {
      resolve: () => Promise.resolve(err({ kind: "not-found", message: "unknown" } as const)),
    };
    expect(await startDialer(5_000).accepts(at(closed.port), never)).toBe(false);
    expect(
      await startDialer(5_000, unknown).accepts(
        { host: "nobody.example", port: backend.port },
        never,
      ),
    ).toBe(false);
    expect(await startDialer(5_000).accepts(at(backend.port), AbortSignal.abort())).toBe(false);
    expect(backend.connections).toHaveLength(0);
  });

  test("is true when one of several addresses accepts", async () => {
    using backend = startBackend(echo);
    const dialer = startDialer(5_000, fixedResolver(["::1", "127.0.0.1"]));
    expect(await dialer.accepts(at(backend.port, "many.test"), never)).toBe(true);
  });
});

describe("where the router does not connect to", () => {
  const loopbackOnly = createEgress({
    allow: egressRanges("127.0.0.1"),
    deny: egressRanges("127.0.0.1:1"),
  });

  test("a literal is refused with the reason, and nobody hears of it", async () => {
    using backend = startBackend(silent);
    const dialer = startDialer(
      1_000,
      fixedResolver(),
      createEgress({ allow: [], deny: egressRanges("127.0.0.0/8") }),
    );
    expect(await dialer.dial(at(backend.port), never)).toEqual(
      err({
        kind: "forbidden",
        message: "127.0.0.1 is in AUTOMC_BACKEND_DENY (127.0.0.0/8)",
      }),
    );
    expect(await dialer.accepts(at(backend.port), never)).toBe(false);
    expect(backend.connections).toHaveLength(0);
    expect(await startDialer(1_000).accepts(at(backend.port), never)).toBe(true);
  });

  test("a name is judged by where it leads", async () => {
    using backend = startBackend(silent);
    const metadata = ["169.254.169.254"];
    const resolver: Resolver = {
      resolve: (host) =>
        Promise.resolve(ok(host === "mixed" ? [...metadata, "127.0.0.1"] : metadata)),
    };
    const dialer = startDialer(1_000, resolver, loopbackOnly);
    expect(await dialer.dial(at(backend.port, "metadata"), never)).toEqual(
      err({ kind: "forbidden", message: "169.254.169.254 is a link-local address" }),
    );
    expect(await dialer.accepts(at(backend.port, "metadata"), never)).toBe(false);
    expect(kindsOf([await dialer.dial(at(backend.port, "mixed"), never)])).toEqual(["open"]);
    expect(await dialer.accepts(at(backend.port, "mixed"), never)).toBe(true);
    expect(kindsOf([await dialer.dial(at(1, "mixed"), never)])).toEqual(["forbidden"]);
  });
});

test("a backend without an address is asked of nobody", async () => {
  const resolver: Resolver = {
    resolve() {
      throw new Error("there is no name to resolve");
    },
  };
  const dialer = startDialer(5_000, resolver);
  expect(await dialer.dial(at(0, ""), never)).toEqual({
    ok: false,
    error: { kind: "unresolved", message: "has no address at the moment" },
  });
  expect(await dialer.accepts(at(0, ""), never)).toBe(false);
});
