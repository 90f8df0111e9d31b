/**
 * One end of a transfer, as a process of its own: `net-transfer.ts listen 0 BYTES` or `net-transfer.ts connect PORT BYTES`.
 * Sends BYTES random bytes in chunks of 1 B to 1 MB and then FIN, and reads until the other side's FIN, with random pauses.
 * The one that connects begins when it hears from the other: only then is the relay between them sure to be there.
 * Prints the port it listens on, if it does, and in the end what it sent and received.
 */
import { connect, createServer, type Socket } from "node:net";

const [mode, port, byteCount] = process.argv.slice(2);
const total = Number(byteCount);
const largest = 1024 * 1024;
const pool = new Uint8Array(8 * largest);
for (let at = 0; at < pool.length; at += 65_536) {
  crypto.getRandomValues(pool.subarray(at, at + 65_536));
}

/** As many small chunks as large ones: the size's order of magnitude is what is random. */
const chunkSize = (): number => Math.floor(largest ** Math.random());

function transfer(socket: Socket): void {
  const sent = new Bun.CryptoHasher("sha256");
  const received = new Bun.CryptoHasher("sha256");
  let sentLength = 0;
  let receivedLength = 0;
  let untilPause = 0;

  function fill(): void {
    while (sentLength < total) {
      const size = Math.min(chunkSize(), total - sentLength);
      const from = Math.floor(Math.random() * (pool.length - size));
      const chunk = pool.subarray(from, from + size);
      sent.update(chunk);
      sentLength += size;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  }

  socket.on("drain", fill);
  socket.on("data", (chunk: Buffer) => {
    received.update(chunk);
    receivedLength += chunk.length;
    untilPause -= chunk.length;
    if (untilPause > 0) return;
    untilPause = Math.random() * 16 * largest;
    socket.pause();
    setTimeout(() => socket.resume(), Math.random() * 20);
  });
  socket.on("end", () => {
    const result = {
      sent: { length: sentLength, sha256: sent.digest("hex") },
      received: { length: receivedLength, sha256: received.digest("hex") },
    };
    console.log(JSON.stringify(result));
  });
  socket.on("error", (error) => {
    throw error;
  });
  if (mode === "listen") fill();
  else socket.once("data", fill);
}

if (mode === "listen") {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    transfer(socket);
  });
  server.listen(Number(port), "127.0.0.1", () => {
    console.log(JSON.stringify(server.address()));
  });
} else {
  transfer(connect({ host: "127.0.0.1", port: Number(port), allowHalfOpen: true }));
}
