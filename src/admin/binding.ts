import { readFileSync } from "node:fs";
import { BlockList, isIP, isIPv6 } from "node:net";
import { hostPort } from "../base/ip.ts";
import { err, ok, type Result } from "../base/result.ts";

/** Where the API listens. */
export type Binding =
  /** `host` is a name or an IP literal without brackets; empty for every address of the machine. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  /** `takesOver`: the path is taken from another process that still listens there. */
  | { readonly kind: "unix"; readonly path: string; readonly takesOver?: true };

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Binding from `host:port`, `:port`, `[v6]:port` or `unix:/path`. The error completes "expected ...". */
export function parseBinding(text: string): Result<Binding, string> {
  const expected = err("host:port, :port or unix:/path");
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    return path.startsWith("/") ? ok({ kind: "unix", path }) : expected;
  }
  const { v6, name, service } =
    /^(?:\[(?<v6>[^\]]*)\]|(?<name>[^:[\]/\s]*)):(?<service>\d{1,5}|[a-z][a-z0-9-]*)$/i.exec(text)
      ?.groups ?? {};
  const port = service === undefined ? null : portOf(service);
  if (port === null || port > 65_535) return expected;
  if (v6 !== undefined && !isIPv6(v6)) return expected;
  return ok({ kind: "tcp", host: v6 ?? name?.toLowerCase() ?? "", port });
}

/**
 * What is wrong with a binding, to complete "expected ..."; null when the API may open there. A client of
 * the API may send players elsewhere, so without a token it opens only to this machine, unless `open` says
 * that the network is trusted.
 */
export function bindingProblem(text: string, token: string | null, open: boolean): string | null {
  const binding = parseBinding(text);
  if (!binding.ok) return binding.error;
  if (token !== null || open || isLocal(binding.value)) return null;
  return "AUTOMC_API_TOKEN beside it, or 127.0.0.1:port, or unix:/path: without a token every client that reaches it could change routes (AUTOMC_API_OPEN=true allows that)";
}

/** The binding's printed form: `127.0.0.1:8080`, `[::1]:8080`, `:8080` or `unix:/path`. */
export function bindingText(binding: Binding): string {
  if (binding.kind === "unix") return `unix:${binding.path}`;
  const { host, port } = binding;
  return hostPort(host, port);
}

/** A port by its number or, as mc-router takes it too, by its name in services(5); null for an unknown name. */
function portOf(service: string): number | null {
  if (/^\d+$/.test(service)) return Number(service);
  const name = service.toLowerCase();
  return wellKnown[name] ?? namedPort(name);
}

/** For systems without the file. */
const wellKnown: Readonly<Record<string, number>> = { http: 80, https: 443, "http-alt": 8080 };

function namedPort(name: string): number | null {
  let services: string;
  try {
    services = readFileSync("/etc/services", "utf8");
  } catch {
    return null;
  }
  for (const line of services.split("\n")) {
    const [first = "", port = "", ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (port.endsWith("/tcp") && [first, ...aliases].includes(name))
      return Number.parseInt(port, 10);
  }
  return null;
}

function isLocal(binding: Binding): boolean {
  if (binding.kind === "unix" || binding.host === "localhost") return true;
  const version = isIP(binding.host);
  return version !== 0 && loopback.check(binding.host, version === 6 ? "ipv6" : "ipv4");
}
