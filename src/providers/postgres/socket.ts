import { isIP, type Socket, connect as tcpConnect } from "node:net";
import { type ConnectionOptions, connect as tlsConnect } from "node:tls";
import { err, ok, type Result } from "../../base/result.ts";
import { within } from "../../base/wait.ts";
import type { DsnHost, TlsMode } from "./dsn.ts";

/** One concrete thing to dial: an IP literal or a socket file. `name` is what a certificate must be made out to. */
export type DialTarget =
  | {
      readonly kind: "tcp";
      readonly ip: string;
      readonly port: number;
      readonly name: string;
    }
  | { readonly kind: "unix"; readonly path: string };

/** PostgreSQL's SSLRequest: length 8, code 80877103 (protocol documentation, "Message Formats"). */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
/** A probe after this much silence; the kernel gives a vanished host up after ten more seconds. */
const keepAliveMs = 15_000;

/**
 * The addresses behind a host, in order of trial. Names are asked of c-ares, because the system's resolver blocks a
 * thread that file access shares.
 */
export async function resolveTargets(
  host: DsnHost,
  limitMs: number,
  signal: AbortSignal,
): Promise<Result<readonly DialTarget[], string>> {
  if (host.kind === "unix") return ok([host]);
  const { port } = host;
  if (isIP(host.host) !== 0) return ok([{ kind: "tcp", ip: host.host, port, name: host.host }]);
  const found = await within(
    limitMs,
    Bun.dns.lookup(host.host, { backend: "c-ares", socketType: "tcp" }),
    signal,
  );
  if (!found.ok || found.value.length === 0) return err(`the name ${host.host} does not resolve`);
  const ips = new Set(found.value.map(({ address }) => address));
  return ok([...ips].map((ip) => ({ kind: "tcp", ip, port, name: host.host })));
}

/** A TCP or unix connection within `limitMs`; whoever gets it closes it. A dial that is given up leaves no descriptor behind. */
export function openSocket(
  target: DialTarget,
  limitMs: number,
  signal: AbortSignal,
): Promise<Result<Socket, string>> {
  const socket = tcpConnect(
    target.kind === "unix"
      ? { path: target.path }
      : {
          host: target.ip,
          port: target.port,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: keepAliveMs,
        },
  );
  return whenReady(socket, "connect", limitMs, signal);
}

/**
 * The connection as `tls` wants it, with SSLRequest and TLS handshake done. On failure the socket is destroyed.
 * postgres.js would do this too, but its answer to a server without TLS is a reset, and it waits without a limit.
 */
export async function secureSocket(
  socket: Socket,
  target: DialTarget,
  tls: TlsMode,
  limitMs: number,
  signal: AbortSignal,
): Promise<Result<Socket, string>> {
  if (tls.kind === "disable" || target.kind === "unix") return ok(socket);
  const answer = await askForTls(socket, limitMs, signal);
  if (answer === "no" && tls.kind === "prefer") return ok(socket);
  if (answer !== "yes") {
    socket.destroy();
    return err(
      answer === "no"
        ? `the server does not offer TLS, but sslmode=${tls.kind} requires it`
        : "the server did not answer the request for TLS",
    );
  }
  const secured = tlsConnect({ socket, ...tlsOptions(tls, target.name) });
  const ready = await whenReady(secured, "secureConnect", limitMs, signal);
  if (ready.ok) return ready;
  socket.destroy();
  return err(`TLS failed: ${ready.error}`);
}

/** Exactly one byte may come back: anything behind it was put there before TLS began (CVE-2021-23222). */
async function askForTls(
  socket: Socket,
  limitMs: number,
  signal: AbortSignal,
): Promise<"yes" | "no" | "silence"> {
  const answered = new Promise<Buffer | null>((resolve) => {
    socket.once("data", (bytes: Buffer) => resolve(bytes));
    socket.once("close", () => resolve(null));
  });
  socket.write(sslRequest);
  const answer = await within(limitMs, answered, signal);
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

function tlsOptions(
  tls: Exclude<TlsMode, { readonly kind: "disable" }>,
  name: string,
): ConnectionOptions {
  // An IP literal must not be sent as a server name (RFC 6066, section 3), but is checked as one.
  const identity = isIP(name) === 0 ? { servername: name, host: name } : { host: name };
  switch (tls.kind) {
    case "prefer":
    case "require":
      return { ...identity, rejectUnauthorized: false };
    case "verify-ca":
      return {
        ...identity,
        ca: tls.ca,
        rejectUnauthorized: true,
        checkServerIdentity: () => undefined,
      };
    case "verify-full":
      return tls.ca === null
        ? { ...identity, rejectUnauthorized: true }
        : { ...identity, ca: tls.ca, rejectUnauthorized: true };
  }
}

/** The socket once `event` has come. A late, failed or abandoned one is destroyed; its later errors go nowhere. */
async function whenReady<S extends Socket>(
  socket: S,
  event: "connect" | "secureConnect",
  limitMs: number,
  signal: AbortSignal,
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
  if (!ready.ok) return err(signal.aborted ? "stopped" : `no answer within ${limitMs / 1_000} s`);
  return ready.value;
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
