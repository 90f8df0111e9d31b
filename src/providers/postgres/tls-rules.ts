import { err, ok, type Result } from "../../base/result.ts";
import type { GivenParameters } from "./dsn-text.ts";

/** Gives the text of a file, or why it cannot. */
export type ReadFile = (path: string) => Result<string, string>;

/** The oldest and newest version of TLS that may be spoken, by libpq's names. */
type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/**
 * How connections over TCP are protected, as libpq's ssl parameters say. Certificates and keys are PEM texts.
 */
export interface TlsRules {
  /** As written, for messages. */
  readonly sslmode: string;
  /** Whether TLS is used: never, if the server insists, if the server can, or always. */
  readonly use: "never" | "allow" | "prefer" | "always";
  /** What is checked of the server's certificate: nothing, its chain, or chain and name. */
  readonly verify: "nothing" | "chain" | "name";
  /** Whose certificates count; null: nothing is checked, or the authorities that Bun knows. */
  readonly ca: string | null;
  readonly crl: string | null;
  /** The router's own certificate; null: it has none. */
  readonly identity: {
    readonly cert: string;
    readonly key: string;
    readonly passphrase: string | null;
  } | null;
  /** Tell the server which name it was called by. */
  readonly sni: boolean;
  /** Begin with TLS, without asking for it first (PostgreSQL 17). */
  readonly direct: boolean;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
}

const modes = {
  disable: { use: "never", verify: "nothing" },
  allow: { use: "allow", verify: "nothing" },
  prefer: { use: "prefer", verify: "nothing" },
  require: { use: "always", verify: "nothing" },
  "verify-ca": { use: "always", verify: "chain" },
  "verify-full": { use: "always", verify: "name" },
} as const;

const versions: readonly TlsVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** Where systems keep the authorities they trust: Debian, Fedora, Alpine and macOS. */
const systemAuthorities = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/**
 * The rules that the ssl parameters make. With a root certificate, every mode checks the chain, as in libpq.
 */
export function parseTls(given: GivenParameters, readFile: ReadFile): Result<TlsRules, string> {
  const root = given.get("sslrootcert") ?? "";
  const isSystem = root === "system";
  // JDBC's ssl=true, which libpq takes in URIs.
  const standard = given.get("ssl") === "true" ? "require" : "prefer";
  const sslmode = given.get("sslmode") ?? (isSystem ? "verify-full" : standard);
  if (!isMode(sslmode)) {
    return err(`sslmode may only be one of: ${Object.keys(modes).join(", ")}`);
  }
  const { use, verify } = modes[sslmode];
  if (isSystem && verify !== "name") return err("sslrootcert=system needs sslmode=verify-full");
  if (root === "" && verify !== "nothing") {
    return err(
      `sslmode=${sslmode} needs sslrootcert=/path/to/ca.pem${verify === "name" ? ", or sslrootcert=system for the authorities of this machine" : ""}`,
    );
  }
  const ca = isSystem ? ok(systemCa(readFile)) : readPem("sslrootcert", root, readFile);
  if (!ca.ok) return ca;
  const identity = parseIdentity(given, readFile);
  if (!identity.ok) return identity;
  const crl = readPem("sslcrl", given.get("sslcrl") ?? "", readFile);
  if (!crl.ok) return crl;
  const direct = parseNegotiation(given.get("sslnegotiation") || "postgres", use === "always");
  if (!direct.ok) return direct;
  const minVersion = parseVersion("min", given) ?? "TLSv1.2";
  const maxVersion = parseVersion("max", given) ?? "TLSv1.3";
  if (!isVersion(minVersion) || !isVersion(maxVersion)) {
    return err(`TLS versions may only be one of: ${versions.join(", ")}`);
  }
  return ok({
    sslmode,
    use,
    verify: verify === "nothing" && ca.value !== null ? "chain" : verify,
    ca: ca.value,
    crl: crl.value,
    identity: identity.value,
    sni: given.get("sslsni") !== "0",
    direct: direct.value,
    minVersion,
    maxVersion,
  });
}

const isMode = (text: string): text is keyof typeof modes => Object.hasOwn(modes, text);

const isVersion = (text: string): text is TlsVersion => versions.some((known) => known === text);

const parseVersion = (end: "min" | "max", given: GivenParameters): string | null =>
  given.get(`ssl_${end}_protocol_version`) || null;

function parseNegotiation(text: string, isRequired: boolean): Result<boolean, string> {
  if (text === "postgres") return ok(false);
  if (text !== "direct") return err("sslnegotiation may only be one of: postgres, direct");
  return isRequired ? ok(true) : err("sslnegotiation=direct needs sslmode=require or stronger");
}

function parseIdentity(
  given: GivenParameters,
  readFile: ReadFile,
): Result<TlsRules["identity"], string> {
  const mode = given.get("sslcertmode") || "allow";
  if (!["disable", "allow", "require"].includes(mode)) {
    return err("sslcertmode may only be one of: disable, allow, require");
  }
  if (mode === "disable") return ok(null);
  const cert = readPem("sslcert", given.get("sslcert") ?? "", readFile);
  if (!cert.ok) return cert;
  const key = readPem("sslkey", given.get("sslkey") ?? "", readFile);
  if (!key.ok) return key;
  if (cert.value === null && key.value === null) {
    return mode === "require" ? err("sslcertmode=require needs sslcert and sslkey") : ok(null);
  }
  if (cert.value === null) return err("sslkey needs sslcert=/path/to/client.pem beside it");
  if (key.value === null) return err("sslcert needs sslkey=/path/to/client.key beside it");
  const passphrase = given.get("sslpassword") || null;
  return ok({ cert: cert.value, key: key.value, passphrase });
}

const blocks = {
  sslrootcert: /-----BEGIN (TRUSTED )?CERTIFICATE-----[^-]+-----END/,
  sslcert: /-----BEGIN CERTIFICATE-----[^-]+-----END/,
  sslkey: /-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/,
  sslcrl: /-----BEGIN X509 CRL-----[^-]+-----END/,
};
const contents = {
  sslrootcert: "PEM certificate",
  sslcert: "PEM certificate",
  sslkey: "PEM private key",
  sslcrl: "PEM revocation list",
};

/** The file's text; null when no file is named. */
function readPem(
  name: keyof typeof blocks,
  path: string,
  readFile: ReadFile,
): Result<string | null, string> {
  if (path === "") return ok(null);
  const text = readFile(path);
  if (!text.ok) return err(`${name} ${path} cannot be read: ${text.error}`);
  return blocks[name].test(text.value) ? text : err(`${name} ${path} holds no ${contents[name]}`);
}

/** The system's own file of authorities; null, for those that Bun knows, where there is none. */
function systemCa(readFile: ReadFile): string | null {
  for (const path of systemAuthorities) {
    const text = readFile(path);
    if (text.ok && blocks.sslrootcert.test(text.value)) return text.value;
  }
  return null;
}
