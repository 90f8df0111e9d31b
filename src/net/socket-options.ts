import { ptr } from "bun:ffi";
import { libc } from "../system/libc.ts";

// Values of Linux: socket.h, tcp.h, tcp(7).
const ipprotoTcp = 6;
const tcpInfo = 11;
const tcpUserTimeout = 18;

/**
 * More than Bun's 511, so that a network's players can come back at once; the kernel cuts it to
 * `net.core.somaxconn`.
 */
const backlogLimit = 4_096;

const int = new Int32Array(1);
const info = new DataView(new ArrayBuffer(232));
/**
 * Offset of `tcpi_unacked` in `struct tcp_info`: on a listening socket, the connections that wait
 * for accept(2).
 */
const unackedAt = 24;

/**
 * Lets the kernel give a connection up once what was sent has been unacknowledged for `ms`;
 * keep-alive alone does not notice a peer that vanishes while bytes are under way to it. False
 * where it cannot be set.
 */
export function setUserTimeout(fd: number, ms: number): boolean {
  const library = libc();
  if (!library.ok) return false;
  int[0] = ms;
  return library.value.setsockopt(fd, ipprotoTcp, tcpUserTimeout, ptr(int), 4) === 0;
}

/** Lets as many connections wait to be accepted as the system allows. */
export function raiseBacklog(fd: number): void {
  const library = libc();
  if (library.ok) library.value.listen(fd, backlogLimit);
}

/** How many connections wait to be accepted on a socket that listens; null where the kernel does not say. */
export function backlogOf(fd: number): number | null {
  const library = libc();
  if (!library.ok) return null;
  int[0] = info.byteLength;
  const code = library.value.getsockopt(fd, ipprotoTcp, tcpInfo, ptr(info), ptr(int));
  return code === 0 ? info.getUint32(unackedAt, true) : null;
}
