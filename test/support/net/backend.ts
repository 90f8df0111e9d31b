import {
  type Handshake,
  intents,
  readHandshake,
  readVarint,
  statusResponse,
} from "../minecraft/wire.ts";
import { defaultTimeoutMs, openPeer, type Peer, peerHandlers, withTimeout } from "./peer.ts";
import { reserveClosedPort } from "./ports.ts";

/** What a backend does with one connection. `data` is called with what has just arrived; everything is remembered anyway. */
export interface Behaviour {
  open?(connection: Peer): void | Promise<void>;
  data?(connection: Peer, bytes: Buffer): void | Promise<void>;
  /** The other side has ended its direction. */
  end?(connection: Peer): void | Promise<void>;
}

/** Takes everything and never says a word. */
export const silent: Behaviour = {};

/** Sends back every byte, and the end too. */
export const echo: Behaviour = {
  data: (connection, bytes) => connection.send(bytes),
  end: (connection) => connection.finish(),
};

/** Accepts and closes. */
export const closing: Behaviour = { open: (connection) => connection.close() };

/** Accepts and resets. */
export const resetting: Behaviour = { open: (connection) => connection.reset() };

/** Sends these bytes as soon as somebody connects, then keeps the connection. */
export const sending = (bytes: Uint8Array): Behaviour => ({
  open: (connection) => connection.send(bytes),
});

/** Answers the status request with this JSON and the ping with the same ping, as a running server does. */
export function status(json: string): Behaviour {
  const answered = new WeakMap<Peer, number>();
  return {
    async data(connection) {
      const bytes = connection.received();
      const opening = readHandshake(bytes);
      let at = answered.get(connection) ?? opening?.end;
      if (at === undefined) return;
      for (;;) {
        const length = readVarint(bytes, at);
        if (length === null || bytes.length < length.end + length.value) break;
        const end = length.end + length.value;
        // Marked as answered before the send: more bytes may arrive while it waits.
        answered.set(connection, end);
        const isPing = bytes[length.end] === 0x01;
        await connection.send(isPing ? bytes.subarray(at, end) : statusResponse(json));
        at = end;
      }
    },
  };
}

/** What a running server says of itself. */
export const runningStatus = JSON.stringify({
  version: { name: "1.21.11", protocol: 774 },
  players: { max: 20, online: 0 },
  description: { text: "A server" },
});

/** A server that runs: it answers status requests, sends these bytes once a whole login is there, and leaves when its client does. */
export function running(greeting: Uint8Array, json = runningStatus): Behaviour {
  const answersStatus = status(json);
  const greeted = new WeakSet<Peer>();
  return {
    async data(connection, bytes) {
      const received = connection.received();
      const opening = readHandshake(received);
      if (opening === null) return;
      if (opening.handshake.intent === intents.status) {
        await answersStatus.data?.(connection, bytes);
      } else if (received.length > opening.end && !greeted.has(connection)) {
        greeted.add(connection);
        await connection.send(greeting);
      }
    },
    end: (connection) => connection.finish(),
  };
}

/** A server that remembers what every connection sent. */
export interface Backend extends Disposable {
  readonly port: number;
  /** `ip:port`, as a route names it. */
  readonly address: string;
  readonly connections: readonly Peer[];
  /** The handshakes of all connections that have sent a whole one, in order of connection. */
  handshakes(): Handshake[];
  /** What the next connections meet. */
  behave(behaviour: Behaviour): void;
  /** Resolves with connection number `index` (0 is the first) once it is there. */
  waitForConnection(index: number, timeoutMs?: number): Promise<Peer>;
  /** Stops listening and resets what is connected; the port refuses from now on. */
  stop(): void;
}

/** A port that refuses for now, and the way to make it a backend. Dispose ends both. */
export interface SleepingBackend extends Disposable {
  readonly port: number;
  readonly address: string;
  listen(behaviour: Behaviour): Backend;
}

/** A backend on 127.0.0.1 or our end of a namespace's link; on a port of its own if none is given. */
export const startBackend = (behaviour: Behaviour, hostname = "127.0.0.1", port = 0): Backend =>
  listen({ hostname, port }, behaviour);

/** A backend that is not up yet: its port is reserved and closed until `listen`. */
export async function reserveBackend(): Promise<SleepingBackend> {
  const closed = await reserveClosedPort();
  let backend: Backend | null = null;
  return {
    port: closed.port,
    address: `127.0.0.1:${closed.port}`,
    listen(behaviour) {
      closed[Symbol.dispose]();
      backend = listen({ hostname: "127.0.0.1", port: closed.port }, behaviour);
      return backend;
    },
    [Symbol.dispose]() {
      closed[Symbol.dispose]();
      backend?.stop();
    },
  };
}

function listen(place: { hostname: string; port: number }, first: Behaviour): Backend {
  const connections: Peer[] = [];
  let behaviour = first;
  let arrived = Promise.withResolvers<void>();

  /** A connection may be gone by the time its behaviour wants to speak; what it received is still remembered. */
  function run(step: void | Promise<void>): void {
    void Promise.resolve(step).catch(() => {});
  }

  const listener = Bun.listen<{ peer: null; behaviour: Behaviour }>({
    ...place,
    allowHalfOpen: true,
    socket: {
      ...peerHandlers,
      open(socket) {
        socket.data = { peer: null, behaviour };
        const connection = openPeer(socket);
        connections.push(connection);
        arrived.resolve();
        arrived = Promise.withResolvers<void>();
        run(behaviour.open?.(connection));
      },
      data(socket, bytes) {
        peerHandlers.data(socket, bytes);
        const connection = socket.data.peer;
        if (connection) run(socket.data.behaviour.data?.(connection, bytes));
      },
      end(socket) {
        peerHandlers.end(socket);
        const connection = socket.data.peer;
        if (connection) run(socket.data.behaviour.end?.(connection));
      },
    },
  });

  const stop = (): void => {
    listener.stop();
    for (const connection of connections) connection.reset();
  };

  return {
    port: listener.port,
    address: `${place.hostname}:${listener.port}`,
    connections,
    handshakes: () =>
      connections.flatMap((connection) => readHandshake(connection.received())?.handshake ?? []),
    behave(next) {
      behaviour = next;
    },
    async waitForConnection(index, timeoutMs = defaultTimeoutMs) {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const connection = connections[index];
        if (connection) return connection;
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) {
          throw new Error(`${connections.length} connections within ${timeoutMs} ms`);
        }
        await withTimeout(arrived.promise, leftMs);
      }
    },
    stop,
    [Symbol.dispose]: stop,
  };
}
