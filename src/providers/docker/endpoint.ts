import { isAbsolute } from "node:path";
import { err, ok, type Result } from "../../base/result.ts";
import type { ApiEndpoint, ApiTls } from "../http-api.ts";

/** The ports that engines listen on by habit. */
const plainPort = 2375;
const tlsPort = 2376;

/**
 * Where a Docker engine answers, from an absolute path, `unix:///path`, `tcp://host:port`,
 * `http://…` or `https://…`. With `tls`, `tcp` means TLS. The error completes "..., but this one"
 * and never holds the text.
 */
export function parseDockerEndpoint(text: string, tls: ApiTls | null): Result<ApiEndpoint, string> {
  const path = text.replace(/^unix:(\/\/)?/, "");
  if (isAbsolute(path)) return ok({ url: "http://localhost", unix: path, tls: null });
  if (text.startsWith("unix:")) return err("has no absolute path");
  if (text.startsWith("ssh:")) return err("is for ssh, which has to forward the socket to a path");
  if (text.startsWith("npipe:")) return err("is for a Windows pipe, which is not supported");

  const url = /^(tcp|https?):\/\//.test(text) ? URL.parse(text.replace(/^tcp:/, "http:")) : null;
  if (url === null) return err("is none");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return err("has a user, password, ? or #");
  }
  const isSecure = url.protocol === "https:" || tls !== null;
  const port = url.port || String(portOf(text, isSecure));
  const base = `${isSecure ? "https" : "http"}://${url.hostname}:${port}${url.pathname}`;
  return ok({ url: base.replace(/\/+$/, ""), unix: null, tls: isSecure ? tls : null });
}

/** A URL for HTTP has the port that HTTP has, and `URL` leaves it out where it is given. */
function portOf(text: string, isSecure: boolean): number {
  if (text.startsWith("https:")) return 443;
  if (text.startsWith("http:") || /^tcp:\/\/[^/]*:80(\/|$)/.test(text)) return 80;
  return isSecure ? tlsPort : plainPort;
}
