import { isIP } from "node:net";
import { createEgress, type EgressRules } from "../limits/egress.ts";
import {
  type Address,
  addressFault,
  dialableAddress,
  placeRemark,
  placesOf,
} from "../routing/address.ts";
import { matchablePattern, type Pattern, patternFault, patternText } from "../routing/pattern.ts";
import type { Route } from "../routing/route.ts";
import type { Environment } from "./environment.ts";
import type { MapEntry } from "./readers.ts";

/** What decides about fixed routes besides their own text. */
interface FixedRoutesRules {
  readonly simplifySrv: boolean;
  readonly egress: EgressRules;
  /** Where the router listens. */
  readonly listen: { readonly bind: string; readonly port: number };
}

/** The routes of `MAPPING` and `DEFAULT`. Each bad entry is a problem of its own. */
export function readFixedRoutes(env: Environment, rules: FixedRoutesRules): readonly Route[] {
  const routes = new Map<string, Route>();
  for (const entry of env.read("MAPPING")) {
    const { key, value, text } = entry;
    const fault = mappingFault(entry, rules.simplifySrv);
    if (fault !== null) env.problem("MAPPING", "hostname=host:port", text, fault);
    const pattern = matchablePattern(key, rules.simplifySrv);
    const address = dialableAddress(value);
    if (fault !== null || !pattern.ok || !address.ok) continue;

    noteAddress(env, { name: "MAPPING", text }, address.value, rules);
    const route = envRoute(pattern.value, address.value);
    if (routes.has(route.id)) env.warn("MAPPING", "each hostname once; the last one counts", text);
    routes.set(route.id, route);
  }
  const fallback = env.read("DEFAULT");
  if (fallback === null) return [...routes.values()];
  noteAddress(env, { name: "DEFAULT", text: env.text("DEFAULT") }, fallback, rules);
  return [...routes.values(), envRoute({ kind: "default" }, fallback)];
}

/** What is wrong with an entry, as it follows the entry's text; null for nothing. */
function mappingFault({ key, value, text }: MapEntry, simplifySrv: boolean): string | null {
  if (!text.includes("=")) return ` has no "="${meantEntry(text, simplifySrv)}`;
  const hostname = patternFault(key, simplifySrv);
  const address = addressFault(value);
  const isSwapped = hostname !== null && hasPort(key) && patternFault(value, simplifySrv) === null;
  if (isSwapped) return ` has its sides swapped; did you mean ${value}=${key}?`;
  if (hostname !== null) return `: the hostname ${hostname}`;
  return address === null ? null : `: the address ${address}`;
}

/** The entry that was most likely meant by one without "=", as a question; empty when none is likely. */
function meantEntry(text: string, simplifySrv: boolean): string {
  const [, key = "", value = ""] = /^([^\s:>@]+)\s*(?:->|:|@|\s)\s*(\S+)$/.exec(text) ?? [];
  const isLikely = patternFault(key, simplifySrv) === null && addressFault(value) === null;
  return isLikely ? `; did you mean ${key}=${value}?` : ", expected hostname=host:port";
}

const hasPort = (text: string): boolean => /:\d+$/.test(text) && addressFault(text) === null;

/** Notes an address that leads back to the router, is never dialled, or means another one. */
function noteAddress(
  env: Environment,
  entry: { readonly name: "MAPPING" | "DEFAULT"; readonly text: string },
  address: Address,
  { egress, listen }: FixedRoutesRules,
): void {
  const { name } = entry;
  const fault = (reason: string): string => `: the address is never dialled: it ${reason}`;
  for (const { host, port, text } of placesOf(address)) {
    const remark = placeRemark({ host, port, text });
    if (remark !== null) env.warn(name, host, entry.text, `: the address ${remark}`);
    const ip = host === "localhost" ? "127.0.0.1" : host;
    if (isIP(ip) === 0) continue;
    const forbidden = createEgress(egress).refusal(ip, port);
    if (forbidden !== null) env.warn(name, "another address", entry.text, fault(forbidden));
    const own = createEgress({ allow: [], deny: [] });
    own.listens(listen.bind, listen.port);
    const reason = forbidden === null ? own.refusal(ip, port) : null;
    if (reason !== null) env.problem(name, "another address", entry.text, fault(reason));
  }
}

const envRoute = (pattern: Pattern, address: Address): Route => ({
  source: "env",
  id: patternText(pattern),
  patterns: [pattern],
  address,
  wake: null,
});
