import { connect, createServer, type Socket } from "node:net";

/** A port that is open before there is a server behind it, as a server's is that loads its world. */
export interface EarlyPort extends AsyncDisposable {
  readonly address: string;
  /** From now on connections lead to this port; those before it are never answered. */
  lead(port: number): void;
}

/** Opens one on 127.0.0.1. */
export async function openEarlyPort(): Promise<EarlyPort> {
  const sockets = new Set<Socket>();
  let target: number | null = null;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    if (target === null) return;
    const backend = connect(target, "127.0.0.1");
    keep(backend);
    client.pipe(backend);
    backend.pipe(client);
    client.on("close", () => backend.destroy());
    backend.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("no port was bound");
  return {
    address: `127.0.0.1:${bound.port}`,
    lead(port) {
      target = port;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
