import { ptr, toArrayBuffer } from "bun:ffi";
import { libc } from "./libc.ts";

/**
 * Writes zeros over the value of an environment variable where the kernel has put it at the start, which is
 * what `/proc/PID/environ` shows for as long as the process lives: taking the variable out of `process.env`
 * changes nothing there. Without effect where the C library is out of reach.
 */
export function wipeVariable(name: string): void {
  const library = libc();
  if (!library.ok) return;
  const value = library.value.getenv(ptr(Buffer.from(`${name}\0`)));
  if (value === null) return;
  const length = Number(library.value.strlen(value));
  if (length > 0) new Uint8Array(toArrayBuffer(value, 0, length)).fill(0);
}
