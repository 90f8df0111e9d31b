import { readFile } from "node:fs/promises";
import { err, ok, type Result } from "../../base/result.ts";
import { messageOf } from "../../base/thrown.ts";
import type { ApiTls } from "../http-api.ts";
import { type ExecCredential, runExecPlugin } from "./exec.ts";
import type { Bearer, KubeAccess, Pem } from "./kubeconfig.ts";

/** What a connection to the API is made with. It holds secrets. */
interface KubeCredentials {
  readonly tls: ApiTls;
  readonly headers: Readonly<Record<string, string>>;
}

/** The credentials as they are now. */
interface CredentialStore {
  /** The credentials for a request that is made now. The error is one readable phrase without secrets. */
  current(signal: AbortSignal): Promise<Result<KubeCredentials, string>>;
  /** The API has refused the last ones: what is remembered is given up. */
  refused(): void;
}

/**
 * How long a token from a file is used before the file is read again, ms: the kubelet exchanges
 * tokens well before they expire.
 */
const tokenAgeMs = 60_000;
/** So long before it expires a plugin's credential is exchanged, ms. */
const beforeExpiryMs = 10_000;

/** A credential that is good until then, on the clock of `Date.now`. */
interface Remembered {
  readonly credential: ExecCredential;
  readonly until: number;
}

/**
 * Reads certificates for each request, a token's file every minute, and asks a plugin when what it
 * gave has expired.
 */
export function createCredentialStore(access: KubeAccess): CredentialStore {
  let remembered: Remembered | null = null;

  async function authorize(signal: AbortSignal): Promise<Result<ExecCredential, string>> {
    if (remembered !== null && Date.now() < remembered.until) return ok(remembered.credential);
    const read = await readBearer(access.bearer, signal);
    if (!read.ok) return read;
    remembered = read.value;
    return ok(read.value.credential);
  }

  return {
    async current(signal) {
      const authorized = await authorize(signal);
      if (!authorized.ok) return authorized;
      const { authorization, certificate } = authorized.value;
      const tls = await readTls(access, certificate ?? access.certificate);
      if (!tls.ok) return tls;
      const headers = { ...(authorization === null ? {} : { authorization }), ...access.actAs };
      return ok({ tls: tls.value, headers });
    },
    refused() {
      remembered = null;
    },
  };
}

async function readTls(
  { tls: { ca, verify, serverName } }: KubeAccess,
  certificate: ExecCredential["certificate"],
): Promise<Result<ApiTls, string>> {
  const texts: (string | null)[] = [];
  for (const pem of [ca, certificate?.cert ?? null, certificate?.key ?? null]) {
    const text = await pemText(pem);
    if (!text.ok) return text;
    texts.push(text.value);
  }
  const [caText = null, cert = null, key = null] = texts;
  return ok({ ca: caText, cert, key, verify, serverName });
}

async function readBearer(
  bearer: Bearer,
  signal: AbortSignal,
): Promise<Result<Remembered, string>> {
  switch (bearer.kind) {
    case "none":
      return ok(authorizedBy(null));
    case "token":
      return ok(authorizedBy(`Bearer ${bearer.token}`));
    case "basic": {
      const account = Buffer.from(`${bearer.username}:${bearer.password}`).toString("base64");
      return ok(authorizedBy(`Basic ${account}`));
    }
    case "token-file": {
      const read = await fileText(bearer.path);
      if (!read.ok) return read;
      const token = read.value.trim();
      if (token === "") return err(`the token file ${bearer.path} is empty`);
      return ok(authorizedBy(`Bearer ${token}`, Date.now() + tokenAgeMs));
    }
    case "exec": {
      const given = await runExecPlugin(bearer.plugin, signal);
      if (!given.ok) return given;
      const { credential, expiresAt } = given.value;
      return ok({ credential, until: (expiresAt ?? never) - beforeExpiryMs });
    }
  }
}

const never = Number.POSITIVE_INFINITY;

const authorizedBy = (authorization: string | null, until = never): Remembered => ({
  credential: { authorization, certificate: null },
  until,
});

/** Null for none. */
async function pemText(pem: Pem | null): Promise<Result<string | null, string>> {
  if (pem === null) return ok(null);
  return pem.kind === "text" ? ok(pem.text) : await fileText(pem.path);
}

async function fileText(path: string): Promise<Result<string, string>> {
  try {
    return ok(await readFile(path, "utf8"));
  } catch (cause) {
    return err(messageOf(cause));
  }
}
