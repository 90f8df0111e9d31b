/**
 * A router that relays everybody to one backend, as a process of its own, so that its memory can be measured:
 * `net-relay.ts BACKEND_PORT`. Prints the port it listens on, and how each relay ended.
 */

import { createDeadlines } from "../../../src/base/deadlines.ts";
import type { Conn } from "../../../src/net/conn.ts";
import { createDialer } from "../../../src/net/dial.ts";
import { listen } from "../../../src/net/listen.ts";
import { anywhere } from "./egress.ts";
import { fixedResolver, never } from "./net-link.ts";
import { relayed } from "./relayed.ts";

const deadlines = createDeadlines();
const fault = (error: Error): never => {
  throw error;
};
const dialer = createDialer({
  resolver: fixedResolver(),
  egress: anywhere,
  deadlines,
  timeoutMs: 5_000,
  fault,
});

async function serve(client: Conn): Promise<void> {
  const target = { host: "127.0.0.1", port: Number(process.argv[2]) };
  const dialled = await dialer.dial(target, never);
  if (!dialled.ok) throw new Error(dialled.error.message);
  console.log(JSON.stringify(await relayed(client, dialled.value, deadlines)));
}

const accept = (client: Conn): boolean => {
  void serve(client).catch(fault);
  return true;
};

const bound = listen({ bind: "127.0.0.1", port: 0, accept, fault });
if (!bound.ok) throw new Error(bound.error);
console.log(JSON.stringify({ port: bound.value.port }));
