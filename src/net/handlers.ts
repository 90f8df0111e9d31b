import type { SocketHandler } from "bun";
import {
  abort,
  type Conn,
  createConn,
  flush,
  noteClosed,
  receive,
  remoteEndpoint,
} from "./conn.ts";
import { drained, forward, relayClosed, relayEnded } from "./relay/callbacks.ts";

/** What sockets of clients and of backends do differently. */
type SocketHooks = (
  | {
      readonly side: "client";
      /** A client had connected, and is gone before its address could be asked. */
      missed(): void;
      /** Whether a client with this address may connect. Asked before anything is kept for it. */
      admits(ip: string): boolean;
      /** A client has connected; false refuses it at once. */
      accept(conn: Conn): boolean;
    }
  | { readonly side: "backend" }
) & {
  /** A handler threw: a defect. The connection it happened on is already cut, with its peer. */
  fault(error: Error): void;
};

/**
 * The callbacks of every socket, client or backend. No handler is async and none lets a throw
 * escape, since either would end the process. Each event is one branch: to the relay's functions
 * when there is a peer, to the inbox when there is none.
 */
export function socketHandlers(hooks: SocketHooks): SocketHandler<Conn> {
  return {
    open(socket) {
      if (hooks.side === "backend") {
        // The dialer fills in where it leads to.
        socket.data = createConn(socket, "backend");
        return;
      }
      const remote = remoteEndpoint(socket);
      if (remote === null) {
        hooks.missed();
        socket.terminate();
        return;
      }
      if (!hooks.admits(remote.ip)) {
        socket.terminate();
        return;
      }
      const conn = createConn(socket, "client", remote);
      // Before `accept`, which may close the connection: the close handler finds it here.
      socket.data = conn;
      if (!hooks.accept(conn)) abort(conn);
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
      noteClosed(conn, error);
      if (conn.peer === null) conn.waiting?.("closed");
      else relayClosed(conn, conn.peer);
      conn.onClose?.(conn);
    },
    error(socket, error) {
      const conn: Conn | undefined = socket.data;
      const peer = conn?.peer ?? null;
      if (conn === undefined) socket.terminate();
      else abort(conn);
      if (peer !== null) abort(peer);
      hooks.fault(error);
    },
  };
}
