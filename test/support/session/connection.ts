import type { Conn } from "../../../src/net/conn.ts";
import { listen } from "../../../src/net/listen.ts";
import { connectPlayer } from "../minecraft/player.ts";
import type { Peer } from "../net/peer.ts";

/** A client and the server's end of its connection, both open. Dispose cuts it. */
export async function connection(): Promise<{ player: Peer; client: Conn } & Disposable> {
  const accepted = Promise.withResolvers<Conn>();
  const listener = listen({
    bind: "127.0.0.1",
    port: 0,
    accept(client) {
      accepted.resolve(client);
      return true;
    },
    fault: accepted.reject,
  });
  if (!listener.ok) throw new Error(listener.error);
  const player = await connectPlayer({ port: listener.value.port });
  const client = await accepted.promise;
  listener.value.stop();
  return {
    player,
    client,
    [Symbol.dispose]() {
      player.reset();
      if (!client.closed) client.socket.terminate();
    },
  };
}
