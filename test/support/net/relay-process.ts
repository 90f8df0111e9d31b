/**
 * A router that relays every client to one backend, as a process of its own, so that its memory can be
 * measured: `relay-process.ts BACKEND_PORT PLANE`. Prints the port it listens on, and how each relay ended.
 */

import { createDeadlines } from "../../../src/base/deadlines.ts";
import type { Conn } from "../../../src/net/conn.ts";
import { createDialer } from "../../../src/net/dial.ts";
import { listen } from "../../../src/net/listen.ts";
import { anywhere } from "./egress.ts";
import { fixedResolver, never } from "./link-bench.ts";
import { planes, startRelay } from "./relayed.ts";

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
const [, , port, wanted] = process.argv;
const plane = planes.find((name) => name === wanted) ?? "callbacks";
const relay = startRelay(plane, { deadlines, fault });

async function serve(client: Conn): Promise<void> {
  const dialled = await dialer.dial({ host: "127.0.0.1", port: Number(port) }, never);
  if (!dialled.ok) throw new Error(dialled.error.message);
  const session = await relay.join(client, dialled.value);
  console.log(JSON.stringify(await session.ended));
}

const accept = (client: Conn): boolean => {
  void serve(client).catch(fault);
  return true;
};

const bound = listen({ bind: "127.0.0.1", port: 0, accept, fault });
if (!bound.ok) throw new Error(bound.error);
console.log(JSON.stringify({ port: bound.value.port }));
