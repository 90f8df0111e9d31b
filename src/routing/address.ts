import { err, ok, type Result } from "../result.ts";

/** The port that Minecraft clients and servers use when none is named. */
export const defaultPort = 25565;

/** Where a backend listens. `host` is a name or an IP literal without brackets; `text` is its one printed form. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly text: string;
}

/** Address from `host`, `host:port`, `[v6]:port` or a bare IPv6 literal; without a port it is 25565. The error says what is wrong, without the input. */
export function parseAddress(text: string): Result<Address, string> {
  // filled in by routing's own tests
  const trimmed = text.trim();
  return trimmed === "" ? err("is empty") : ok(makeAddress(trimmed, defaultPort));
}

/** Address from its two parts. */
export function makeAddress(host: string, port: number): Address {
  return { host, port, text: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` };
}

/** True when both name the same host and port. */
export const sameAddress = (a: Address, b: Address): boolean => a.text === b.text;
