import type { TCPSocketListener } from "bun";
import { err, ok, type Result } from "../base/result.ts";
import { codeOf, messageOf } from "../base/thrown.ts";
import type { Conn, Endpoint } from "./conn.ts";
import { socketHandlers } from "./handlers.ts";
import { backlogOf, raiseBacklog } from "./socket-options.ts";

/** Whom to tell of clients. */
export interface ListenHooks {
  /**
   * True when a client with this IP literal may connect, asked before anything is kept for it; left
   * out: every client may.
   */
  admits?(ip: string): boolean;
  /** A client has connected; false refuses it at once. The callee closes it. */
  accept(client: Conn): boolean;
  /** A socket handler threw; the connection is cut already. */
  fault(error: Error): void;
}

/** What to listen on and whom to tell. */
export interface ListenOptions extends ListenHooks {
  /** An IP literal. `::` accepts IPv4 as well, and stands for `0.0.0.0` on a host without IPv6. */
  readonly bind: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /**
   * Other processes that say so too may listen on the same port; the kernel shares clients out
   * among them.
   */
  readonly shared?: boolean;
}

/** An open port. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Every address and port that leads here; a wildcard stands for all addresses of the machine. */
  readonly endpoints: readonly Endpoint[];
  /** False when clients wait in the kernel and it has handed none over since the last call. */
  isAccepting(): boolean;
  /** Refuses new connections from now on; those accepted live on. */
  stop(): void;
}

/** Opens the port for clients, or says in one phrase why that is not possible. */
export function listen(options: ListenOptions): Result<Listener, string> {
  const counted = countAccepted(options);
  const first = bindTo(options.bind, options, counted);
  const bound =
    first.ok || options.bind !== "::" || first.error.inUse
      ? first
      : bindTo("0.0.0.0", options, counted);
  if (bound.ok) return ok(joined([bound.value], counted.accepted));
  return err(
    bound.error.inUse
      ? `port ${options.port} is in use by another program`
      : `cannot listen on ${options.bind} port ${options.port}: ${bound.error.message}`,
  );
}

/**
 * Takes over sockets that listen already, the first of which names the port; or says in one phrase
 * which one is no such thing.
 */
export function listenOn(
  sockets: readonly { readonly fd: number; readonly name: string }[],
  hooks: ListenHooks,
): Result<Listener, string> {
  const counted = countAccepted(hooks);
  const listeners: TCPSocketListener<Conn>[] = [];
  for (const { fd, name } of sockets) {
    const taken = takeOver(fd, counted);
    if (!taken.ok) {
      for (const listener of listeners) listener.stop(true);
      return err(`the socket ${fd} (${name}) that was passed on cannot be used: ${taken.error}`);
    }
    listeners.push(taken.value);
  }
  return ok(joined(listeners, counted.accepted));
}

interface BindFailure {
  readonly inUse: boolean;
  readonly message: string;
}

interface Counted extends Required<ListenHooks> {
  missed(): void;
  /** How many clients the kernel has handed over so far, whatever became of them. */
  accepted(): number;
}

function countAccepted({ admits, accept, fault }: ListenHooks): Counted {
  let count = 0;
  return {
    fault,
    accepted: () => count,
    missed() {
      count += 1;
    },
    admits(ip) {
      count += 1;
      return admits === undefined || admits(ip);
    },
    accept,
  };
}

const handlersFor = ({ missed, admits, accept, fault }: Counted) =>
  socketHandlers({ side: "client", missed, admits, accept, fault });

function bindTo(
  hostname: string,
  { port, shared = false }: ListenOptions,
  hooks: Counted,
): Result<TCPSocketListener<Conn>, BindFailure> {
  const socket = handlersFor(hooks);
  try {
    return ok(Bun.listen<Conn>({ hostname, port, allowHalfOpen: true, reusePort: shared, socket }));
  } catch (cause) {
    return err({ inUse: codeOf(cause) === "EADDRINUSE", message: messageOf(cause) });
  }
}

function takeOver(fd: number, hooks: Counted): Result<TCPSocketListener<Conn>, string> {
  try {
    const listener = Bun.listen<Conn>({ fd, allowHalfOpen: true, socket: handlersFor(hooks) });
    const { port } = nameOf(listener);
    if (port !== undefined && port > 0) return ok(listener);
    listener.stop(true);
    return err("it is no TCP socket");
  } catch (cause) {
    return err(messageOf(cause));
  }
}

function nameOf(listener: TCPSocketListener<Conn>): { address?: string; port?: number } {
  const name: { address?: string; port?: number } = {};
  listener.getsockname(name);
  return name;
}

/** Listeners as one; the first one's address is that of all. */
function joined(listeners: readonly TCPSocketListener<Conn>[], accepted: () => number): Listener {
  const endpoints = listeners
    .map(nameOf)
    .map(({ address = "", port = 0 }) => ({ ip: address, port }));
  const [{ ip, port } = { ip: "", port: 0 }] = endpoints;
  let acceptedBefore = 0;
  for (const { fd } of listeners) raiseBacklog(fd);

  return {
    address: ip,
    port,
    endpoints,
    isAccepting() {
      const isWaiting = listeners.some(({ fd }) => (backlogOf(fd) ?? 0) > 0);
      const hasAccepted = accepted() > acceptedBefore;
      acceptedBefore = accepted();
      return hasAccepted || !isWaiting;
    },
    stop() {
      for (const listener of listeners) listener.stop(false);
    },
  };
}
