import { type Reader, readBoolean, readDuration } from "../base/go-text.ts";
import { err, ok, type Result } from "../base/result.ts";
import { defaultPort } from "../routing/address.ts";
import { type Pattern, parsePatterns } from "../routing/pattern.ts";
import type { Scaling } from "../routing/route.ts";
import { type KnownNames, unknownNames } from "./unknown-names.ts";

/** What the labels of a container or of a service ask of the router. Texts are empty where there are none. */
export interface RouteLabels {
  readonly patterns: readonly Pattern[];
  /** Where the backend listens. */
  readonly port: number;
  /** The network to reach it on; null: none in particular. */
  readonly network: string | null;
  readonly scaling: Scaling;
  /**
   * Server list texts: while it sleeps, while it starts, while it is down for good, and while it
   * will be started again.
   */
  readonly asleep: string;
  readonly loading: string;
  readonly failed: string;
  readonly restartDelay: string;
}

/** How labels are read. */
export interface LabelRules {
  /** What is allowed where the labels do not say. */
  readonly scaling: { readonly up: boolean; readonly down: boolean };
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  /** Which words make it the default route. */
  readonly readDefault: Reader<boolean>;
}

/**
 * The labels as far as they can be used; `complaint` is what is wrong with the others, "" when
 * nothing is.
 */
interface LabelsRead {
  /** Null: no hostname is asked for, or a mistake is such that nothing can be routed. */
  readonly labels: RouteLabels | null;
  readonly complaint: string;
}

const prefix = "mc-router.";

/** mc-router's labels. */
const known: KnownNames = {
  noun: "label",
  prefix,
  names: [
    "host",
    "port",
    "default",
    "network",
    "auto-scale-up",
    "auto-scale-down",
    "auto-scale-wait-timeout",
    "auto-scale-asleep-motd",
    "auto-scale-loading-motd",
    "auto-scale-failed-motd",
    "auto-scale-restart-delay-motd",
  ],
};

const usualWaitMs = 60_000;
const dayMs = 86_400_000;

/** Reads mc-router's labels. Entries without our host label are skipped silently. */
export function readLabels(all: ReadonlyMap<string, string>, rules: LabelRules): LabelsRead {
  const textOf = (name: string): string => all.get(prefix + name) ?? "";
  const { patterns, problems } = parsePatterns(textOf("host"), rules.simplifySrv);
  if (patterns.length === 0 && problems.length === 0) return { labels: null, complaint: "" };

  const complaints = problems.map(({ text, reason }) => `the hostname ${quoted(text)} ${reason}`);
  complaints.push(...unknownNames(all.keys(), known));
  let isUsable = patterns.length > 0;

  function value<T>(name: string, read: Reader<T>, absent: T): T {
    const text = textOf(name);
    if (text.trim() === "") return absent;
    const found = read(text);
    if (found.ok) return found.value;
    isUsable = false;
    complaints.push(`the label ${prefix}${name} is ${quoted(text)}, expected ${found.error}`);
    return absent;
  }

  const isDefault = value("default", trimmed(rules.readDefault), false);
  const labels: RouteLabels = {
    patterns: isDefault ? [...patterns, { kind: "default" }] : patterns,
    port: value("port", readPort, defaultPort),
    network: textOf("network") || null,
    scaling: {
      up: value("auto-scale-up", trimmed(readBoolean), rules.scaling.up),
      down: value("auto-scale-down", trimmed(readBoolean), rules.scaling.down),
      waitMs: value("auto-scale-wait-timeout", trimmed(readWait), usualWaitMs),
    },
    asleep: textOf("auto-scale-asleep-motd"),
    loading: textOf("auto-scale-loading-motd"),
    failed: textOf("auto-scale-failed-motd"),
    restartDelay: textOf("auto-scale-restart-delay-motd"),
  };
  return { labels: isUsable ? labels : null, complaint: complaints.join("; ") };
}

/** A port as mc-router reads it: digits and nothing else, and 0 for the usual one. */
const readPort: Reader<number> = (text) => {
  const port = /^\d{1,10}$/.test(text) ? Number(text) : 65_536;
  return port > 65_535 ? err("a port from 0 to 65535") : ok(port || defaultPort);
};

const readWait: Reader<number> = (text) => {
  const ms = readDuration(text);
  if (!ms.ok) return ms;
  return ok(ms.value <= 0 ? usualWaitMs : Math.min(ms.value, dayMs));
};

const trimmed =
  <T>(read: Reader<T>): Reader<T> =>
  (text): Result<T, string> =>
    read(text.trim());

/** Enough of a value to recognise it in a log line. */
const quoted = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
