/** A backend as a process of its own, to be killed or stopped: `echo-process.ts ADDRESS`. Sends back every byte, and prints where it listens. */
import { createServer } from "node:net";

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});
server.listen({ port: 0, host: process.argv[2], backlog: 4_096 }, () =>
  console.log(JSON.stringify(server.address())),
);
