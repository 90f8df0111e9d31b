import type { Deadlines } from "../base/deadlines.ts";
import { type Conn, more, peek } from "../net/conn.ts";
import { isOtherPacket } from "../protocol/handshake.ts";
import { type Opening, parseOpening } from "../protocol/opening.ts";
import { dropped, type Outcome } from "./outcome.ts";

/**
 * A client's opening, and how many of the bytes that have arrived it takes. The bytes are left where they
 * are.
 */
export type Opened =
  | { readonly kind: "opened"; readonly opening: Opening; readonly end: number }
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** How long a client may take for everything before it is served, ms, however it spreads the bytes. */
export const openingMs = 5_000;
/**
 * The silence after which a ping is taken for the oldest kind, whose bytes are the beginning of newer ones,
 * ms.
 */
const quietMs = 300;

/**
 * Reads what a client wants: its handshake and, for a login, the Login Start behind it. `until` is on the
 * deadlines' clock.
 */
export async function readOpening(
  client: Conn,
  until: number,
  deadlines: Deadlines,
): Promise<Opened> {
  for (;;) {
    const seen = parseOpening(peek(client));
    if (seen.kind === "ok") return { kind: "opened", opening: seen.value, end: seen.end };
    if (seen.kind === "bad") {
      const why = isOtherPacket(peek(client)) ? "other-packet" : "not-minecraft";
      return refused(dropped(why, seen.reason));
    }

    const left = until - deadlines.now();
    const oldPing = seen.ifQuiet;
    const arrival = await more(client, deadlines, oldPing ? Math.min(left, quietMs) : left);
    if (arrival === "data") continue;
    if (oldPing !== undefined && arrival !== "closed") {
      return { kind: "opened", opening: oldPing, end: peek(client).length };
    }
    if (peek(client).length === 0) return refused(dropped("silent"));
    // Its first byte is also that of a login from before 1.7, of which more was awaited.
    if (isOtherPacket(peek(client))) return refused(dropped("other-packet"));
    return refused(dropped(arrival === "late" ? "too-slow" : "left"));
  }
}

const refused = (outcome: Outcome): Opened => ({ kind: "refused", outcome });
