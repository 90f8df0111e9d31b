import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { createHttpServer, type HttpServerDeps } from "../../src/admin/http-server.ts";
import { until } from "../support/until.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A server on a free port that answers each request with its path, unless `deps` say otherwise. */
async function start(deps: Partial<HttpServerDeps> = {}) {
  const { server, stop } = createHttpServer({
    answer: ({ rawPath }) => new Response(rawPath),
    fault: (thrown) => {
      throw thrown;
    },
    ...deps,
  });
  cleanups.push(stop);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  function client(): { readonly socket: Socket; received(): string; isClosed(): boolean } {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    let isClosed = false;
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      isClosed = true;
    });
    cleanups.push(() => socket.destroy());
    return { socket, received: () => text, isClosed: () => isClosed };
  }
  return { client, origin: `http://127.0.0.1:${port}` };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

test("requests that arrive in pieces of any size, one behind the other, are answered in order", async () => {
  const { client } = await start();
  const text =
    `${get("/a")}\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc` +
    `POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: x\r\n\r\n${get("/d")}`;
  for (const size of [1, 7, text.length]) {
    const { socket, received } = client();
    for (let at = 0; at < text.length; at += size) socket.write(text.slice(at, at + size));
    await until("all four answers", () => received().endsWith("\r\n\r\n/d"));
    expect(received().match(/\r\n\r\n\/./g)).toEqual([
      "\r\n\r\n/a",
      "\r\n\r\n/b",
      "\r\n\r\n/c",
      "\r\n\r\n/d",
    ]);
  }
});

test("a client that closes its side behind the request is answered", async () => {
  const { client } = await start();
  const { socket, received, isClosed } = client();
  socket.end(get("/last"));
  await until("the end", isClosed);
  expect(received()).toEndWith("/last");
});

test("a client that waits to be asked for its body is asked", async () => {
  const { client } = await start();
  const { socket, received } = client();
  socket.write("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  await until("the interim answer", () => received() === "HTTP/1.1 100 Continue\r\n\r\n");
  socket.write("a");
  await until("the answer", () => received().endsWith("/x"));
});

const refused: readonly {
  readonly name: string;
  readonly text: string;
  readonly status: number;
}[] = [
  { name: "TLS", text: "\x16\x03\x01", status: 400 },
  { name: "no Host", text: "GET / HTTP/1.1\r\n\r\n", status: 400 },
  { name: "two Hosts", text: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", status: 400 },
  { name: "a folded header", text: "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", status: 400 },
  { name: "a space before the colon", text: "GET / HTTP/1.1\r\nHost : a\r\n\r\n", status: 400 },
  { name: "HTTP/2", text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505 },
  {
    name: "two lengths",
    text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    status: 400,
  },
  {
    name: "a length beside chunks",
    text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    status: 400,
  },
  {
    name: "another coding",
    text: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    status: 501,
  },
  { name: "an endless head", text: `GET / HTTP/1.1\r\nX: ${"x".repeat(17_000)}`, status: 431 },
  {
    name: "a long body",
    text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n",
    status: 413,
  },
];
for (const { name, text, status } of refused) {
  test(`${name} is refused with ${status} and a problem, and the connection closed`, async () => {
    const { client } = await start();
    const { socket, received, isClosed } = client();
    socket.write(Buffer.from(text, "latin1"));
    await until("the end", isClosed);
    expect(received()).toStartWith(`HTTP/1.1 ${status} `);
    expect(received()).toContain("application/problem+json");
  });
}

test("half requests take no more than the bounded places, and a whole one is answered beside them", async () => {
  const { client, origin } = await start({ limits: { connections: 4 } });
  const halves = Array.from({ length: 100 }, () => client());
  for (const { socket } of halves) socket.write("GET / HTTP/1.1\r\nHost:");
  await until("only 8 are left", () => halves.filter(({ isClosed }) => !isClosed()).length <= 8);
  const answer = await fetch(`${origin}/ok`);
  expect(await answer.text()).toBe("/ok");
});

test("a head that is not complete in time ends the connection", async () => {
  const { client } = await start({ limits: { requestMs: 50 } });
  const { socket, isClosed } = client();
  socket.write("GET / HT");
  await until("the end", isClosed);
});

test("a connection between two requests makes room for a client that waits", async () => {
  const { client } = await start({ limits: { connections: 1 } });
  const first = client();
  first.socket.write(get("/1"));
  await until("the first answer", () => first.received().endsWith("/1"));
  const second = client();
  second.socket.write(get("/2"));
  await until("the second answer", () => second.received().endsWith("/2"));
  await until("the first is closed", first.isClosed);
});
