import { ptr } from "bun:ffi";
import { err, ok, type Result } from "../base/result.ts";
import { type Libc, libc } from "./libc.ts";

/** Assignments of sd_notify(3), such as `READY: 1`. */
export type ServiceState = Readonly<Record<string, string | number>>;

/**
 * Tells the service manager the state of the process. Never blocks; a message that cannot be delivered at
 * once is retried for some seconds.
 */
export type Notify = (state: ServiceState) => void;

// Values of Linux, socket(2) and sendto(2).
const afUnix = 1;
const datagram = 2;
const closeOnExec = 0o2000000;
const nonBlocking = 0o4000;
const noSignal = 0x4000;
const clockMonotonic = 1;

/** The longest path of a socket that fits into `struct sockaddr_un`, bytes. */
const longestPath = 107;

const retryMs = 200;
const mostPending = 32;

/**
 * The way to the service manager that `NOTIFY_SOCKET` names: a path, or the name of an abstract socket behind
 * an `@`. Bun speaks no datagrams on Unix sockets, so the C library does. The error says what is in the way.
 */
export function openNotify(path: string): Result<Notify, string> {
  const address = addressOf(path);
  if (address === null) return err(`NOTIFY_SOCKET=${JSON.stringify(path)} is no Unix socket`);
  const library = libc();
  if (!library.ok) return library;
  const fd = library.value.socket(afUnix, datagram | closeOnExec | nonBlocking, 0);
  return fd < 0 ? err("no socket could be made") : ok(sender(library.value, fd, address));
}

/**
 * Microseconds since the machine has started, as systemd counts them; null where the C library is out of
 * reach.
 */
export function monotonicUs(): number | null {
  const library = libc();
  if (!library.ok) return null;
  const time = new BigInt64Array(2);
  if (library.value.clock_gettime(clockMonotonic, ptr(time)) !== 0) return null;
  const [seconds = 0n, nanoseconds = 0n] = time;
  return Number(seconds) * 1e6 + Math.trunc(Number(nanoseconds) / 1e3);
}

function sender(library: Libc, fd: number, address: Uint8Array): Notify {
  const pending: Buffer[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;

  function deliver(): void {
    timer = null;
    for (let message = pending[0]; message !== undefined; message = pending[0]) {
      const to = ptr(address);
      const sent = library.sendto(fd, ptr(message), message.length, noSignal, to, address.length);
      if (Number(sent) < 0) {
        timer = setTimeout(deliver, retryMs);
        timer.unref();
        return;
      }
      pending.shift();
    }
  }

  return (state) => {
    // Line feeds separate assignments.
    const lines = Object.entries(state).map(
      ([key, value]) => `${key}=${String(value).replaceAll("\n", " ")}`,
    );
    pending.push(Buffer.from(lines.join("\n")));
    // A service manager that has not read for that long needs the newest message only.
    if (pending.length > mostPending) pending.shift();
    if (timer === null) deliver();
  };
}

/** `struct sockaddr_un`: the family, then a path that ends with NUL or a name that begins with one. */
function addressOf(path: string): Uint8Array | null {
  const isAbstract = path.startsWith("@");
  if (!isAbstract && !path.startsWith("/")) return null;
  const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length > longestPath + 1) return null;
  const family = Buffer.alloc(2);
  new Uint16Array(family.buffer, family.byteOffset, 1)[0] = afUnix;
  return Buffer.concat([family, name]);
}
