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
  const { v6, name, digits } =
    /^(?:\[(?<v6>[^\]]*)\]|(?<name>[^:[\]/\s]*)):(?<digits>\d{1,5})$/.exec(text)?.groups ?? {};
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return expected;
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

function isLocal(binding: Binding): boolean {
  if (binding.kind === "unix" || binding.host === "localhost") return true;
  const version = isIP(binding.host);
  return version !== 0 && loopback.check(binding.host, version === 6 ? "ipv6" : "ipv4");
}
