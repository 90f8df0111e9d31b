/** Listens on `::` on a host without IPv6, and prints what came of it. */
import { listen } from "../../../src/net/listen.ts";
import { refuseIpv6 } from "./without-ipv6.ts";

refuseIpv6();
const accept = (): boolean => false;
const fault = (): void => {};
const bound = listen({ bind: "::", port: 0, accept, fault });
const literal = listen({ bind: "::1", port: 0, accept, fault });
console.log(
  JSON.stringify({
    any: bound.ok ? bound.value.address : bound.error,
    literal: literal.ok ? literal.value.address : literal.error,
  }),
);
process.exit(0);
