import { isIP } from "node:net";
import { isAbsolute, join } from "node:path";
import type { Reader } from "../base/go-text.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { MetricsBackend } from "../observe/metrics.ts";
import { webhookEvents } from "../observe/webhook-events.ts";
import { type Dsn, parseDsn } from "../providers/postgres/dsn.ts";
import { type Address, dialableAddress } from "../routing/address.ts";
import type { Hostname } from "../routing/hostname.ts";
import { matchablePattern } from "../routing/pattern.ts";
import { readInteger, readList, readMap } from "./readers.ts";
import type { SettingReader } from "./setting.ts";

/** What is shown of a value that must not be seen. */
export const masked = "***";

/** An IP literal. */
export const readIp: Reader<string> = (text) =>
  isIP(text) === 0 ? err("an IP address such as ::, 0.0.0.0 or 127.0.0.1") : ok(text);

/** `host:port`. */
export const readAddress: SettingReader<Address> = (text) => {
  const address = dialableAddress(text);
  if (address.ok) return address;
  return err([{ expected: "host:port", fault: `: the address ${address.error}` }]);
};

/** One hostname that clients can send. */
export const readHostname: Reader<Hostname> = (text) => {
  const pattern = matchablePattern(text);
  if (pattern.ok && pattern.value.kind === "exact") return ok(pattern.value.hostname);
  const reason = pattern.ok ? "is a pattern for many" : pattern.error;
  return err(`one hostname such as lobby.example.org (this one ${reason})`);
};

/**
 * A boolean, or nothing: `VERSION` is what Minecraft images call the game's version, so a text that is no
 * exact boolean belongs to another program.
 */
export const readVersionSwitch =
  (read: Reader<boolean>): SettingReader<boolean> =>
  (text) => {
    const value = read(text);
    if (value.ok) return value;
    return { ok: true, value: false, warnings: [{ expected: "true or false; it is ignored" }] };
  };

/** A connection string of Postgres, with the files that it names. */
export const readDsn: SettingReader<Dsn> = (text, { readFile }) => {
  const dsn = parseDsn(text, readFile);
  if (!dsn.ok) return err(`a connection string of Postgres (this one ${dsn.error})`);
  const warnings = dsn.value.withoutEffect.map((expected) => ({ expected: `no ${expected}` }));
  return { ok: true, value: dsn.value, warnings };
};

/** A file below the unit's state directory unless the text is an absolute path or `off`; null for none. */
export const readSnapshot: SettingReader<string | null> = (text, { variables }) =>
  unitFile(text, variables["STATE_DIRECTORY"], "routes.json");

/** A file below the unit's runtime directory unless the text is an absolute path or `off`; null for none. */
export const readControl: SettingReader<string | null> = (text, { variables }) =>
  unitFile(text, variables["RUNTIME_DIRECTORY"], "control");

function unitFile(
  text: string,
  directories: string | undefined,
  name: string,
): Result<string | null, string> {
  if (text === "off") return ok(null);
  if (text !== "") return isAbsolute(text) ? ok(text) : err("an absolute path, or off");
  // A unit may have several directories of a kind, separated by colons: systemd.exec(5).
  const [directory = ""] = (directories ?? "").split(":");
  return ok(directory === "" ? null : join(directory, name));
}

/** The certificates in a PEM file that the text names. */
export const readAuthorities: SettingReader<string> = (text, { readFile }) => {
  const file = readFile(text);
  if (!file.ok) return err(`a PEM file that can be read (${file.error})`);
  return file.value.includes("-----BEGIN CERTIFICATE-----")
    ? file
    : err("a PEM file with at least one certificate");
};

/** The control plane's base URL, without a slash at its end. */
export const readWakerUrl: SettingReader<string> = (text) => {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  // A password may stand before an @, and a token behind a ?, also in a URL that is otherwise wrong.
  const value = /[@?#]/.test(text) ? masked : text;
  if (url === null) return err([{ expected: "a URL such as http://127.0.0.1:8080", value }]);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    const expected = "a URL without user, password, ? and #; a token goes into AUTOMC_WAKER_TOKEN";
    return err([{ expected, value }]);
  }
  return ok((url.origin + url.pathname).replace(/\/+$/, ""));
};

