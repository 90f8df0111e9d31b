/**
 * A backend as a process of its own, to be killed or stopped: `backend-process.ts BYTES`. Sends BYTES zero bytes to each client that
 * connects, throws away what it receives, and prints the port it listens on.
 */
import { createServer } from "node:net";

const chunk = Buffer.alloc(1024 * 1024);

const server = createServer({ allowHalfOpen: true }, (socket) => {
  let left = Number(process.argv[2]);

  function fill(): void {
    while (left > 0) {
      const part = chunk.subarray(0, Math.min(left, chunk.length));
      left -= part.length;
      if (!socket.write(part)) return;
    }
  }

  socket.on("drain", fill);
  socket.on("error", () => {});
  socket.on("end", () => socket.end());
  socket.resume();
  fill();
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address())));
