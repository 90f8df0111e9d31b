/**
 * One end of a transfer, as a process of its own: `transfer-process.ts listen 0 BYTES` or `transfer-process.ts connect PORT BYTES`.
 * Sends BYTES random bytes in chunks of 1 B to 1 MB and then FIN, and reads until the other side's FIN, with random pauses.
 * The one that connects begins when it hears from the other: only then is the relay between them sure to be there. With a
 * HOSTNAME behind the others it logs in there before, and the one that listens, given the same, leaves the login out of what it received.
 * Prints the port it listens on, if it does, and when the connection is gone what it sent and received.
 */
import type { Socket, SocketHandler } from "bun";
import { login } from "../minecraft/wire.ts";

const [mode, port, byteCount, hostname] = process.argv.slice(2);
const total = Number(byteCount);
const largest = 1024 * 1024;
const pool = new Uint8Array(8 * largest);
for (let at = 0; at < pool.length; at += 65_536) {
  crypto.getRandomValues(pool.subarray(at, at + 65_536));
}

const opening = hostname === undefined ? null : login({ host: hostname, name: "Transfer" });
/** How much of the login is still to come. */
let openingLeft = mode === "listen" ? (opening?.length ?? 0) : 0;

const sent = { length: 0, hash: new Bun.CryptoHasher("sha256") };
const received = { length: 0, hash: new Bun.CryptoHasher("sha256") };
let unsent = pool.subarray(0, 0);
let untilPause = 0;

/** The next random bytes. As many small chunks as large ones: the size's order of magnitude is what is random. */
function nextChunk(): Uint8Array<ArrayBuffer> {
  const size = Math.min(Math.floor(largest ** Math.random()), total - sent.length);
  const from = Math.floor(Math.random() * (pool.length - size));
  const chunk = pool.subarray(from, from + size);
  sent.hash.update(chunk);
  sent.length += size;
  return chunk;
}

/** Writes until the kernel takes no more; FIN behind the last byte. */
function fill(socket: Socket<undefined>): void {
  while (unsent.length > 0 || sent.length < total) {
    if (unsent.length === 0) unsent = nextChunk();
    const taken = socket.write(unsent);
    if (taken < 0) throw new Error("the connection is gone");
    unsent = unsent.subarray(taken);
    if (unsent.length > 0) return;
  }
  socket.shutdown();
}

const socket: SocketHandler<undefined> = {
  open(opened) {
    if (mode === "listen") fill(opened);
    else if (opening !== null) opened.write(opening);
  },
  data(from, arrived) {
    const chunk = arrived.subarray(openingLeft);
    openingLeft -= arrived.length - chunk.length;
    if (chunk.length === 0) return;
    if (received.length === 0 && mode === "connect") fill(from);
    received.hash.update(chunk);
    received.length += chunk.length;
    untilPause -= chunk.length;
    if (untilPause > 0) return;
    untilPause = Math.random() * 16 * largest;
    from.pause();
    setTimeout(() => from.resume(), Math.random() * 20);
  },
  drain(drained) {
    // Bun emits it for each pause and resume as well.
    if (unsent.length > 0) fill(drained);
  },
  // Without this one Bun closes at the other side's FIN, `allowHalfOpen` or not.
  end() {},
  close(_, error) {
    const result = {
      sent: { length: sent.length, sha256: sent.hash.digest("hex") },
      received: { length: received.length, sha256: received.hash.digest("hex") },
      error: error?.message ?? null,
    };
    console.log(JSON.stringify(result));
    process.exit();
  },
};

const options = { hostname: "127.0.0.1", port: Number(port), allowHalfOpen: true, socket };
if (mode === "listen") console.log(JSON.stringify({ port: Bun.listen(options).port }));
else await Bun.connect(options);