/** InfluxDB's URL, which holds no account. */
export const readInfluxUrl: SettingReader<string> = (text) => {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url !== null && url.username === "" && url.password === "") return ok(text);
  const expected = "a URL such as http://127.0.0.1:8086, without user";
  return err([{ expected, value: masked }]);
};

/** A URL that is posted to; `example` shows one. */
export const postUrl =
  (example: string): Reader<string> =>
  (text) =>
    URL.parse(text) === null || !/^https?:/i.test(text)
      ? err(`a URL such as ${example}`)
      : ok(text);

/** What fits into an HTTP header (RFC 9110, 5.5): other text would fail each request instead of the start. */
export const readToken: Reader<string> = (text) =>
  /^[\x21-\x7e]+(?: +[\x21-\x7e]+)*$/.test(text)
    ? ok(text)
    : err("printable ASCII without spaces or line feeds around it");

/** Headers, by lower-case name. Names and values must fit into HTTP (RFC 9110, 5.1 and 5.5). */
export const readHeaders: SettingReader<Readonly<Record<string, string>>> = (text) => {
  const headers: Record<string, string> = {};
  for (const { key, value } of readMap(text)) {
    const isHeader = /^[\w!#$%&'*+.^`|~-]+$/.test(key) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
    if (!isHeader) return err("headers such as Authorization=Bearer secret");
    headers[key.toLowerCase()] = value;
  }
  return ok(headers);
};

/** Upstream takes an unknown metrics backend for `discard`; so does the router, but not silently. */
export const readMetricsBackend: SettingReader<MetricsBackend["kind"]> = (text) => {
  const name = text.toLowerCase();
  switch (name) {
    case "discard":
    case "expvar":
    case "prometheus":
    case "influxdb":
      return ok(name);
    default: {
      const expected = "discard, expvar, influxdb or prometheus; it counts as discard";
      return { ok: true, value: "discard", warnings: [{ expected }] };
    }
  }
};

/**
 * Names of events, of which those that do not exist are warned of; no name at all means connect and
 * disconnect.
 */
export const readEvents: SettingReader<ReadonlySet<string>> = (text) => {
  const names = readList(text);
  const events = new Set(names.length > 0 ? names : webhookEvents.slice(0, 2));
  const known: readonly string[] = webhookEvents;
  const warnings = [...events]
    .filter((name) => !known.includes(name))
    .map((name) => ({ expected: `names out of ${known.join(", ")}`, value: name }));
  return { ok: true, value: events, warnings };
};

/** A version of the Docker API, without a `v` in front. */
export const readApiVersion: Reader<string> = (text) => {
  const version = text.replace(/^v/, "");
  return /^\d+\.\d+$/.test(version) ? ok(version) : err("a version such as 1.41");
};

/** A namespace as the Kubernetes API takes it (RFC 1123, a label). */
export const readNamespace: Reader<string> = (text) =>
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
    ? ok(text)
    : err("the name of one namespace, or nothing for all");

/** A further port for players, and the hostname that all of them are routed by. */
export interface FixedListener {
  readonly port: number;
  readonly hostname: Hostname;
}

/** Reads `25601=survival.example.org`. */
export const readListener: Reader<FixedListener> = (text) => {
  const [portText = "", ...rest] = text.split("=");
  const port = readInteger(portText.trim());
  if (!port.ok || port.value < 1 || port.value > 65_535) {
    return err("has no port from 1 to 65535 before the =");
  }
  const pattern = matchablePattern(rest.join("="));
  if (!pattern.ok) return err(`has a hostname that ${pattern.error}`);
  if (pattern.value.kind !== "exact") return err("has a pattern where one hostname is expected");
  return ok({ port: port.value, hostname: pattern.value.hostname });
};
