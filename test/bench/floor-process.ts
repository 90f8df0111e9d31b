/**
 * The least that a relay on this runtime can do: no deadlines, no limits, no log, no parsing but for the
 * hostname. What it costs is the floor under the router, as everything above the kernel and the runtime's
 * sockets is left out. Not fit for use.
 */
import type { Socket } from "bun";

interface Side {
  peer: Socket<Side> | null;
  /** What came before there was a peer, or what the kernel would not take. */
  waiting: Buffer | null;
  finNext: boolean;
}

const newSide = (peer: Socket<Side> | null): Side => ({ peer, waiting: null, finNext: false });

const ports = new Map(
  (process.env["MAPPING"] ?? "").split(",").map((entry) => {
    const [hostname = "", address = ""] = entry.split("=");
    return [hostname, Number(address.split(":")[1])];
  }),
);

function forward(socket: Socket<Side>, chunk: Buffer): void {
  const { peer } = socket.data;
  if (peer === null) return;
  const taken = peer.write(chunk);
  if (taken < 0 || taken === chunk.length) return;
  peer.data.waiting = chunk.subarray(taken);
  socket.pause();
}

/** The hostname of a handshake whose length and protocol take one and two bytes, as the bench's do. */
const hostnameOf = (bytes: Buffer): string => bytes.toString("latin1", 5, 5 + (bytes[4] ?? 0));

function dial(client: Socket<Side>, opening: Buffer): void {
  client.data.waiting = opening;
  void Bun.connect<Side>({
    hostname: "127.0.0.1",
    port: ports.get(hostnameOf(opening)) ?? 0,
    allowHalfOpen: true,
    data: newSide(client),
    socket: { ...handlers, data: forward, open: join },
  }).catch(() => client.terminate());
}

function join(backend: Socket<Side>): void {
  const client = backend.data.peer;
  if (client === null) return;
  client.data.peer = backend;
  if (client.data.waiting !== null) backend.write(client.data.waiting);
  client.data.waiting = null;
}

const handlers = {
  drain(socket: Socket<Side>): void {
    const side: Side | undefined = socket.data;
    if (!side?.peer || side.waiting === null) return;
    const taken = Math.max(0, socket.write(side.waiting));
    side.waiting = taken < side.waiting.length ? side.waiting.subarray(taken) : null;
    if (side.waiting !== null) return;
    side.peer.resume();
    if (side.finNext) socket.shutdown();
  },
  end({ data: { peer } }: Socket<Side>): void {
    if (peer?.data.waiting) peer.data.finNext = true;
    else peer?.shutdown();
  },
  close({ data: side }: Socket<Side>): void {
    const peer = side?.peer;
    if (!peer) return;
    side.peer = null;
    peer.data.peer = null;
    peer.end();
  },
  error(): void {},
};

Bun.listen<Side>({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"]),
  allowHalfOpen: true,
  socket: {
    ...handlers,
    open(socket) {
      socket.data = newSide(null);
    },
    data(socket, chunk) {
      if (socket.data.peer !== null) forward(socket, chunk);
      else if (socket.data.waiting === null) dial(socket, chunk);
      else socket.data.waiting = Buffer.concat([socket.data.waiting, chunk]);
    },
  },
});
