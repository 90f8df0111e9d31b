import type { Deadlines } from "../base/deadlines.ts";
import { type Conn, inboxLimits, more, peek } from "../net/conn.ts";
import type { Parsed } from "../protocol/parsed.ts";

/** A packet that has arrived whole, and the offset just behind it. */
export interface Arrived<T> {
  readonly value: T;
  readonly end: number;
}

/**
 * Waits until what a connection has received begins with a whole packet, and leaves it there. Null when it
 * cannot be one, or does not come within `ms` or before the signal aborts.
 */
export async function awaitPacket<T>(
  conn: Conn,
  parse: (bytes: Uint8Array, start: number) => Parsed<T>,
  ms: number,
  deadlines: Deadlines,
  signal?: AbortSignal,
): Promise<Arrived<T> | null> {
  const until = deadlines.now() + ms;
  for (;;) {
    const bytes = peek(conn);
    const seen = parse(bytes, 0);
    if (seen.kind === "bad") return null;
    if (seen.kind === "ok") return seen;
    // A full inbox is not read further before the relay.
    if (bytes.length > inboxLimits[conn.side]) return null;
    const arrival = await more(conn, deadlines, until - deadlines.now(), signal);
    if (arrival !== "data") return null;
  }
}
