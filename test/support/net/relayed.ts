import type { Deadlines } from "../../../src/base/deadlines.ts";
import type { Conn, RelayEnd } from "../../../src/net/conn.ts";
import { relay, relayBriefly } from "../../../src/net/relay/callbacks.ts";

/** Joins the two, and resolves with how it went when both are closed. */
export const relayed = (client: Conn, backend: Conn, deadlines: Deadlines): Promise<RelayEnd> =>
  new Promise((resolve) => relay(client, backend, deadlines, resolve));

/** The same for a moment only. */
export const relayedBriefly = (
  client: Conn,
  backend: Conn,
  deadlines: Deadlines,
): Promise<RelayEnd> => new Promise((resolve) => relayBriefly(client, backend, deadlines, resolve));
