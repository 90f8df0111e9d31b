import type { TCPSocketListener } from "bun";
import { err, ok, type Result } from "../result.ts";
import { codeOf, messageOf } from "../thrown.ts";
import type { Conn } from "./conn.ts";
import { socketHandlers } from "./handlers.ts";

/** What to listen on and whom to tell. */
export interface ListenOptions {
  /** An IP literal. `::` accepts IPv4 as well, and stands for `0.0.0.0` on a host without IPv6. */
  readonly bind: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** A client has connected; false refuses it at once, before anything is kept for it. Whoever takes it closes it. */
  accept(client: Conn): boolean;
  /** A socket handler threw; the connection is cut already. */
  fault(error: Error): void;
}

/** An open port. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Refuses new connections from now on; those accepted live on. */
  stop(): void;
}

/** Opens the port for clients, or says in one phrase why that is not possible. */
export function listen(options: ListenOptions): Result<Listener, string> {
  const first = bindTo(options.bind, options);
  if (first.ok || options.bind !== "::" || first.error.inUse) return described(first, options);
  return described(bindTo("0.0.0.0", options), options);
}

interface BindFailure {
  readonly inUse: boolean;
  readonly message: string;
}

function bindTo(
  hostname: string,
  options: ListenOptions,
): Result<TCPSocketListener<Conn>, BindFailure> {
  const socket = socketHandlers({
    side: "client",
    accept: options.accept,
    fault: options.fault,
  });
  try {
    return ok(Bun.listen<Conn>({ hostname, port: options.port, allowHalfOpen: true, socket }));
  } catch (cause) {
    return err({ inUse: codeOf(cause) === "EADDRINUSE", message: messageOf(cause) });
  }
}

function described(
  bound: Result<TCPSocketListener<Conn>, BindFailure>,
  options: ListenOptions,
): Result<Listener, string> {
  if (!bound.ok) {
    return err(
      bound.error.inUse
        ? `port ${options.port} is in use by another program`
        : `cannot listen on ${options.bind} port ${options.port}: ${bound.error.message}`,
    );
  }
  const listener = bound.value;
  return ok({
    address: listener.hostname,
    port: listener.port,
    stop: () => listener.stop(false),
  });
}
