import { readBoolean, readDuration } from "../../base/go-text.ts";
import { listOf, type Members, membersOf, numberOf, textOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type Address, defaultPort, dialableAddress, makeAddress } from "../../routing/address.ts";
import { type Pattern, parsePatterns } from "../../routing/pattern.ts";
import type { Route, Scaling } from "../../routing/route.ts";
import { type KnownNames, unknownNames } from "../unknown-names.ts";

/** How services become routes. */
export interface KubeServiceRules {
  /** Passed to routing: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  /** What may be done with those whose annotations do not say. */
  readonly scaling: { readonly up: boolean; readonly down: boolean };
}

/**
 * What a service comes to: its route, null when it cannot be used, and what is wrong with it; empty
 * for nothing.
 */
export interface ReadService {
  readonly route: Route | null;
  readonly complaint: string;
}

/** What upstream's annotations begin with. */
const prefix = "mc-router.itzg.me/";

/** Upstream's annotations. */
const known: KnownNames = {
  noun: "annotation",
  prefix,
  names: [
    "externalServerName",
    "defaultServer",
    "proxyServerName",
    "autoScaleUp",
    "autoScaleDown",
    "autoScaleWaitTimeout",
    "autoScaleAsleepMOTD",
    "autoScaleLoadingMOTD",
  ],
};

/** How long a start may take where no annotation says so, ms. */
const usualWaitMs = 60_000;
const longestWaitMs = 86_400_000;

/**
 * The route of a service, whose key is `namespace:name`; null when it has no annotation that asks
 * for one.
 */
export function readKubeService(
  object: Members,
  key: string,
  rules: KubeServiceRules,
): ReadService | null {
  const metadata = membersOf(object["metadata"]) ?? {};
  const annotations = membersOf(metadata["annotations"]) ?? {};
  const text = (name: string): string | null => {
    const value = annotations[prefix + name];
    return typeof value === "string" ? value : null;
  };
  const unknown = unknownNames(Object.keys(annotations), known);
  const claimed = readPatterns(text("externalServerName"), text("defaultServer"), rules);
  if (claimed === null) {
    return unknown.length === 0 ? null : { route: null, complaint: unknown.join("; ") };
  }

  const complaints = [...claimed.complaints, ...unknown];
  const proxy = text("proxyServerName")?.trim() || null;
  const address = proxy === null ? readEndpoint(object) : readProxy(proxy);
  if (!address.ok) return { route: null, complaint: [...complaints, address.error].join("; ") };
  if (claimed.patterns.length === 0) return { route: null, complaint: complaints.join("; ") };

  const scaling = readScaling(text, rules.scaling, complaints);
  const [namespace = "", service = ""] = key.split(":");
  const motd = {
    asleep: text("autoScaleAsleepMOTD") ?? "",
    loading: text("autoScaleLoadingMOTD") ?? "",
    until: null,
  };
  const route: Route = {
    source: "kubernetes",
    id: key,
    patterns: claimed.patterns,
    address: address.value,
    wake:
      scaling.up || scaling.down
        ? { kind: "kubernetes", namespace, service, isBehindProxy: proxy !== null, scaling }
        : null,
    ...(motd.asleep === "" && motd.loading === "" ? {} : { motd }),
  };
  return { route, complaint: complaints.join("; ") };
}

/** Null when neither annotation asks for anything. The first one rules out the second, whatever it says. */
function readPatterns(
  external: string | null,
  fallback: string | null,
  { simplifySrv }: KubeServiceRules,
): { readonly patterns: readonly Pattern[]; readonly complaints: readonly string[] } | null {
  if (external === null) {
    const isDefault = fallback !== null && !isNo(fallback);
    return isDefault ? { patterns: [{ kind: "default" }], complaints: [] } : null;
  }
  const { patterns, problems } = parsePatterns(external, simplifySrv);
  const complaints = problems.map(
    ({ text, reason }) => `the hostname ${JSON.stringify(text.slice(0, 60))} ${reason}`,
  );
  return patterns.length + complaints.length === 0 ? null : { patterns, complaints };
}

/** Whatever is no clear no is a yes: upstream takes any text for one. */
function isNo(text: string): boolean {
  const word = text.trim();
  const flag = readBoolean(word);
  return flag.ok ? !flag.value : /^(no|off)$/i.test(word);
}

function readProxy(text: string): Result<Address, string> {
  const address = dialableAddress(text);
  return address.ok ? address : err(`the address in proxyServerName ${address.error}`);
}

/** Where players reach the service's pods. */
function readEndpoint(object: Members): Result<Address, string> {
  const metadata = membersOf(object["metadata"]) ?? {};
  const spec = membersOf(object["spec"]) ?? {};
  const ports = listOf(spec, "ports");
  const port = ["mc-router", "minecraft"]
    .map((name) => ports.find((each) => textOf(each, "name") === name))
    .find((each) => each !== undefined);
  const number = (port === undefined ? null : numberOf(port, "port")) ?? defaultPort;
  if (textOf(spec, "type") === "ExternalName") {
    const name = (textOf(spec, "externalName") ?? "").replace(/\.$/, "").toLowerCase();
    return name === "" ? err("it has no externalName") : ok(makeAddress(name, number));
  }
  const ip = textOf(spec, "clusterIP");
  if (ip === null) return err("it has no cluster IP yet");
  // A headless service has no address of its own, but a name that leads to its pods.
  const host =
    ip === "None" ? `${textOf(metadata, "name")}.${textOf(metadata, "namespace")}.svc` : ip;
  return ok(makeAddress(host, number));
}

function readScaling(
  text: (name: string) => string | null,
  standard: KubeServiceRules["scaling"],
  complaints: string[],
): Scaling {
  const flag = (name: string, otherwise: boolean): boolean => {
    const given = text(name)?.trim() ?? "";
    if (given === "") return otherwise;
    const read = readBoolean(given);
    if (read.ok) return read.value;
    complaints.push(`${name} is neither true nor false, and counts as false`);
    return false;
  };
  return {
    up: flag("autoScaleUp", standard.up),
    down: flag("autoScaleDown", standard.down),
    waitMs: readWait(text("autoScaleWaitTimeout"), complaints),
  };
}

function readWait(text: string | null, complaints: string[]): number {
  const given = text?.trim() ?? "";
  if (given === "") return usualWaitMs;
  const wait = readDuration(given);
  if (wait.ok && wait.value > 0) return Math.min(wait.value, longestWaitMs);
  complaints.push("autoScaleWaitTimeout is no duration such as 90s, and counts as 60s");
  return usualWaitMs;
}
