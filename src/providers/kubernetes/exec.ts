import { parseJson } from "../../base/http.ts";
import { type Members, membersOf, textOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { messageOf } from "../../base/thrown.ts";
import type { ExecPlugin, Pem } from "./kubeconfig.ts";

/**
 * What authorizes a request: the value of its header, and the certificate of its connection; null
 * where there is none.
 */
export interface ExecCredential {
  readonly authorization: string | null;
  readonly certificate: { readonly cert: Pem; readonly key: Pem } | null;
}

/** What a plugin has given, and when that expires, on the clock of `Date.now`; null: never. */
interface GivenCredential {
  readonly credential: ExecCredential;
  readonly expiresAt: number | null;
}

/** How long a plugin may take, ms. */
const pluginMs = 30_000;
/** As much of its complaints as is told, in characters. */
const longestComplaint = 200;

/**
 * Runs a plugin for credentials to its end (kubernetes.io, "client-go credential plugins"). The
 * error is one readable phrase without secrets.
 */
export async function runExecPlugin(
  { apiVersion, command, env, cluster }: ExecPlugin,
  signal: AbortSignal,
): Promise<Result<GivenCredential, string>> {
  const [program = ""] = command;
  const spec = { interactive: false, ...(cluster === null ? {} : { cluster }) };
  const info = { apiVersion, kind: "ExecCredential", spec };
  const late = AbortSignal.timeout(pluginMs);
  try {
    const plugin = Bun.spawn([...command], {
      env: { ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      signal: AbortSignal.any([signal, late]),
      killSignal: "SIGKILL",
    });
    const [output, complaints, code] = await Promise.all([
      plugin.stdout.text(),
      plugin.stderr.text(),
      plugin.exited,
    ]);
    if (late.aborted) return err(`${program} gave no credentials within ${pluginMs / 1_000} s`);
    if (code !== 0) return err(`${program} ended with ${code}: ${firstLine(complaints)}`);
    return readCredential(program, output);
  } catch (cause) {
    return err(`${program} cannot be run: ${messageOf(cause)}`);
  }
}

function readCredential(program: string, output: string): Result<GivenCredential, string> {
  const status = membersOf(membersOf(parseJson(output))?.["status"]);
  if (status === null) return err(`${program} printed no ExecCredential with a status`);
  const token = textOf(status, "token");
  const certificate = readPair(status);
  if (token === null && certificate === null) {
    return err(`${program} gave neither a token nor a certificate with its key`);
  }
  const authorization = token === null ? null : `Bearer ${token}`;
  const expiry = Date.parse(textOf(status, "expirationTimestamp") ?? "");
  return ok({
    credential: { authorization, certificate },
    expiresAt: Number.isNaN(expiry) ? null : expiry,
  });
}

function readPair(status: Members): ExecCredential["certificate"] {
  const cert = textOf(status, "clientCertificateData");
  const key = textOf(status, "clientKeyData");
  if (cert === null || key === null) return null;
  return { cert: { kind: "text", text: cert }, key: { kind: "text", text: key } };
}

const firstLine = (text: string): string =>
  text.trim().split("\n", 1)[0]?.slice(0, longestComplaint) || "it did not say why";
