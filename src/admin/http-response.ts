import type { Socket } from "node:net";
import type { RequestHead } from "./http-parser.ts";

/**
 * Writes a response; false when the connection cannot be used for another one. A body whose length is not
 * known, which only a stream of events has, ends with the connection.
 */
export async function writeResponse(
  socket: Socket,
  response: Response,
  { method, keepAlive }: Pick<RequestHead, "method" | "keepAlive">,
  writeMs: number,
): Promise<boolean> {
  const headers = new Headers(response.headers);
  if (!keepAlive) headers.set("connection", "close");
  const isStream = headers.get("content-type") === "text/event-stream";
  if (isStream && response.body !== null && method !== "HEAD") {
    headers.set("connection", "close");
    await write(socket, headText(response.status, headers, null), writeMs);
    await writeStream(socket, response.body, writeMs);
    return false;
  }
  const body = Buffer.from(await response.arrayBuffer());
  const head = Buffer.from(headText(response.status, headers, body.length), "latin1");
  return write(socket, method === "HEAD" ? head : Buffer.concat([head, body]), writeMs);
}

async function writeStream(
  socket: Socket,
  body: ReadableStream<Uint8Array>,
  writeMs: number,
): Promise<void> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => {});
  socket.once("close", cancel);
  socket.once("end", cancel);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!(await write(socket, value, writeMs))) break;
  }
  cancel();
}

/**
 * Resolves true when the kernel has taken the bytes, false when the connection is gone or the client takes
 * too long.
 */
function write(socket: Socket, bytes: string | Uint8Array, writeMs: number): Promise<boolean> {
  if (socket.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), writeMs);
    const settle = (isWritten: boolean): void => {
      clearTimeout(timer);
      socket.removeListener("close", onClose);
      resolve(isWritten);
    };
    const onClose = (): void => settle(false);
    socket.once("close", onClose);
    socket.write(bytes, (error) => settle(!error));
  });
}

const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  301: "Moved Permanently",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** The status line and headers. A length of null is for a body that ends with the connection. */
export function headText(status: number, headers: Headers, length: number | null): string {
  const lines = [`HTTP/1.1 ${status} ${phrases[status] ?? ""}`];
  // Every pair but Set-Cookie, of which there may be several, is joined by the Headers class.
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  lines.push(`date: ${new Date().toUTCString()}`);
  if (length !== null) lines.push(`content-length: ${length}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
