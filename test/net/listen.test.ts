import { afterEach, describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { type Conn, close, localEndpoint, more, peek, send } from "../../src/net/conn.ts";
import { type Listener, type ListenOptions, listen } from "../../src/net/listen.ts";
import { connectPlayer } from "../support/minecraft/player.ts";
import type { Behaviour } from "../support/net/backend.ts";
import { startChild } from "../support/net/child.ts";
import { type Link, startLinkBench } from "../support/net/link-bench.ts";
import { countDescriptors } from "../support/net/proc.ts";
import { relayed } from "../support/net/relayed.ts";
import { until } from "../support/until.ts";

const opened: (Listener & { readonly clients: Conn[] })[] = [];
afterEach(() => {
  for (const { stop, clients } of opened.splice(0)) {
    stop();
    for (const client of clients) if (!client.closed) client.socket.terminate();
  }
});

/** A listener that keeps its clients; whatever a test does not say is on 127.0.0.1 and without defects. */
function open(options: Partial<ListenOptions> = {}) {
  const clients: Conn[] = [];
  const bound = listen({
    bind: "127.0.0.1",
    port: 0,
    accept: (client) => {
      clients.push(client);
      return true;
    },
    fault: (error) => {
      throw error;
    },
    ...options,
  });
  if (!bound.ok) throw new Error(bound.error);
  const listener = { ...bound.value, clients };
  opened.push(listener);
  return listener;
}

describe("the address", () => {
  test("`::` takes IPv4 and IPv6, and shows IPv4 players by their plain address", async () => {
    const { port, clients } = open({ bind: "::" });
    using v4 = await connectPlayer({ port, hostname: "127.0.0.1" });
    using v6 = await connectPlayer({ port, hostname: "::1" });
    await until("both", () => clients.length === 2);
    const byPort = (local: number) => clients.find((client) => client.remote.port === local);
    expect(byPort(v4.localPort)?.remote.ip).toBe("127.0.0.1");
    expect(byPort(v6.localPort)?.remote.ip).toBe("::1");
    expect(localEndpoint(byPort(v4.localPort) as Conn)).toEqual({ ip: "127.0.0.1", port });
    expect(localEndpoint(byPort(v6.localPort) as Conn)).toEqual({ ip: "::1", port });
  });

  test("`::` stands for 0.0.0.0 on a host without IPv6; an IPv6 literal does not", async () => {
    using child = startChild("listen-without-ipv6");
    expect(await child.next()).toEqual({
      any: "0.0.0.0",
      literal: "cannot listen on ::1 port 0: Failed to listen at ::1",
    });
  });

  test.each(["127.0.0.1", "::"])("a port of %s that is taken is reported as that", (bind) => {
    const { port } = open({ bind });
    const second = listen({ bind, port, accept: () => true, fault: () => {} });
    expect(second).toEqual({ ok: false, error: `port ${port} is in use by another program` });
  });

  test("a port that is taken for IPv6 alone does not make `::` an IPv4 listener", () => {
    const { port } = open({ bind: "::1" });
    const second = listen({ bind: "::", port, accept: () => true, fault: () => {} });
    expect(second).toEqual({ ok: false, error: `port ${port} is in use by another program` });
  });

  test("an address that this machine does not have is named", () => {
    const bound = listen({ bind: "192.0.2.1", port: 0, accept: () => true, fault: () => {} });
    expect(bound).toEqual({
      ok: false,
      error: "cannot listen on 192.0.2.1 port 0: Failed to listen at 192.0.2.1",
    });
  });
});

describe("a port that is shared", () => {
  test("is everybody's who says so, and nobody else's", () => {
    const { port } = open({ shared: true });
    const second = listen({
      bind: "127.0.0.1",
      port,
      shared: true,
      accept: () => true,
      fault: () => {},
    });
    if (!second.ok) throw new Error(second.error);
    second.value.stop();
    const alone = listen({ bind: "127.0.0.1", port, accept: () => true, fault: () => {} });
    expect(alone).toEqual({ ok: false, error: `port ${port} is in use by another program` });
  });
});

/** Clients that connect and reset at once. Runs to its end while nothing here is accepted: they wait in the backlog. */
function resetStorm(port: number, count: number): void {
  const program = `${import.meta.dir}/../support/net/reset-storm.ts`;
  const child = Bun.spawnSync([process.execPath, program, String(port), String(count)]);
  expect(child.exitCode).toBe(0);
}

describe("accepting", () => {
  test("clients that wait in the kernel show that nobody is let in, until somebody is", async () => {
    const { port, clients, isAccepting } = open();
    expect(isAccepting()).toBe(true);
    // Runs to its end while nothing here is accepted.
    const connect = Bun.spawnSync(["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${port}`]);
    expect(connect.exitCode).toBe(0);
    expect(isAccepting()).toBe(false);
    expect(isAccepting()).toBe(false);
    await until("the client", () => clients.length === 1);
    expect(isAccepting()).toBe(true);
    expect(isAccepting()).toBe(true);
  });

  test("more than Bun's 511 clients may wait", async () => {
    const { port, clients } = open();
    // Each of them is connected before the next one begins, so none of them has to be retried.
    const script = `for i in $(seq 800); do exec {fd}<>/dev/tcp/127.0.0.1/${port} || exit 1; done`;
    const connect = Bun.spawnSync(["bash", "-c", `ulimit -n 1024; ${script}`], { timeout: 5_000 });
    expect(connect.exitCode).toBe(0);
    await until("all of them", () => clients.length === 800);
  });

  test("a client that is refused is cut at once, and the next one is not", async () => {
    let isFull = true;
    const { port } = open({ accept: () => !isFull });
    using refused = await connectPlayer({ port });
    expect(await refused.waitForEnd()).toBe("reset");
    isFull = false;
    using taken = await connectPlayer({ port });
    await taken.send(Buffer.from("hello"));
    expect(taken.ending).toBe("open");
  });

  test("who is not admitted is reset by its plain address, and `accept` never hears of it", async () => {
    const asked: string[] = [];
    const { port, clients, isAccepting } = open({
      bind: "::",
      admits(ip) {
        asked.push(ip);
        return ip === "::1";
      },
    });
    // The reset may come before the connect is reported.
    const refused = await connectPlayer({ port, hostname: "127.0.0.1" }).catch(() => null);
    if (refused !== null) expect(await refused.waitForEnd()).toBe("reset");
    using admitted = await connectPlayer({ port, hostname: "::1" });
    await until("the other", () => clients.length === 1);
    expect(asked).toEqual(["127.0.0.1", "::1"]);
    expect(clients[0]?.remote.port).toBe(admitted.localPort);
    expect(isAccepting()).toBe(true);
  });

  test("a client that is closed within `accept` is closed for good", async () => {
    const deadlines = createDeadlines();
    const gone: number[] = [];
    const { port } = open({
      accept: (client) => {
        client.onClose = () => gone.push(client.remote.port);
        client.socket.terminate();
        expect(client.closed).toBe(true);
        close(client, deadlines);
        return true;
      },
    });
    using player = await connectPlayer({ port });
    expect(await player.waitForEnd()).toBe("reset");
    expect(gone).toEqual([player.localPort]);
  });

  test("stop refuses new clients and keeps those that are there", async () => {
    const deadlines = createDeadlines();
    const { port, clients, stop } = open();
    using player = await connectPlayer({ port });
    await until("the client", () => clients.length === 1);
    stop();
    expect(connectPlayer({ port })).rejects.toThrow();
    const client = clients[0] as Conn;
    await player.send(Buffer.from("still here?"));
    expect(await more(client, deadlines, 10_000)).toBe("data");
    expect(peek(client).toString()).toBe("still here?");
    send(client, Buffer.from("yes"));
    expect((await player.read(3)).toString()).toBe("yes");
  });

  test("clients that are gone before they are accepted were let in all the same", async () => {
    const { port, isAccepting } = open();
    resetStorm(port, 50);
    expect(isAccepting()).toBe(false);
    // The loop looks at its sockets before a timer that is due after that.
    await Bun.sleep(50);
    resetStorm(port, 50);
    expect(isAccepting()).toBe(true);
  });

  test("two thousand clients that reset before they are accepted leave nothing behind", async () => {
    const { port, clients } = open();
    {
      using before = await connectPlayer({ port });
      await until("the first", () => clients.length === 1);
      before.reset();
      await until("the first is gone", () => clients.every((client) => client.closed));
    }
    const storm = (count: number): void => resetStorm(port, count);
    // The first child process of a program leaves it some descriptors for the next ones.
    storm(0);
    const descriptors = countDescriptors();
    for (let batch = 0; batch < 5; batch += 1) {
      storm(400);
      using after = await connectPlayer({ port });
      // The backlog is a queue: when this one is here, so were all before it.
      await until("the last", () =>
        clients.some((client) => client.remote.port === after.localPort),
      );
    }
    await until("all are gone", () => clients.every((client) => client.closed));
    await until("no descriptor is left", () => countDescriptors() <= descriptors);
    using player = await connectPlayer({ port });
    await until("a good client", () => clients.at(-1)?.remote.port === player.localPort);
  });
});

describe("a handler that throws", () => {
  const throwing = (): never => {
    throw new Error("a defect");
  };

  /** Makes the next read of a property throw, once. */
  function trap<T extends object>(owner: T, property: keyof T): void {
    const value = owner[property];
    const get = (): never => {
      Object.defineProperty(owner, property, { value, writable: true });
      return throwing();
    };
    Object.defineProperty(owner, property, { get, configurable: true });
  }

  /** Makes the relay throw the next time that this side has ended or closed, once. */
  function trapEnd({ relay }: Conn): void {
    if (relay === null) throw new Error("there is no relay");
    trap(relay, "endedBy");
  }

  interface Row {
    readonly name: string;
    readonly isRelaying: boolean;
    readonly provoke: (link: Link) => void | Promise<void>;
  }
  const rows: Row[] = [
    {
      name: "data before the relay",
      isRelaying: false,
      provoke: ({ client, player }) => {
        trap(client, "inbox");
        return player.send(Buffer.from("x"));
      },
    },
    {
      name: "data in the relay",
      isRelaying: true,
      provoke: ({ server, player }) => {
        trap(server, "unsent");
        return player.send(Buffer.from("x"));
      },
    },
    {
      name: "drain",
      isRelaying: true,
      provoke: ({ client }) => {
        trap(client, "unsent");
        // Bun emits a drain for it.
        client.socket.pause();
      },
    },
    {
      name: "end",
      isRelaying: true,
      provoke: ({ client, player }) => {
        trapEnd(client);
        player.finish();
      },
    },
    {
      name: "close",
      isRelaying: true,
      provoke: ({ client, player }) => {
        trapEnd(client);
        player.reset();
      },
    },
    {
      name: "close, in the listener of the session",
      isRelaying: true,
      provoke: ({ client, player }) => {
        client.onClose = throwing;
        player.reset();
      },
    },
  ];
  test.each(rows)("on $name ends its own pair and no other", async ({ isRelaying, provoke }) => {
    // It ends nothing by itself, so that it is the router that has to.
    const answering: Behaviour = { data: (connection, bytes) => connection.send(bytes) };
    using bench = startLinkBench(createDeadlines(), answering);
    const hit = await bench.open();
    const other = await bench.open();
    const relaying = isRelaying ? [hit, other] : [other];
    for (const { client, server } of relaying) void relayed(client, server, bench.deadlines);
    await provoke(hit);
    await until("the fault", () => bench.faults.length > 0);
    expect(bench.faults.map((error) => error.message)).toEqual(["a defect"]);
    await until("the client is cut", () => hit.client.closed && hit.player.isClosed);
    if (isRelaying) await until("the backend is cut", () => hit.server.closed);
    await other.player.send(Buffer.from("echo"));
    expect((await other.player.read(4)).toString()).toBe("echo");
  });

  test.each(["admits", "accept"])("on %s cuts that client only", async (hook) => {
    const faults: string[] = [];
    let isBroken = true;
    const { port } = open({
      [hook]: () => (isBroken ? throwing() : true),
      fault: (error) => faults.push(error.message),
    });
    // The reset may come before the connect is reported.
    const hit = await connectPlayer({ port }).catch(() => null);
    if (hit !== null) expect(await hit.waitForEnd()).toBe("reset");
    await until("the fault", () => faults.length > 0);
    expect(faults).toEqual(["a defect"]);
    isBroken = false;
    using other = await connectPlayer({ port });
    await other.send(Buffer.from("hello"));
    expect(other.ending).toBe("open");
  });
});
