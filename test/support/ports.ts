/** A port of 127.0.0.1 that refuses connections and that nobody else can get. Dispose gives it back. */
export interface ClosedPort extends Disposable {
  readonly port: number;
}

/**
 * Reserves a closed port. It is the local end of a connection that stays open, so the kernel hands it to no listener;
 * ending that connection with a RST leaves no TIME_WAIT, and the port can be listened on at once.
 */
export async function reserveClosedPort(): Promise<ClosedPort> {
  const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const connection = await Bun.connect({
    hostname: "127.0.0.1",
    port: holder.port,
    socket: { data() {} },
  });
  return {
    port: connection.localPort,
    [Symbol.dispose]() {
      connection.terminate();
      holder.stop(true);
    },
  };
}
