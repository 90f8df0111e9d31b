import { createDeadlines, type Deadline, type Deadlines } from "../../../src/base/deadlines.ts";
import { ok } from "../../../src/base/result.ts";
import type { Conn } from "../../../src/net/conn.ts";
import { createDialer, type Dialer } from "../../../src/net/dial.ts";
import { type Listener, listen } from "../../../src/net/listen.ts";
import type { Resolver } from "../../../src/net/resolve.ts";
import { connectPlayer } from "../minecraft/player.ts";
import { until } from "../until.ts";
import { type Backend, type Behaviour, silent, startBackend } from "./backend.ts";
import { anywhere } from "./egress.ts";
import type { Peer } from "./peer.ts";

/** A player and a backend with the two connections of the router between them; nothing is relayed yet. */
export interface Link extends Disposable {
  /** The player's own end, and the router's end of the same connection. */
  readonly player: Peer;
  readonly client: Conn;
  /** The router's end of the connection to the backend, and the backend's own end. */
  readonly server: Conn;
  readonly backend: Peer;
}

/** The parts of net/ that make connections, on a port of their own, and a backend behind them. */
export interface LinkBench extends Disposable {
  readonly listener: Listener;
  readonly dialer: Dialer;
  readonly backend: Backend;
  readonly deadlines: Deadlines;
  /** What the socket handlers reported as a defect. */
  readonly faults: Error[];
  /** Connects one more player and one more backend connection. */
  open(): Promise<Link>;
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;

/** A resolver that knows one list of addresses for every name; without a list, only IP literals. */
export const fixedResolver = (ips?: readonly string[]): Resolver => ({
  resolve: (host) => Promise.resolve(ok(ips ?? [host])),
});

/** Reports the result of a promise to those who must not wait for it. */
export function settled(promise: Promise<unknown>): () => boolean {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  return () => isSettled;
}

/** A bench on 127.0.0.1. The backend's behaviour is silence unless told otherwise. */
export function startLinkBench(
  deadlines: Deadlines = createDeadlines(),
  behaviour: Behaviour = silent,
): LinkBench {
  const faults: Error[] = [];
  const fault = (error: Error): void => void faults.push(error);
  const arrived: Conn[] = [];
  const accept = (conn: Conn): boolean => {
    arrived.push(conn);
    return true;
  };
  const bound = listen({ bind: "127.0.0.1", port: 0, accept, fault });
  if (!bound.ok) throw new Error(bound.error);
  const listener = bound.value;
  const backend = startBackend(behaviour);
  const dialer = createDialer({
    resolver: fixedResolver(),
    egress: anywhere,
    // Dials of a bench succeed at once, so they may use real time.
    deadlines: createDeadlines(),
    timeoutMs: 5_000,
    fault,
  });
  const opened: Disposable[] = [];

  async function open(): Promise<Link> {
    const player = await connectPlayer({ port: listener.port });
    const isPlayers = (conn: Conn): boolean => conn.remote.port === player.localPort;
    await until("the client", () => arrived.some(isPlayers));
    // Taken out, as a later player may come from the same port.
    const [client] = arrived.splice(arrived.findIndex(isPlayers), 1) as [Conn];
    const index = backend.connections.length;
    const dialled = await dialer.dial({ host: "127.0.0.1", port: backend.port }, never);
    if (!dialled.ok) throw new Error(dialled.error.message);
    const server = dialled.value;
    const peer = await backend.waitForConnection(index);
    const dispose = (): void => {
      player.reset();
      peer.reset();
      for (const conn of [client, server]) if (!conn.closed) conn.socket.terminate();
    };
    const link = { player, client, server, backend: peer, [Symbol.dispose]: dispose };
    opened.push(link);
    return link;
  }

  function dispose(): void {
    for (const link of opened) link[Symbol.dispose]();
    listener.stop();
    backend.stop();
  }

  return { listener, dialer, backend, deadlines, faults, open, [Symbol.dispose]: dispose };
}

/** Deadlines whose clock stands still until it is moved. */
export interface ManualDeadlines extends Deadlines {
  /** Moves the clock on; what is due expires on the way, in order. */
  advance(ms: number): void;
  /** How many deadlines are set. */
  pending(): number;
}

/** Deadlines at 0 ms. */
export function createManualDeadlines(): ManualDeadlines {
  const entries = new Set<{ readonly due: number; readonly expire: () => void }>();
  let time = 0;

  function after(ms: number, expire: () => void): Deadline {
    const entry = { due: time + Math.max(ms, 0), expire };
    entries.add(entry);
    return { cancel: () => void entries.delete(entry) };
  }

  function advance(ms: number): void {
    const end = time + ms;
    for (;;) {
      const [next] = [...entries].sort((one, other) => one.due - other.due);
      if (next === undefined || next.due > end) break;
      time = Math.max(time, next.due);
      entries.delete(next);
      next.expire();
    }
    time = end;
  }

  const sleep = (ms: number, signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      after(ms, () => resolve(true));
      signal.addEventListener("abort", () => resolve(false), { once: true });
    });

  return { now: () => time, after, sleep, advance, pending: () => entries.size };
}
