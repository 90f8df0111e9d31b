/** Opens the API on every address of a host without IPv6, and prints what a caller at 127.0.0.1 is answered. */
import { startAdminServer } from "../../../src/admin/server.ts";
import { err } from "../../../src/base/result.ts";
import { createRouteTable } from "../../../src/routing/table.ts";
import { freshView } from "../process/router-view.ts";
import { refuseIpv6 } from "./without-ipv6.ts";

refuseIpv6();

const started = await startAdminServer({
  binding: { kind: "tcp", host: "", port: 0 },
  tokens: () => ({ change: "s3cret", read: null }),
  build: { version: "1.2.3", commit: "abc" },
  ...freshView(),
  servers: {
    wakes: () => new Map(),
    may: () => ({ start: false, stop: false }),
    icon: () => null,
    start: () => err("no"),
    stop: () => Promise.resolve(err("no")),
  },
  audit: () => undefined,
  warn: () => undefined,
  hosts: [],
  table: createRouteTable(),
  routes: { set: () => Promise.resolve(null), remove: () => null },
  simplifySrv: false,
  scalingTarget: () => "",
  notReady: () => [],
  sessions: () => [],
  metrics: () => new Response(),
  vars: () => new Response(),
  fault: (error) => {
    throw error;
  },
});
if (!started.ok) throw new Error(started.error);
const answer = await fetch(`http://127.0.0.1${started.value.binding}/healthz`);
console.log(JSON.stringify(await answer.json()));
process.exit(0);
