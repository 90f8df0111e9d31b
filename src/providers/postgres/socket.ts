import { isIP, type Socket, connect as tcpConnect } from "node:net";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { err, ok, type Result } from "../../base/result.ts";
import { within } from "../../base/wait.ts";
import type { TlsRules } from "./tls-rules.ts";

/**
 * One concrete thing to dial: an IP literal or a socket file. `name` is what a certificate must be made out
 * to.
 */
export type DialTarget =
  | {
      readonly kind: "tcp";
      readonly ip: string;
      readonly port: number;
      readonly name: string;
    }
  | { readonly kind: "unix"; readonly path: string };

/** How long a step may take, and what ends it early. */
export interface Patience {
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** A connection that is ready for PostgreSQL's startup. */
export interface ReadySocket {
  readonly socket: Socket;
  /** The server's certificate (DER); null: the connection has no TLS. */
  readonly certificate: Buffer | null;
}

/** PostgreSQL's SSLRequest: length 8, code 80877103 (protocol documentation, "Message Formats"). */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** A TCP or Unix connection; the caller closes it. A dial that is given up leaves no descriptor behind. */
export function openSocket(
  target: DialTarget,
  keepAliveMs: number | null,
  patience: Patience,
): Promise<Result<Socket, string>> {
  const socket = tcpConnect(
    target.kind === "unix"
      ? { path: target.path }
      : {
          host: target.ip,
          port: target.port,
          noDelay: true,
          keepAlive: keepAliveMs !== null,
          keepAliveInitialDelay: keepAliveMs ?? 0,
        },
  );
  return whenReady(socket, "connect", patience);
}

/**
 * The connection with TLS, with SSLRequest and handshake done; on failure it is destroyed. `isOptional`: a
 * server that offers no TLS gets a plain connection. postgres.js could do this too, but without a limit of
 * time.
 */
export async function secureSocket(
  socket: Socket,
  name: string,
  rules: TlsRules,
  patience: Patience & { readonly isOptional: boolean },
): Promise<Result<ReadySocket, string>> {
  if (!rules.direct) {
    const answer = await askForTls(socket, patience);
    if (answer === "no" && patience.isOptional) return ok({ socket, certificate: null });
    if (answer !== "yes") {
      socket.destroy();
      return err(
        answer === "no"
          ? `the server does not offer TLS, but sslmode=${rules.sslmode} requires it`
          : "the server did not answer the request for TLS",
      );
    }
  }
  const secured: TLSSocket = tlsConnect({ socket, ...tlsOptions(rules, name) });
  const ready = await whenReady(secured, "secureConnect", patience);
  if (!ready.ok) {
    socket.destroy();
    return err(`TLS failed: ${ready.error}`);
  }
  return ok({ socket: secured, certificate: secured.getPeerCertificate(true).raw });
}

/** Exactly one byte may come back: anything behind it was put there before TLS began (CVE-2021-23222). */
async function askForTls(socket: Socket, patience: Patience): Promise<"yes" | "no" | "silence"> {
  const answered = new Promise<Buffer | null>((resolve) => {
    socket.once("data", (bytes: Buffer) => resolve(bytes));
    socket.once("close", () => resolve(null));
  });
  socket.write(sslRequest);
  const answer = await within(patience.limitMs, answered, patience.signal);
  if (!answer.ok || answer.value === null || answer.value.length !== 1) return "silence";
  switch (answer.value.toString("latin1")) {
    case "S":
      return "yes";
    case "N":
      return "no";
    default:
      return "silence";
  }
}

function tlsOptions(rules: TlsRules, name: string): ConnectionOptions {
  const { verify, ca, crl, identity, minVersion, maxVersion } = rules;
  // An IP literal must not be sent as a server name (RFC 6066, section 3), but is checked as one.
  const isNamed = isIP(name) === 0 && rules.sni;
  return {
    host: name,
    ...(isNamed ? { servername: name } : {}),
    rejectUnauthorized: verify !== "nothing",
    ...(verify === "chain" ? { checkServerIdentity: () => undefined } : {}),
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    ...(identity === null ? {} : { cert: identity.cert, key: identity.key }),
    ...(identity?.passphrase ? { passphrase: identity.passphrase } : {}),
    ...(rules.direct ? { ALPNProtocols: ["postgresql"] } : {}),
    minVersion,
    maxVersion,
  };
}

/**
 * The socket once `event` has come. A late, failed or abandoned one is destroyed; its later errors go
 * nowhere.
 */
async function whenReady<S extends Socket>(
  socket: S,
  event: "connect" | "secureConnect",
  { limitMs, signal }: Patience,
): Promise<Result<S, string>> {
  // Stays for good: an error without a listener would end the process.
  socket.on("error", () => undefined);
  const outcome = new Promise<Result<S, string>>((resolve) => {
    socket.once(event, () => resolve(ok(socket)));
    socket.once("error", (error) => resolve(err(socketFailure(error))));
    socket.once("close", () => resolve(err("the server closed the connection")));
  });
  const ready = await within(limitMs, outcome, signal);
  if (ready.ok && ready.value.ok) return ready.value;
  socket.destroy();
  if (ready.ok) return ready.value;
  return err(signal.aborted ? "stopped" : `no answer within ${Math.round(limitMs / 100) / 10} s`);
}

/** A system error in words, without the address that the caller names anyway. */
export function socketFailure(error: Error & { readonly code?: string }): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "ECONNRESET":
      return "the server reset the connection";
    case "ETIMEDOUT":
      return "the connection timed out";
    case "ENOENT":
      return "there is no such socket";
    case "EACCES":
      return "permission denied";
    case undefined:
      return error.message;
    default:
      return `${error.message} (${error.code})`;
  }
}
