import "bun";

// What Bun 1.4.5 has and bun-types 1.4.5 leaves out.
declare module "bun" {
  interface SocketListener<Data = undefined> {
    /** The listening socket's file descriptor. */
    readonly fd: number;
    /**
     * Fills in where the socket listens; also for one that was inherited, whose `hostname` and
     * `port` are undefined.
     */
    getsockname(into: { family?: string; address?: string; port?: number }): void;
  }

  interface Socket<Data = undefined> {
    /** The file descriptor; -1 once the socket is closed. */
    readonly fd: number;
  }

  interface TCPSocketListenOptions<Data = undefined> {
    /** SO_REUSEPORT: others who set it too may listen on the same port. */
    reusePort?: boolean;
  }

  /** Takes over a socket that listens already. */
  function listen<Data = undefined>(options: FdSocketOptions<Data>): TCPSocketListener<Data>;
}
