import { err, ok, type Result } from "../../base/result.ts";
import { openLibc } from "../../system/libc.ts";
import type { Conn } from "../conn.ts";

/** What the main thread does with descriptors that Bun cannot do. */
export interface Descriptors {
  /** Another descriptor of the same open file, which no child process inherits; null where none is left. */
  duplicate(descriptor: number): number | null;
  close(descriptor: number): void;
  /** What `wake` wakes a waiting thread by; null where none is left. */
  openEvent(): number | null;
  wake(event: number): void;
}

const fDupfdCloexec = 1030;
const efdNonBlock = 0o4000;
const efdCloseOnExec = 0o2000000;
/** Above the standard streams, and never 0, which stands for none. */
const leastDescriptor = 3;

/** The calls, or why there are none. */
export function openDescriptors(): Result<Descriptors, string> {
  const library = openLibc({
    close: { args: ["i32"], returns: "i32" },
    eventfd: { args: ["u32", "i32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    write: { args: ["i32", "ptr", "usize"], returns: "i64" },
  });
  if (!library.ok) return err(library.error);
  const c = library.value;
  const one = new BigInt64Array([1n]);
  const orNull = (descriptor: number): number | null => (descriptor < 0 ? null : descriptor);
  return ok({
    duplicate: (descriptor) => orNull(c.fcntl(descriptor, fDupfdCloexec, leastDescriptor)),
    close: (descriptor) => void c.close(descriptor),
    openEvent: () => orNull(c.eventfd(0, efdNonBlock | efdCloseOnExec)),
    wake: (event) => void c.write(event, one, one.byteLength),
  });
}

/**
 * Takes the socket from Bun: its descriptor is closed without FIN or reset, and another descriptor of it
 * keeps the connection. No handler is told. Bun's `close()` does nothing but EPOLL_CTL_DEL and close(2), in
 * spite of what its documentation says; `end()` and `terminate()` would speak to the peer.
 */
export function detach(conn: Conn): void {
  // Before the call, since the close handler runs inside it.
  conn.peer = null;
  conn.relay = null;
  conn.waiting = null;
  conn.onClose = null;
  conn.socket.close();
}
