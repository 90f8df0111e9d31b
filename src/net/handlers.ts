import type { Socket, SocketHandler } from "bun";
import { type Conn, flush, receive } from "./conn.ts";
import { drained, forward, relayClosed, relayEnded } from "./relay.ts";

/** What the two kinds of sockets do differently. */
export interface SocketHooks {
  /** A connection is open. Returns the Conn to keep, or null to refuse it at once. */
  opened(socket: Socket<Conn>): Conn | null;
  /** A handler threw: a defect. The connection it happened on is already cut, with its peer. */
  fault(error: Error): void;
}

/**
 * The callbacks of every socket, client or backend. No handler is async and none lets a throw escape, since either would end
 * the process. Each event is one branch: to the relay's functions when there is a peer, to the inbox when there is none.
 */
export function socketHandlers(hooks: SocketHooks): SocketHandler<Conn> {
  return {
    open(socket) {
      const conn = hooks.opened(socket);
      if (conn === null) socket.terminate();
      else socket.data = conn;
    },
    data(socket, chunk) {
      const conn = socket.data;
      const peer = conn.peer;
      if (peer === null) receive(conn, chunk);
      else forward(conn, peer, chunk);
    },
    drain(socket) {
      // Bun emits it also before a connection is open, and after each pause and resume.
      const conn: Conn | undefined = socket.data;
      if (conn === undefined) return;
      if (conn.peer === null) flush(conn);
      else drained(conn, conn.peer);
    },
    end(socket) {
      const conn = socket.data;
      conn.ending ??= "fin";
      if (conn.peer === null) conn.waiting?.("ended");
      else relayEnded(conn, conn.peer);
    },
    close(socket, error) {
      const conn: Conn | undefined = socket.data;
      if (conn === undefined) return;
      conn.closed = true;
      // A FIN that meets our own is reported as this event alone, without error.
      conn.ending ??= error === undefined ? "fin" : "reset";
      if (conn.peer === null) conn.waiting?.("closed");
      else relayClosed(conn, conn.peer);
      conn.onClose?.();
    },
    error(socket, error) {
      const conn: Conn | undefined = socket.data;
      conn?.peer?.socket.terminate();
      socket.terminate();
      hooks.fault(error);
    },
  };
}
