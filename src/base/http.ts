import { codeOf, messageOf } from "./thrown.ts";

/** True for the statuses that say that it was done. */
export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** The text as JSON; null for what is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is one of the answers to expect; the caller says so.
    return null;
  }
}

/** Hosts for which Go asks no proxy, whatever the environment says. */
const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** How `fetch` is told so: nothing where the environment decides. */
export const proxyFor = (url: string): { readonly proxy?: false } =>
  loopback.test(URL.parse(url)?.hostname ?? "") ? { proxy: false } : {};

/**
 * Bun's own words for the commonest failures are advice for a browser's user, and some of the
 * others end with the URL, which may hold secrets.
 */
export function failureText(cause: unknown): string {
  const code = codeOf(cause);
  if (code === "ECONNREFUSED" || code === "ConnectionRefused") return "connection refused";
  if (code === "ECONNRESET" || code === "ConnectionClosed") return "the connection was closed";
  if (code === "ENOENT") return "there is no such socket";
  if (code === "EACCES" || code === "EPERM") return "the router may not open the socket";
  return messageOf(cause).split(/\. | fetching /)[0] ?? "no connection";
}

/** The body as text, up to the limit in bytes; `isCut` when there was more. Leaves nothing unread behind. */
export async function readCapped(
  response: Response,
  limit: number,
): Promise<{ readonly text: string; readonly isCut: boolean }> {
  if (response.body === null) return { text: "", isCut: false };
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let isCut = false;
  while (!isCut) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    isCut = size > limit;
  }
  if (isCut) await reader.cancel();
  return { text: Buffer.concat(chunks).toString("utf8", 0, Math.min(size, limit)), isCut };
}
